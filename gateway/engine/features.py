"""What a supergraph is written with: its @link-ed features under their own names, and a refusal of those nobody here knows.

What no feature defines are the directives that all subgraphs have for operations. A supergraph may call a feature's directives
otherwise (`import: [{name: "@inaccessible", as: "@hidden"}]`), and may give such a name to a directive of its own. Both are
settled here once, so that everything else reads one set of names. Source: Apollo link spec v1.0 and core spec v0.1, v0.2.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    NameNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    TypeDefinitionNode,
    value_from_ast_untyped,
    visit,
)
from graphql.language import Visitor

APOLLO = "https://specs.apollo.dev/"
STRUCTURAL = ("link", "core", "join")
# By name: the versions that are known, and the directives other than the feature's own.
KNOWN: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "link": (("v1.0",), ()),
    "core": (("v0.1", "v0.2"), ()),
    "join": (("v0.1", "v0.2", "v0.3", "v0.4", "v0.5"), ()),
    "inaccessible": (("v0.1", "v0.2"), ()),
    "tag": (("v0.1", "v0.2", "v0.3"), ()),
    "authenticated": (("v0.1",), ()),
    "requiresScopes": (("v0.1",), ()),
    "policy": (("v0.1",), ()),
    "cost": (("v0.1",), ("listSize",)),
    "context": (("v0.1",), ("fromContext",)),
}


class UnknownFeature(Exception):
    """The supergraph cannot be served without a feature; the text names it."""


@dataclass(frozen=True, slots=True)
class _Feature:
    url: str
    alias: str
    imports: Mapping[str, str]  # the feature's name → the name here, directives with their @
    purpose: str

    @property
    def name(self) -> str:
        """The last part of the address before the version."""
        parts = self.url.rstrip("/").split("/")
        return parts[-2] if len(parts) > 4 and _is_version(parts[-1]) else parts[-1]

    @property
    def version(self) -> str:
        last = self.url.rstrip("/").split("/")[-1]
        return last if _is_version(last) else ""

    @property
    def known(self) -> bool:
        return self.url.startswith(APOLLO) and self.name in KNOWN

    @property
    def here(self) -> str:
        return self.alias or self.name

    def directives(self) -> Iterator[tuple[str, str]]:
        """Each directive's own name and what it is called here."""
        own = self.imports.get(f"@{self.name}")
        yield self.name, own[1:] if own else self.here
        for other in KNOWN[self.name][1] if self.known else ():
            imported = self.imports.get(f"@{other}")
            yield other, imported[1:] if imported else f"{self.here}__{other}"


def settled(document: DocumentNode) -> DocumentNode:
    """The supergraph with every known feature's directives under their own names, without the definitions that features bring.

    Raises UnknownFeature naming one that is needed and not known, or known in other versions.
    """
    features = [f for node in document.definitions for f in _features(node)]
    for feature in features:
        _admit(feature)
    renamed = _renamed(features)
    if renamed:
        document = visit(document, _Renaming(renamed))
    helpers, brought = _helpers(features), _brought(features)
    kept = (
        node
        for node in document.definitions
        if not (isinstance(node, TypeDefinitionNode) and helpers(node.name.value))
        and not (isinstance(node, DirectiveDefinitionNode) and brought(node.name.value))
    )
    return DocumentNode(definitions=tuple(kept))


def _features(node: Any) -> Iterator[_Feature]:
    if not isinstance(node, SchemaDefinitionNode | SchemaExtensionNode):
        return
    for directive in node.directives or ():
        if directive.name.value in ("link", "core"):
            given = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
            imports = {}
            for item in given.get("import") or ():
                name, alias = (item, item) if isinstance(item, str) else (item.get("name"), item.get("as"))
                imports[str(name)] = str(alias or name)
            url = str(given.get("url") or given.get("feature") or "")
            yield _Feature(url, str(given.get("as") or ""), imports, str(given.get("for") or ""))


def _admit(feature: _Feature) -> None:
    if feature.known:
        versions = KNOWN[feature.name][0]
        needed = feature.purpose in ("EXECUTION", "SECURITY") or feature.name in STRUCTURAL
        if needed and feature.version not in versions:
            told = ", ".join(versions)
            raise UnknownFeature(f"The supergraph is written in {feature.url}; of this feature {told} are supported.")
        if feature.name in STRUCTURAL and feature.here != feature.name:
            raise UnknownFeature(f"The supergraph calls {feature.url} {feature.here}, which is not supported.")
    elif feature.purpose in ("EXECUTION", "SECURITY"):
        raise UnknownFeature(f"The supergraph needs {feature.url}, which this gateway does not support.")


def _renamed(features: list[_Feature]) -> dict[str, str]:
    """The directives to rename: those of known features to their own names, others away from such names."""
    own = {other for name, (_, more) in KNOWN.items() for other in (name, *more)}
    renamed: dict[str, str] = {}
    for feature in features:
        if feature.known:
            renamed |= {here: name for name, here in feature.directives()}
            continue
        for here in (feature.here, *(alias[1:] for alias in feature.imports.values() if alias.startswith("@"))):
            if here in own:
                renamed[here] = f"other__{here}"
    return {here: name for here, name in renamed.items() if here != name}


class _Renaming(Visitor):
    """Gives directives other names, where they are defined and where they are used."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def leave_directive(self, node: DirectiveNode, *_: Any) -> DirectiveNode | None:
        name = self._names.get(node.name.value)
        return DirectiveNode(name=NameNode(value=name), arguments=node.arguments) if name else None

    def leave_directive_definition(self, node: DirectiveDefinitionNode, *_: Any) -> DirectiveDefinitionNode | None:
        name = self._names.get(node.name.value)
        if name is None:
            return None
        kept = {key: getattr(node, key) for key in node.keys if key != "loc"}
        return DirectiveDefinitionNode(**{**kept, "name": NameNode(value=name)})


def _brought(features: list[_Feature]) -> Callable[[str], bool]:
    """Whether a directive is one that a feature defines; all have their own names by now."""
    names = {own for name, (_, more) in KNOWN.items() for own in (name, *more)}
    names |= {f.here for f in features} | {a[1:] for f in features for a in f.imports.values() if a.startswith("@")}
    begin = tuple(f"{name}__" for name in sorted({"other", *KNOWN, *(f.here for f in features)}))
    return lambda name: name in names or name.startswith(begin)


def _helpers(features: list[_Feature]) -> Callable[[str], bool]:
    """Whether a type only serves a feature's directives. Those of join are needed until the supergraph is read."""
    claimed = {f.here for f in features if not f.known}
    known = [f for f in features if f.known and f.name not in STRUCTURAL]
    prefixes = {f.here for f in known} | (KNOWN.keys() - set(STRUCTURAL) - claimed)
    imported = {alias for f in known for alias in f.imports.values() if not alias.startswith("@")}
    begin = tuple(f"{prefix}__" for prefix in sorted(prefixes))
    return lambda name: name in imported or name.startswith(begin)


def _is_version(text: str) -> bool:
    return text[:1] == "v" and text[1:2].isdigit()
