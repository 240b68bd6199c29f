"""`_entities`: finds what the gateway refers to by key, in one statement for all rows of a type."""

import asyncio
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLResolveInfo, GraphQLSchema
from graphql.pyutils import Path
from pydantic.alias_generators import to_camel
from sqlmodel import SQLModel
from strawberry.types.base import StrawberryContainer, get_object_definition

from services.kit import faults
from services.kit.database import Db, python_type
from services.kit.inputs import find_hostile
from services.kit.operation import Operation
from services.kit.policies import Guard
from services.kit.resolvers import injections, provide


@dataclass(frozen=True, slots=True)
class Entity:
    """A type that is found by key. `keys` are Python names; a foreign entity is made from its representation alone."""

    cls: type
    keys: tuple[str, ...]
    guard: Guard
    name: str
    foreign: bool = False

    def key_of(self, instance: Any) -> dict[str, Any]:
        """The key of an instance, as a representation holds it."""
        return {to_camel(key): getattr(instance, key) for key in self.keys}

    async def refer(self, operation: Operation, representation: Mapping[str, Any], path: Path) -> Any:
        """The instance that another service refers to, or None, for a path of the answer. Raises Faulted where the entity's guard
        does."""
        self.guard.require(operation.caller)
        return await self.find(operation, representation, path=path)

    async def find(
        self,
        operation: Operation,
        representation: Mapping[str, Any],
        db: Db | None = None,
        path: Path | None = None,
    ) -> Any:
        """The instance of a representation, or None, read by `db` or the operation's reader."""
        key = {name: representation.get(to_camel(name)) for name in self.keys}
        if not all(map(_is_key, key.values())):
            raise faults.Faulted(
                faults.BAD_USER_INPUT,
                detail_en=f"{self.name} is referred to by {', '.join(map(to_camel, self.keys))}",
                detail_fr=f"{self.name} se désigne par {', '.join(map(to_camel, self.keys))}",
            )
        if self.foreign:
            return _instance(self.cls, representation)
        find = getattr(self.cls, "find", None)
        if find is not None:
            return await find(**provide(injections(find), operation, db, path=path), **key)
        assert issubclass(self.cls, SQLModel)  # noqa: S101 - another class without `find` fails when it is declared
        # An ID may come as a number, which PostgreSQL refuses to compare with text.
        typed = {name: str(v) if python_type(getattr(self.cls, name)) is str else v for name, v in key.items()}
        rows = await (db or operation.reader).where(self.cls, **typed)
        return rows[0] if rows else None


def _is_key(value: Any) -> bool:
    """Whether a value can be (part of) a key: one that cannot would fail the statement that serves all the others."""
    return isinstance(value, str | int) and not isinstance(value, bool) and find_hostile(value) is None


def _instance(cls: type, data: Mapping[str, Any]) -> Any:
    """An instance of a type made from what a representation holds; what it does not hold is None."""
    definition = get_object_definition(cls, strict=True)
    values: dict[str, Any] = {}
    for field in definition.fields:
        if field.base_resolver is not None:
            continue
        given = data.get(field.graphql_name or to_camel(field.python_name))
        inner = field.type
        while isinstance(inner, StrawberryContainer):
            inner = inner.of_type
        if isinstance(inner, type) and get_object_definition(inner) is not None:
            given = _nested(inner, given)
        values[field.python_name] = given
    return cls(**values)


def _nested(cls: type, given: Any) -> Any:
    if isinstance(given, list):
        return [_nested(cls, item) for item in given]
    return _instance(cls, given) if isinstance(given, dict) else None


def install(schema: GraphQLSchema, entities: Mapping[str, Entity]) -> None:
    """Answer `_entities` from the registered entities, all at once, so that reads by key are batched."""
    query = schema.query_type
    if query is None or "_entities" not in query.fields:
        return

    async def one(operation: Operation, representation: Any, path: Path) -> Any:
        entity = entities.get(str(representation.get("__typename"))) if isinstance(representation, dict) else None
        if entity is None:
            raise faults.Faulted(
                faults.BAD_USER_INPUT,
                detail_en="a representation is an object whose __typename is an entity of this service",
                detail_fr="une représentation est un objet dont __typename est une entité de ce service",
            )
        return await entity.refer(operation, representation, path)

    async def resolve(_: Any, info: GraphQLResolveInfo[Operation], representations: list[Any]) -> list[Any]:
        wanted = (one(info.context, r, info.path.add_key(at)) for at, r in enumerate(representations))
        # A failed one is an error at its own place; the others are answered.
        return await asyncio.gather(*wanted, return_exceptions=True)

    query.fields["_entities"].resolve = resolve
    union: Any = schema.type_map["_Entity"]
    names = {entity.cls: name for name, entity in entities.items()}
    union.resolve_type = lambda value, *_: names.get(type(value))


def check(entity: Entity) -> None:
    """Raises TypeError when nothing says how an entity is found."""
    if (
        not entity.foreign
        and not issubclass(entity.cls, SQLModel)
        and not inspect.ismethod(getattr(entity.cls, "find", None))
    ):
        raise TypeError(f"{entity.name} is no table: give it a classmethod find({', '.join(entity.keys)}, ...)")
