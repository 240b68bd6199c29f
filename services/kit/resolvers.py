"""Turns a service's plain functions into resolvers: injects `Db`, `Caller`, `AccessLog` and `Feed` by annotation, checks the
scope first, refuses hostile text, and runs a mutation in its one transaction."""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import strawberry
from graphql import FieldNode, OperationDefinitionNode, parse
from pydantic.alias_generators import to_snake
from strawberry.federation.schema_directives import External, ListSize, Requires, RequiresScopes
from strawberry.types import Info
from strawberry.types.unset import UNSET

from services.kit import faults, idempotency
from services.kit.access_log import AccessLog, Act, only_fetch
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.feed import Feed
from services.kit.inputs import Input, explain, find_hostile, graphql_input, validated, values
from services.kit.operation import Operation
from services.kit.pages import DEFAULT_PAGE, Connection
from services.kit.refusals import Refusal, Refused

if TYPE_CHECKING:
    from services.kit.entities import Entity

Function = Callable[..., Any]
# Annotations may be quoted, so names count as well as classes.
_INJECTED: Mapping[Any, str] = {k: c.__name__ for c in (Db, Caller, AccessLog, Feed) for k in (c, c.__name__)}
_MARK = "__onedoor_field__"


def external(scope: str | None = None) -> Any:
    """A field that another service owns and this one needs for a `requires`; `scope` is the owner's, repeated on the
    dependent field because composition asks for it."""
    return strawberry.field(directives=[External()], default=None, metadata={"scope": scope})


def field(*, scope: str | None = None, requires: str | None = None, name: str | None = None) -> Callable[[Any], Any]:
    """Gives a method of an entity or type its own scope, the external fields it requires, or another GraphQL name."""

    def mark(function: Any) -> Any:
        setattr(function, _MARK, (scope, requires, name))
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
    provided: Mapping[str, str], operation: Operation, db: Db | None = None, log: AccessLog | None = None
) -> dict[str, Any]:
    """The injected arguments; `db` and `log` are a mutation's own transaction and what is committed with it, elsewhere the
    operation's reader and what it reads."""
    sources: Mapping[str, Callable[[], Any]] = {
        "Db": lambda: db or operation.reader,
        "Caller": lambda: operation.caller,
        "AccessLog": lambda: operation.log if log is None else log,
        "Feed": lambda: operation.feed,
    }
    return {name: sources[kind]() for name, kind in provided.items()}


def scopes_directive(*scopes: str | None) -> list[object]:
    """`@requiresScopes` asking for all of the scopes, or nothing."""
    wanted = sorted({s for s in scopes if s})
    return [RequiresScopes(scopes=[wanted])] if wanted else []


def size_directive(function: Function) -> list[object]:
    """`@listSize` for a field that takes `first`, so that a gateway can tell what an operation costs before it asks."""
    signature = inspect.signature(function)
    if "first" not in signature.parameters:
        return []
    returned = signature.return_annotation
    kinds = [
        get_origin(kind) or kind for kind in (get_args(returned) if isinstance(returned, UnionType) else [returned])
    ]
    if list not in kinds and Connection not in kinds:
        return []
    return [
        ListSize(
            assumed_size=DEFAULT_PAGE,
            slicing_arguments=["first"],
            sized_fields=["edges"] if Connection in kinds else UNSET,
            require_one_slicing_argument=False,
        )
    ]


def reader(function: Function, scope: str | None) -> Function:
    """A resolver of a root query field."""
    provided = injections(function)
    waits = inspect.iscoroutinefunction(function)

    async def resolve(info: Info[Operation, None], **arguments: Any) -> Any:
        operation = info.context
        operation.caller.require(scope)
        given = _given(arguments)
        result = function(**provide(provided, operation), **given)
        return await result if waits else result

    return _dressed(resolve, function, provided, nullable=True)


def method(
    function: Function, scopes: Sequence[str | None], requires: str | None, owner: type, nullable: bool
) -> Function:
    """A resolver of a field of a type, for who holds all its scopes. A required field that came null makes this one
    null, with an error."""
    provided = injections(function)
    waits = inspect.iscoroutinefunction(function)
    wanted = needed(requires) if requires else ()

    async def resolve(self: Any, info: Info[Operation, None], **arguments: Any) -> Any:
        operation = info.context
        for scope in scopes:
            operation.caller.require(scope)
        given = _given(arguments)
        for name in wanted:
            if getattr(self, name) is None:
                raise faults.Faulted(faults.REQUIRED_FIELD_MISSING, required=name)
        result = function(self, **provide(provided, operation), **given)
        return await result if waits else result

    return _dressed(resolve, function, provided, owner, nullable)


def mutation(function: Function, scope: str | None, entities: "Mapping[str, Entity]") -> Function:
    """A resolver of a mutation: validated input, one transaction, and the refusal that rolled it back as an answer."""
    provided = injections(function)
    hints = get_type_hints(function)
    models = {n: h for n, h in hints.items() if isinstance(h, type) and issubclass(h, Input) and n != "return"}
    kind = function.__name__

    async def resolve(info: Info[Operation, None], **arguments: Any) -> Any:
        operation = info.context
        operation.caller.require(scope)
        try:
            plain = _given({n: a for n, a in arguments.items() if n not in models})
            given = {**plain, **{n: validated(model, arguments[n]) for n, model in models.items() if n in arguments}}
            key = next((k for m in given.values() if (k := getattr(m, "idempotency_key", None)) is not None), None)
            async with operation.database.transaction() as db:
                log = AccessLog(operation.caller.subject)
                injected = provide(provided, operation, db, log)

                async def act() -> Any:
                    return await function(**injected, **given)

                if key is None:
                    result = await act()
                else:
                    data = {n: values(a) for n, a in arguments.items()}
                    result = await idempotency.once(db, operation, kind, key, data, entities, act)
                await log.write(db, Act.CHANGE, only_fetch())
                return result
        except Refusal as refused:
            return refused.answer()
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


def subscription(function: Function, scope: str | None) -> Function:
    """A resolver of a subscription: an async generator whose rights are checked before its first event."""
    provided = injections(function)

    async def resolve(info: Info[Operation, None], **arguments: Any) -> AsyncIterator[Any]:
        operation = info.context
        operation.caller.require(scope)
        given = _given(arguments)
        async for item in function(**provide(provided, operation), **given):
            yield item

    return _dressed(resolve, function, provided)


def class_fields(cls: type) -> dict[str, tuple[Function, str | None, str | None, str | None]]:
    """The public functions of a class that become GraphQL fields: name → (function, scope, requires, GraphQL name)."""
    found = {}
    for name, member in vars(cls).items():
        if inspect.isfunction(member) and not name.startswith("_") and name != "find":
            found[name] = (member, *getattr(member, _MARK, (None, None, None)))
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
