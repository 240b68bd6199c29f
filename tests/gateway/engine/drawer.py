"""Draws valid operations at random: conditions anywhere, aliases, fragments on every abstract type, repeated fields.

The same seed always draws the same operation.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OverlappingFieldsCanBeMergedRule,
    do_types_overlap,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
    parse,
    validate,
)

Json = dict[str, Any]
DEPTHS = (3, 5, 5, 5, 9)
ALIASES = ("alias", "id", "name", "code", "ref", "_id_1", "__typename")  # among them what a planner may ask for itself
META = (
    "__schema { queryType { name kind: __typename } }",
    '__type(name: "Query") { ...Kind } ',
    '__type(name: "nothing") { name }',
)
DOUBTFUL = (OverlappingFieldsCanBeMergedRule,)  # all else is valid as it is drawn


@dataclass(frozen=True, slots=True)
class Drawn:
    """An operation and its variables."""

    text: str
    variables: Json


@dataclass
class _Scope:
    """Which field each response key of one response position means, so that most draws can be merged."""

    meanings: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    below: dict[str, "_Scope"] = field(default_factory=dict)


class Drawer:
    """Draws operations for one schema."""

    def __init__(
        self, schema: GraphQLSchema, seed: int, ids: Sequence[str] = ("a", "b"), *, defers: bool = False
    ) -> None:
        """With `defers`, some fragments are deferred."""
        self._schema, self._ids, self._defers = schema, ids, defers
        self._chance = random.Random(seed)
        self._abstract = [t for t in schema.type_map.values() if isinstance(t, GraphQLInterfaceType | GraphQLUnionType)]

    def operation(self, kind: str = "query") -> Drawn:
        """A valid operation. Draws until one is."""
        while True:
            drawn = self._attempt(kind)
            if not validate(self._schema, parse(drawn.text), DOUBTFUL, max_errors=1):
                return drawn

    def _attempt(self, kind: str) -> Drawn:
        self._budget = self._chance.choice((6, 15, 40, 40, 80))
        self._fragments: list[str] = []
        self._open: list[tuple[str, str, _Scope]] = []  # fragments that can be spread again
        self._variables: dict[str, tuple[str, Any]] = {}
        self._labels = 0
        root = self._schema.query_type if kind == "query" else self._schema.mutation_type
        assert root is not None
        body = self._selections(root, _Scope(), self._chance.choice(DEPTHS), root=True)
        if kind == "query" and self._some(0.05):
            body = self._with_meta(body)
        used = " ".join((body, *self._fragments))
        named = {n: v for n, v in self._variables.items() if f"${n}" in used}
        declared = ", ".join(f"${name}: {type_}" for name, (type_, _) in named.items())
        text = " ".join((f"{kind} Drawn{f'({declared})' if declared else ''} {body}", *self._fragments))
        return Drawn(text, {n: v for n, (_, v) in named.items() if v is not ...})

    def _with_meta(self, body: str) -> str:
        """What is asked of the schema itself, among the rest."""
        meta = self._chance.choice(META)
        if "...Kind" in meta:
            self._fragments.append(f"fragment Kind on __Type {{ kind{self._condition()} name }}")
        return f"{{ {self._chance.choice(('', 'meta: '))}{meta} {body[1:]}"

    def _some(self, part: float) -> bool:
        return self._chance.random() < part

    def _condition(self) -> str:
        """Seldom a @skip or @include, by literal or by variable, or both."""
        if not self._some(0.12):
            return ""
        found = []
        for name in self._chance.sample(("skip", "include"), 1 if self._some(0.85) else 2):
            value = self._chance.choice(("true", "false", "$yes", "$no", "$maybe"))
            if value.startswith("$"):
                default = " = true" if value == "$maybe" else ""
                given = {"$yes": True, "$no": False, "$maybe": ...}[value]
                self._variables[value[1:]] = (f"Boolean!{default}" if not default else f"Boolean{default}", given)
            found.append(f" @{name}(if: {value})")
        return "".join(found)

    def _selections(self, type_: Any, scope: _Scope, depth: int, *, root: bool = False) -> str:
        parts: list[str] = []
        for _ in range(self._chance.choice((1, 2, 2, 3, 4, 5) if not root else (1, 2, 3))):
            self._budget -= 1
            if (self._budget < 0 or depth <= 0) and parts:
                break
            parts.append(self._selection(type_, scope, depth))
        return "{ " + " ".join(parts) + " }"

    def _selection(self, type_: Any, scope: _Scope, depth: int) -> str:
        abstract = isinstance(type_, GraphQLInterfaceType | GraphQLUnionType)
        if self._some(0.55 if abstract else 0.15) and depth > 0 and self._budget > 0:
            return self._fragment(type_, scope, depth)
        fields = list(type_.fields.items()) if not isinstance(type_, GraphQLUnionType) else []
        if depth <= 0 or self._budget <= 0:
            fields = [(n, f) for n, f in fields if not is_composite_type(get_named_type(f.type))]
        if not fields or self._some(0.1):
            return self._typename(scope) + self._condition()
        return self._field(type_, self._chance.choice(fields), scope, depth)

    def _typename(self, scope: _Scope) -> str:
        meaning = ("__typename", "", "")
        key = self._key("__typename", meaning, scope)
        return "__typename" if key == "__typename" else f"{key}: __typename"

    def _field(self, type_: Any, named: tuple[str, GraphQLField], scope: _Scope, depth: int) -> str:
        name, found = named
        arguments = self._arguments(found.args)
        owner = type_.name if isinstance(type_, GraphQLObjectType) else ""
        key = self._key(name, (name, arguments, f"{owner} {found.type}"), scope)
        text = (name if key == name else f"{key}: {name}") + arguments + self._condition()
        below = get_named_type(found.type)
        if is_composite_type(below):
            text += " " + self._selections(below, scope.below.setdefault(key, _Scope()), depth - 1)
        return text

    def _key(self, name: str, meaning: tuple[str, str, str], scope: _Scope) -> str:
        """A response key: the name, a free alias, or, rarely, an alias that is another field's name."""
        key = name
        if self._some(0.35):
            key = self._chance.choice((f"{name[:2]}_x", *(["alias"] if self._some(0.6) else ALIASES)))
        number = 0
        while not _mergeable(scope.meanings.setdefault(key, meaning), meaning):
            number += 1
            key = f"{name}_{number}"
        return key

    def _fragment(self, type_: Any, scope: _Scope, depth: int) -> str:
        again = [name for name, condition, s in self._open if s is scope and self._overlap(type_, condition)]
        later = self._deferral(type_)
        if again and self._some(0.3):
            return f"...{self._chance.choice(again)}{self._condition()}{later}"
        condition = self._conditioned(type_)
        narrow = self._schema.type_map[condition] if condition else type_
        inner = self._selections(narrow, scope, depth - 1)
        if condition and self._some(0.3):
            name = f"F{len(self._fragments)}"
            self._fragments.append(f"fragment {name} on {condition} {inner}")
            self._open.append((name, condition, scope))
            return f"...{name}{self._condition()}{later}"
        return f"...{f' on {condition}' if condition else ''}{self._condition()}{later} {inner}"

    def _deferral(self, type_: Any) -> str:
        """Often a @defer, where one may be: with or without a label, at times by a condition."""
        if not self._defers or type_ is self._schema.mutation_type or not self._some(0.6):
            return ""
        given = []
        if self._some(0.5):
            self._labels += 1
            given.append(f'label: "d{self._labels}"')
        if self._some(0.25):
            value = self._chance.choice(("true", "false", "$yes", "$no", "$maybe"))
            given.append(f"if: {value}")
            if value.startswith("$"):
                self._variables[value[1:]] = {
                    "$yes": ("Boolean!", True),
                    "$no": ("Boolean!", False),
                    "$maybe": ("Boolean = true", ...),
                }[value]
        return f" @defer({', '.join(given)})" if given else " @defer"

    def _overlap(self, type_: Any, other: str) -> bool:
        found = self._schema.type_map[other]
        return do_types_overlap(self._schema, type_, found)  # type: ignore[arg-type] # a composite type

    def _conditioned(self, type_: Any) -> str:
        """A type condition that can hold: an object type, an interface, a union, the type itself, or none."""
        if self._some(0.1):
            return ""
        composite = [
            t
            for t in self._schema.type_map.values()
            if isinstance(t, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
            and not t.name.startswith("__")
            and do_types_overlap(self._schema, type_, t)
        ]
        return self._chance.choice(composite).name

    # -- arguments

    def _arguments(self, found: dict[str, GraphQLArgument]) -> str:
        given = []
        for name, argument in found.items():
            if not is_required_argument(argument) and self._some(0.4):
                continue
            given.append(f"{name}: {self._given(argument.type)}")
        self._chance.shuffle(given)
        return f"({', '.join(given)})" if given else ""

    def _given(self, type_: Any) -> str:
        if not self._some(0.4):
            return self._literal(type_)
        for name, (held, _) in self._variables.items():
            if held == str(type_) and self._some(0.5):
                return f"${name}"
        name = f"v{len(self._variables)}"
        certain = isinstance(type_, GraphQLNonNull)
        missing, declared = not certain and self._some(0.15), str(type_)
        self._variables[name] = (declared, None)  # taken, also while its default is drawn
        if self._some(0.2):  # with a default, what may not be null can be left out
            nullable = type_.of_type if certain else type_
            default = _literal(self._present(nullable), nullable)
            declared, missing = f"{nullable} = {default}", missing or self._some(0.5)
        self._variables[name] = (declared, ... if missing else self._plain(type_))
        return f"${name}"

    def _plain(self, type_: Any) -> Any:
        """A value as JSON."""
        if isinstance(type_, GraphQLNonNull):
            return self._present(type_.of_type)
        return None if self._some(0.15) else self._present(type_)

    def _present(self, type_: Any) -> Any:
        if isinstance(type_, GraphQLList):
            return [self._plain(type_.of_type) for _ in range(self._chance.choice((0, 1, 2)))]
        if isinstance(type_, GraphQLEnumType):
            return self._chance.choice(sorted(type_.values))
        if isinstance(type_, GraphQLInputObjectType):
            return {
                name: self._plain(item.type)
                for name, item in type_.fields.items()
                if is_required_input_field(item) or self._some(0.4)
            }
        choices: Json = {"Int": self._chance.choice((1, 2, 7)), "Float": 0.5, "Boolean": True, "String": 't"e\nx'}
        if type_.name == "ID":
            return self._chance.choice(self._ids)
        return choices.get(type_.name, {"any": [1, None]})

    def _literal(self, type_: Any) -> str:
        """A value as a GraphQL literal, seldom with variables in it."""
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        elif self._some(0.15):
            return "null"
        if isinstance(type_, GraphQLList) and self._some(0.7):
            return f"[{', '.join(self._given(type_.of_type) for _ in range(self._chance.choice((0, 1, 2))))}]"
        if isinstance(type_, GraphQLInputObjectType) and self._some(0.7):
            self._budget -= 1
            given = (
                f"{name}: {self._given(item.type)}"
                for name, item in type_.fields.items()
                if is_required_input_field(item) or (self._budget > 0 and self._some(0.5))
            )
            return f"{{{', '.join(given)}}}"
        return _literal(self._present(type_), type_)


def _literal(value: Any, type_: Any) -> str:
    """A JSON value as a GraphQL literal."""
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if value is None:
        return "null"
    if isinstance(type_, GraphQLEnumType):
        return str(value)
    if isinstance(value, list):
        inner = type_.of_type if isinstance(type_, GraphQLList) else None
        return "[" + ", ".join(_literal(item, inner) for item in value) + "]"
    if isinstance(value, dict):
        fields = type_.fields if isinstance(type_, GraphQLInputObjectType) else {}
        return (
            "{"
            + ", ".join(f"{n}: {_literal(v, fields[n].type if n in fields else None)}" for n, v in value.items())
            + "}"
        )
    if isinstance(value, str):
        return '"' + value.replace('"', '\\"').replace("\n", "\\n") + '"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mergeable(held: tuple[str, str, str], new: tuple[str, str, str]) -> bool:
    if held[:2] == new[:2]:
        return True
    (owner, _, shape), (other, _, shape_new) = held[2].partition(" "), new[2].partition(" ")
    return bool(owner and other and owner != other and shape == shape_new)


def in_chunks(first: int, count: int, size: int, fast: int = 2) -> list[Any]:
    """Where chunks of a series begin: the first ones are for every run, the others for `make test-stack` and `make fuzz`."""
    begins = range(first, first + count, size)
    return [pytest.param(begin, marks=[] if n < fast else [pytest.mark.stack]) for n, begin in enumerate(begins)]
