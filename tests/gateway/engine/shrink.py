"""Makes a failing operation small, by taking away one thing at a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    print_ast,
    validate,
)

from tests.gateway.engine.drawer import Drawn


def shrunk(drawn: Drawn, fails: Callable[[Drawn], bool], schema: GraphQLSchema) -> Drawn:
    """The smallest operation found that still fails, by taking away one thing at a time."""
    improved = True
    while improved:
        improved = False
        for smaller in _smaller(drawn):
            if len(smaller.text) >= len(drawn.text):
                continue
            try:
                valid = not validate(schema, parse(smaller.text))
            except Exception:
                continue
            if valid and fails(smaller):
                drawn, improved = smaller, True
                break
    return drawn


def _smaller(drawn: Drawn) -> Iterator[Drawn]:
    document = parse(drawn.text, no_location=True)
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    for changed in _without(document, fragments):
        text = " ".join(print_ast(_pruned(changed)).split())
        used = {name: value for name, value in drawn.variables.items() if f"${name}" in text}
        yield Drawn(text, used)


def _without(node: Any, fragments: dict[str, Any]) -> Iterator[Any]:
    """The document with one selection, fragment, directive, alias or argument less, biggest first."""
    if isinstance(node, DocumentNode):
        for index, definition in enumerate(node.definitions):
            for changed in _without(definition, fragments):
                yield DocumentNode(definitions=(*node.definitions[:index], changed, *node.definitions[index + 1 :]))
        return
    if isinstance(node, SelectionSetNode):
        items = node.selections
        for index, item in enumerate(items):
            rest = (*items[:index], *items[index + 1 :])
            if rest:
                yield SelectionSetNode(selections=rest)
            if isinstance(item, InlineFragmentNode):
                yield SelectionSetNode(selections=(*items[:index], *item.selection_set.selections, *items[index + 1 :]))
            if isinstance(item, FragmentSpreadNode):
                held = fragments[item.name.value]
                inline = InlineFragmentNode(
                    type_condition=held.type_condition, directives=item.directives, selection_set=held.selection_set
                )
                yield SelectionSetNode(selections=(*items[:index], inline, *items[index + 1 :]))
            for changed in _without(item, fragments):
                yield SelectionSetNode(selections=(*items[:index], changed, *items[index + 1 :]))
        return
    if getattr(node, "directives", None):
        yield _changed(node, directives=())
    if isinstance(node, FieldNode) and node.alias:
        yield _changed(node, alias=None)
    if isinstance(node, FieldNode) and node.arguments:
        for index in range(len(node.arguments)):
            yield _changed(node, arguments=(*node.arguments[:index], *node.arguments[index + 1 :]))
    if getattr(node, "selection_set", None) is not None:
        for changed in _without(node.selection_set, fragments):
            yield _changed(node, selection_set=changed)


def _changed(node: Any, **changes: Any) -> Any:
    return type(node)(**{**{key: getattr(node, key, None) for key in node.keys if key != "loc"}, **changes})


def _pruned(document: DocumentNode) -> DocumentNode:
    """Without fragments that nothing spreads and variables that nothing uses."""
    definitions = list(document.definitions)
    while True:
        text = " ".join(print_ast(d) for d in definitions)
        unused = [d for d in definitions if isinstance(d, FragmentDefinitionNode) and f"...{d.name.value}" not in text]
        if not unused:
            break
        definitions = [d for d in definitions if d not in unused]
    body = " ".join(print_ast(_changed(d, variable_definitions=())) for d in definitions)
    kept: list[Any] = []
    for definition in definitions:
        if isinstance(definition, OperationDefinitionNode):
            variables = tuple(v for v in definition.variable_definitions or () if f"${v.variable.name.value}" in body)
            kept.append(_changed(definition, variable_definitions=variables))
        else:
            kept.append(definition)
    return DocumentNode(definitions=tuple(kept))


def least_subgraphs(
    subgraphs: Mapping[str, str], fails: Callable[[Mapping[str, str]], bool], most_tries: int = 2_000
) -> dict[str, str]:
    """The smallest subgraphs found that still fail, by taking away one line of one SDL at a time."""
    least, tries, improved = dict(subgraphs), 0, True
    while improved and tries < most_tries:
        improved = False
        for name in sorted(least):
            lines = least[name].splitlines()
            for index in reversed(range(len(lines))):
                without = {**least, name: "\n".join(lines[:index] + lines[index + 1 :]) + "\n"}
                tries += 1
                if lines[index].startswith("  ") and fails(without):
                    least, lines, improved = without, without[name].splitlines(), True
    return least
