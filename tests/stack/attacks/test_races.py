"""A hundred at once, through the door, for one thing that only one may have."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from clusters.topology import SUPERGRAPH
from tests.journeys.hostile import judged
from tests.stack.attacks.conftest import Target

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
MANY = 100
OPERATIONS = SUPERGRAPH.parent / "operations"
RESERVE = """mutation ($input: ReserveNameInput!) { reserveName(input: $input) {
    __typename ... on NameReservation { id } ... on Refused { code field message { in en fr } } } }"""


async def at_once(target: Target, user: str, text: str, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each of a hundred callers with a role is told, all of whom ask at the same moment."""
    limits = httpx.Limits(max_connections=MANY)
    begin = asyncio.Event()

    async def one(http: httpx.AsyncClient, number: int, given: Mapping[str, Any]) -> httpx.Response:
        token = target.token(user, sub=f"racer-{number}", cnf=None)
        headers = {"authorization": f"Bearer {token}", "accept-language": "fr"}
        await begin.wait()
        body = {"query": text, "variables": {"input": given}}
        return await http.post(target.environment["GATEWAY_URL"], json=body, headers=headers)

    async with httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as http:
        racing = [asyncio.ensure_future(one(http, n, given)) for n, given in enumerate(inputs)]
        begin.set()
        answers = await asyncio.gather(*racing)
    found = []
    for answer in answers:
        judged(answer)
        (value,) = (answer.json().get("data") or {"none": None}).values()
        found.append(value or {"__typename": "Error", "code": answer.json()["errors"][0]["extensions"]["code"]})
    return found


class TestOneName:
    def test_is_reserved_by_one_of_a_hundred(self, target: Target) -> None:
        inputs = [
            {"name": "The Only Lamp Shop Inc.", "legalType": "NAMED_CORPORATION", "idempotencyKey": f"race-{n}"}
            for n in range(MANY)
        ]
        told = asyncio.run(at_once(target, "owner", RESERVE, inputs))
        won = [one for one in told if one["__typename"] == "NameReservation"]
        assert len(won) == 1, json.dumps(told)[:600]
        lost = {one["code"] for one in told if one["__typename"] != "NameReservation"}
        assert lost <= {"NAME_TAKEN", "SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED"}, json.dumps(told)[:600]


class TestOneInspection:
    def test_is_begun_by_one_of_a_hundred(self, target: Target) -> None:
        token = target.token("inspector", cnf=None)
        listed = target.http.post(
            target.environment["GATEWAY_URL"],
            json={"query": "{ inspections(status: SCHEDULED, first: 1) { edges { node { number version } } } }"},
            headers={"authorization": f"Bearer {token}", "onedoor-purpose": "inspection-conduct"},
        )
        (edge,) = listed.json()["data"]["inspections"]["edges"]
        text = (OPERATIONS / "InspectionsStart.graphql").read_text()
        inputs = [{"number": edge["node"]["number"], "version": edge["node"]["version"]}] * MANY
        told = asyncio.run(at_once(target, "inspector", text, inputs))
        won = [one for one in told if one["__typename"] == "Inspection"]
        assert len(won) == 1, json.dumps(told)[:600]
