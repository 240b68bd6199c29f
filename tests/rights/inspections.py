"""Inspections' operations, each with a real business and inspection of every role and of somebody else."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.inspections.service import service
from services.kit import business_days
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.rights.trying import MISSING, Case, Json, Things, World, entity

DUTIES = ["INTRODUCED_SELF_AND_MINISTRY", "STATED_AUTHORITY", "EXPLAINED_PROCESS", "LEFT_CONTACT_NUMBER"]
ITEM = "FP-08"
NEIGHBOURS = "700000200"
FINDING = text(
    """INSERT INTO finding (id, inspection_id, round, item_code, law, section, severity, comment, corrected_on_the_spot)
    SELECT gen_random_uuid(), id, round, :item, '{"en": "The law", "fr": "La loi"}', '7', 'MINOR', 'Seen.', false
    FROM inspection WHERE number = :number"""
)


def mutation(name: str, state: str, *, found: bool = False, **given: Any) -> Case:
    """A mutation of an inspection in a state, which the caller conducts where that matters; with an open finding if `found`."""

    async def prepare(connection: AsyncConnection, things: Things, subject: str) -> None:
        conducted = None if state == "SCHEDULED" else subject if state == "STARTED" else "visitor"
        into = text("UPDATE inspection SET status = :state, assigned_to = :by WHERE number = :number")
        await connection.execute(into, {"state": state, "by": conducted, "number": things["number"]})
        if found:
            await connection.execute(FINDING, {"number": things["number"], "item": ITEM})

    return Case(
        changing(name), lambda things: {"input": {"number": things["number"], "version": 2, **given}}, prepare=prepare
    )


def changing(name: str) -> str:
    kind = name[0].upper() + name[1:]
    return f"""mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ __typename
        ... on Inspection {{ id }} ... on Refused {{ code field message {{ en fr }} }} }} }}"""


def schedule(things: Things) -> Json:
    day = business_days.after(business_days.today(), 5).isoformat()
    return {"businessNumber": things["business"], "checklist": "retail", "scheduledFor": day, "idempotencyKey": "k"}


def assign(things: Things) -> Json:
    """A visit to a business that is neither the caller's nor the inspector's, for somebody to make."""
    return {**schedule(things), "businessNumber": NEIGHBOURS, "inspector": things["subject"]}


def business(selection: str) -> Case:
    """What inspections add to a business."""
    facts: Mapping[str, Any] = {
        "businessNumber": lambda things: things["business"],
        "sector": lambda things: "72",
        "registeredAt": lambda things: "2026-03-02T15:00:00Z",
    }
    return entity("Business", selection, **facts)


def inspection(selection: str) -> Case:
    return entity("Inspection", selection, id=lambda things: things["id"])


def premises(selection: str) -> Case:
    return Case("query ($id: ID!) { premises(id: $id) { " + selection + " } }", lambda things: {"id": "dinesafe-1"})


CASES = {
    "checklists": Case("{ checklists { id } }"),
    "premises": premises("kind"),
    "inspectedPremises": Case("{ inspectedPremises { edges { node { id } } } }"),
    **{f"Premises.{field}": premises(field) for field in ("name", "address", "latitude", "longitude")},
    "inspection": Case(
        "query ($n: String!) { inspection(number: $n) { id status } }", lambda things: {"n": things["number"]}
    ),
    "inspections": Case(
        "{ inspections(first: 100) { edges { node { number } } } }",
        sees=lambda data, things: things["number"] in str(data),
    ),
    "scheduleInspection": Case(changing("scheduleInspection"), lambda things: {"input": schedule(things)}),
    "ScheduleInspectionInput.inspector": Case(changing("scheduleInspection"), lambda things: {"input": assign(things)}),
    "startInspection": mutation("startInspection", "SCHEDULED"),
    "recordFindings": mutation("recordFindings", "STARTED", findings=[], firstContact=DUTIES),
    "reviewInspection": mutation("reviewInspection", "RECORDED", decision="APPROVED"),
    "confirmCorrection": mutation("confirmCorrection", "REVIEWED", found=True, item=ITEM),
    "closeInspection": mutation("closeInspection", "REVIEWED"),
    "cancelInspection": mutation("cancelInspection", "SCHEDULED", reason="Moved away"),
    "Inspection": inspection("number findings { comment }"),
    "Inspection.inspector": inspection("inspector"),
    "Inspection.reviews": inspection("reviews { comment }"),
    "InspectionTransition.note": inspection("history { note }"),
    "Business.inspections": business("inspections { edges { node { number } } }"),
    "Business.complianceProfile": business("complianceProfile { standing }"),
    "Business.riskScore": business("riskScore { score }"),
}


async def world(client: Client, persons: Sequence[str]) -> World:
    """Everybody owns a business with an inspection, about which its inspector and a reviewer have written."""
    async with client.database.transaction() as db:
        for seed in service.seeds:
            await seed(db)
    handler = service.handlers["business.registered.v1"]
    numbers = {person: f"7000001{n:02}" for n, person in enumerate(persons)} | {"neighbour": NEIGHBOURS}
    for person, number in numbers.items():
        registered = {
            "businessNumber": number,
            "legalName": person,
            "sector": "72",
            "registeredAt": "2026-03-02T15:00:00Z",
            "registeredBy": tokens.subject_of(person),
        }
        async with client.database.transaction() as db:
            await handler.function(handler.event.model_validate(registered), db)
    async with client.database.transaction() as db:
        for statement in WRITTEN:
            await db.execute(text(statement))
        rows = await db.execute(text("SELECT business_number, number, id::text FROM inspection"))
        held = {
            row.business_number: {"business": row.business_number, "number": row.number, "id": row.id} for row in rows
        }
    things = {person: {**held[number], "subject": tokens.subject_of(person)} for person, number in numbers.items()}
    missing = {"business": "799999994", "number": "IN-1", "id": str(uuid4()), "subject": str(uuid4())}
    return World(client, things | {MISSING: missing})


WRITTEN = (
    "UPDATE inspection SET assigned_to = 'visitor', version = 2",
    """INSERT INTO transition (inspection_id, position, status, at, by, remark)
    SELECT id, 2, 'SCHEDULED', now(), 'visitor', 'Ring twice' FROM inspection""",
    """INSERT INTO review (id, inspection_id, decision, comment, reviewer, at)
    SELECT gen_random_uuid(), id, 'SENT_BACK', 'Which refrigerator?', 'reviewer', now() FROM inspection""",
    """INSERT INTO premises (id, source, name, kind, address, latitude, longitude, described_on, described_by)
    VALUES ('dinesafe-1', 'dinesafe', 'Zephyr', 'Bakery', '1 King Street', 43.6, -79.4, '2026-01-05', '1')""",
)
