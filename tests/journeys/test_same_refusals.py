"""A refusal is the same by the owner of the data and at the front door: the same code and words at the same place, whoever asks.

Every guarded field of every service is asked for both ways, by who has not signed in, by who lacks what it asks for, and by who
has all its scopes but no second factor. The owner has no database here: it refuses before it would need one.
"""

import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from graphql import (
    DirectiveNode,
    GraphQLField,
    ObjectTypeDefinitionNode,
    get_named_type,
    is_leaf_type,
    value_from_ast_untyped,
)
from sqlmodel import SQLModel

from clusters.topology import SERVICES, SUPERGRAPH
from gateway.access_log import AccessLog
from gateway.callers import Callers
from gateway.departures import Departures
from gateway.documents import Documents
from gateway.engine.access import Access, Requirements
from gateway.engine.supergraph import load_supergraph
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.settings import Limits
from gateway.settings import Settings as GatewaySettings
from services.kit import database, serve
from services.kit.entities import Entity
from services.kit.settings import Mode
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.gateway.conftest import Answers, Door
from tests.journeys.hostile import SCHEMA, fitting

Json = dict[str, Any]
SUPER = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
ACCESS = Access(SUPER)
ROOTS = {name: kind for kind, name in SUPER.roots.items()}
ENTITY = ("Business", "businessNumber")  # whose fields services add to, so that its owner has answered before
PLACES = sorted(place for place in ACCESS.guarded if place[0] in (*ROOTS, ENTITY[0]) and place[0] != "Subscription")
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"
OWNER = {"data": {"business": {"__typename": ENTITY[0], ENTITY[1]: "1"}}}


@cache
def client(name: str) -> Client:
    """A service that could not ask its database for anything."""
    return Client(serve.load(name), database.connect(NOWHERE, name))


def door() -> Door:
    """The front door, behind which the owner of the entity alone answers."""
    settings = GatewaySettings(Path("unread"), Mode.TEST)
    known = Operations(SUPER, Documents({}, only_trusted=False), Limits(), remembered=9, shows_schema=False)
    answers = Answers({"business_registration": OWNER})
    callers = Callers(tokens.verifier("onedoor"), settings)
    quiet = AccessLog(enabled=False)
    return Door(Pipeline(known, answers, callers, settings, Departures(), quiet), answers, settings)


def asked(place: tuple[str, str], service: str, kind: str) -> tuple[str, Json]:
    """The smallest selection of a field, with its arguments as variables, in an operation of a kind; `kind` empty for one of an
    entity, by its key."""
    field: GraphQLField = SCHEMA.type_map[place[0]].fields[place[1]]  # type: ignore[attr-defined]
    given = {name: fitting(a.type, {}) for name, a in field.args.items() if str(a.type).endswith("!")}
    arguments = ", ".join(f"{name}: ${name}" for name in given)
    below = "" if is_leaf_type(get_named_type(field.type)) else " { __typename }"
    selected = place[1] + (f"({arguments})" if given else "") + below
    declared = ", ".join(f"${name}: {field.args[name].type}" for name in given)
    if kind:
        return f"{kind}{f'({declared})' if given else ''} {{ {selected} }}", given
    if service:
        text = f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ ... on {place[0]} {{ {selected} }} }} }}"
        return text, {"r": [{"__typename": place[0], ENTITY[1]: "1", "address": None}]}
    return f'{{ business({ENTITY[1]}: "1") {{ {selected} }} }}', {}


def callers(needed: Requirements) -> dict[str, Json | None]:
    """Who is refused a field, by the claims of their tokens."""
    scopes = {name for r in needed if r.kind == "requiresScopes" for names in r.any_of for name in names}
    found: dict[str, Json | None] = {"nobody": None}
    if scopes:
        found |= {"who has no right": {}, "who lacks the last one": {"scope": " ".join(sorted(scopes)[:-1])}}
    if any(r.kind == "policy" for r in needed):
        found["who has no second factor"] = {
            "scope": " ".join(sorted(scopes)),
            "acr": "1",
            "auth_time": int(time.time()),
        }
    return found


def headers(claims: Json | None, audience: str) -> dict[str, str]:
    found = {"content-type": "application/json", "accept-language": "fr"}
    if claims is not None:
        found["authorization"] = f"Bearer {tokens.token(audience=audience, **claims)}"
    return found


def told(answer: Mapping[str, Any]) -> list[Json]:
    """The errors of an answer without what is each request's own, each with the field that it is about."""
    found = []
    for error in answer["errors"]:
        extensions = {n: v for n, v in error["extensions"].items() if n not in ("correlationId", "service")}
        found.append({"message": error["message"], "extensions": extensions, "field": error["path"][-1]})
    return found


async def blank(entity: Entity, *_: object, **__: object) -> Any:
    """One that is there and knows nothing."""
    return entity.cls.model_construct() if issubclass(entity.cls, SQLModel) else object.__new__(entity.cls)


class TestARefusal:
    def test_there_are_guarded_fields_of_every_service_and_kind(self) -> None:
        owners = {graph for place in PLACES for graph in graphs(place)}
        assert owners >= {part.name for part in SERVICES} - {"catalogue"}
        assert {place[0] for place in PLACES} == {"Query", "Mutation", "Business"}
        assert len(PLACES) > 20

    @pytest.mark.parametrize("place", PLACES, ids=".".join)
    async def test_is_the_same_by_the_owner_and_at_the_front_door(
        self, place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Entity, "find", blank)
        kind = ROOTS.get(place[0], "")
        (name,) = graphs(place)
        for who, claims in callers(ACCESS.guarded[place]).items():
            text, given = asked(place, name, kind)
            body = orjson.dumps({"query": text, "variables": given})
            owner = await client(name).post(body, headers(claims, client(name).audience))
            gateway = door()
            text, given = asked(place, "", kind)
            front = await gateway.post(text, headers(claims, "onedoor"), variables=given)
            assert told(front.body) == told(owner.body), who
            assert all(
                sent == "business_registration" and place[1] not in str(body) for sent, body in gateway.subgraphs.sent
            )


class TestTheOwners:
    """A service checks what it says of a field at that field, and of an entity where it is found by its key. What the front door
    gathers from elsewhere, a service would not check."""

    def test_say_at_each_field_all_that_is_asked_of_it(self) -> None:
        said: dict[tuple[str, str], set[str]] = {}
        for node in SUPER.document.definitions:
            if isinstance(node, ObjectTypeDefinitionNode):
                whole = names(node.directives)
                for item in node.fields or ():
                    said[node.name.value, item.name.value] = whole | names(item.directives)
        gathered = {
            place: {name for r in needed for alternative in r.any_of for name in alternative}
            for place, needed in ACCESS.guarded.items()
        }
        nodes = {
            place for place in gathered if place[1] == "node"
        }  # of pages of entities, whose edges say nothing themselves
        assert {
            place: gathered[place] - said[place] for place in gathered if gathered[place] != said[place]
        }.keys() <= nodes


def names(directives: tuple[DirectiveNode, ...] | None) -> set[str]:
    """The scopes and policies that are asked for."""
    guarding = (d for d in directives or () if d.name.value in ("requiresScopes", "policy"))
    told = (value_from_ast_untyped(a.value) for d in guarding for a in d.arguments or ())
    return {name for alternatives in told for alternative in alternatives for name in alternative}


def graphs(place: tuple[str, str]) -> list[str]:
    """The services that resolve a field."""
    held = SUPER.types[place[0]].fields[place[1]].graphs
    return sorted(SUPER.graphs[graph].name for graph, found in held.items() if not found.external)
