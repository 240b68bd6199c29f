"""What requests to subgraphs tell about people, and whom they tell it to."""

import pytest
from graphql import parse

from clusters.compose import CONTRACTS
from clusters.planning import planned
from gateway.engine.plan import Fetch
from gateway.engine.supergraph import load_supergraph
from gateway.personal import Exposed, Personal, Told
from tests.gateway.test_hints import SDL

TOWN = Personal(parse(SDL))
PROVINCE = Personal(parse((CONTRACTS / "supergraph.graphql").read_text()))


class TestARequestToASubgraph:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("query { mayor { name } }", True),
            ("query { mayor { shoe } }", False),
            ("query($r: [_Any!]!) { _entities(representations: $r) { ... on Person { name } } }", True),
            ("query($r: [_Any!]!) { _entities(representations: $r) { ... on Person { shoe } } }", False),
            ("query($r: [_Any!]!) { _entities(representations: $r) { ... on Person { sign } } }", False),
            ("query($r: [_Any!]!) { _entities(representations: $r) { ... on Unknown { x } } }", True),
        ],
    )
    def test_is_about_people_when_a_field_of_it_is(self, text: str, expected: bool) -> None:
        assert bool(TOWN.told(text)) is expected


class TestTheProvince:
    @pytest.mark.parametrize(
        ("selected", "about_people"),
        [
            ("... on Business { legalName sector }", False),
            ("... on Business { address { city } }", True),
            ("... on Business { programs { state } }", True),
            ("... on Business { inspections { pageInfo { endCursor } } }", True),
            ("... on Business { complianceProfile { standing } }", True),
            ("... on Business { helpNearby { distanceM } }", True),
            ("... on Application { id }", True),
            ("... on Inspection { number }", True),
            ("... on Premises { name address }", False),
            ("... on Service { email phones { number } }", False),
        ],
    )
    def test_shares_and_keeps_nothing_about_people_but_facts_of_public_registers(
        self, selected: str, about_people: bool
    ) -> None:
        text = f"query($r: [_Any!]!) {{ _entities(representations: $r) {{ {selected} }} }}"
        assert bool(PROVINCE.told(text)) is about_people

    @pytest.mark.parametrize("mine", ["myBusinesses", "myApplications", "inspections"])
    def test_shares_no_list_of_ones_own_not_even_its_length(self, mine: str) -> None:
        assert PROVINCE.told(f"{{ {mine} {{ pageInfo {{ hasNextPage }} }} }}")


def asked(selection: str, *recipients: str) -> Fetch:
    return Fetch(0, "s", "query", f"{{ {selection} }}", (), (), recipients=recipients)


class TestAPlan:
    def test_exposes_the_categories_of_all_its_requests(self) -> None:
        fetches = [
            asked("myBusinesses { edges { node { address { city } } } }"),
            asked("myApplications { edges { cursor } }"),
        ]
        found = PROVINCE.exposed(fetches)
        assert found == Exposed(frozenset({"ownership", "business-address", "application"}), frozenset())

    def test_exposes_to_those_who_get_fields_of_a_request_about_people(self) -> None:
        told = asked("business { address { city } }", "information_referral")
        assert PROVINCE.exposed([told, asked("clusters { code }", "catalogue")]).recipients == {"information_referral"}

    def test_of_facts_of_a_public_register_exposes_nothing(self) -> None:
        assert PROVINCE.exposed([asked("business { businessNumber legalName status }")]) == Exposed()

    def test_names_each_field_once(self) -> None:
        assert PROVINCE.told("{ a: business { address { city } } b: business { address { city } } }") == (
            Told("BusinessAddress.city", "business-address"),
        )

    def test_counts_a_mutation_and_a_subscription_too(self) -> None:
        assert PROVINCE.told("mutation { startInspection { ... on Inspection { number } ... on Refused { code } } }")
        assert PROVINCE.told("subscription { applicationStatusChanged { status } }")

    def test_counts_what_nobody_knows(self) -> None:
        assert TOWN.told("{ mayor { unheard } }") == (Told("Person.unheard", "unsaid"),)
        assert Personal(parse("type Query { a: Int @personalData }")).told("{ a }") == (Told("Query.a", "unsaid"),)

    def test_passes_on_only_what_its_fields_tell(self) -> None:
        """Inspections get a business's sector, which is about nobody; referral gets where it is."""
        text = '{ business(businessNumber: "1") { riskScore { band } helpNearby { distanceM } } }'
        fetches = planned(load_supergraph((CONTRACTS / "supergraph.graphql").read_text()), text, "Asked").plan.fetches
        assert [fetch.recipients for fetch in fetches if fetch.recipients] == [("information_referral",)]
