"""What a supergraph says of who may see what, however it says it; and what that asks of one operation."""

import pytest
from graphql import get_operation_ast, parse

from gateway.engine.access import Access, Denial, Requirement
from gateway.engine.supergraph import SupergraphRefused, load_supergraph

SPECS = "https://specs.apollo.dev"


def access(body: str, *links: str, more: str = "") -> Access:
    """Of a supergraph of two subgraphs, A and B."""
    linked = "".join(f" @link({link})" for link in (f'url: "{SPECS}/link/v1.0"', f'url: "{SPECS}/join/v0.5"', *links))
    sdl = f"""schema{linked} {{ query: Query }}
    enum join__Graph {{ A @join__graph(name: "a", url: "http://a") B @join__graph(name: "b", url: "http://b") }}
    type Query @join__type(graph: A) {{ user: User x: Int }}
    type User @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {{ id: ID! {body} }}
    {more}"""
    return Access(load_supergraph(sdl))


def scope(*names: str) -> Requirement:
    return Requirement("requiresScopes", (names,))


SIGNED_IN = Requirement("authenticated")


class TestADirective:
    @pytest.mark.parametrize(
        ("directive", "expected"),
        [
            ("@authenticated", (SIGNED_IN,)),
            ('@requiresScopes(scopes: [["a"]])', (scope("a"),)),
            ('@requiresScopes(scopes: [["b", "a"]])', (scope("a"), scope("b"))),
            ('@requiresScopes(scopes: [["b"], ["a", "c"]])', (Requirement("requiresScopes", (("a", "c"), ("b",))),)),
            ("@requiresScopes(scopes: [])", (Requirement("requiresScopes", ()),)),
            ('@policy(policies: [["p"]]) @requiresScopes(scopes: [["a"]]) @authenticated',
             (SIGNED_IN, scope("a"), Requirement("policy", (("p",),)))),
        ],
    )  # fmt: skip
    def test_on_a_field_is_read(self, directive: str, expected: tuple[Requirement, ...]) -> None:
        assert access(f"name: String {directive}").guarded == {("User", "name"): expected}

    def test_is_said_in_few_words(self) -> None:
        either = Requirement("requiresScopes", (("a", "c"), ("b",)))
        assert [str(asked) for asked in (SIGNED_IN, scope("a"), either)] == ["@authenticated", "a", "a c | b"]
        assert str(Requirement("policy", ())) == "@policy"

    def test_that_asks_for_all_of_nothing_asks_for_nothing(self) -> None:
        assert access("name: String @requiresScopes(scopes: [[]])").guarded == {}

    @pytest.mark.parametrize("told", ["", '(scopes: ["a"])', '(scopes: "a")', "(scopes: [[1]])", "(scopes: null)"])
    def test_that_does_not_say_what_it_asks_for_is_refused_by_name(self, told: str) -> None:
        with pytest.raises(SupergraphRefused, match=r"@requiresScopes of User\.name"):
            access(f"name: String @requiresScopes{told}")

    def test_under_another_name_counts(self) -> None:
        renamed = (
            f'url: "{SPECS}/requiresScopes/v0.1", import: [{{name: "@requiresScopes", as: "@needs"}}], for: SECURITY'
        )
        found = access('name: String @needs(scopes: [["a"]])', renamed, f'url: "{SPECS}/policy/v0.1", as: "rule"')
        assert found.guarded == {("User", "name"): (scope("a"),)}
        ruled = access('name: String @rule(policies: [["p"]])', f'url: "{SPECS}/policy/v0.1", as: "rule"')
        assert ruled.policies == {"p"}

    def test_of_that_name_which_is_another_ministrys_asks_for_nothing(self) -> None:
        link = 'url: "https://ministry.example/policy/v1.0", import: ["@policy"]'
        assert access('name: String @policy(number: "7")', link).guarded == {}


class TestAType:
    def test_asks_the_same_of_each_of_its_fields_and_of_each_that_returns_it(self) -> None:
        found = access("home: Home homes: [[Home!]!]!", more="type Home @authenticated { street: String }")
        assert found.guarded == dict.fromkeys((("User", "home"), ("User", "homes"), ("Home", "street")), (SIGNED_IN,))

    @pytest.mark.parametrize("kind", ["scalar Sum @authenticated", "enum Sum @authenticated { ONE }"])
    def test_of_a_leaf_asks_it_of_each_field_that_returns_it(self, kind: str) -> None:
        assert access("income: [Sum]", more=kind).guarded == {("User", "income"): (SIGNED_IN,)}


class TestAnInterface:
    MORE = """interface Box{on} @join__type(graph: A) {{ size: Int{size} }}
    type Bag implements Box{bag} @join__type(graph: A) @join__implements(graph: A, interface: "Box") {{ size: Int{bag_size} }}
    type Can implements Box @join__type(graph: A) @join__implements(graph: A, interface: "Box") {{ size: Int{can_size} }}"""

    def of(self, **said: str) -> dict[tuple[str, str], tuple[Requirement, ...]]:
        texts = dict.fromkeys(("on", "size", "bag", "bag_size", "can_size"), "")
        told = {n: " " + t for n, t in said.items()}
        return dict(access("box: Box", more=self.MORE.format(**{**texts, **told})).guarded)

    def test_asks_by_a_field_of_its_own_the_same_of_that_of_each_type(self) -> None:
        both = {("Bag", "size"): (SIGNED_IN,), ("Can", "size"): (SIGNED_IN,)}
        assert self.of(size="@authenticated") == both
        assert self.of(on="@authenticated") == {**both, ("User", "box"): (SIGNED_IN,)}

    def test_asks_nothing_more_where_it_only_says_what_its_types_say_together(self) -> None:
        a, b = '@requiresScopes(scopes: [["a"]])', '@requiresScopes(scopes: [["b"]])'
        together = '@requiresScopes(scopes: [["a", "b"]])'
        found = self.of(size=together, bag_size=a, can_size=b)
        assert found == {("Bag", "size"): (scope("a"),), ("Can", "size"): (scope("b"),)}
        assert self.of(on=a, bag=a) == {("Bag", "size"): (scope("a"),)}

    def test_asks_more_where_it_says_more(self) -> None:
        found = self.of(size='@requiresScopes(scopes: [["a", "c"]])', bag_size='@requiresScopes(scopes: [["a"]])')
        assert found == {("Bag", "size"): (scope("a"), scope("c")), ("Can", "size"): (scope("c"),)}

    def test_may_say_it_by_alternatives(self) -> None:
        either, one = '@requiresScopes(scopes: [["a"], ["b"]])', '@requiresScopes(scopes: [["a"]])'
        assert self.of(size=either, bag_size=one) == {("Bag", "size"): (scope("a"),)}


class TestWhatAFieldNeeds:
    def test_is_asked_for_it_too_along_chains_and_in_circles(self) -> None:
        found = access(
            """a: Int @join__field(graph: A) @join__field(graph: B, external: true) @authenticated
            b: Int @join__field(graph: B, requires: "a") @join__field(graph: A, external: true)
            c: Int @join__field(graph: A, requires: "b d") @join__field(graph: B, external: true)
            d: Int @join__field(graph: B, requires: "c") @join__field(graph: A, external: true)
            e: Int @join__field(graph: A)"""
        )
        assert found.guarded == {("User", name): (SIGNED_IN,) for name in "abcd"}

    def test_of_a_context_is_asked_for_it_too(self) -> None:
        told = '[{context: "A__c", name: "x", type: "Int", selection: "{ size }"}]'
        more = f"""type Home @join__type(graph: A) @context(name: "A__c") {{ size: Int @authenticated room: Room }}
        type Room @join__type(graph: A) {{ share: Int @join__field(graph: A, contextArguments: {told}) }}"""
        found = access("home: Home", f'url: "{SPECS}/context/v0.1"', more=more)
        assert found.guarded == {("Home", "size"): (SIGNED_IN,), ("Room", "share"): (SIGNED_IN,)}


class TestAnOperation:
    BODY = 'a: Int @requiresScopes(scopes: [["a"]]) b: Int @policy(policies: [["b"]]) c: Int'

    def asked(self, text: str) -> list[str]:
        document = parse(text)
        node = get_operation_ast(document)
        assert node is not None
        return [requirement.any_of[0][0] for requirement in access(self.BODY).asked(document, node)]

    def test_asks_what_its_fields_ask_wherever_they_stand(self) -> None:
        assert self.asked("{ user { c __typename } __schema { types { name } } x }") == []
        assert self.asked("{ user { b } }") == ["b"]
        assert self.asked("{ user { ... on User { ...F } } } fragment F on User { b x: a }") == ["a", "b"]
        assert self.asked("query { user { a @skip(if: true) } }") == ["a"]

    def test_of_a_supergraph_without_any_asks_nothing(self) -> None:
        found = access("a: Int")
        assert found.asked(parse("{ x }"), None) == ()  # type: ignore[arg-type] # nothing is looked at
        assert found.denials({}) is None

    def test_is_told_the_first_thing_that_is_missing(self) -> None:
        found = access('a: Int @policy(policies: [["p"]]) @requiresScopes(scopes: [["b", "a"]])')
        denials = found.denials(
            {scope("b"): Denial("FORBIDDEN", "b"), Requirement("policy", (("p",),)): Denial("LATE")}
        )
        assert denials is not None
        assert denials.of("User", "a") == Denial("FORBIDDEN", "b")
        assert denials.of("User", "id") is None
