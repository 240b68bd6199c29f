"""First inspections by rule, others by an inspector: on business days, with the checklist of the day."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from secrets import token_hex
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inspections.checklists import FOLDER, read_checklist
from services.inspections.scheduling import first_visit_rules
from services.inspections.service import service
from services.kit import business_days
from services.kit.inbox import Worker, take
from services.kit.testing import tokens
from tests.services.inspections.conftest import BUSINESS, Cast, Json, mutation_of, registered, working_day

DATES = st.dates(date(2020, 1, 1), date(2040, 1, 1))


class TestBusinessDays:
    @pytest.mark.parametrize(
        ("day", "works"),
        [
            ("2026-02-16", False),  # Family Day
            ("2026-04-03", False),  # Good Friday
            ("2026-05-18", False),  # Victoria Day
            ("2026-07-01", False),
            ("2026-12-28", False),  # Boxing Day, observed
            ("2026-11-21", False),  # Saturday
            ("2026-11-24", True),
        ],
    )
    def test_weekends_and_public_holidays_are_none(self, day: str, works: bool) -> None:
        assert business_days.is_business_day(date.fromisoformat(day)) is works

    def test_christmas_takes_four_days_when_boxing_day_is_a_saturday(self) -> None:
        assert business_days.after(date(2026, 12, 24), 1) == date(2026, 12, 29)

    def test_a_moment_late_in_the_evening_is_still_that_day_in_ontario(self) -> None:
        assert business_days.day_of(datetime(2026, 3, 3, 3, 0, tzinfo=UTC)) == date(2026, 3, 2)

    @given(DATES, st.integers(1, 60))
    def test_so_many_days_on_exactly_so_many_business_days_have_passed(self, day: date, count: int) -> None:
        found = business_days.after(day, count)
        passed = (day + timedelta(days=n) for n in range(1, (found - day).days + 1))
        assert sum(map(business_days.is_business_day, passed)) == count
        assert business_days.is_business_day(found)


class TestTheRules:
    def test_each_names_a_checklist_that_ships(self) -> None:
        codes = {read_checklist(path).code for path in FOLDER.glob("*.toml")}
        rules = first_visit_rules()
        assert {rule.checklist for rule in (rules.default, *rules.rules)} <= codes

    def test_no_sector_falls_under_two_rules(self) -> None:
        sectors = [sector for rule in first_visit_rules().rules for sector in rule.sectors]
        assert len(sectors) == len(set(sectors))


class TestANewBusiness:
    @pytest.mark.parametrize(
        ("sector", "checklist", "days"),
        [
            ("72", "food-premises@1", 10),
            ("722511", "food-premises@1", 10),
            ("23", "construction@1", 15),
            ("44", "retail@1", 30),
            ("54", "workplace-safety@1", 60),
            ("", "workplace-safety@1", 60),
        ],
    )
    async def test_is_visited_by_the_rule_of_its_sector(
        self, cast: Cast, sector: str, checklist: str, days: int
    ) -> None:
        found = await cast.first_inspection(sector=sector, registeredAt=datetime.now(UTC).isoformat())
        assert found["checklist"]["id"] == checklist
        assert found["scheduledFor"] == business_days.after(business_days.today(), days).isoformat()
        assert (found["reason"], found["status"]) == ("FIRST", "SCHEDULED")

    async def test_that_registered_long_ago_is_visited_from_today_on(self, cast: Cast) -> None:
        found = await cast.first_inspection(registeredAt="2019-01-02T15:00:00Z")
        assert found["scheduledFor"] == working_day(10)

    async def test_the_visit_is_announced(self, cast: Cast) -> None:
        found = await cast.first_inspection()
        ((_, announced),) = await cast.client.events("inspection.scheduled.v1")
        assert announced == {
            "inspectionId": found["id"],
            "number": found["number"],
            "businessNumber": BUSINESS,
            "sector": "72",
            "checklist": "food-premises@1",
            "scheduledFor": found["scheduledFor"],
        }

    async def test_a_second_delivery_changes_nothing(self, cast: Cast) -> None:
        await cast.first_inspection()
        await cast.hears(legalName="Another Name", registeredBy="somebody-else")
        assert len(await cast.client.events("inspection.scheduled.v1")) == 1
        seen = await cast.owner.ask("{ inspections { edges { node { number } } } }")
        assert len(seen["inspections"]["edges"]) == 1

    async def test_the_worker_handles_the_event_as_the_stream_delivers_it(self, shared: Cast) -> None:
        event = service.handlers["business.registered.v1"].event
        envelope = {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "/services/business_registration",
            "type": "business.registered.v1",
            "subject": BUSINESS,
            "time": datetime.now(UTC).isoformat(),
            "data": registered(),
        }
        database = shared.client.database
        assert await take(database, event, envelope, 1)
        assert not await take(database, event, envelope, 1)
        worker = Worker(database, service.handlers)
        while await worker.handle_one():
            pass
        assert len(await shared.client.events("inspection.scheduled.v1")) == 1

    async def test_two_deliveries_at_once_schedule_one_visit(self, shared: Cast) -> None:
        await asyncio.gather(*(shared.hears() for _ in range(4)))
        assert len(await shared.client.events("inspection.scheduled.v1")) == 1


def plan(**changes: Any) -> Json:
    return {
        "businessNumber": BUSINESS,
        "checklist": "workplace-safety",
        "scheduledFor": working_day(),
        "idempotencyKey": token_hex(8),
        **changes,
    }


class TestAPlannedVisit:
    async def test_gets_the_next_number_and_the_checklist_in_force(self, cast: Cast) -> None:
        first = await cast.first_inspection()
        found = await cast.inspector.does("scheduleInspection", **plan())
        assert found["checklist"] == {"id": "workplace-safety@1", "code": "workplace-safety", "version": 1}
        assert (found["reason"], found["inspector"]) == ("ROUTINE", None)
        assert int(found["number"].removeprefix("IN-")) > int(first["number"].removeprefix("IN-"))

    async def test_the_same_request_again_is_answered_alike(self, cast: Cast) -> None:
        await cast.hears()
        wanted = plan()
        first = await cast.inspector.does("scheduleInspection", **wanted)
        again = await cast.inspector.does("scheduleInspection", **wanted)
        other = await cast.inspector.does("scheduleInspection", **{**wanted, "checklist": "retail"})
        assert first == again
        assert other["code"] == "IDEMPOTENCY_KEY_REUSED"

    async def test_may_be_assigned_to_an_inspector_whom_it_then_waits_for(self, cast: Cast) -> None:
        await cast.hears()
        mine = await cast.inspector.does("scheduleInspection", **plan())
        theirs = await cast.lead.does("scheduleInspection", **plan(inspector="somebody"))
        given = {"number": theirs["number"], "version": 1}
        assert mine["__typename"] == "Inspection"
        assert (await cast.inspector.does("startInspection", **given))["code"] == "ANOTHER_INSPECTOR"

    async def test_is_given_to_a_colleague_by_who_answers_for_others_alone(self, cast: Cast) -> None:
        await cast.hears()
        refused = await cast.inspector.run(mutation_of("scheduleInspection"), input=plan(inspector="colleague"))
        (error,) = refused.errors
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("FORBIDDEN", "inspector")
        assert "inspector" in error["extensions"]["text"]["en"] != error["extensions"]["text"]["fr"]
        assert len(await cast.client.events("inspection.scheduled.v1")) == 1  # the first visit's own
        own = await cast.inspector.does("scheduleInspection", **plan(inspector=tokens.subject_of("inspector")))
        assert own["inspector"] == tokens.subject_of("inspector")

    async def test_is_never_given_to_the_owner_of_the_business(self, cast: Cast) -> None:
        await cast.hears()
        refused = await cast.lead.does("scheduleInspection", **plan(inspector=tokens.subject_of("owner")))
        assert (refused["code"], refused["field"]) == ("OWN_BUSINESS", "inspector")

    @pytest.mark.parametrize(
        ("change", "code", "field"),
        [
            ({"businessNumber": "799999999"}, "UNKNOWN_BUSINESS", "businessNumber"),
            ({"checklist": "spacecraft"}, "UNKNOWN_CHECKLIST", "checklist"),
            ({"scheduledFor": "2019-01-02"}, "DAY_OUT_OF_RANGE", "scheduledFor"),
            ({"scheduledFor": "9999-12-31"}, "DAY_OUT_OF_RANGE", "scheduledFor"),
            ({"reason": "FIRST"}, "FIRST_INSPECTION_EXISTS", "reason"),
            ({"businessNumber": ""}, "INVALID_INPUT", "businessNumber"),
            ({"businessNumber": "7" * 10_000}, "INVALID_INPUT", "businessNumber"),
            ({"checklist": "retail\u0000"}, "INVALID_INPUT", "checklist"),
            ({"checklist": "\u202eretail"}, "INVALID_INPUT", "checklist"),
            ({"checklist": "🧾"}, "UNKNOWN_CHECKLIST", "checklist"),
            ({"inspector": "x" * 65}, "INVALID_INPUT", "inspector"),
            ({"idempotencyKey": ""}, "INVALID_INPUT", "idempotencyKey"),
        ],
    )
    async def test_that_cannot_be_is_refused_at_its_field(
        self, cast: Cast, change: Json, code: str, field: str
    ) -> None:
        await cast.hears()
        refused = await cast.inspector.does("scheduleInspection", **plan(**change))
        assert (refused["code"], refused["field"]) == (code, field)
        assert refused["message"]["en"] != refused["message"]["fr"]
        assert len(await cast.client.events("inspection.scheduled.v1")) == 1  # the first visit's own

    async def test_is_not_on_a_weekend_and_the_refusal_names_the_next_business_day(self, cast: Cast) -> None:
        await cast.hears()
        today = business_days.today()
        saturday = today + timedelta(days=(5 - today.weekday()) % 7 or 7)
        refused = await cast.inspector.does("scheduleInspection", **plan(scheduledFor=saturday.isoformat()))
        assert refused["code"] == "NOT_A_BUSINESS_DAY"
        assert business_days.after(saturday, 1).isoformat() in refused["message"]["fr"]

    async def test_is_not_made_by_who_registered_the_business(self, cast: Cast) -> None:
        await cast.hears(registeredBy=tokens.subject_of("inspector"))
        refused = await cast.inspector.does("scheduleInspection", **plan())
        assert refused["code"] == "OWN_BUSINESS"


class TestAnInputOfAnotherType:
    @pytest.mark.parametrize(
        "change",
        [
            {"scheduledFor": "tomorrow"},
            {"scheduledFor": 20261201},
            {"scheduledFor": "2026-02-30"},
            {"scheduledFor": None},
            {"scheduledFor": ["2026-12-01"]},
            {"businessNumber": {"number": BUSINESS}},
            {"businessNumber": True},
            {"reason": "BECAUSE"},
            {"idempotencyKey": None},
            {"unknown": 1},
        ],
    )
    async def test_is_a_coded_error_and_changes_nothing(self, cast: Cast, change: Json) -> None:
        await cast.hears()
        answer = await cast.inspector.run(mutation_of("scheduleInspection"), language="fr", input=plan(**change))
        assert answer.status < 500
        assert answer.codes, answer.body
        assert not {"INTERNAL_FAULT", "INTERNAL"} & set(answer.codes)
        assert answer.errors[0]["extensions"]["text"]["fr"] == answer.errors[0]["message"]
        assert len(await cast.client.events("inspection.scheduled.v1")) == 1  # the first visit's own

    async def test_a_date_of_week_form_is_read_as_its_day_or_refused(self, cast: Cast) -> None:
        await cast.hears()
        answer = await cast.inspector.run(mutation_of("scheduleInspection"), input=plan(scheduledFor="2026-W01-1"))
        assert answer.status < 500
