"""How long answers may be kept by their owners' word, and never what is about people."""

import pytest
from graphql import OperationDefinitionNode, parse

from gateway.hints import Hints, Policy

SDL = """
directive @cacheControl(maxAge: Int, scope: CacheControlScope, inheritMaxAge: Boolean) on FIELD_DEFINITION | OBJECT
directive @personalData(category: String, public: Boolean) on FIELD_DEFINITION | OBJECT
directive @authenticated on FIELD_DEFINITION | OBJECT
enum CacheControlScope { PUBLIC PRIVATE }
type Query {
  town: Town @cacheControl(maxAge: 60)
  towns: [Town!]! @cacheControl(maxAge: 600)
  park: Park
  parks: [Park]
  count: Int
  hour: Int @cacheControl(maxAge: 10)
  never: Int @cacheControl(maxAge: 0)
  mine: Park @cacheControl(maxAge: 20, scope: PRIVATE)
  member: Int @cacheControl(maxAge: 20, scope: PUBLIC) @authenticated
  place: Place @cacheControl(maxAge: 50)
  any: Any @cacheControl(maxAge: 50)
  mayor: Person @cacheControl(maxAge: 5)
  twice: Int @cacheControl(maxAge: 5) @cacheControl(maxAge: 7)
  below: Int @cacheControl(maxAge: -5)
}
type Mutation { rename: Int @cacheControl(maxAge: 60) }
type Town {
  name: String
  area: Int @cacheControl(maxAge: 7)
  park: Park
  nested: Town
  same: Town @cacheControl(inheritMaxAge: true)
  secret: String @cacheControl(scope: PRIVATE)
  mayor: Person @cacheControl(maxAge: 60)
}
type Park implements Place @cacheControl(maxAge: 30) { name: String trees: Int @cacheControl(maxAge: 3) }
type Hall implements Place @authenticated { name: String @cacheControl(maxAge: 4) }
interface Place { name: String }
union Any = Park | Hall
type Person {
  name: String @personalData(category: "identity")
  shoe: Int
  sign: String @personalData(category: "identity", public: true)
}
"""
HINTS = Hints(parse(SDL))


def policy(text: str, **conditions: bool) -> Policy | None:
    document = parse(text)
    (node,) = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return HINTS.policy(document, node, conditions)


class TestAnOperation:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{ count }", None),
            ("{ hour }", Policy(10, private=False)),
            ("{ never }", None),
            ("{ below }", None),
            ("{ twice }", Policy(5, private=False)),
            ("{ hour count }", None),
            ("{ town { name } }", Policy(60, private=False)),
            ("{ towns { name } hour }", Policy(10, private=False)),
            ("{ town { name area } }", Policy(7, private=False)),
            ("{ town { nested { name } } }", None),
            ("{ town { same { name } } }", Policy(60, private=False)),
            ("{ town { same { nested { name } } } }", None),
            ("{ park { name } }", Policy(30, private=False)),
            ("{ parks { name trees } }", Policy(3, private=False)),
            ("{ town { park { name } } }", Policy(30, private=False)),
            ("{ town { name secret } }", Policy(60, private=True)),
            ("{ mine { name } }", Policy(20, private=True)),
            ("{ member }", Policy(20, private=True)),
            ("{ hour mine { __typename } }", Policy(10, private=True)),
            ("{ place { name } }", Policy(4, private=True)),
            ("{ place { ... on Park { name } } }", Policy(50, private=False)),
            ("{ any { ... on Hall { name } } }", Policy(4, private=True)),
            ("{ any { ...p } } fragment p on Park { trees }", Policy(3, private=False)),
            ("{ mayor { shoe name } }", None),
            ("{ mayor { shoe } }", Policy(5, private=False)),
            ("{ __typename }", None),
            ("mutation { rename }", None),
        ],
    )
    def test_may_be_kept_as_long_as_its_least_lasting_field(self, text: str, expected: Policy | None) -> None:
        assert policy(text) == expected

    def test_pays_no_heed_to_what_its_conditions_leave_out(self) -> None:
        text = "query ($no: Boolean!) { hour count @include(if: $no) }"
        assert policy(text, no=False) == Policy(10, private=False)
        assert policy(text, no=True) is None

    def test_that_nests_deeply_in_interfaces_is_judged_in_no_time(self) -> None:
        kinds = " ".join(f"type T{n} implements I {{ i: I }}" for n in range(10))
        hints = Hints(parse(f"type Query {{ i: I @cacheControl(maxAge: 1) }} interface I {{ i: I }} {kinds}"))
        document = parse("{ i " * 30 + "{ __typename }" + " }" * 30)
        assert hints.policy(document, document.definitions[0], {}) is None  # type: ignore[arg-type]


class TestContradictions:
    def test_name_leaves_about_people_in_what_is_kept(self) -> None:
        assert list(HINTS.contradictions()) == ["Person.name"]

    @pytest.mark.parametrize(
        ("types", "found"),
        [
            ("type Query { a: Int @cacheControl(maxAge: 1) @personalData }", ["Query.a"]),
            ("type Query { p: P } type P @cacheControl(maxAge: 1) { name: String @personalData }", ["P.name"]),
            (
                "type Query { q: Q @cacheControl(maxAge: 1) } type Q { p: P @cacheControl(inheritMaxAge: true) }"
                " type P { name: String @personalData }",
                ["P.name"],
            ),
            (
                "type Query { i: I @cacheControl(maxAge: 1) } interface I { id: ID }"
                " type P implements I { id: ID name: String @personalData }",
                ["P.name"],
            ),
            ("type Query { p: P @cacheControl(maxAge: 1) } type P @personalData { id: ID }", ["P.id", "Query.p"]),
            (
                "type Query { p: P @cacheControl(maxAge: 1) }"
                " type P { id: ID name: String @cacheControl(maxAge: 0) @personalData }",
                [],
            ),
            (
                "type Query { q: Q @cacheControl(maxAge: 1) } type Q { p: P } type P { name: String @personalData }",
                [],
            ),
        ],
        ids=["itself", "its type", "through others", "an implementer", "a whole type", "kept 0 s", "not inherited"],
    )
    def test_are_found_wherever_they_come_from(self, types: str, found: list[str]) -> None:
        assert list(Hints(parse(types)).contradictions()) == found
