"""Whose inspections a person sees, and that a scope alone is not enough to change them (every role: `tests/rights`)."""

from dataclasses import replace

import pytest

from tests.services.inspections.conftest import (
    BUSINESS,
    DUTIES,
    INSPECTION,
    Cast,
    Json,
    Person,
    mutation_of,
    working_day,
)

FORBIDDEN, UNAUTHENTICATED = "FORBIDDEN", "UNAUTHENTICATED"
INPUTS: dict[str, Json] = {
    "scheduleInspection": {
        "businessNumber": BUSINESS,
        "checklist": "retail",
        "scheduledFor": working_day(),
        "idempotencyKey": "a-key",
    },
    "startInspection": {},
    "recordFindings": {"findings": [], "firstContact": DUTIES},
    "confirmCorrection": {"item": "FP-01"},
    "cancelInspection": {"reason": "Moved away"},
    "reviewInspection": {"decision": "APPROVED"},
    "closeInspection": {},
}


class TestAScopeWithoutTheRole:
    @pytest.mark.parametrize("operation", INPUTS)
    async def test_changes_nothing(self, cast: Cast, operation: str) -> None:
        await cast.hears()
        scopes = ("inspection:read", "inspection:conduct", "inspection:review")
        given = (
            INPUTS[operation]
            if operation == "scheduleInspection"
            else {"number": "IN-1", "version": 1, **INPUTS[operation]}
        )
        person = cast.person("officer", *scopes, roles=("counter_officer",))
        answer = await person.run(mutation_of(operation), input=given)
        assert answer.codes == [FORBIDDEN]


class TestWhatTakesASecondFactorJustShown:
    @pytest.mark.parametrize("name", ["reviewInspection", "closeInspection"])
    @pytest.mark.parametrize(("signed_in_s", "codes"), [(320, []), (340, ["STEP_UP_REQUIRED"])])
    async def test_a_reviewer_who_showed_it_too_long_ago_is_asked_again(
        self, cast: Cast, name: str, signed_in_s: int, codes: list[str]
    ) -> None:
        held = await (cast.recorded() if name == "reviewInspection" else cast.reviewed())
        more = {"decision": "APPROVED"} if name == "reviewInspection" else {}
        late = replace(cast.reviewer, signed_in_s=signed_in_s)
        answer = await late.run(mutation_of(name), input={"number": held["number"], "version": held["version"], **more})
        assert answer.codes == codes
        after = await cast.reviewer.reads(held["number"])
        assert after is not None
        assert (after["version"] == held["version"]) is bool(codes)


class TestWhoseInspectionsAreSeen:
    async def test_an_owner_sees_the_own_and_no_others(self, cast: Cast) -> None:
        mine = await cast.first_inspection()
        theirs = await cast.first_inspection("700000023", registeredBy="somebody-else")
        seen = await cast.owner.ask("{ inspections { edges { node { number } } } }")
        assert [e["node"]["number"] for e in seen["inspections"]["edges"]] == [mine["number"]]
        assert await cast.owner.reads(mine["number"]) is not None
        assert await cast.owner.reads(theirs["number"]) is None

    async def test_an_inspector_a_reviewer_and_an_administrator_see_all(self, cast: Cast) -> None:
        await cast.first_inspection()
        await cast.first_inspection("700000023", registeredBy="somebody-else")
        for person in (cast.inspector, cast.reviewer, cast.administrator):
            seen = await person.ask("{ inspections { edges { node { number } } } }")
            assert len(seen["inspections"]["edges"]) == 2

    async def test_an_inspectors_work_list_holds_what_they_conduct(self, cast: Cast) -> None:
        await cast.first_inspection()
        planned = await cast.first_inspection("700000023")
        await cast.inspector.does("startInspection", number=planned["number"], version=1)
        text = "{ inspections(mine: true) { edges { node { number } } } }"
        mine = await cast.inspector.ask(text)
        others = await cast.colleague.ask(text)
        assert [e["node"]["number"] for e in mine["inspections"]["edges"]] == [planned["number"]]
        assert others["inspections"]["edges"] == []

    async def test_inspections_are_listed_by_state_a_page_at_a_time_each_once(self, cast: Cast) -> None:
        for n in range(5):
            await cast.first_inspection(f"7000000{n:02}")
        text = """query ($after: String) { inspections(status: SCHEDULED, first: 2, after: $after) {
            edges { node { number } } pageInfo { hasNextPage endCursor } } }"""
        found, after, more = list[str](), None, True
        while more:
            page = (await cast.inspector.ask(text, after=after))["inspections"]
            found += [edge["node"]["number"] for edge in page["edges"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert len(found) == len(set(found)) == 5
        started = await cast.inspector.ask("{ inspections(status: STARTED) { edges { cursor } } }")
        assert started["inspections"]["edges"] == []

    async def test_a_scope_without_a_role_shows_nothing(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        stranger = cast.person("stranger", "inspection:read", "inspection:conduct", "inspection:review")
        assert await stranger.reads(planned["number"]) is None

    async def test_who_inspected_and_what_reviewers_wrote_is_for_those_who_work_with_inspections(
        self, cast: Cast
    ) -> None:
        recorded = await cast.recorded()
        given = {"number": recorded["number"], "version": recorded["version"], "comment": "Which refrigerator?"}
        returned = await cast.reviewer.does("reviewInspection", decision="SENT_BACK", **given)
        seen = await cast.owner.reads(recorded["number"])
        assert returned["inspector"] is not None
        assert (returned["history"][-1]["note"], len(returned["reviews"])) == ("Which refrigerator?", 1)
        assert seen is not None
        assert "refrigerator" not in str(seen)
        assert (seen["inspector"], seen["reviews"], seen["status"]) == (None, [], "STARTED")

    async def test_by_its_key_too_it_is_only_found_by_those_who_may_see_it(self, cast: Cast) -> None:
        planned = await cast.first_inspection()
        text = f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on Inspection {{ {INSPECTION} }} }} }}"
        given = [{"__typename": "Inspection", "id": planned["id"]}, {"__typename": "Inspection", "id": "no-uuid"}]

        async def found(person: Person) -> list[Json | None]:
            entities: list[Json | None] = (await person.run(text, r=given)).data["_entities"]
            return entities

        assert [bool(e) for e in await found(cast.owner)] == [True, False]
        assert await found(cast.citizen) == [None, None]
        assert await found(cast.nobody) == [None, None]


class TestABusinessesFields:
    @pytest.mark.parametrize(
        "selection", ["inspections { edges { cursor } }", "complianceProfile { standing }", "riskScore { score }"]
    )
    async def test_are_for_the_owner_and_those_who_work_with_inspections(self, cast: Cast, selection: str) -> None:
        await cast.hears()
        facts = {"sector": "72", "registeredAt": "2026-03-02T15:00:00Z"}
        name = selection.split(" ", 1)[0]
        for person, codes in (
            (cast.owner, []),
            (cast.inspector, []),
            (cast.reviewer, []),
            (cast.administrator, []),
            (cast.citizen, [FORBIDDEN]),
            (cast.nobody, [UNAUTHENTICATED]),
            (cast.person("owner", roles=("citizen",)), [FORBIDDEN]),
        ):
            answer = await person.entities(selection, BUSINESS, **facts)
            assert answer.codes == codes, answer.body
            assert (answer.data["_entities"][0][name] is None) is bool(codes)

    async def test_of_a_refused_caller_no_row_is_read(self, cast: Cast) -> None:
        await cast.hears()
        with cast.client.statements() as seen:
            await cast.nobody.entities("inspections { edges { cursor } }", BUSINESS)
        assert seen.count == 0
