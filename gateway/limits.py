"""What one operation may ask for. Checked once per operation, before it is validated or planned; no I/O.

Before validation, because some of its rules take time in the square of what an operation repeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from gateway import faults as own
from gateway.errors import Json, Refused
from gateway.settings import Limits
from services.kit.language import Language, Words

NAMES: Mapping[str, Words] = MappingProxyType(
    {
        "tokens": Words("tokens", "jetons lexicaux"),
        "depth": Words("depth", "profondeur"),
        "aliases": Words("aliases", "alias"),
        "root_fields": Words("root fields", "champs de premier niveau"),
        "fields": Words("fields, fragments spread out", "champs, fragments développés"),
        "directives": Words("directives in one place", "directives au même endroit"),
        "deferred": Words("deferred fragments, spread out", "fragments différés, développés"),
        "comparisons": Words("comparisons of repeated fields", "comparaisons de champs répétés"),
        "cost": Words("cost", "coût"),
        "rate": Words("cost at once", "coût à la fois"),
        "times": Words("times that one field is asked", "fois que le même champ est demandé"),
        "planning": Words("steps of planning", "étapes de planification"),
    }
)


class OverLimit(Refused):
    """An operation asks for more than is allowed. `found` is its own number, None when counting stopped at `most`."""

    def __init__(self, limit: str, most: float, found: float | None = None) -> None:
        name, has = NAMES[limit], "" if found is None else f" {_text(found)}"
        en, fr = f"{name.en}{has}, at most {_text(most)}", f"{name.fr}{has}, au plus {_text(most)}"
        super().__init__(own.OPERATION_TOO_LARGE, in_graphql=True, detail_en=en, detail_fr=fr)
        self.limit, self.most, self.found = limit, most, found

    def errors(self, request_id: str, language: Language) -> list[Json]:
        """The refusal; for programs the limit's name, what it allows and what the operation has."""
        (error,) = super().errors(request_id, language)
        error["extensions"]["limit"] = {"name": self.limit, "most": self.most, "found": self.found}
        return [error]


def _text(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Size:
    """How much a selection set asks for, fragments spread out; `directives` are the most in one place."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    root_fields: int = 0
    directives: int = 0
    deferred: int = 0


def check(document: DocumentNode, node: OperationDefinitionNode, limits: Limits) -> None:
    """Refuse an operation over a limit. Raises OverLimit."""
    try:
        size = measure(document, node)
    except RecursionError:
        raise OverLimit("depth", limits.depth) from None
    for name in Size.__slots__:
        found, most = getattr(size, name), getattr(limits, name)
        if found > most:
            raise OverLimit(name, most, found)


def names(document: DocumentNode, directive: str) -> bool:
    """Whether a directive stands on any field or fragment of a document."""

    def found(selection_set: SelectionSetNode | None) -> bool:
        for item in selection_set.selections if selection_set else ():
            if any(d.name.value == directive for d in item.directives or ()):
                return True
            if not isinstance(item, FragmentSpreadNode) and found(item.selection_set):  # type: ignore[attr-defined]
                return True
        return False

    return any(
        found(d.selection_set)
        for d in document.definitions
        if isinstance(d, FragmentDefinitionNode | OperationDefinitionNode)
    )


def measure(document: DocumentNode, node: OperationDefinitionNode) -> Size:
    """The size of an operation. Each fragment is measured once, however often it is spread: linear in the text.

    A fragment that is missing or spreads itself counts nothing: validation refuses it.
    """
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    known: dict[str, Size] = {}

    def below(selection_set: SelectionSetNode | None) -> Size:
        depth = fields = aliases = roots = directives = deferred = 0
        for item in selection_set.selections if selection_set else ():
            inner = within(item)
            if isinstance(item, FieldNode):
                depth, roots = max(depth, inner.depth + 1), roots + 1
                fields, aliases = fields + inner.fields + 1, aliases + inner.aliases + (item.alias is not None)
            else:
                depth, roots = max(depth, inner.depth), roots + inner.root_fields
                fields, aliases = fields + inner.fields, aliases + inner.aliases
            directives = max(directives, inner.directives, len(item.directives or ()))
            deferred += inner.deferred + any(d.name.value == "defer" for d in item.directives or ())
        return Size(depth, fields, aliases, roots, directives, deferred)

    def within(item: SelectionNode) -> Size:
        return spread(item.name.value) if isinstance(item, FragmentSpreadNode) else below(item.selection_set)  # type: ignore[attr-defined]

    def spread(name: str) -> Size:
        if name not in known:
            known[name] = Size()
            if name in fragments:
                known[name] = below(fragments[name].selection_set)
        return known[name]

    return below(node.selection_set)
