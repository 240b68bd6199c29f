"""`Service`: what a ministry's service is made of, declared once and turned into a federated schema.

A service module declares entities, fields on other owners' entities, queries, mutations, subscriptions and event
handlers as plain functions; the kit injects what they ask for by annotation, checks `scope` and prints the directive.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

import strawberry
import strawberry.pydantic
from graphql import GraphQLSchema
from pydantic import BaseModel
from pydantic.alias_generators import to_camel, to_snake
from strawberry.federation import Schema
from strawberry.federation.schema_directives import Key, Shareable
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from services.kit import resolvers
from services.kit.database import Db
from services.kit.entities import Entity, check, install
from services.kit.events import Event
from services.kit.moments import SCALARS
from services.kit.resolvers import external, field

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["Handler", "Service", "StartRefused", "external", "field"]

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


class StartRefused(Exception):
    """A service cannot start until a person mends something; the text says what, where and how."""


@dataclass(frozen=True, slots=True)
class Handler:
    """What a service does on an event: the event's model, and a function of the model and `Db`."""

    event: type[Event]
    function: Callable[..., Awaitable[None]]


class Service:
    """A federated service. `name` is its subgraph's name, its package's name and the stem of its variables."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entities: dict[str, Entity] = {}
        self.handlers: dict[str, Handler] = {}
        self.events: dict[str, type[Event]] = {}
        self.routes: list[BaseRoute] = []
        self.seeds: list[Callable[[Db], Awaitable[None]]] = []
        self.checks: list[Callable[[], object]] = []
        self._types: list[type] = []
        self._models: list[tuple[type, dict[str, Any]]] = []
        self._roots: dict[str, list[tuple[Callable[..., Any], str | None]]] = {
            "Query": [],
            "Mutation": [],
            "Subscription": [],
        }

    # -- types

    @dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field, external))
    def object_type(self, *, name: str | None = None, shareable: bool = False) -> Callable[[C], C]:
        """A GraphQL type of plain data; its public methods become fields."""

        def declare(cls: C) -> C:
            return self._declare(cls, [Shareable()] if shareable else [], name)

        return declare

    def entity(self, *, key: str, scope: str | None = None, name: str | None = None) -> Callable[[C], C]:
        """A type of this service that others may refer to by `key` (space-separated camelCase field names).

        A table needs nothing more: rows are found by the key, in one statement for a whole `_entities` call. Another
        class has a classmethod `find` that takes the key (and `Db`, `Caller`) and returns an instance or None.
        """

        def declare(cls: C) -> C:
            directives: list[object] = [Key(fields=key), *resolvers.scopes_directive(scope)]  # type: ignore[arg-type]
            declared = self._declare(cls, directives, name)
            entity = Entity(cls, tuple(to_snake(k) for k in key.split()), scope, name or cls.__name__)
            check(entity)
            self.entities[entity.name] = entity
            return declared

        return declare

    def extends(self, *, key: str, scope: str | None = None, name: str | None = None) -> Callable[[C], C]:
        """Another owner's entity: declares its key, the external fields that are required, and contributed methods."""

        def declare(cls: C) -> C:
            declared = self._declare(cls, [Key(fields=key)], name, scope, foreign=True)  # type: ignore[arg-type]
            keys = tuple(to_snake(k) for k in key.split())
            self.entities[name or cls.__name__] = Entity(cls, keys, None, name or cls.__name__, foreign=True)
            return declared

        return declare

    def refers(self, *, key: str) -> Callable[[C], C]:
        """Another owner's entity that this service only points to: its key, which this service cannot resolve."""

        def declare(cls: C) -> C:
            return self._declare(cls, [Key(fields=key, resolvable=False)], None)  # type: ignore[arg-type]

        return declare

    def _declare(
        self, cls: C, directives: list[object], name: str | None, scope: str | None = None, foreign: bool = False
    ) -> C:
        model = issubclass(cls, BaseModel)
        externals = {n: f for n, f in vars(cls).items() if isinstance(f, StrawberryField)}
        for member, (function, own, requires, alias) in resolvers.class_fields(cls).items():
            needed = [externals[n] for n in resolvers.needed(requires)] if requires else []
            guard = [own or scope, *(f.metadata.get("scope") for f in needed)]
            options: dict[str, Any] = {
                "name": alias,
                "description": function.__doc__,
                "directives": [
                    *resolvers.scopes_directive(*guard),
                    *resolvers.requires_directive(requires),
                    *resolvers.size_directive(function),
                ],
            }
            # What may be refused is nullable: a right that is missing nulls its own field, not the whole entity.
            resolve = resolvers.method(function, guard, requires, cls, foreign or own is not None)
            decorate = strawberry.pydantic.field(**options) if model else strawberry.field(**options)
            setattr(cls, member, decorate(resolve))
        options = {"name": name, "description": cls.__doc__, "directives": directives}
        if model:  # its methods may name tables that follow: read when the schema is built
            self._models.append((cls, options))
        else:
            cls = strawberry.type(**options)(cls)
        self._types.append(cls)
        return cls

    # -- operations

    def query(self, *, scope: str | None = None) -> Callable[[F], F]:
        """A root query field, named like the function. Nullable, so that its fault nulls nothing else."""
        return self._root("Query", scope)

    def mutation(self, *, scope: str | None = None) -> Callable[[F], F]:
        """A mutation `f(db, caller, input: I) -> T` in one transaction; its result is the union `FResult`."""
        return self._root("Mutation", scope)

    def subscription(self, *, scope: str | None = None) -> Callable[[F], F]:
        """A subscription: an async generator, fed by `Feed`."""
        return self._root("Subscription", scope)

    def _root(self, kind: str, scope: str | None) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self._roots[kind].append((function, scope))
            return function

        return declare

    # -- events and start

    def on(self, event: type[Event]) -> Callable[[F], F]:
        """A handler `f(event, db)`, run once per event in one transaction, in order per subject."""

        def declare(function: F) -> F:
            self.handlers[event.type] = Handler(event, function)
            return function

        return declare

    def emits(self, *events: type[Event]) -> None:
        """The events that this service publishes: their schemas are part of its contract."""
        self.events.update({event.type: event for event in events})

    def seed(self, function: Callable[[Db], Awaitable[None]]) -> Callable[[Db], Awaitable[None]]:
        """A function that runs at every start in one transaction, and finds its work done from the second time on."""
        self.seeds.append(function)
        return function

    def check(self, function: F) -> F:
        """A function that runs before the service starts, and raises StartRefused where it must not."""
        self.checks.append(function)
        return function

    # -- schema

    @cached_property
    def strawberry_schema(self) -> Schema:
        """The federated schema, built once after everything is declared."""
        build = {
            "Query": lambda f, s: resolvers.reader(f, s),
            "Mutation": lambda f, s: resolvers.mutation(f, s, self.entities),
            "Subscription": lambda f, s: resolvers.subscription(f, s),
        }
        for model, options in self._models:
            strawberry.pydantic.type(**options)(model)
        roots = {kind: _root_type(kind, functions, build[kind]) for kind, functions in self._roots.items() if functions}
        schema = Schema(
            query=roots.get("Query"),
            mutation=roots.get("Mutation"),
            subscription=roots.get("Subscription"),
            types=self._types,
            federation_version="2.9",
            config=StrawberryConfig(scalar_map=SCALARS),
        )
        install(schema._schema, self.entities)
        return schema

    @property
    def schema(self) -> GraphQLSchema:
        """The executable schema."""
        return self.strawberry_schema._schema

    def sdl(self) -> str:
        """The subgraph's schema as its contract prints it."""
        return self.strawberry_schema.as_str()


def _root_type(
    kind: str,
    functions: Sequence[tuple[Callable[..., Any], str | None]],
    build: Callable[[Callable[..., Any], str | None], Callable[..., Any]],
) -> type:
    fields: Mapping[str, Any] = {
        function.__name__: (strawberry.subscription if kind == "Subscription" else strawberry.field)(
            resolver=build(function, scope),
            name=to_camel(function.__name__),
            description=function.__doc__,
            directives=resolvers.scopes_directive(scope) + resolvers.size_directive(function),
        )
        for function, scope in functions
    }
    return strawberry.type(type(kind, (), dict(fields)))
