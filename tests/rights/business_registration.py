"""The registry's operations, each with a real application, business or reservation of every role and of somebody else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.rights.trying import MISSING, Case, Json, Things, World, entity, people

REFUSED = "... on Refused { code field message { en fr } }"
ADDRESS = {"street": "1 King Street", "city": "Toronto", "postalCode": "M5V 2T6"}
NUMBERED = {"legalType": "NUMBERED_CORPORATION", "sector": "72", "address": ADDRESS}


def mutation(name: str, given: Any, result: str = "Application") -> Case:
    """A mutation with an input made of somebody's things."""
    kind = name[0].upper() + name[1:]
    asked = f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ __typename ... on {result} {{ id }} {REFUSED} }} }}"
    return Case(asked, lambda things: {"input": given(things)})


def mine(field: str, selection: str, kind: str) -> Case:
    """A list of one's own, which shows a thing or not."""
    return Case(f"{{ {field} {{ {selection} }} }}", sees=lambda data, things: things[kind] in str(data))


async def withdrawn(connection: AsyncConnection, things: Things, _: str) -> None:
    """A final application: whoever follows it is told once, and then no more."""
    final = text("UPDATE application SET status = 'WITHDRAWN' WHERE id::text = :id")
    await connection.execute(final, {"id": things["application"]})


NAMES = (
    "Amber",
    "Basalt",
    "Cedar",
    "Dune",
    "Ember",
    "Fjord",
    "Garnet",
    "Heron",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Larch",
)
PAGE = "edges {{ node {{ {} }} }}"
CASES = {
    "nameCheck": Case('{ nameCheck(name: "Quiet Harbour Tea Inc.", legalType: NAMED_CORPORATION) { outcome } }'),
    "business": Case(
        "query ($n: ID!) { business(businessNumber: $n) { status } }", lambda things: {"n": things["business"]}
    ),
    "myBusinesses": mine("myBusinesses", PAGE.format("businessNumber"), "business"),
    "myApplications": mine("myApplications", PAGE.format("id"), "application"),
    "myReservations": mine("myReservations", "id", "reservation"),
    "application": Case(
        "query ($id: ID!) { application(id: $id) { status partners } }", lambda things: {"id": things["application"]}
    ),
    "applicationStatusChanged": Case(
        "subscription ($id: ID!) { applicationStatusChanged(id: $id) { status partners } }",
        lambda things: {"id": things["application"]},
        prepare=withdrawn,
    ),
    "reserveName": mutation(
        "reserveName",
        lambda things: {"name": "Quiet Harbour Tea Inc.", "legalType": "NAMED_CORPORATION", "idempotencyKey": "k"},
        "NameReservation",
    ),
    "draftApplication": mutation("draftApplication", lambda things: {**NUMBERED, "idempotencyKey": "k"}),
    "reviseApplication": mutation(
        "reviseApplication", lambda things: {**NUMBERED, "sector": "23", "applicationId": things["draft"]}
    ),
    "withdrawApplication": mutation("withdrawApplication", lambda things: {"applicationId": things["draft"]}),
    "submitApplication": mutation(
        "submitApplication", lambda things: {"applicationId": things["draft"], "idempotencyKey": "k"}
    ),
    "changeBusinessAddress": Case(
        "mutation ($input: ChangeBusinessAddressInput!) { changeBusinessAddress(input: $input) { __typename "
        f"... on Business {{ address {{ city }} }} {REFUSED} }} }}",
        lambda things: {
            "input": {"businessNumber": things["business"], "address": {**ADDRESS, "street": "9 Elm Street"}}
        },
    ),
    "offerTransfer": mutation(
        "offerTransfer",
        lambda things: {"businessNumber": things["business"], "idempotencyKey": "k"},
        "BusinessTransfer",
    ),
    "withdrawTransfer": mutation(
        "withdrawTransfer", lambda things: {"transferId": things["transfer"]}, "BusinessTransfer"
    ),
    "acceptTransfer": replace(
        mutation(
            "acceptTransfer",
            lambda things: {"code": things["transfer_code"], "idempotencyKey": "k"},
            "BusinessTransfer",
        ),
        purpose="business-transfer",
    ),
    "businessTransfer": Case(
        "query ($code: String!) { businessTransfer(code: $code) { state } }",
        lambda things: {"code": things["transfer_code"]},
    ),
    "myTransfers": mine("myTransfers", PAGE.format("id"), "transfer"),
    "BusinessTransfer": entity("BusinessTransfer", "state", id=lambda things: things["transfer"]),
    "Application": entity("Application", "status partners address { city }", id=lambda things: things["application"]),
    "NameReservation": entity("NameReservation", "name", id=lambda things: things["reservation"]),
    **{
        f"Business.{field}": entity("Business", selection, businessNumber=lambda things: things["business"])
        for field, selection in (
            ("businessNumber", "businessNumber"),
            ("legalName", "legalName"),
            ("address", "address { city }"),
            ("programs", "programs { state }"),
        )
    },
    "NameEvidence.name": Case(
        "query ($name: String!) { nameCheck(name: $name, legalType: NAMED_CORPORATION) { evidence { name } } }",
        lambda things: {"name": things["name"]},
    ),
}


async def world(client: Client, persons: Sequence[str]) -> World:
    """Everybody has filed two applications, offers one of the businesses, has begun another application and reserved a name."""
    return World(client, {person: await things_of(client, person) for person in persons} | {MISSING: missing()})


async def things_of(client: Client, person: str) -> Json:
    async def does(mutation: str, **given: Any) -> Json:
        scopes, claims = ("business:read", "business:register"), tokens.second_factor()
        asked = CASES[mutation].text
        if mutation == "offerTransfer":  # whose answer shows a code
            asked = asked.replace("{ id }", "{ id invitationCode }")
        answer = await client.run(asked, *scopes, username=person, variables={"input": given}, claims=claims)
        done = answer.data[mutation]
        assert done["__typename"] != "Refused", done
        found: Json = done
        return found

    async def files(key: str) -> tuple[Json, str]:
        """An application, and the business that it has made."""
        filed = await does("draftApplication", **NUMBERED, idempotencyKey=key)
        await does("submitApplication", applicationId=filed["id"], idempotencyKey=key)
        asked = "{ myBusinesses(first: 1) { edges { node { businessNumber } } } }"
        ((newest),) = (await client.run(asked, "business:read", username=person)).data["myBusinesses"]["edges"]
        return filed, newest["node"]["businessNumber"]

    _, offered = await files("0")
    transfer = await does("offerTransfer", businessNumber=offered, idempotencyKey="0")
    filed, business = await files("1")
    begun = await does("draftApplication", **NUMBERED, idempotencyKey="2")
    name = f"{NAMES[people().index(person)]} Quarry Inc."
    held = await does(
        "reserveName", name=name, legalType="NAMED_CORPORATION", acknowledgeSimilarNames=True, idempotencyKey="3"
    )
    return {
        "application": filed["id"],
        "draft": begun["id"],
        "reservation": held["id"],
        "business": business,
        "transfer": transfer["id"],
        "transfer_code": transfer["invitationCode"],
        "name": name,
    }


def missing() -> Json:
    ids = {kind: str(uuid4()) for kind in ("application", "draft", "reservation", "transfer")}
    return {**ids, "business": "799999994", "transfer_code": "none", "name": "Unheard Of"}
