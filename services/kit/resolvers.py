"""Turns a service's plain functions into resolvers: injects `Db`, `Caller`, `AccessLog` and `Feed` by annotation, checks the
guard first, refuses hostile text, and runs a mutation in its one transaction."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import strawberry
from graphql import FieldNode, OperationDefinitionNode, parse
from graphql.pyutils import Path
from pydantic.alias_generators import to_snake
from strawberry.federation.schema_directives import External, ListSize, Policy, Requires, RequiresScopes
from strawberry.types import Info
from strawberry.types.unset import UNSET

from services.kit import citizens_code, faults, grants, idempotency, nonces, properties
from services.kit.access_log import AccessLog, Act, only_fetch
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.feed import Feed
from services.kit.inputs import Input, explain, find_hostile, graphql_input, validated, values
from services.kit.language import Words
from services.kit.operation import Operation
from services.kit.pages import DEFAULT_PAGE, Connection
from services.kit.policies import NO_GUARD, Guard
from services.kit.refusals import Refusal, Refused

if TYPE_CHECKING:
    from services.kit.entities import Entity

Function = Callable[..., Any]
# Annotations may be quoted, so names count as well as classes.
_INJECTED: Mapping[Any, str] = {k: c.__name__ for c in (Db, Caller, AccessLog, Feed) for k in (c, c.__name__)}
_MARK = "__onedoor_field__"


def external(scope: str | None = None, policy: str | None = None) -> Any:
    """A field that another service owns and this one needs for a `requires`; `scope` and `policy` are the owner's, repeated on
    the dependent field because composition asks for it."""
    return strawberry.field(directives=[External()], default=None, metadata={"guard": Guard.of(scope, policy)})


@dataclass(frozen=True, slots=True)
class Mark:
    """What `field` says of a method."""

    guard: Guard = NO_GUARD
    requires: str | None = None
    name: str | None = None
    personal: str | None = None


def field(
    *,
    scope: str | None = None,
    policy: str | None = None,
    requires: str | None = None,
    name: str | None = None,
    personal: str | None = None,
) -> Callable[[Any], Any]:
    """Gives a method of an entity or type its own scope and policy, the external fields it requires, another GraphQL name, or
    the category of personal data that it tells."""
    said = Mark(Guard.of(scope, policy), requires, name, personal)

    def mark(function: Any) -> Any:
        setattr(function, _MARK, said)
        return function

    return mark


@cache
def injections(function: Function) -> Mapping[str, str]:
    """The parameters of a function that the kit provides, and what each one is."""
    return {
        p.name: _INJECTED[p.annotation]
        for p in inspect.signature(function).parameters.values()
        if isinstance(p.annotation, str | type) and p.annotation in _INJECTED
    }


def provide(
    provided: Mapping[str, str],
    operation: Operation,
    db: Db | None = None,
    log: AccessLog | None = None,
    path: Path | None = None,
) -> dict[str, Any]:
    """The injected arguments; `db` and `log` are a mutation's own transaction and what is committed with it, elsewhere the
    operation's reader and what it reads for the field at a path."""
    sources: Mapping[str, Callable[[], Any]] = {
        "Db": lambda: db or operation.reader,
        "Caller": lambda: operation.caller,
        "AccessLog": lambda: operation.log.at(path) if log is None else log,
        "Feed": lambda: operation.feed,
    }
    return {name: sources[kind]() for name, kind in provided.items()}


def guard_directives(guard: Guard) -> list[object]:
    """`@requiresScopes` and `@policy` asking for all that a guard asks for, or nothing."""
    found: list[object] = []
    if guard.scopes:
        found.append(RequiresScopes(scopes=[list(guard.scopes)]))
    if guard.policies:
        found.append(Policy(policies=[list(guard.policies)]))
    return found


def size_directive(function: Function) -> list[object]:
    """`@listSize` for a field that takes `first`, so that a gateway can tell what an operation costs before it asks."""
    signature = inspect.signature(function)
    if "first" not in signature.parameters:
        return []
    returned = signature.return_annotation
    kinds = [
        get_origin(kind) or kind for kind in (get_args(returned) if isinstance(returned, UnionType) else [returned])
    ]
    paged = any(kind is Connection or "edges" in getattr(kind, "__annotations__", {}) for kind in kinds)
    if list not in kinds and not paged:
        return []
    return [
        ListSize(
            assumed_size=DEFAULT_PAGE,
            slicing_arguments=["first"],
            sized_fields=["edges"] if paged else UNSET,
            require_one_slicing_argument=False,
        )
    ]


def reader(function: Function, guard: Guard) -> Function:
    """A resolver of a root query field."""
    provided = injections(function)
    waits = inspect.iscoroutinefunction(function)

    async def resolve(info: Info[Operation, None], **arguments: Any) -> Any:
        operation = info.context
        guard.require(operation.caller)
        given = _given(arguments)
        result = function(**provide(provided, operation, path=info.path), **given)
        return await result if waits else result

    return _dressed(resolve, function, provided, nullable=True)


def method(function: Function, guard: Guard, requires: str | None, owner: type, nullable: bool) -> Function:
    """A resolver of a field of a type. A required field that came null makes this one
    null, with an error."""
    provided = injections(function)
    waits = inspect.iscoroutinefunction(function)
    wanted = needed(requires) if requires else ()

    async def resolve(self: Any, info: Info[Operation, None], **arguments: Any) -> Any:
        operation = info.context
        guard.require(operation.caller)
        given = _given(arguments)
        for name in wanted:
            if getattr(self, name) is None:
                raise faults.Faulted(faults.REQUIRED_FIELD_MISSING, required=name)
        result = function(self, **provide(provided, operation, path=info.path), **given)
        return await result if waits else result

    return _dressed(resolve, function, provided, owner, nullable)


def input_models(function: Function) -> dict[str, type[Input]]:
    """The inputs of a mutation, by parameter."""
    hints = get_type_hints(function)
    return {n: h for n, h in hints.items() if isinstance(h, type) and issubclass(h, Input) and n != "return"}


def mutation(
    function: Function,
    guard: Guard,
    entities: "Mapping[str, Entity]",
    service: str = "",
    telling: "citizens_code.Telling | None" = None,
) -> Function:
    """A resolver of a mutation: validated input, one transaction, and the refusal that rolled it back as an answer. With
    `telling` it takes the code of a person who is assisted."""
    provided = injections(function)
    hints, models = get_type_hints(function), input_models(function)
    kind = function.__name__

    async def resolve(info: Info[Operation, None], **arguments: Any) -> Any:
        operation = info.context
        guard.require(operation.caller)
        try:
            plain = _given({n: a for n, a in arguments.items() if n not in models})
            inputs = {n: validated(model, arguments[n]) for n, model in models.items() if n in arguments}
            for sent in inputs.values():
                properties.require(sent, operation.caller)
            given = {**plain, **inputs}
            key = next((k for m in given.values() if (k := getattr(m, "idempotency_key", None)) is not None), None)
            async with operation.database.transaction() as db:
                await nonces.claim(db, operation, str(info.path.key))
                await grants.share(operation, db)
                log = operation.log.of_a_change()
                injected = provide(provided, operation, db, log)

                data = {n: values(a) for n, a in arguments.items()}

                async def words() -> Words:
                    assert telling is not None  # noqa: S101 - asked where there is one
                    return await telling(**provide(injections(telling), operation, db, log), **given)

                async def act() -> Any:
                    if telling is not None:
                        await citizens_code.require(db, operation, citizens_code.digest(service, kind, data), words)
                    return await function(**injected, **given)

                if key is None:
                    result = await _kept(act)
                else:
                    result = await idempotency.once(db, operation, kind, key, data, entities, act)
                await grants.require_consent(operation, db, log)
                await log.write(db, Act.CHANGE, only_fetch())
                if operation.reliances:
                    await db.flush()  # all is written now: nothing but the commit comes after the last look
                    operation.require_reliances()
                return result
        except Refusal as refused:
            return refused.answer()
        except citizens_code.CodeRequired as required:
            async with operation.database.transaction() as db:
                db.emit(required.proposed)
            raise faults.Faulted(faults.CITIZEN_CODE_REQUIRED, act=required.proposed.act) from None
        finally:
            await operation.close()

    dressed = _dressed(resolve, function, provided)
    replaced = {n: graphql_input(m) for n, m in models.items()}
    signature = inspect.signature(dressed)
    parameters = [p.replace(annotation=replaced.get(p.name, p.annotation)) for p in signature.parameters.values()]
    name = "".join(part.title() for part in kind.split("_")) + "Result"
    returned = hints["return"]
    result = Annotated[returned | Refused, strawberry.union(name)]  # type: ignore[valid-type] # built from a value
    return _sign(dressed, inspect.Signature(parameters, return_annotation=result | None))


async def _kept(act: Callable[[], Awaitable[Any]]) -> Any:
    """What a mutation makes; or the refusal that leaves standing what was done before it, as an answer."""
    try:
        return await act()
    except Refusal as refused:
        if not refused.keeps:
            raise
        return refused.answer()


def subscription(function: Function, guard: Guard) -> Function:
    """A resolver of a subscription: an async generator whose rights are checked before its first event."""
    provided = injections(function)

    async def resolve(info: Info[Operation, None], **arguments: Any) -> AsyncIterator[Any]:
        operation = info.context
        guard.require(operation.caller)
        given = _given(arguments)
        async for item in function(**provide(provided, operation, path=info.path), **given):
            yield item

    return _dressed(resolve, function, provided)


def class_fields(cls: type) -> dict[str, tuple[Function, Mark]]:
    """The public functions of a class that become GraphQL fields, and what `field` says of each."""
    found: dict[str, tuple[Function, Mark]] = {}
    for name, member in vars(cls).items():
        if inspect.isfunction(member) and not name.startswith("_") and name != "find":
            found[name] = (member, getattr(member, _MARK, Mark()))
    return found


@cache
def needed(requires: str) -> tuple[str, ...]:
    """The Python names of the fields at the top of a `requires` selection."""
    (operation,) = parse("{" + requires + "}").definitions
    assert isinstance(operation, OperationDefinitionNode)  # noqa: S101 - parsed from a selection
    return tuple(to_snake(n.name.value) for n in operation.selection_set.selections if isinstance(n, FieldNode))


def requires_directive(requires: str | None) -> list[object]:
    """`@requires`, or nothing."""
    return [Requires(fields=requires)] if requires else []  # type: ignore[arg-type]


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that were given. Raises Faulted BAD_USER_INPUT for a hostile character in one of them."""
    for name, value in arguments.items():
        if (found := find_hostile(values(value), name)) is not None:
            english, french = explain("hostile_character", {"character": found[1]})
            details = {"detail_en": f"{found[0]}: {english}", "detail_fr": f"{found[0]} : {french}"}
            raise faults.Faulted(faults.BAD_USER_INPUT, field=found[0], **details)
    return {name: value for name, value in arguments.items() if value is not UNSET}


def _dressed(
    resolve: Function,
    function: Function,
    provided: Mapping[str, str],
    owner: type | None = None,
    nullable: bool = False,
) -> Function:
    """The resolver with the signature that Strawberry reads: the function's own, less what is injected."""
    original = inspect.signature(function)
    try:  # a method may name its own class, which is not bound yet while its decorator runs
        hints = get_type_hints(function, localns={owner.__name__: owner} if owner else None, include_extras=True)
    except NameError:  # a class that follows further down: Strawberry looks again when the schema is built
        hints = function.__annotations__
    returned = hints["return"]
    if nullable and not isinstance(returned, str):
        returned = returned | None
    first = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)] if owner else []
    info = inspect.Parameter("info", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Info)
    rest = [
        p.replace(
            kind=inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[p.name],
            default=UNSET if p.default is None else p.default,  # the schema shows no `= null`
        )
        for p in original.parameters.values()
        if p.name not in provided and p.name != "self"
    ]
    resolve.__name__, resolve.__module__, resolve.__doc__ = function.__name__, function.__module__, function.__doc__
    resolve.__qualname__ = function.__qualname__
    return _sign(resolve, inspect.Signature([*first, info, *rest], return_annotation=returned))


def _sign(resolve: Function, signature: inspect.Signature) -> Function:
    resolve.__signature__ = signature  # type: ignore[attr-defined]
    annotations = {p.name: p.annotation for p in signature.parameters.values() if p.annotation is not p.empty}
    resolve.__annotations__ = {**annotations, "return": signature.return_annotation}
    return resolve
