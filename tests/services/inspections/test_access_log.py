"""Who looked at a business's inspections, and who changed one: staff leave an entry with the owner's name, owners none."""

import pytest
from sqlalchemy import text

from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.inspections.conftest import BUSINESS, DUTIES, INSPECTION, Cast, Json, finding

FACTS = {"sector": "72", "registeredAt": "2026-03-02T15:00:00Z"}
PAGE = "{ inspections { edges { node { number findings { comment } } } } }"


async def logged(client: Client) -> list[tuple[str, ...]]:
    """Who did what with what of whom, in order."""
    async with client.database.transaction() as db:
        entries = "SELECT actor, act, subject, category FROM access_entry ORDER BY id"
        return [tuple(row) for row in await db.execute(text(entries))]


def entry(act: str, actor: str = "inspector", subject: str = "owner") -> tuple[str, ...]:
    return tokens.subject_of(actor), act, tokens.subject_of(subject), "inspections"


async def planned(cast: Cast) -> Json:
    """A first inspection that nobody has looked at."""
    await cast.hears()
    found = (await cast.owner.ask(f"{{ inspections {{ edges {{ node {{ {INSPECTION} }} }} }} }}"))["inspections"]
    first: Json = found["edges"][0]["node"]
    assert await logged(cast.client) == []
    return first


class TestReading:
    @pytest.mark.parametrize("reader", ["inspector", "reviewer", "administrator"])
    @pytest.mark.parametrize(
        "selection", ["inspections { edges { cursor } }", "complianceProfile { standing }", "riskScore { score }"]
    )
    async def test_what_concerns_a_business_is_logged(self, cast: Cast, selection: str, reader: str) -> None:
        await planned(cast)
        assert not (await getattr(cast, reader).entities(selection, BUSINESS, **FACTS)).errors
        assert await logged(cast.client) == [entry("READ", reader)]

    async def test_an_inspection_is_logged_however_it_is_found(self, cast: Cast) -> None:
        first = await planned(cast)
        await cast.inspector.reads(first["number"])
        await cast.inspector.ask(PAGE)
        find = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Inspection { number } } }"
        await cast.inspector.ask(find, r=[{"__typename": "Inspection", "id": first["id"]}])
        assert await logged(cast.client) == [entry("READ")] * 3

    async def test_ones_own_is_not_logged(self, cast: Cast) -> None:
        first = await planned(cast)
        await cast.owner.reads(first["number"])
        await cast.owner.ask(PAGE)
        await cast.owner.entities("complianceProfile { standing } riskScore { score }", BUSINESS, **FACTS)
        assert await logged(cast.client) == []

    async def test_what_is_refused_is_logged_as_that(self, cast: Cast) -> None:
        first = await planned(cast)
        await cast.citizen.reads(first["number"])
        await cast.citizen.entities("complianceProfile { standing }", BUSINESS)
        assert await logged(cast.client) == [entry("REFUSED", "citizen")] * 2

    async def test_what_is_not_there_is_not_logged(self, cast: Cast) -> None:
        await planned(cast)
        await cast.citizen.reads("IN-1")
        await cast.inspector.reads("IN-1")
        await cast.inspector.entities("complianceProfile { standing }", "700000023")
        assert await logged(cast.client) == []

    async def test_a_page_of_many_owners_costs_one_statement_more_than_the_log(self, cast: Cast) -> None:
        owners = [f"owner {n}" for n in range(12)]
        for n, owner in enumerate(owners):
            await cast.hears(businessNumber=f"7000000{n:02}", registeredBy=tokens.subject_of(owner))
        with cast.client.statements() as seen:
            await cast.inspector.ask("{ inspections { edges { node { number } } } }")
        assert [statement.split()[0] for statement in seen.texts] == ["SELECT", "SELECT", "INSERT"]
        assert set(await logged(cast.client)) == {entry("READ", subject=owner) for owner in owners}


class TestChanging:
    async def test_each_step_of_an_inspection_is_logged(self, cast: Cast) -> None:
        number, log = (await planned(cast))["number"], list[tuple[str, ...]]()
        for who, act, given in (
            ("inspector", "startInspection", {}),
            ("inspector", "recordFindings", {"findings": [finding()], "firstContact": DUTIES}),
            ("reviewer", "reviewInspection", {"decision": "APPROVED"}),
            ("inspector", "confirmCorrection", {"item": "FP-08"}),
            ("reviewer", "closeInspection", {}),
        ):
            version = len(log) + 1
            done = await getattr(cast, who).does(act, number=number, version=version, **given)
            assert done["__typename"] == "Inspection", done
            log.append(entry("CHANGE", who))
            assert await logged(cast.client) == log

    async def test_scheduling_is_logged_and_its_repetition_is_a_read(self, cast: Cast) -> None:
        first = await planned(cast)
        given = {
            "businessNumber": BUSINESS,
            "checklist": first["checklist"]["code"],
            "scheduledFor": first["scheduledFor"],
            "idempotencyKey": "k",
        }
        for _ in range(2):
            assert (await cast.inspector.does("scheduleInspection", **given))["__typename"] == "Inspection"
        assert await logged(cast.client) == [entry("CHANGE"), entry("READ")]

    async def test_what_is_refused_is_not_logged_as_a_change(self, cast: Cast) -> None:
        first = await planned(cast)
        refused = await cast.inspector.does("startInspection", number=first["number"], version=7)
        assert refused["code"] == "OUTDATED_VERSION"
        early = await cast.reviewer.does("closeInspection", number=first["number"], version=1)
        assert early["code"] == "NOT_IN_THIS_STATE"
        assert await logged(cast.client) == []
