"""What inspections add to a business: pages, compliance, risk; in as many statements for many as for one."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.inspections import risk
from services.inspections.severity import Severity
from services.kit import business_days
from tests.services.inspections.conftest import BUSINESS, DUTIES, Cast, Json, finding, on_the_spot

FACTS = {"sector": "72", "registeredAt": "2026-03-02T15:00:00+00:00"}
PROFILE = """complianceProfile { standing inspections lastInspectedOn nextInspectionOn awaitingReview
    bySeverity { severity found open overdue } byLaw { law { en fr } found open } }"""
RISK = "riskScore { score band modelVersion factors { code label { en fr in } value contribution } contest { in } }"
EVERYTHING = f"""inspections(first: 2) {{ edges {{ node {{ number checklist {{ id }} findings {{ itemCode }}
    reviews {{ decision }} history {{ status }} }} }} }} {PROFILE} {RISK}"""


async def added(cast: Cast, selection: str, **facts: str) -> Json:
    answer = await cast.owner.entities(selection, BUSINESS, **{**FACTS, **facts})
    assert not answer.errors, answer.body
    found: Json = answer.data["_entities"][0]
    return found


class TestStatements:
    async def test_are_as_many_for_forty_businesses_as_for_two(self, cast: Cast) -> None:
        numbers = [f"7000{n:05}" for n in range(40)]
        for number in numbers:
            await cast.hears(businessNumber=number)
        for number in numbers[:3]:
            found = await cast.inspector.entities("inspections { edges { node { number } } }", number)
            planned = found.data["_entities"][0]["inspections"]["edges"][0]["node"]["number"]
            started = await cast.inspector.does("startInspection", number=planned, version=1)
            recorded = await cast.inspector.does(
                "recordFindings",
                number=planned,
                version=started["version"],
                findings=[finding("FP-08")],
                firstContact=DUTIES,
            )
            given = {"number": planned, "version": recorded["version"], "decision": "APPROVED"}
            await cast.reviewer.does("reviewInspection", **given)
        counts = []
        for few in (numbers[:2], numbers):
            with cast.client.statements() as seen:
                answer = await cast.inspector.entities(EVERYTHING, *few, **FACTS)
            assert not answer.errors, answer.body
            assert len(answer.data["_entities"]) == len(few)
            counts.append(seen.count)
        assert counts[0] == counts[1]
        assert counts[1] <= 8, seen.texts


class TestItsInspections:
    async def test_come_page_by_page_the_latest_day_first_each_once(self, cast: Cast) -> None:
        await cast.first_inspection()
        for ahead in (3, 20, 7):
            given = {
                "businessNumber": BUSINESS,
                "checklist": "retail",
                "scheduledFor": business_days.after(business_days.today(), ahead).isoformat(),
                "idempotencyKey": f"key-{ahead}",
            }
            assert (await cast.inspector.does("scheduleInspection", **given))["__typename"] == "Inspection"
        days, cursor = [], ""
        for _ in range(2):
            after = f', after: "{cursor}"' if cursor else ""
            page = "edges { node { scheduledFor } } pageInfo { hasNextPage endCursor }"
            found = (await added(cast, f"inspections(first: 2{after}) {{ {page} }}"))["inspections"]
            days += [edge["node"]["scheduledFor"] for edge in found["edges"]]
            cursor = found["pageInfo"]["endCursor"]
        assert days == sorted(days, reverse=True)
        assert len(set(days)) == 4
        assert found["pageInfo"]["hasNextPage"] is False

    @pytest.mark.parametrize(
        "arguments",
        [
            "first: 0",
            "first: -1",
            "first: 101",
            'after: "nonsense"',
            'after: ""',
            'after: "WyJ4IiwieSJd"',
            'after: "W10"',
        ],
    )
    async def test_a_page_that_cannot_be_is_bad_input(self, cast: Cast, arguments: str) -> None:
        await cast.hears()
        answer = await cast.owner.entities(f"inspections({arguments}) {{ edges {{ cursor }} }}", BUSINESS)
        assert answer.codes == ["BAD_USER_INPUT"]


class TestItsComplianceProfile:
    async def test_says_when_nothing_was_inspected_and_when_a_visit_is_due(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        profile = (await added(cast, PROFILE))["complianceProfile"]
        assert profile["standing"] == "NOT_INSPECTED"
        assert profile["nextInspectionOn"] == planned["scheduledFor"]
        assert (profile["inspections"], profile["lastInspectedOn"], profile["byLaw"]) == (0, None, [])

    async def test_counts_nothing_that_was_not_reviewed(self, cast: Cast) -> None:
        await cast.recorded(finding("FP-08"))
        profile = (await added(cast, PROFILE))["complianceProfile"]
        assert (profile["standing"], profile["awaitingReview"]) == ("NOT_INSPECTED", 1)
        assert all(count["found"] == 0 for count in profile["bySeverity"])

    async def test_counts_reviewed_findings_by_severity_and_law(self, cast: Cast) -> None:
        await cast.reviewed(finding("FP-08"), finding("FP-01"), on_the_spot("FP-02"))
        profile = (await added(cast, PROFILE))["complianceProfile"]
        assert profile["standing"] == "TO_CORRECT"
        counts = {count["severity"]: (count["found"], count["open"]) for count in profile["bySeverity"]}
        assert counts == {"CRUCIAL": (1, 1), "SIGNIFICANT": (0, 0), "MINOR": (2, 1)}
        laws = [(standing["found"], standing["open"]) for standing in profile["byLaw"]]
        assert laws == [(2, 1), (1, 1)]

    async def test_is_overdue_after_the_day_and_compliant_after_the_correction(self, cast: Cast) -> None:
        reviewed = await cast.reviewed(finding("FP-08"))
        async with cast.client.database.transaction() as db:
            past = business_days.today() - timedelta(days=1)
            await db.execute(text("UPDATE finding SET correct_by = :day"), {"day": past})
        late = (await added(cast, PROFILE))["complianceProfile"]
        given = {"number": reviewed["number"], "version": reviewed["version"], "item": "FP-08"}
        await cast.inspector.does("confirmCorrection", **given)
        settled = (await added(cast, PROFILE))["complianceProfile"]
        assert (late["standing"], late["bySeverity"][0]["overdue"]) == ("OVERDUE", 1)
        assert settled["standing"] == "COMPLIANT"


class TestItsRiskScore:
    async def test_explains_itself_in_both_languages(self, cast: Cast) -> None:
        await cast.hears()
        score = (await added(cast, RISK))["riskScore"]
        assert score["modelVersion"] == risk.model().version
        assert [f["code"] for f in score["factors"]] == ["BASE", "SECTOR", "NEWNESS", "WAITING", "HISTORY", "OPEN"]
        assert all(f["label"]["en"] and f["label"]["fr"] != f["label"]["en"] for f in score["factors"])
        answer = await cast.owner.run(
            f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on Business {{ {RISK} }} }} }}",
            language="fr",
            r=[{"__typename": "Business", "businessNumber": BUSINESS, **FACTS}],
        )
        assert "ministère" in answer.data["_entities"][0]["riskScore"]["contest"]["in"]

    async def test_is_what_the_model_says_of_the_registrys_facts_and_the_reviewed_findings(self, cast: Cast) -> None:
        await cast.reviewed(finding("FP-08"), on_the_spot("FP-02"))
        score = (await added(cast, RISK))["riskScore"]
        today = business_days.today()
        severe, light = Severity.CRUCIAL, Severity.MINOR
        known = risk.Known("72", date(2026, 3, 2), [risk.Visit(today, [severe, light])], [severe])
        wanted = risk.assess(known, today, risk.model())
        assert score["score"] == wanted.score
        assert score["band"] == wanted.band

    @pytest.mark.parametrize("moment", ["yesterday", "", "2026-03-02", "2026-03-02T10:00:00", "9" * 10_000, "\u0000"])
    async def test_of_a_moment_that_is_none_is_bad_input(self, cast: Cast, moment: str) -> None:
        await cast.hears()
        answer = await cast.owner.entities("riskScore { score }", BUSINESS, **{**FACTS, "registeredAt": moment})
        assert answer.status < 500
        assert answer.codes == ["BAD_USER_INPUT"]

    @pytest.mark.parametrize(
        "facts",
        [
            {},
            {"sector": "72"},
            {"registeredAt": FACTS["registeredAt"]},
            {"sector": None, "registeredAt": None},
            {**FACTS, "sector": None},
            {**FACTS, "registeredAt": None},
        ],
    )
    async def test_is_null_and_says_so_without_the_registrys_facts(self, cast: Cast, facts: dict[str, Any]) -> None:
        await cast.hears()
        answer = await cast.owner.entities("riskScore { score }", BUSINESS, **facts)
        assert answer.data["_entities"] == [{"riskScore": None}]
        assert answer.codes == ["REQUIRED_FIELD_MISSING"]


class TestABusinessThatHasNotArrivedYet:
    async def test_has_no_inspections_and_no_score_and_no_error(self, cast: Cast) -> None:
        found = await added(cast, f"inspections {{ edges {{ cursor }} }} {PROFILE} {RISK}")
        assert found == {"inspections": {"edges": []}, "complianceProfile": None, "riskScore": None}
