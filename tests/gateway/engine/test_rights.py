"""Who may see what, at random: requirements sprinkled over the types and fields of a province, callers who hold some of them.

Each answer is that of one plain schema whose resolvers refuse, and no subgraph is asked for what the caller may not see.
"""

import os
import random
from functools import cache
from typing import Any

import pytest
from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    ListValueNode,
    NameNode,
    StringValueNode,
    TypeDefinitionNode,
    parse,
    print_ast,
)

from tests.gateway.engine.drawer import Drawer, in_chunks
from tests.gateway.engine.in_parts import difference
from tests.gateway.engine.parts import SIGNED_IN
from tests.gateway.engine.rights import Stated
from tests.gateway.engine.test_random_operations import province, small
from tests.gateway.engine.world import World

COUNT = int(os.environ.get("ONEDOOR_FUZZ_OPERATIONS", "300"))
FIRST = int(os.environ.get("ONEDOOR_FUZZ_SEED", "0"))
PER_WORLD = 50
NAMES = ("a", "b", "c")  # scopes; of an interface other ones, since what its object types say is not said twice


def sprinkled(sdl: str, seed: int, spared: set[tuple[str, str]]) -> tuple[str, Stated]:
    """A supergraph with requirements here and there, and what they are; what is spared stays open."""
    chance = random.Random(seed)
    stated: dict[tuple[str, str | None], list[list[list[str]]]] = {}

    def drawn(share: float, names: tuple[str, ...]) -> tuple[list[DirectiveNode], list[list[list[str]]]]:
        if chance.random() >= share:
            return [], []
        kind = chance.choice(("authenticated", "requiresScopes", "requiresScopes", "policy"))
        if kind == "authenticated":
            return [DirectiveNode(name=NameNode(value=kind), arguments=())], [[[SIGNED_IN]]]
        ways = [sorted(chance.sample(names, chance.choice((1, 1, 2)))) for _ in range(chance.choice((1, 1, 1, 2)))]
        text = [ListValueNode(values=tuple(StringValueNode(value=n) for n in way)) for way in ways]
        argument = ArgumentNode(
            name=NameNode(value="policies" if kind == "policy" else "scopes"), value=ListValueNode(values=tuple(text))
        )
        return [DirectiveNode(name=NameNode(value=kind), arguments=(argument,))], [ways]

    def with_more(node: Any, more: list[DirectiveNode], **changes: Any) -> Any:
        kept = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
        return type(node)(**{**kept, **changes, "directives": (*(kept.get("directives") or ()), *more)})

    definitions = []
    for node in parse(sdl, no_location=True).definitions:
        name = node.name.value if isinstance(node, TypeDefinitionNode) else "join__"
        if name.startswith(("join__", "link__")) or node.kind in (
            "union_type_definition",
            "input_object_type_definition",
        ):
            definitions.append(node)
            continue
        interface = node.kind == "interface_type_definition"
        names = tuple(f"i{n}" for n in NAMES) if interface else NAMES
        fields = []
        for item in getattr(node, "fields", None) or ():
            more, asked = ([], []) if (name, item.name.value) in spared else drawn(0.06 if interface else 0.2, names)
            if asked:
                stated[name, item.name.value] = asked
            fields.append(with_more(item, more))
        more, asked = drawn(0.0 if name in ("Query", "Mutation") else 0.06 if interface else 0.25, names)
        if asked:
            stated[name, None] = asked
        changes = {"fields": tuple(fields)} if fields else {}
        definitions.append(with_more(node, more, **changes))
    return print_ast(DocumentNode(definitions=tuple(definitions))), stated


@cache
def guarded(seed: int) -> World:
    """The province with requirements."""
    plain = province()
    sdl, stated = sprinkled(plain.sdl, seed, plain.identifying)
    return World(plain.subgraphs, sdl, stated=stated)


def caller(seed: int) -> frozenset[str]:
    """What some caller holds."""
    chance = random.Random(seed)
    share = chance.choice((0.2, 0.6, 0.8, 0.9))
    return frozenset(n for n in (*NAMES, *(f"i{n}" for n in NAMES), SIGNED_IN) if chance.random() < share)


class TestRights:
    @pytest.mark.parametrize("first", in_chunks(FIRST, COUNT, PER_WORLD))
    def test_each_caller_is_answered_as_by_one_schema_that_refuses(self, first: int) -> None:
        world = guarded(first // PER_WORLD)
        denied = 0
        for seed in range(first, first + PER_WORLD):
            world.may(caller(seed))
            drawn = Drawer(world.supergraph.api_schema, seed).operation("mutation" if seed % 10 == 9 else "query")
            if world.difference(drawn.text, drawn.variables):
                pytest.fail(f"operation {seed}, a caller with {sorted(caller(seed))}: {small(world, drawn)}")
            denied += world.rights.refused
        assert denied > PER_WORLD / 10

    @pytest.mark.parametrize("first", in_chunks(FIRST, COUNT // 3, PER_WORLD, fast=1))
    async def test_each_caller_is_answered_so_in_parts_too(self, first: int) -> None:
        world = guarded(first // PER_WORLD)
        for seed in range(first, first + PER_WORLD):
            world.may(caller(seed))
            drawn = Drawer(world.supergraph.api_schema, seed, defers=True).operation(
                "mutation" if seed % 10 == 9 else "query"
            )
            if problem := await difference(world, drawn, seed):
                pytest.fail(
                    f"operation {seed}, a caller with {sorted(caller(seed))}: {drawn.text}\n{drawn.variables}\n{problem}"
                )
