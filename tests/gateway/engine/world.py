"""One set of invented data, served twice: whole, behind the schema that clients see, and by strict subgraphs.

The data needs no tables: a value is a function of its row, its field and its arguments. A strict subgraph answers nothing
that its SDL does not entitle it to: an @external field only where a key or a @provides covers it, a @requires field only if
every required value was sent and is right, a field that another subgraph overrides never.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FieldsOnCorrectTypeRule,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    InlineFragmentNode,
    KnownArgumentNamesRule,
    NoUndefinedVariablesRule,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    PossibleFragmentSpreadsRule,
    ProvidedRequiredArgumentsRule,
    ScalarLeafsRule,
    SelectionSetNode,
    UniqueArgumentNamesRule,
    ValuesOfCorrectTypeRule,
    VariablesInAllowedPositionRule,
    execute_sync,
    get_argument_values,
    get_named_type,
    get_operation_ast,
    get_variable_values,
    parse,
    print_ast,
    validate,
)

from gateway.engine.access import Access
from gateway.engine.execution import Execution, Request
from gateway.engine.normalise import condition_variables
from gateway.engine.planner import NoResolvablePath, plan_operation
from gateway.engine.projection import Projection
from gateway.engine.supergraph import Supergraph, load_supergraph
from gateway.operations import only_introspection
from tests.gateway.engine.parts import Part
from tests.gateway.engine.rights import Rights, Stated
from tests.gateway.engine.wire import read, written

Json = dict[str, Any]
Place = tuple[str | int, ...]
RULES = (  # those that a plan could break
    FieldsOnCorrectTypeRule,
    KnownArgumentNamesRule,
    NoUndefinedVariablesRule,
    NoUnusedVariablesRule,
    OverlappingFieldsCanBeMergedRule,
    PossibleFragmentSpreadsRule,
    ProvidedRequiredArgumentsRule,
    ScalarLeafsRule,
    UniqueArgumentNamesRule,
    ValuesOfCorrectTypeRule,
    VariablesInAllowedPositionRule,
)
ROWS, LOST = 4, 1  # of each type; the one that may be lost


@dataclass(frozen=True, slots=True)
class Row:
    """A thing that the data speaks of: the `number`th of its type."""

    type: str
    number: int


class Strict(GraphQLError):
    """A subgraph was asked for what it is not entitled to answer."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row in a subgraph: what a @provides grants on it, and the representation that it was looked up by."""

    row: Row
    granted: tuple[SelectionSetNode, ...] = ()
    sent: Json | None = None


@dataclass
class World:
    """The data and its two servers. `labels` are the labels of @override(label:) that hold. With `faults`, some leaves
    that nothing else depends on fail, the same in both forms. `away` are rows that a subgraph cannot find, each as
    "subgraph Type number": of those the whole knows nothing. `plain` data has nulls in the last row of a type only, and no
    list is empty. `stated` is who may see what, beside what the subgraphs say; `granted` what the caller holds. A subgraph that
    is asked for what the caller may not see refuses, unless it is a key."""

    subgraphs: Mapping[str, str]
    sdl: str
    seed: int = 0
    labels: frozenset[str] = frozenset()
    faults: bool = False
    away: frozenset[str] = frozenset()
    plain: bool = False
    lost: bool = False
    stated: Stated = field(default_factory=dict)
    granted: frozenset[str] = frozenset()
    sent: list[tuple[str, Json]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supergraph: Supergraph = load_supergraph(self.sdl)
        self.parts = {name: Part(name, sdl) for name, sdl in self.subgraphs.items()}
        self.access = Access(self.supergraph)
        self.may(self.granted)
        self._values: dict[tuple[Row, str, str], Any] = {}
        self._found: dict[tuple[str, str], list[GraphQLField]] = {}
        self.identifying = self._keys()
        self._gone = self._losable() if self.lost else {}
        if self.lost:
            self.away = frozenset(f"{part} {type_} {LOST}" for part, type_ in self._gone.values())
        self._overridden = {
            (source, *place)
            for part in self.parts.values()
            for place, (source, label) in part.overrides.items()
            if label is None or label in self.labels
        } | {
            (part.name, *place)
            for part in self.parts.values()
            for place, (source, label) in part.overrides.items()
            if label is not None and label not in self.labels and source in self.parts
        }

    def may(self, granted: frozenset[str]) -> None:
        """Ask from now on for a caller who holds this."""
        told: dict[tuple[str, str | None], list[list[list[str]]]] = {}
        for stated in (self.stated, *(part.stated for part in self.parts.values())):
            for place, asked in stated.items():
                told[place] = told.get(place, []) + asked
        self.rights = Rights(self, told, granted)

    # -- the data

    def value(self, row: Row, name: str, arguments: Json) -> Any:
        """What a field is: rows, lists, leaves, None. An argument named `hidden` is one that clients do not see, and of no
        effect."""
        arguments = _shown(arguments)
        text = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()
        known = (row, name, text)
        if known not in self._values:
            chance = random.Random(f"{self.seed} {row.type} {row.number} {name} {text}")
            types = [found.type for found in self.definitions(row.type, name)]
            self._values[known] = self._draw(chance, types, row, name, text)
        return self._values[known]

    def _draw(self, chance: random.Random, types: list[Any], row: Row, name: str, text: str) -> Any:
        if row.number == LOST and (row.type, name) in self._gone:
            return None
        certain = any(isinstance(t, GraphQLNonNull) for t in types) or (row.type, name) in self.identifying
        if self.faults and chance.random() < 0.06 and self._may_fail(row.type, name.partition(".")[0]):
            return GraphQLError(f"{row.type}.{name} fails")
        types = [t.of_type if isinstance(t, GraphQLNonNull) else t for t in types]
        if not certain and (row.number == ROWS - 1 if self.plain else chance.random() < 0.15):
            return None
        if isinstance(types[0], GraphQLList):
            inner = [t.of_type for t in types]
            items = (
                self._draw(chance, inner, row, f"{name}.{i}", text)
                for i in range(chance.choice((2, 3) if self.plain else (0, 1, 2, 3)))
            )
            return list(items)
        if isinstance(types[0], GraphQLScalarType | GraphQLEnumType):
            return self._leaf(chance, types, row, name, text)
        possible = self._possible(row.type, name.partition(".")[0])
        if not possible:
            if certain:
                raise AssertionError(f"{row.type}.{name} can be of no type")
            return None
        kind = chance.choice(possible)
        if kind in self.supergraph.roots.values():
            return Row(kind, 0)  # there is one of it
        told_apart = (row.type, name) in self.identifying
        return Row(kind, row.number if told_apart else chance.randrange(ROWS))

    def _losable(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Fields that are all null in a row which a subgraph does not find, by type and name, with that subgraph and the type:
        nobody else has them or needs them, and nothing else is found by way of that subgraph."""
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for name, declared in self.supergraph.types.items():
            holders = [part for part in self.parts.values() if part.keys.get(name)]
            told = {tuple(print_ast(fields) for fields, _ in part.keys[name]) for part in holders}
            abstract = any(self.supergraph.types[i].interface_object_in for i in declared.interfaces)
            if declared.kind != "object" or len(told) != 1 or len(next(iter(told))) != 1 or abstract:
                continue
            for part in holders:
                own = [(name, field) for field in declared.fields if self._only_in(part, name, field)]
                held = [(name, field) for field in declared.fields if part.field(name, field)]
                keyed = [place for place in held if place in self.identifying]
                if len(own) + len(keyed) == len(held) and own:
                    found |= dict.fromkeys(own, (part.name, name))
        return found

    def _only_in(self, part: Part, name: str, field: str) -> bool:
        holders = [other for other, _ in self._holders(name, field)]
        return holders == [part] and (name, field) not in self.identifying and self._may_fail(name, field)

    def _may_fail(self, type_name: str, name: str) -> bool:
        """Whether a field can fail without a subgraph and the whole differing rightly in what else is null then: nothing
        needs it, and its nullability is the same everywhere."""
        needed = any(re.search(rf"\b{name}\b", print_ast(s)) for p in self.parts.values() for s in p.field_sets)
        types = {str(found.type) for found in self.definitions(type_name, name)}
        return not needed and len(types) == 1 and (self._uniform or not types.pop().endswith("!"))

    @cached_property
    def _uniform(self) -> bool:
        """Whether nullability is the same everywhere: then a null takes the same with it, whoever says it."""
        return all(
            len({str(found.type) for found in self.definitions(name, field)}) == 1
            for name, declared in self.supergraph.types.items()
            if declared.kind == "object"
            for field in declared.fields
        )

    def _leaf(self, chance: random.Random, types: list[Any], row: Row, name: str, text: str) -> Any:
        if isinstance(types[0], GraphQLEnumType):
            shared = set.intersection(*(set(t.values) for t in types))
            return chance.choice(sorted(shared)) if shared else None
        kind = types[0].name
        if kind == "Int":
            return row.number if (row.type, name) in self.identifying else chance.randrange(100)
        if kind == "Float":
            return chance.randrange(100) / 4
        if kind == "Boolean":
            return chance.random() < 0.5
        told = f"{row.type}{row.number}.{name}" + ("" if text == "{}" else text)
        return told if kind in ("ID", "String") else {"scalar": told, "list": [1, None]}

    def _keys(self) -> set[tuple[str, str]]:
        """The fields by which rows are told apart: never null, and different on each row."""
        found: set[tuple[str, str]] = set()
        for part in self.parts.values():
            for name, keys in part.keys.items():
                for fields, _ in keys:
                    for type_name in {name, *self.concrete(name)}:
                        self._identify(part, type_name, fields, found)
        return found

    def _identify(self, part: Part, name: str, fields: SelectionSetNode, found: set[tuple[str, str]]) -> None:
        for item in fields.selections:
            assert isinstance(item, FieldNode)
            found.add((name, item.name.value))
            if item.selection_set is not None:
                for holder in self.parts.values():
                    held = holder.field(name, item.name.value)
                    if held is not None:
                        below = get_named_type(held.type).name
                        for type_name in {below, *self.concrete(below)}:
                            self._identify(part, type_name, item.selection_set, found)

    def concrete(self, name: str) -> list[str]:
        """The object types that a value of a type can be anywhere."""
        return sorted(self.supergraph.possible(name)) if name in self.supergraph.types else []

    def definitions(self, type_name: str, name: str) -> list[GraphQLField]:
        """Every subgraph's definition of a field, by way of interface objects too."""
        known = self._found.get((type_name, name))
        if known is None:
            known = [found for _, found in self._holders(type_name, name)]
            self._found[type_name, name] = known
        assert known, f"{type_name}.{name}"
        return known

    def _holders(self, type_name: str, name: str) -> Iterator[tuple[Part, GraphQLField]]:
        interfaces = self.supergraph.types[type_name].interfaces
        for part in self.parts.values():
            for owner in (type_name, *sorted(interfaces & part.interface_objects)):
                found = part.field(owner, name)
                if found is not None:
                    yield part, found

    def _possible(self, type_name: str, name: str) -> list[str]:
        """The object types that a field's value can have in every subgraph that resolves it."""
        shared: set[str] | None = None
        for part, found in self._holders(type_name, name):
            if (type_name, name) in part.external and (type_name, name) not in self.identifying:
                continue
            kind = get_named_type(found.type)
            if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
                here = {t.name for t in part.schema.get_possible_types(kind)}
            else:
                here = set(self.concrete(kind.name))
            shared = here if shared is None else shared & here
        return sorted(shared or ())

    @property
    def is_possible(self) -> bool:
        """Whether there is a value for each field: none is where a subgraph promises one of types of which another knows none."""
        return all(
            self._possible(name, field)
            for name, declared in self.supergraph.types.items()
            if declared.kind == "object"
            for field in declared.fields
            if any("!" in str(found.type) for found in self.definitions(name, field))
            and not isinstance(
                get_named_type(self.definitions(name, field)[0].type), GraphQLScalarType | GraphQLEnumType
            )
        )

    # -- the whole

    def whole(self, document: DocumentNode, variables: Json) -> tuple[Json | None, set[Place], list[str]]:
        """The judge's answer: data, where errors are, and the mutations in the order in which they ran."""
        calls: list[str] = []
        done = execute_sync(
            self.supergraph.api_schema,
            document,
            variable_values=variables,
            field_resolver=self.resolver(calls),
            type_resolver=lambda value, *_: value.type,
        )
        return done.data, {tuple(error.path or ()) for error in done.errors or ()}, calls

    def resolver(self, calls: list[str]) -> Callable[..., Any]:
        """Resolves the fields of one operation on the plain schema; notes the mutations in the order in which they run."""
        rows: dict[Place, Row] = {}

        def resolve(source: Row | None, info: Any, **arguments: Any) -> Any:
            row = source or Row(info.parent_type.name, 0)
            at = tuple(info.path.as_list()[:-1])
            rows[at] = row
            above = [rows[at[:n]] for n in range(len(at) - 1, -1, -1) if at[:n] in rows]
            arguments |= self._told(row, info.field_name, above)
            if self.rights.denies(row.type, info.field_name):
                raise GraphQLError("The caller may not see this.")
            if row.type == "Mutation":
                calls.append(f"{info.field_name} {_shown(arguments)}")
            return self.value(row, info.field_name, arguments)

        return resolve

    def _told(self, row: Row, name: str, above: list[Row]) -> Json:
        """What a field's arguments are told from the nearest of the rows above that sets their context."""
        told: Json = {}
        for part in self.parts.values():
            for argument, (context, fields) in part.contextual.get((row.type, name), {}).items():
                setting = {concrete for t in part.contexts[context] for concrete in self.concrete(t)}
                at = next(i for i, held in enumerate(above) if held.type in setting)
                told[argument] = self._read(above[at], fields, above[at + 1 :])
        return told

    def _read(self, value: Any, fields: SelectionSetNode, above: list[Row]) -> Any:
        """What a context's selection gives of a row: the first field of those that hold for its type."""
        if isinstance(value, list):
            return [self._read(item, fields, above) for item in value]
        for item in fields.selections if isinstance(value, Row) else ():
            if isinstance(item, InlineFragmentNode):
                assert item.type_condition is not None
                if value.type in self.concrete(item.type_condition.name.value):
                    return self._read(value, item.selection_set, above)
            else:
                assert isinstance(item, FieldNode)
                name = item.name.value
                if name == "__typename":
                    return value.type
                found = self.value(value, name, self._told(value, name, above))
                return self._read(found, item.selection_set, [value, *above]) if item.selection_set else found
        return None

    # -- the parts

    def serve(self, request: Request) -> Json:
        """What the strict subgraph of a request answers. Raises AssertionError for a document that it would refuse."""
        body = orjson.loads(request.body)
        self.sent.append((request.fetch.subgraph, body))
        return self.answer(request.fetch.subgraph, body["query"], body.get("variables"))

    def answer(self, subgraph: str, text: str, variables: Json | None) -> Json:
        """What a strict subgraph answers. Raises AssertionError for a document that it would refuse."""
        part = self.parts[subgraph]
        document = parse(text)
        problems = validate(part.schema, document, RULES)
        assert not problems, f"{part.name} refuses {text}: {problems}"

        def resolve(source: Held | None, info: Any, **arguments: Any) -> Any:
            if info.field_name == "_entities":
                return [self._entity(part, sent) for sent in arguments["representations"]]
            held = source or Held(Row(info.parent_type.name, 0))
            if held.row.type == "Mutation":
                self.calls.append(f"{info.field_name} {_shown(arguments)}")
            return self._resolved(part, held, info.parent_type, info.field_name, arguments)

        done = execute_sync(
            part.schema,
            document,
            variable_values=variables,
            field_resolver=resolve,
            type_resolver=lambda value, *_: self._type_in(part, value),
        )
        return {"data": done.data, **({"errors": [e.formatted for e in done.errors]} if done.errors else {})}

    def _type_in(self, part: Part, held: Held) -> str:
        if held.sent is not None and held.sent["__typename"] in part.interface_objects:
            return str(held.sent["__typename"])
        return held.row.type

    def _entity(self, part: Part, sent: Json) -> Held | None:
        name = sent["__typename"]
        for fields, resolvable in part.keys.get(name, ()):
            if not resolvable:
                continue
            for type_name in self.concrete(name):
                for number in range(ROWS):
                    row = Row(type_name, number)
                    if self._holds(sent, row, fields):
                        if f"{part.name} {type_name} {number}" in self.away:
                            return None
                        known = isinstance(part.schema.type_map.get(type_name), GraphQLObjectType)
                        return Held(row, sent=sent) if known or name in part.interface_objects else None
        raise Strict(f"{part.name} finds no {name} by {sent}")

    def _holds(self, sent: Any, row: Any, fields: SelectionSetNode) -> bool:
        """Whether what was sent of a row is there and right."""
        if row is None or sent is None:
            return row is sent
        if isinstance(row, list):
            return (
                isinstance(sent, list)
                and len(sent) == len(row)
                and all(self._holds(s, r, fields) for s, r in zip(sent, row, strict=True))
            )
        for item in fields.selections:
            if isinstance(item, InlineFragmentNode):
                condition = item.type_condition.name.value if item.type_condition else row.type
                if row.type in self.concrete(condition) and not self._holds(sent, row, item.selection_set):
                    return False
                continue
            assert isinstance(item, FieldNode)
            name = item.name.value
            if name not in sent:
                return False
            if name == "__typename":
                continue
            definition = self.definitions(row.type, name)[0]
            true = self.value(row, name, get_argument_values(definition, item))
            if item.selection_set is not None:
                if not self._holds(sent[name], true, item.selection_set):
                    return False
            elif sent[name] != true:
                return False
        return True

    def _resolved(self, part: Part, held: Held, type_: GraphQLObjectType, name: str, arguments: Json) -> Any:
        place = (type_.name, name)
        seen = (held.row.type, name)
        if self.rights.denies(*seen) and seen not in self.identifying:
            raise Strict(f"{part.name} was asked for {seen}, which the caller may not see")
        if (part.name, *place) in self._overridden:
            raise Strict(f"{part.name} gave up {type_.name}.{name}")
        own = [fields for fields, _ in part.keys.get(type_.name, ())]
        granted = [*_below((*held.granted, *own), self, held.row, name)]
        if place in part.external and not granted:
            raise Strict(f"{type_.name}.{name} is external to {part.name}")
        required = part.requires.get(place)
        if required is not None and not (held.sent and self._holds(held.sent, held.row, required)):
            raise Strict(f"{type_.name}.{name} of {part.name} was not sent what it requires, but {held.sent}")
        given = tuple(s for s in granted if s.selections)
        if place in part.provides:
            given += (part.provides[place],)
        return _held(self.value(held.row, name, arguments), given)

    # -- both

    def federated(self, document: DocumentNode, variables: Json) -> tuple[Json | None, list[Json], str]:
        """The gateway's answer from the strict subgraphs: data, errors, and the plan as text."""
        self.sent, self.calls = [], []
        operation = get_operation_ast(document)
        assert operation is not None
        conditions = self.conditions(document, operation, variables)
        denials = self.rights.denials(self.access, document, operation)
        try:
            plan = plan_operation(self.supergraph, document, operation, conditions, self.labels, denials=denials)
        except NoResolvablePath as error:
            return None, [{"message": f"no plan: {error}"}], ""
        execution = Execution(plan, variables)
        while not execution.done:
            for request in execution.ready():
                execution.receive(request.fetch, read(request, self.serve(request)))
        projection = Projection(self.supergraph.api_schema, document, operation, conditions, denials=denials)
        if projection.introspects:
            meta = execute_sync(
                self.supergraph.api_schema, only_introspection(document, operation), variable_values=variables
            )
            execution.data.update(meta.data or {})
        return (
            written(projection.project(execution.data, execution.errors, repeats=execution.repeats)),
            execution.errors,
            str(plan),
        )

    def conditions(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Json
    ) -> dict[str, bool]:
        """The values of the variables that decide about fields."""
        coerced = get_variable_values(self.supergraph.api_schema, operation.variable_definitions or (), variables)
        assert not isinstance(coerced, list), coerced
        return {n: coerced.coerced[n] for n in condition_variables(document) if n in coerced.coerced}

    def difference(self, text: str, variables: Json) -> str | None:
        """How the gateway's answer to an operation differs from the judge's; None when it does not."""
        document = parse(text)
        expected, places, calls = self.whole(document, variables)
        try:
            data, errors, plan = self.federated(document, variables)
        except AssertionError as error:
            return str(error)
        alike = expected is None or calls == self.calls  # a lost answer leaves it open how many mutations ran
        told = {tuple(error.get("path", ())) for error in errors}
        alike &= bool(places) == bool(errors) and {place for place in places if _stands(expected, place)} <= told
        if orjson.dumps(data) != orjson.dumps(expected) or not alike:
            return f"expected {expected}\ngot      {data}\nerrors   {errors[:3]}\n{plan}"
        return None


def _shown(arguments: Json) -> Json:
    return {name: given for name, given in arguments.items() if name != "hidden"}


def _stands(data: Any, place: Place) -> bool:
    """Whether what holds an error's place is still there. Where it was nulled, any one of several errors in it may be told."""
    for part in place[:-1]:
        if data is None:
            return False
        data = data[part]
    return data is not None


def _held(value: Any, granted: tuple[SelectionSetNode, ...]) -> Any:
    if isinstance(value, list):
        return [_held(item, granted) for item in value]
    return Held(value, granted) if isinstance(value, Row) else value


def _below(granted: Sequence[SelectionSetNode], world: World, row: Row, name: str) -> Iterator[SelectionSetNode]:
    """What field sets grant below a field; an empty selection set for a leaf."""
    for fields in granted:
        for item in fields.selections:
            if isinstance(item, InlineFragmentNode):
                condition = item.type_condition.name.value if item.type_condition else row.type
                if row.type in world.concrete(condition):
                    yield from _below((item.selection_set,), world, row, name)
            elif isinstance(item, FieldNode) and item.name.value == name:
                yield item.selection_set or SelectionSetNode(selections=())
            else:
                assert not isinstance(item, FragmentSpreadNode)
