"""The operations of accounts: everybody's own, and nobody else's."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.accounts.looking import know_access
from services.accounts.models import ChannelRecord, Mail, Profile
from services.accounts.security import Observed, SecurityObserved, observed
from services.accounts.service import service
from services.kit.audit.announced import AccessLogged, LoggedEntry
from services.kit.language import Language
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.rights.trying import MISSING, STRANGER, Case, Json, Things, World, entity, people

ACT = "a" * 64
CODED = {"offerDelegation", "inviteMember"}  # whose answer shows a code
REFUSED = "... on Refused { code field message { en fr } }"


def in_a_month() -> str:
    return (datetime.now(UTC) + timedelta(days=30)).isoformat()


async def free(connection: AsyncConnection, _: Things, subject: str) -> None:
    """Who opens a session has closed the one before."""
    closed = text("UPDATE assisted_session SET closed_at = now() WHERE officer = :officer")
    await connection.execute(closed, {"officer": subject})


def mutation(
    name: str,
    result: str,
    given: Callable[[Things], Json],
    kind: str = "",
    prepare: Callable[[AsyncConnection, Things, str], Awaitable[object]] | None = None,
) -> Case:
    """A mutation with an input made of somebody's things."""
    kind = kind or f"{name[0].upper()}{name[1:]}Input"
    asked = (
        f"mutation ($input: {kind}!) {{ {name}(input: $input) {{ __typename ... on {result} {{ id }} {REFUSED} }} }}"
    )
    return Case(asked, lambda things: {"input": given(things)}, prepare=prepare)


def overseen(case: Case) -> Case:
    """A case for whoever oversees how a ministry works."""
    return replace(case, purpose="oversight")


AT = datetime(2026, 6, 1, tzinfo=UTC)
REFUSED_ONCE = SecurityObserved(
    observer="gateway-1",
    source="gateway",
    events=[
        Observed(
            id="1", at=AT, last_at=AT, kind="FORBIDDEN", actor="a-person", client="", operation="", detail="", count=1
        )
    ],
)

CASES = {
    "me": Case("{ me { language } }"),
    "setLanguage": mutation("setLanguage", "Person", lambda things: {"language": "FR"}),
    "addChannel": mutation("addChannel", "Channel", lambda things: {"address": "b@example.ca", "idempotencyKey": "k"}),
    "sendChannelCode": mutation("sendChannelCode", "Channel", lambda things: {"channelId": things["channel"]}),
    "verifyChannel": mutation(
        "verifyChannel", "Channel", lambda things: {"channelId": things["channel"], "code": things["code"]}
    ),
    "removeChannel": mutation("removeChannel", "Channel", lambda things: {"channelId": things["channel"]}),
    "securityEvents": Case("{ securityEvents { edges { node { id actor kind } } } }", sees=lambda data, _: seen(data)),
    "Channel": entity("Channel", "address", id=lambda things: things["channel"]),
    "invitation": Case(
        "query ($code: String!) { invitation(code: $code) { offeredAs } }",
        lambda things: {"code": things["offer_code"]},
    ),
    "offerDelegation": mutation(
        "offerDelegation",
        "Delegation",
        lambda things: {"offeredAs": "O", "scopes": ["business:read"], "ends": in_a_month(), "idempotencyKey": "k"},
    ),
    "acceptDelegation": mutation(
        "acceptDelegation",
        "Delegation",
        lambda things: {"code": things["offer_code"], "acceptedAs": "A", "idempotencyKey": "k"},
    ),
    "refuseDelegation": mutation("refuseDelegation", "Delegation", lambda things: {"code": things["offer_code"]}),
    "renewInvitation": mutation(
        "renewInvitation", "Delegation", lambda things: {"delegationId": things["offer"], "version": 1}
    ),
    "revokeDelegation": mutation("revokeDelegation", "Delegation", lambda things: {"delegationId": things["offer"]}),
    "Delegation": entity("Delegation", "offeredAs", id=lambda things: things["offer"]),
    "inviteMember": mutation(
        "inviteMember",
        "FirmMember",
        lambda things: {"businessNumber": things["business"], "knownAs": "M", "idempotencyKey": "k"},
    ),
    "joinFirm": mutation(
        "joinFirm", "FirmMember", lambda things: {"code": things["member_code"], "idempotencyKey": "k"}
    ),
    "removeMember": mutation("removeMember", "FirmMember", lambda things: {"memberId": things["member"]}),
    "FirmMember": entity("FirmMember", "knownAs", id=lambda things: things["member"]),
    "Business.members": entity("Business", "members { knownAs }", businessNumber=lambda things: things["business"]),
    "consentPurposes": Case("{ consentPurposes { code } }"),
    "giveConsent": mutation(
        "giveConsent",
        "Consent",
        lambda things: {
            "purpose": "business-advice",
            "categories": ["inspections"],
            "ends": in_a_month(),
            "idempotencyKey": "k",
        },
    ),
    "revokeConsent": mutation("revokeConsent", "Consent", lambda things: {"consentId": things["consent"]}),
    "Consent": entity("Consent", "offices", id=lambda things: things["consent"]),
    "openAssistedSession": mutation(
        "openAssistedSession",
        "AssistedSession",
        lambda things: {
            "citizen": things["person"],
            "channel": "COUNTER",
            "reason": "To change an address",
            "idempotencyKey": "k",
        },
        prepare=free,
    ),
    "keepAssistedSession": mutation(
        "keepAssistedSession", "AssistedSession", lambda things: {"session": things["desk"]}, "AssistedSessionInput"
    ),
    "confirmAct": mutation(
        "confirmAct",
        "AssistedSession",
        lambda things: {"session": things["desk"], "act": ACT, "code": things["act_code"]},
    ),
    "closeAssistedSession": mutation(
        "closeAssistedSession",
        "AssistedSession",
        lambda things: {"session": things["session"]},
        "AssistedSessionInput",
    ),
    "assistedSessions": Case(
        "{ assistedSessions { edges { node { id } } } }", sees=lambda data, things: things["session"] in str(data)
    ),
    "AssistedSession": entity("AssistedSession", "reason", id=lambda things: things["session"]),
    "Business.accessLog": entity(
        "Business", "accessLog { edges { node { id } } }", businessNumber=lambda things: things["business"]
    ),
    "questionAccess": mutation(
        "questionAccess",
        "AccessInquiry",
        lambda things: {"entryId": things["entry"], "question": "Why did you look?", "idempotencyKey": "k"},
    ),
    "AccessInquiry": overseen(entity("AccessInquiry", "question", id=lambda things: things["inquiry"])),
    "accessInquiries": overseen(Case("{ accessInquiries { edges { node { id } } } }")),
    "answerAccessInquiry": overseen(
        mutation(
            "answerAccessInquiry",
            "AccessInquiry",
            lambda things: {"inquiryId": things["inquiry"], "answer": "It was a mistake."},
        )
    ),
    "Person.accessLog": entity("Person", "accessLog { edges { node { id } } }", id=lambda things: things["person"]),
    "Person.accessInquiries": entity(
        "Person", "accessInquiries { edges { node { id } } }", id=lambda things: things["person"]
    ),
    "Person": entity("Person", "language", id=lambda things: things["person"]),
}


def entry(person: str, business: str) -> LoggedEntry:
    """That an inspector looked at somebody's inspections."""
    return LoggedEntry(
        id=uuid4(),
        at=AT,
        act="READ",
        actor="an-inspector",
        role="inspector",
        subject=tokens.subject_of(person),
        business=business,
        category="inspections",
        purpose="inspection-conduct",
        authority="self",
        kind="",
        operation="",
        recipients=[],
        case_number="",
        reason="",
        shown_after=AT,
        keep_until=AT.date() + timedelta(days=2555),
    )


def seen(data: Any) -> bool:
    """Whether there are security events in an answer."""
    return bool((data or {}).get("securityEvents") and data["securityEvents"]["edges"])


async def world(client: Client, persons: Sequence[str]) -> World:
    """Everybody has an address to verify, a business with somebody invited, an open offer and a consent."""
    async with client.database.transaction() as db:
        await observed(REFUSED_ONCE, db)
    nothing = {
        "person": "nobody",
        "code": "1",
        "offer_code": "none",
        "member_code": "none",
        "act_code": "1",
        "business": "799999999",
    }
    nothing |= {
        name: str(uuid4()) for name in ("channel", "offer", "member", "consent", "desk", "session", "entry", "inquiry")
    }
    return World(client, {person: await things_of(client, person) for person in persons} | {MISSING: nothing})


async def opened(client: Client, officer: str, citizen: str) -> str:
    """A session in which somebody has assisted somebody; nobody else does both."""
    claims = {"realm_access": {"roles": ["counter_officer"]}, **tokens.second_factor()}
    case, things = CASES["openAssistedSession"], {"person": tokens.subject_of(citizen)}
    scopes = ("account:read", "account:manage", "assist:act")
    given = {**case.variables(things)["input"], "idempotencyKey": "w"}
    answer = await client.run(case.text, *scopes, username=officer, claims=claims, variables={"input": given})
    return str(answer.data["openAssistedSession"]["id"])


async def agreement(client: Client, session: str, citizen: str) -> str:
    """The code for an act that was proposed in a session, of somebody who has had an address for a month."""
    since, subject = datetime.now(UTC) - timedelta(days=30), tokens.subject_of(citizen)
    address = f"{citizen}@example.ca".replace("_", "-")
    proposed = service.handlers["act.proposed.v1"]
    told = {"grant": session, "act": ACT, "en": "To move.", "fr": "Déménager."}
    async with client.database.transaction() as db:
        db.add(ChannelRecord(subject=subject, address=address, added_at=since, verified_at=since))
        await db.flush()
        await proposed.function(proposed.event.model_validate(told), db)
    async with client.database.transaction() as db:
        bodies = [mail.body for mail in await db.where(Mail) if mail.address == address]
    (code,) = [found[1] for body in bodies if (found := re.search(r"^ {4}(\d{4} \d{4})$", body, re.MULTILINE))]
    return code


async def things_of(client: Client, person: str) -> Json:
    async def does(name: str, given: Json) -> Json:
        scopes = ("account:read", "account:manage")
        text = CASES[name].text.replace("{ id }", "{ id invitationCode }") if name in CODED else CASES[name].text
        done = (await client.run(text, *scopes, username=person, variables={"input": given})).data[name]
        assert done["__typename"] != "Refused", done
        found: Json = done
        return found

    number = f"7{people().index(person):08}"
    known = service.handlers["business.registered.v1"]
    told = {"businessNumber": number, "legalName": "Amber Kiln", "registeredBy": tokens.subject_of(person)}
    async with client.database.transaction() as db:
        await known.function(known.event.model_validate(told), db)
    address = f"{person}@example.ca".replace("_", "-")
    added = await does("addChannel", {"address": address, "idempotencyKey": "w"})
    async with client.database.transaction() as db:
        (letter,) = [mail for mail in await db.where(Mail) if mail.address == address]
    things: Json = {"business": number}
    for name in ("offerDelegation", "inviteMember", "giveConsent"):
        things[name] = await does(name, {**CASES[name].variables(things)["input"], "idempotencyKey": "w"})
    session = await opened(client, f"desk_of_{person}", person)
    visitor, desk, act_code = f"visitor_of_{person}", str(uuid4()), "none"
    if person in (
        "counter_officer",
        STRANGER,
    ):  # whose office it is to assist, and somebody to take for another officer
        async with client.database.transaction() as db:
            db.add(Profile(subject=tokens.subject_of(visitor), language=Language.EN))
        desk = await opened(client, person, visitor)
        act_code = await agreement(client, desk, visitor)
    looked = [entry(person, number), entry(person, number)]
    async with client.database.transaction() as db:
        await know_access(AccessLogged(batch=f"w/{person}", service="inspections", entries=looked), db)
    asked = {"entryId": str(looked[1].id), "question": "Why did you look?", "idempotencyKey": "w"}
    things["inquiry"] = await does("questionAccess", asked)
    return {
        "session": session,
        "desk": desk,
        "act_code": act_code,
        "entry": str(looked[0].id),
        "inquiry": things["inquiry"]["id"],
        "person": tokens.subject_of(person),
        "business": number,
        "channel": added["id"],
        "code": letter.title.partition(": ")[2],
        "offer": things["offerDelegation"]["id"],
        "offer_code": things["offerDelegation"]["invitationCode"],
        "member": things["inviteMember"]["id"],
        "member_code": things["inviteMember"]["invitationCode"],
        "consent": things["giveConsent"]["id"],
    }
