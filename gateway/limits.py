"""What one operation may ask for. Checked once per operation, after validation and before planning; no I/O."""

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from gateway.settings import Limits


class OverLimit(Exception):
    """An operation asks for more than is allowed; `limit` says which limit and its value."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Size:
    """How much a selection set asks for, fragments spread out."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    roots: int = 0


def check(document: DocumentNode, node: OperationDefinitionNode, limits: Limits) -> None:
    """Refuse an operation over a limit. The document is valid, so that its fragments have no cycle. Raises OverLimit."""
    size = measure(document, node)
    for name, value, most in (
        ("depth", size.depth, limits.depth),
        ("aliases", size.aliases, limits.aliases),
        ("root fields", size.roots, limits.root_fields),
        ("fields", size.fields, limits.fields),
    ):
        if value > most:
            raise OverLimit(f"{name} {most}")


def measure(document: DocumentNode, node: OperationDefinitionNode) -> Size:
    """The size of an operation. Each fragment is measured once, however often it is spread: linear in the text."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    known: dict[str, Size] = {}

    def below(selection_set: SelectionSetNode | None) -> Size:
        depth = fields = aliases = roots = 0
        for item in selection_set.selections if selection_set else ():
            if isinstance(item, FieldNode):
                inner = below(item.selection_set)
                depth, roots = max(depth, inner.depth + 1), roots + 1
                fields, aliases = fields + inner.fields + 1, aliases + inner.aliases + (item.alias is not None)
                continue
            inner = spread(item.name.value) if isinstance(item, FragmentSpreadNode) else below(item.selection_set)  # type: ignore[attr-defined]
            depth, fields = max(depth, inner.depth), fields + inner.fields
            aliases, roots = aliases + inner.aliases, roots + inner.roots
        return Size(depth, fields, aliases, roots)

    def spread(name: str) -> Size:
        if name not in known:
            known[name] = below(fragments[name].selection_set)
        return known[name]

    return below(node.selection_set)
