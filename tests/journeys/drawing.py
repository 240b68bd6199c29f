"""Draws operations of the province at random, over things that are there: what a person could ask through the door."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import graphql

KEYS = {"Business": "businessNumber", "Application": "id", "Inspection": "id number", "NameReservation": "id"}
# Whose answer is about the caller's own account, or hangs on what other tests do.
LEFT_OUT = {"accessLog", "members", "checklist", "service"}


@dataclass(frozen=True, slots=True)
class Things:
    """What is there to ask about."""

    businesses: Sequence[str]
    applications: Sequence[str]
    inspections: Sequence[str]
    checklist: str
    days: Sequence[str]  # on which a visit can be planned


class Drawer:
    """Draws operations by one chance: the same seed draws the same."""

    def __init__(self, schema: graphql.GraphQLSchema, things: Things, chance: random.Random) -> None:
        self._schema, self._things, self._chance = schema, things, chance

    def query(self) -> str:
        """Some root fields, under aliases."""
        roots = [f"r{n}: {self._root()}" for n in range(self._chance.choice((1, 1, 2, 3)))]
        return f"query Drawn {{ {' '.join(roots)} }}"

    def schedule(self) -> str:
        """Plan a visit; asked of an inspector."""
        given = {
            "businessNumber": self._chance.choice(self._things.businesses),
            "checklist": self._things.checklist,
            "scheduledFor": self._chance.choice(self._things.days),
            "idempotencyKey": token_hex(8),
        }
        return self._change("scheduleInspection", given, "Inspection")

    def withdraw(self) -> str:
        """Give up what may be no draft, or somebody else's."""
        given = {"applicationId": self._chance.choice(self._things.applications)}
        return self._change("withdrawApplication", given, "Application")

    def _change(self, field: str, given: dict[str, str], kind: str) -> str:
        shown = self._selection(self._schema.type_map[kind], 3)
        said = ", ".join(f'{name}: "{value}"' for name, value in given.items())
        result = f"__typename ... on {kind} {shown} ... on Refused {{ code }}"
        return f"mutation Drawn {{ {field}(input: {{ {said} }}) {{ {result} }} }}"

    def _root(self) -> str:
        things, chance = self._things, self._chance
        field, kind = chance.choice(
            (
                (f'business(businessNumber: "{chance.choice(things.businesses)}")', "Business"),
                (f'business(businessNumber: "{chance.choice(things.businesses)}")', "Business"),
                (f'application(id: "{chance.choice(things.applications)}")', "Application"),
                (f'inspection(number: "{chance.choice(things.inspections)}")', "Inspection"),
                (f"inspections(first: {chance.choice((1, 3, 20))})", "InspectionConnection"),
                (f"myBusinesses(first: {chance.choice((1, 3))})", "BusinessConnection"),
                (f"myApplications(first: {chance.choice((1, 3))})", "ApplicationConnection"),
            )
        )
        return f"{field} {self._selection(self._schema.type_map[kind], chance.choice((2, 3, 4, 5)))}"

    def _selection(self, kind: Any, depth: int) -> str:
        assert isinstance(kind, graphql.GraphQLObjectType)
        if kind.name.endswith("Connection"):
            node = kind.fields["edges"].type
            row = graphql.get_named_type(node).fields["node"].type
            return f"{{ edges {{ node {self._selection(graphql.get_named_type(row), depth)} }} }}"
        parts = [KEYS.get(kind.name, "__typename")]
        possible = [
            (name, each)
            for name, each in kind.fields.items()
            if name not in LEFT_OUT
            and not any(graphql.is_required_argument(a) for a in each.args.values())
            and (depth > 0 or graphql.is_leaf_type(graphql.get_named_type(each.type)))
        ]
        for at, (name, each) in enumerate(
            self._chance.sample(possible, min(len(possible), self._chance.choice((1, 2, 3, 4))))
        ):
            named = graphql.get_named_type(each.type)
            shown = "" if graphql.is_leaf_type(named) else f" {self._selection(named, depth - 1)}"
            drawn = f"f{at}_{name}: {name}{shown}" if self._chance.random() < 0.3 else f"{name}{shown}"
            if self._chance.random() < 0.15:
                drawn = f"... on {kind.name} {{ {drawn} }}"
            if self._chance.random() < 0.15:
                drawn += f" again_{name}: {name}{shown}"
            parts.append(drawn)
        return "{ " + " ".join(parts) + " }"
