"""Who may do what: every operation, tried by every role; and whose inspections a person sees."""

import pytest
from graphql import GraphQLObjectType

from services.inspections.service import service
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
CITIZENS = ("nobody", "owner", "citizen")
EVERYONE = (*CITIZENS, "inspector", "administrator")
# Operation → who may run it; for all others it is refused.
MATRIX: dict[str, tuple[str, ...]] = {
    "checklists": EVERYONE,
    "premises": EVERYONE,
    "inspectedPremises": EVERYONE,
    "inspection": ("owner", "citizen", "inspector", "administrator"),
    "inspections": ("owner", "citizen", "inspector", "administrator"),
    "scheduleInspection": ("inspector",),
    "startInspection": ("inspector",),
    "recordFindings": ("inspector",),
    "confirmCorrection": ("inspector",),
    "cancelInspection": ("inspector",),
    "reviewInspection": ("administrator",),
    "closeInspection": ("administrator",),
}
QUERIES = {
    "checklists": "{ checklists { id } }",
    "premises": '{ premises(id: "dinesafe-1") { id } }',
    "inspectedPremises": "{ inspectedPremises { edges { node { id } } } }",
    "inspection": '{ inspection(number: "IN-1") { id } }',
    "inspections": "{ inspections { edges { node { id } } } }",
}
INPUTS: dict[str, Json] = {
    "scheduleInspection": {
        "businessNumber": BUSINESS,
        "checklist": "retail",
        "scheduledFor": working_day(),
        "idempotencyKey": "a-key",
    },
    "recordFindings": {"findings": [], "firstContact": DUTIES},
    "confirmCorrection": {"item": "FP-01"},
    "cancelInspection": {"reason": "Moved away"},
    "reviewInspection": {"decision": "APPROVED"},
}


def text_of(operation: str) -> tuple[str, Json]:
    if operation in QUERIES:
        return QUERIES[operation], {}
    given = INPUTS.get(operation, {})
    if operation != "scheduleInspection":
        given = {"number": "IN-1", "version": 1, **given}
    return mutation_of(operation), {"input": given}


class TestEveryOperation:
    def test_is_in_the_matrix(self) -> None:
        roots = (service.schema.query_type, service.schema.mutation_type)
        names = {name for root in roots if isinstance(root, GraphQLObjectType) for name in root.fields}
        assert names - {"_entities", "_service"} == set(MATRIX)

    @pytest.mark.parametrize("operation", list(MATRIX))
    async def test_answers_those_who_may_and_nobody_else(self, cast: Cast, operation: str) -> None:
        await cast.hears()
        text, variables = text_of(operation)
        for name in EVERYONE:
            answer = await getattr(cast, name).run(text, **variables)
            if name in MATRIX[operation]:
                assert answer.codes == [], (name, answer.body)
            else:
                wanted = UNAUTHENTICATED if name == "nobody" else FORBIDDEN
                assert answer.codes == [wanted], (name, answer.body)

    @pytest.mark.parametrize("operation", [name for name in MATRIX if name not in QUERIES])
    async def test_a_scope_without_the_role_changes_nothing(self, cast: Cast, operation: str) -> None:
        await cast.hears()
        scopes = ("inspection:read", "inspection:conduct", "inspection:review")
        text, variables = text_of(operation)
        answer = await cast.person("citizen", *scopes, roles=("citizen",)).run(text, **variables)
        assert answer.codes == [FORBIDDEN]


class TestWhoseInspectionsAreSeen:
    async def test_an_owner_sees_the_own_and_no_others(self, cast: Cast) -> None:
        mine = await cast.first_inspection()
        theirs = await cast.first_inspection("700000023", registeredBy="somebody-else")
        seen = await cast.owner.ask("{ inspections { edges { node { number } } } }")
        assert [e["node"]["number"] for e in seen["inspections"]["edges"]] == [mine["number"]]
        assert await cast.owner.reads(mine["number"]) is not None
        assert await cast.owner.reads(theirs["number"]) is None

    async def test_an_inspector_and_an_administrator_see_all(self, cast: Cast) -> None:
        await cast.first_inspection()
        await cast.first_inspection("700000023", registeredBy="somebody-else")
        for person in (cast.inspector, cast.administrator):
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
        returned = await cast.administrator.does("reviewInspection", decision="SENT_BACK", **given)
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
