"""What a record must hold, and every answer that a change of an inspection can get."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from services.kit import business_days
from tests.services.inspections.conftest import DUTIES, Cast, Json, finding, mutation_of, on_the_spot

YESTERDAY = (business_days.today() - timedelta(days=1)).isoformat()
FAR = (business_days.today() + timedelta(days=400)).isoformat()


async def records(cast: Cast, **given: Any) -> Json:
    """The answer to recording a started inspection of food premises."""
    planned = await cast.first_inspection()
    started = await cast.inspector.does("startInspection", number=planned["number"], version=1)
    wanted = {"findings": [], "firstContact": DUTIES, **given}
    return await cast.inspector.does("recordFindings", number=planned["number"], version=started["version"], **wanted)


class TestARecord:
    @pytest.mark.parametrize(
        ("given", "code", "field"),
        [
            ({"findings": [finding("XX-99")]}, "UNKNOWN_ITEM", "findings.0.item"),
            ({"findings": [finding("WS-01")]}, "UNKNOWN_ITEM", "findings.0.item"),
            ({"notApplicable": ["FP-99"]}, "UNKNOWN_ITEM", "notApplicable.0"),
            ({"findings": [finding("FP-01"), finding("FP-01")]}, "ITEM_TWICE", "findings.1.item"),
            ({"findings": [finding("FP-01")], "notApplicable": ["FP-01"]}, "ITEM_TWICE", "notApplicable.0"),
            ({"findings": [finding("FP-01", correctBy=None)]}, "CORRECTION_DAY", "findings.0.correctBy"),
            ({"findings": [finding("FP-01", correctBy=YESTERDAY)]}, "CORRECTION_DAY", "findings.0.correctBy"),
            ({"findings": [finding("FP-01", correctBy=FAR)]}, "CORRECTION_DAY", "findings.0.correctBy"),
            ({"findings": [finding("FP-01", correctedOnTheSpot=True)]}, "CORRECTION_DAY", "findings.0.correctBy"),
            ({"firstContact": DUTIES[1:]}, "FIRST_CONTACT_INCOMPLETE", "firstContact"),
            ({"findings": [finding("FP-01", comment="")]}, "INVALID_INPUT", "findings.0.comment"),
            ({"findings": [finding("FP-01", comment="x" * 10_000)]}, "INVALID_INPUT", "findings.0.comment"),
            ({"findings": [finding("FP-01", comment="ab\u0000c")]}, "INVALID_INPUT", "findings.0.comment"),
            ({"findings": [finding("FP-01", comment="ab\u202ec")]}, "INVALID_INPUT", "findings.0.comment"),
            ({"findings": [finding("FP-01")] * 201}, "INVALID_INPUT", "findings"),
            ({"version": -1}, "INVALID_INPUT", "version"),
            ({"version": 2147483647}, "OUTDATED_VERSION", "version"),
            ({"number": "IN-0"}, "NO_SUCH_INSPECTION", "number"),
            ({"number": "IN-🧾"}, "NO_SUCH_INSPECTION", "number"),
        ],
    )
    async def test_that_is_unsound_is_refused_at_its_field(
        self, cast: Cast, given: Json, code: str, field: str
    ) -> None:
        planned = await cast.first_inspection()
        started = await cast.inspector.does("startInspection", number=planned["number"], version=1)
        wanted = {"number": planned["number"], "version": 2, "findings": [], "firstContact": DUTIES, **given}
        refused = await cast.inspector.does("recordFindings", **wanted)
        assert (refused.get("code"), refused.get("field")) == (code, field), refused
        assert refused["message"]["en"] != refused["message"]["fr"]
        now = await cast.inspector.reads(planned["number"])
        assert now is not None
        assert (now["status"], now["version"], now["findings"]) == ("STARTED", started["version"], [])

    async def test_may_hold_arabic_emoji_and_line_breaks(self, cast: Cast) -> None:
        comment = "الثلاجة\n7 °C 🧊 — l’évier"
        recorded = await records(cast, findings=[finding("FP-08", comment=comment)])
        assert recorded["findings"][0]["comment"] == comment

    async def test_may_hold_nothing(self, cast: Cast) -> None:
        recorded = await records(cast, notApplicable=["FP-05", "FP-01"])
        assert (recorded["status"], recorded["findings"]) == ("RECORDED", [])
        assert recorded["notApplicable"] == ["FP-01", "FP-05"]

    async def test_a_lone_surrogate_is_refused_and_changes_nothing(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        given = {"number": planned["number"], "version": 1, "reason": "SURROGATE"}
        body = orjson.dumps({"query": mutation_of("cancelInspection"), "variables": {"input": given}})
        answer = await cast.inspector.sends(body.replace(b"SURROGATE", rb"a\ud800bc"))
        assert answer.status < 500
        assert "CANCELLED" not in str(answer.body)
        now = await cast.inspector.reads(planned["number"])
        assert now is not None
        assert now["status"] == "SCHEDULED"


class TestAReview:
    async def test_that_sends_back_needs_a_reason(self, cast: Cast) -> None:
        recorded = await cast.recorded()
        given = {"number": recorded["number"], "version": recorded["version"], "decision": "SENT_BACK"}
        refused = await cast.reviewer.does("reviewInspection", **given)
        assert (refused["code"], refused["field"]) == ("REASON_NEEDED", "comment")

    async def test_of_an_unknown_decision_is_bad_input(self, cast: Cast) -> None:
        recorded = await cast.recorded()
        given = {"number": recorded["number"], "version": recorded["version"], "decision": "MAYBE"}
        answer = await cast.reviewer.run(mutation_of("reviewInspection"), input=given)
        assert answer.status < 500
        assert answer.errors


class TestClosing:
    async def test_waits_for_every_correction(self, cast: Cast) -> None:
        reviewed = await cast.reviewed(finding("FP-08"), finding("FP-02"))
        number, version = reviewed["number"], reviewed["version"]
        refused = await cast.reviewer.does("closeInspection", number=number, version=version)
        assert refused["code"] == "OPEN_FINDINGS"
        assert " 2. " in refused["message"]["fr"]

    async def test_a_correction_is_confirmed_once(self, cast: Cast) -> None:
        reviewed = await cast.reviewed(finding("FP-08"))
        given = {"number": reviewed["number"], "item": "FP-08"}
        first = await cast.inspector.does("confirmCorrection", version=reviewed["version"], **given)
        again = await cast.inspector.does("confirmCorrection", version=first["version"], **given)
        assert first["findings"][0]["correctedOn"] == business_days.today().isoformat()
        assert again["code"] == "NO_OPEN_FINDING"

    async def test_what_was_corrected_on_the_spot_is_not_waited_for(self, cast: Cast) -> None:
        reviewed = await cast.reviewed(on_the_spot("FP-08"))
        given = {"number": reviewed["number"], "version": reviewed["version"]}
        assert (await cast.reviewer.does("closeInspection", **given))["status"] == "CLOSED"
