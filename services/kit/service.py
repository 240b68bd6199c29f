"""`Service`: what a ministry's service is made of, declared once and turned into a federated schema.

A service module declares entities, fields on other owners' entities, queries, mutations, subscriptions and event
handlers as plain functions; the kit injects what they ask for by annotation, checks `scope` and `policy` and prints
the directives.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, get_args, get_type_hints

import strawberry
import strawberry.pydantic
from graphql import GraphQLSchema
from pydantic import BaseModel
from pydantic.alias_generators import to_camel, to_snake
from strawberry.federation import Schema
from strawberry.federation.schema_directives import Key, Shareable
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from services.kit import access_log, resolvers
from services.kit.audit.announced import AccessLogged, AuditHead
from services.kit.audit.announcing import witness
from services.kit.audit.tables import Sealed
from services.kit.citizens_code import ActProposed, Telling
from services.kit.database import Database, Db
from services.kit.entities import Entity, check, install
from services.kit.events import Event
from services.kit.inputs import Input, within
from services.kit.moments import SCALARS
from services.kit.personal import personal_directive, watch
from services.kit.policies import NO_GUARD, Guard
from services.kit.rates import Rate, rate_directive
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
        self.handlers: dict[str, Handler] = {AuditHead.type: Handler(AuditHead, witness)}
        self.events: dict[str, type[Event]] = {}
        self.routes: list[BaseRoute] = []
        self.seeds: list[Callable[[Db], Awaitable[None]]] = []
        self.sealed: list[Sealed] = [access_log.SEALED]  # the tables whose rows are audit entries
        self.copies: list[str] = []  # tables of what other services have sealed, each row kept as long as it says
        self.checks: list[Callable[[], object]] = []
        self.works: list[Callable[[Database], Coroutine[Any, Any, None]]] = []
        self._with_code: dict[str, Telling] = {}
        self._types: list[type] = []
        self._models: list[tuple[type, dict[str, Any]]] = []
        self._roots: dict[str, list[tuple[Callable[..., Any], Guard, Sequence[object]]]] = {
            "Query": [],
            "Mutation": [],
            "Subscription": [],
        }

    # -- types

    @dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field, external))
    def object_type(
        self, *, name: str | None = None, shareable: bool = False, personal: str | None = None
    ) -> Callable[[C], C]:
        """A GraphQL type of plain data; its public methods become fields. `personal` is the category of all that it tells."""

        def declare(cls: C) -> C:
            return self._declare(cls, [*([Shareable()] if shareable else []), *personal_directive(personal)], name)

        return declare

    def entity(
        self,
        *,
        key: str,
        scope: str | None = None,
        policy: str | None = None,
        name: str | None = None,
        personal: str | None = None,
    ) -> Callable[[C], C]:
        """A type of this service that others may refer to by `key` (space-separated camelCase field names).

        A table needs nothing more: rows are found by the key, in one statement for a whole `_entities` call. Another
        class has a classmethod `find` that takes the key (and `Db`, `Caller`) and returns an instance or None.
        """
        guard = Guard.of(scope, policy)

        def declare(cls: C) -> C:
            asked = [*resolvers.guard_directives(guard), *personal_directive(personal)]
            declared = self._declare(cls, [Key(fields=key), *asked], name)  # type: ignore[arg-type]
            entity = Entity(cls, tuple(to_snake(k) for k in key.split()), guard, name or cls.__name__)
            check(entity)
            self.entities[entity.name] = entity
            return declared

        return declare

    def extends(
        self, *, key: str, scope: str | None = None, policy: str | None = None, name: str | None = None
    ) -> Callable[[C], C]:
        """Another owner's entity: declares its key, the external fields that are required, and contributed methods."""

        def declare(cls: C) -> C:
            declared = self._declare(cls, [Key(fields=key)], name, Guard.of(scope, policy), foreign=True)  # type: ignore[arg-type]
            keys = tuple(to_snake(k) for k in key.split())
            self.entities[name or cls.__name__] = Entity(cls, keys, NO_GUARD, name or cls.__name__, foreign=True)
            return declared

        return declare

    def refers(self, *, key: str) -> Callable[[C], C]:
        """Another owner's entity that this service only points to: its key, which this service cannot resolve."""

        def declare(cls: C) -> C:
            return self._declare(cls, [Key(fields=key, resolvable=False)], None)  # type: ignore[arg-type]

        return declare

    def _declare(
        self, cls: C, directives: list[object], name: str | None, guard: Guard = NO_GUARD, foreign: bool = False
    ) -> C:
        model = issubclass(cls, BaseModel)
        externals = {n: f for n, f in vars(cls).items() if isinstance(f, StrawberryField)}
        for member, (function, mark) in resolvers.class_fields(cls).items():
            needed = [externals[n] for n in resolvers.needed(mark.requires)] if mark.requires else []
            whole = sum((f.metadata.get("guard", NO_GUARD) for f in needed), guard + mark.guard)
            options: dict[str, Any] = {
                "name": mark.name,
                "description": function.__doc__,
                "directives": [
                    *resolvers.guard_directives(whole),
                    *resolvers.requires_directive(mark.requires),
                    *resolvers.size_directive(function),
                    *personal_directive(mark.personal),
                ],
            }
            # What may be refused is nullable: a right that is missing nulls its own field, not the whole entity.
            resolve = resolvers.method(function, whole, mark.requires, cls, foreign or mark.guard != NO_GUARD)
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

    def query(
        self,
        *,
        scope: str | None = None,
        policy: str | None = None,
        rate: Rate | None = None,
        personal: str | None = None,
    ) -> Callable[[F], F]:
        """A root query field, named like the function. Nullable, so that its fault nulls nothing else. `personal` is the category
        of what it tells beside what its type says."""
        return self._root("Query", Guard.of(scope, policy), *rate_directive(rate), *personal_directive(personal))

    def mutation(
        self,
        *,
        scope: str | None = None,
        policy: str | None = None,
        rate: Rate | None = None,
        citizens_code: Telling | None = None,
    ) -> Callable[[F], F]:
        """A mutation `f(db, caller, input: I) -> T` in one transaction; its result is the union `FResult`. With
        `citizens_code`, which has the same parameters and tells the act in words, it takes an assisted person's code."""
        declare = self._root("Mutation", Guard.of(scope, policy), *rate_directive(rate))
        if citizens_code is None:
            return declare
        self.emits(ActProposed)

        def with_code(function: F) -> F:
            self._with_code[function.__name__] = citizens_code
            return declare(function)

        return with_code

    def subscription(self, *, scope: str | None = None, policy: str | None = None) -> Callable[[F], F]:
        """A subscription: an async generator, fed by `Feed`."""
        return self._root("Subscription", Guard.of(scope, policy))

    def _root(self, kind: str, guard: Guard, *directives: object) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self._roots[kind].append((function, guard, directives))
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

    def work(self, function: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
        """A function `f(database)` that works as long as the process serves, and ends when it is cancelled."""
        self.works.append(function)

    def check(self, function: F) -> F:
        """A function that runs before the service starts, and raises StartRefused where it must not."""
        self.checks.append(function)
        return function

    @property
    def announces(self) -> Mapping[str, type[Event]]:
        """The events that it publishes: its own, which subscriptions follow, and those of its audit, which every service has."""
        return {**self.events, **{event.type: event for event in (AccessLogged, AuditHead)}}

    @property
    def inputs(self) -> set[type[Input]]:
        """The inputs that its mutations take, and those within them."""
        taken = [model for f, _, _ in self._roots["Mutation"] for model in resolvers.input_models(f).values()]
        return {inner for model in taken for inner in within(model)}

    # -- schema

    @cached_property
    def strawberry_schema(self) -> Schema:
        """The federated schema, built once after everything is declared."""
        build = {
            "Query": lambda f, s: resolvers.reader(f, s),
            "Mutation": lambda f, s: resolvers.mutation(
                f, s, self.entities, self.name, self._with_code.get(f.__name__)
            ),
            "Subscription": lambda f, s: resolvers.subscription(f, s),
        }
        for model, options in self._models:
            strawberry.pydantic.type(**options)(model)
        guards = {entity.cls: entity.guard for entity in self.entities.values()}
        roots = {
            kind: _root_type(
                kind,
                [(f, guard + _guard_of(get_type_hints(f)["return"], guards), said) for f, guard, said in found],
                build[kind],
            )
            for kind, found in self._roots.items()
            if found
        }
        schema = Schema(
            query=roots.get("Query"),
            mutation=roots.get("Mutation"),
            subscription=roots.get("Subscription"),
            types=self._types,
            federation_version="2.9",
            config=StrawberryConfig(scalar_map=SCALARS),
        )
        install(schema._schema, self.entities)
        watch(schema._schema)
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
    functions: Sequence[tuple[Callable[..., Any], Guard, Sequence[object]]],
    build: Callable[[Callable[..., Any], Guard], Callable[..., Any]],
) -> type:
    fields: Mapping[str, Any] = {
        function.__name__: (strawberry.subscription if kind == "Subscription" else strawberry.field)(
            resolver=build(function, guard),
            name=to_camel(function.__name__),
            description=function.__doc__,
            directives=[*resolvers.guard_directives(guard), *resolvers.size_directive(function), *said],
        )
        for function, guard, said in functions
    }
    return strawberry.type(type(kind, (), dict(fields)))


def _guard_of(returned: Any, guards: Mapping[type, Guard]) -> Guard:
    """What the entities that a function returns ask for: nothing is done for who may not see what came of it."""
    return sum((_guard_of(inner, guards) for inner in get_args(returned)), guards.get(returned, NO_GUARD))
