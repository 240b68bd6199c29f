"""An inspection from its scheduling to its closing, and every move that its life does not have."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.inspections.life import MOVES, InspectionStatus, Move, after
from services.kit.testing.database import as_owner
from tests.services.inspections.conftest import DUTIES, Cast, Json, finding, on_the_spot


class TestTheStates:
    def test_nothing_leads_out_of_closed_and_cancelled(self) -> None:
        ends = (InspectionStatus.CLOSED, InspectionStatus.CANCELLED)
        assert all(after(status, move) is None for status in ends for move in Move)

    def test_every_state_is_reached_from_scheduled(self) -> None:
        reached = {InspectionStatus.SCHEDULED}
        for _ in InspectionStatus:
            reached |= {to for (status, _), to in MOVES.items() if status in reached}
        assert reached == set(InspectionStatus)

    def test_a_record_reaches_closed_only_through_a_review(self) -> None:
        to_closed = [status for (status, _), to in MOVES.items() if to is InspectionStatus.CLOSED]
        assert to_closed == [InspectionStatus.REVIEWED]


class TestALife:
    async def test_it_is_scheduled_started_recorded_reviewed_corrected_and_closed(self, cast: Cast) -> None:
        reviewed = await cast.reviewed(finding("FP-08"), on_the_spot("FP-02"))
        number = reviewed["number"]
        corrected = await cast.colleague.does(
            "confirmCorrection", number=number, version=reviewed["version"], item="FP-08"
        )
        closed = await cast.reviewer.does("closeInspection", number=number, version=corrected["version"])
        assert closed["status"] == "CLOSED"
        states = [step["status"] for step in closed["history"]]
        assert states == ["SCHEDULED", "STARTED", "RECORDED", "REVIEWED", "CLOSED"]
        assert all(closed[f"{name}At"] for name in ("started", "recorded", "reviewed", "closed"))

    async def test_a_finding_carries_the_law_section_and_severity_of_its_item(self, cast: Cast) -> None:
        recorded = await cast.recorded(finding("FP-08"), on_the_spot("FP-02"))
        grave, light = recorded["findings"]
        assert (grave["severity"], grave["section"]) == ("CRUCIAL", "27")
        assert "493/17" in grave["law"]["en"]
        assert "Dépôts d’aliments" in grave["law"]["fr"]
        assert (light["severity"], light["correctedOnTheSpot"]) == ("MINOR", True)
        assert light["correctedOn"] is not None

    async def test_a_record_that_is_sent_back_is_made_again_and_the_first_stays_on_file(self, cast: Cast) -> None:
        recorded = await cast.recorded(finding("FP-08"))
        number = recorded["number"]
        given = {"number": number, "version": recorded["version"], "comment": "Which refrigerator?"}
        back = await cast.reviewer.does("reviewInspection", decision="SENT_BACK", **given)
        again = await cast.inspector.does(
            "recordFindings",
            number=number,
            version=back["version"],
            findings=[finding("FP-07"), on_the_spot("FP-02")],
            firstContact=DUTIES,
        )
        assert back["status"] == "STARTED"
        assert [f["itemCode"] for f in again["findings"]] == ["FP-07", "FP-02"]
        assert again["reviews"] == [{"decision": "SENT_BACK", "comment": "Which refrigerator?"}]
        kept = await cast.client.database.reader().execute(text("SELECT count(*) FROM finding"))
        assert kept.scalar_one() == 3

    async def test_a_visit_that_does_not_take_place_is_cancelled_with_its_reason(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        gone = await cast.inspector.does("cancelInspection", number=planned["number"], version=1, reason="Moved away")
        assert gone["status"] == "CANCELLED"
        assert gone["history"][-1]["note"] == "Moved away"


CHANGES: dict[str, tuple[str, Json]] = {
    "startInspection": ("inspector", {}),
    "recordFindings": ("inspector", {"findings": [], "firstContact": DUTIES}),
    "reviewInspection": ("reviewer", {"decision": "APPROVED"}),
    "closeInspection": ("reviewer", {}),
    "cancelInspection": ("inspector", {"reason": "Moved away"}),
    "confirmCorrection": ("inspector", {"item": "FP-08"}),
}
ALLOWED = {
    "SCHEDULED": {"startInspection", "cancelInspection"},
    "STARTED": {"recordFindings", "cancelInspection"},
    "RECORDED": {"reviewInspection"},
    "REVIEWED": {"closeInspection"},
    "CLOSED": set[str](),
    "CANCELLED": set[str](),
}


async def bring(cast: Cast, status: str) -> Json:
    """An inspection without findings in a state."""
    found = await cast.first_inspection()
    path = {
        "SCHEDULED": (),
        "STARTED": ("startInspection",),
        "RECORDED": ("startInspection", "recordFindings"),
        "REVIEWED": ("startInspection", "recordFindings", "reviewInspection"),
        "CLOSED": ("startInspection", "recordFindings", "reviewInspection", "closeInspection"),
        "CANCELLED": ("cancelInspection",),
    }[status]
    for name in path:
        who, given = CHANGES[name]
        found = await getattr(cast, who).does(name, number=found["number"], version=found["version"], **given)
    assert found["status"] == status
    return found


class TestMovesThatALifeDoesNotHave:
    @pytest.mark.parametrize("status", list(ALLOWED))
    async def test_each_is_refused_in_both_languages_and_changes_nothing(self, cast: Cast, status: str) -> None:
        found = await bring(cast, status)
        for name, (who, given) in CHANGES.items():
            if name in ALLOWED[status] or (name, status) == ("confirmCorrection", "REVIEWED"):
                continue
            person = getattr(cast, who)
            refused = await person.does(name, number=found["number"], version=found["version"], **given)
            assert refused["code"] == "NOT_IN_THIS_STATE", (name, refused)
            assert "{" not in refused["message"]["en"] + refused["message"]["fr"]
        now = await cast.inspector.reads(found["number"])
        assert now is not None
        assert (now["status"], now["version"]) == (found["status"], found["version"])


class TestFourEyes:
    async def test_the_inspector_does_not_review_the_own_record(self, cast: Cast) -> None:
        recorded = await cast.recorded()
        both = cast.person("inspector", "inspection:read", "inspection:review", roles=("inspector", "reviewer"))
        given: dict[str, Any] = {"number": recorded["number"], "version": recorded["version"]}
        approved = await both.does("reviewInspection", decision="APPROVED", **given)
        returned = await both.does("reviewInspection", decision="SENT_BACK", comment="Mine", **given)
        assert (approved["code"], returned["code"]) == ("REVIEWER_IS_INSPECTOR", "REVIEWER_IS_INSPECTOR")

    async def test_nobody_deals_with_the_own_business(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        owner = cast.person("owner", "inspection:conduct", "inspection:read", roles=("inspector",))
        refused = await owner.does("startInspection", number=planned["number"], version=1)
        assert refused["code"] == "OWN_BUSINESS"

    async def test_only_the_inspector_who_started_records(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        started = await cast.inspector.does("startInspection", number=planned["number"], version=1)
        refused = await cast.colleague.does(
            "recordFindings",
            number=planned["number"],
            version=started["version"],
            findings=[],
            firstContact=DUTIES,
        )
        assert refused["code"] == "ANOTHER_INSPECTOR"


class TestConcurrentChanges:
    async def test_a_change_on_an_outdated_version_is_refused(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        await cast.inspector.does("startInspection", number=planned["number"], version=1)
        late = await cast.colleague.does("cancelInspection", number=planned["number"], version=1, reason="Moved away")
        assert (late["code"], late["field"]) == ("OUTDATED_VERSION", "version")
        assert "2" in late["message"]["fr"]

    async def test_of_two_at_the_same_moment_one_is_refused(self, shared: Cast) -> None:
        planned = await shared.first_inspection()
        people = (
            shared.inspector,
            shared.colleague,
            shared.person("third", *shared.inspector.scopes, roles=("inspector",)),
        )
        answers = await asyncio.gather(
            *(p.does("startInspection", number=planned["number"], version=1) for p in people)
        )
        assert sorted(str(a.get("code", a["__typename"])) for a in answers) == [
            "Inspection",
            "OUTDATED_VERSION",
            "OUTDATED_VERSION",
        ]


class TestHistory:
    @pytest.mark.parametrize(
        "statement", ["UPDATE transition SET remark = 'x'", "DELETE FROM transition", "TRUNCATE review"]
    )
    async def test_the_database_refuses_to_change_it(self, shared: Cast, statement: str) -> None:
        await shared.first_inspection()
        with pytest.raises(DBAPIError, match="permission denied"):
            async with shared.client.database.transaction() as db:
                await db.execute(text(statement))
        url = shared.client.database.engine.url.render_as_string(hide_password=False)
        with pytest.raises(DBAPIError, match="never changed or deleted"):
            async with as_owner(url) as owner:
                await owner.execute(text(statement))
