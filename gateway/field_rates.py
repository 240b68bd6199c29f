"""How often a caller may ask one field, by its owner's word: `@rateLimit(times:, seconds:)` on a root field.

Owners write it into their schemas (the kit: `rate=`), and it reaches the supergraph by @composeDirective. Read once when a
supergraph is loaded. A directive of that name with other arguments is somebody else's, and is left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    value_from_ast_untyped,
)

from gateway.engine.normalise import wanted

ROOTS = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}


@dataclass(frozen=True, slots=True)
class FieldRate:
    """A root field may be asked so many times at once, and so many again in each period of so many seconds."""

    coordinate: str
    times: int
    seconds: int


Counted = tuple[tuple[FieldRate, int], ...]


class FieldRates:
    """The rates of one supergraph."""

    def __init__(self, document: DocumentNode) -> None:
        """Raises ValueError naming a field whose rate is none, or that is no root field: it would not be kept."""
        self._rates: dict[str, FieldRate] = {}
        for node in document.definitions:
            if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
                self._read(node)

    def of(self, document: DocumentNode, node: OperationDefinitionNode, conditions: Mapping[str, bool]) -> Counted:
        """The rated fields that a valid operation asks, and how often: every alias counts, fragments spread out."""
        root = ROOTS[node.operation.value]
        if not any(coordinate.startswith(f"{root}.") for coordinate in self._rates):
            return ()
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        asked: dict[str, str] = {}  # response key → field: a field twice under one key is asked once
        spread: set[str] = set()

        def collect(selection_set: SelectionSetNode) -> None:
            for item in selection_set.selections:
                if not wanted(item.directives, conditions):
                    continue
                if isinstance(item, FieldNode):
                    asked[(item.alias or item.name).value] = item.name.value
                elif not isinstance(item, FragmentSpreadNode):
                    collect(item.selection_set)  # type: ignore[attr-defined]
                elif item.name.value not in spread:
                    spread.add(item.name.value)
                    collect(fragments[item.name.value].selection_set)

        collect(node.selection_set)
        counts: dict[FieldRate, int] = {}
        for name in asked.values():
            if (rate := self._rates.get(f"{root}.{name}")) is not None:
                counts[rate] = counts.get(rate, 0) + 1
        return tuple(counts.items())

    def _read(self, node: ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode) -> None:
        for field in node.fields or ():
            for directive in field.directives or ():
                if directive.name.value != "rateLimit":
                    continue
                given = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
                if given.keys() != {"times", "seconds"}:
                    continue
                coordinate, times, seconds = f"{node.name.value}.{field.name.value}", given["times"], given["seconds"]
                if node.name.value not in ROOTS.values():
                    raise ValueError(f"@rateLimit on {coordinate}: only root fields may carry it")
                if not (isinstance(times, int) and isinstance(seconds, int) and times > 0 and seconds > 0):
                    raise ValueError(f"@rateLimit on {coordinate}: times and seconds must be whole numbers from 1 on")
                self._rates[coordinate] = FieldRate(coordinate, times, seconds)
