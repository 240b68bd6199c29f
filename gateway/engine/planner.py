"""Plans an operation: normalise, walk, choose, draft the requests, merge them, print them.

`plan_operation` takes a document that is valid for the API schema and the values of the variables that its conditions name.
The same operation, conditions and supergraph always give the same plan.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from graphql import DocumentNode, NonNullTypeNode, OperationDefinitionNode
from graphql.language import print_ast

from gateway.engine.access import Denials
from gateway.engine.choose import choose
from gateway.engine.defer import Deferred, Defers
from gateway.engine.document import Printer, operation
from gateway.engine.fetches import Asked, Builder, Draft, Wanted, free
from gateway.engine.merge import merged
from gateway.engine.normalise import TYPENAME, Normaliser, Selections, TooManyWays
from gateway.engine.passing import passing
from gateway.engine.plan import MARK, Fetch, Lookup, PathPart, Plan
from gateway.engine.supergraph import Supergraph
from gateway.engine.tree import Jump, Place
from gateway.engine.walk import JUMP_COST, MOST_STEPS, NoResolvablePath, Walker
from gateway.engine.way import Path

__all__ = ["MOST_STEPS", "NoResolvablePath", "Planner", "TooManyWays", "plan_operation"]


class Planner:
    """Plans the operations of one supergraph; remembers what it learnt about keys and requirements."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self._walker = Walker(supergraph)

    def plan(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        conditions: Mapping[str, bool] | None = None,
        defers: Defers | None = None,
        denials: Denials | None = None,
    ) -> Plan:
        """The plan of an operation; with `defers`, of its parts; without what `denials` name. Raises NoResolvablePath naming
        what no subgraph can resolve, and TooManyWays."""
        self._walker.left = MOST_STEPS
        asked = (document, node, conditions or {}, defers, denials)
        try:
            try:
                return self._plan(*asked)
            except NoResolvablePath:
                return self._plan(*asked, apart=True)
        except (TooManyWays, RecursionError):
            self._walker = Walker(self._supergraph)  # what it was about to find out is not known
            raise TooManyWays from None

    def _plan(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        conditions: Mapping[str, bool],
        defers: Defers | None,
        denials: Denials | None,
        *,
        apart: bool = False,
    ) -> Plan:
        kind = node.operation.value
        root = self._supergraph.roots[kind]
        normaliser = Normaliser(self._supergraph, document, conditions, defers, denials=denials, apart=apart)
        selections = normaliser.selections(node.selection_set, root)
        deferred = tuple(defers.all) if defers is not None else ()
        if defers is not None and deferred:
            defers.settle(selections, self._supergraph)
        if all(selected.name == TYPENAME for selected in selections):
            return Plan((), deferred)  # that there is a root, and its name, need not be asked of anyone
        if any(owner == root and self._vital(root, name) for owner, name in normaliser.denied):
            return Plan((), deferred)  # the whole answer will be null: nothing is done or read of which nobody hears
        declared = {d.variable.name.value: print_ast(d) for d in node.variable_definitions or ()}
        builder = Builder(self._supergraph, self._walker, selections)
        if kind == "mutation":
            self._in_order(selections, builder)
        else:
            builder.build(choose(None, self._walker.leaves(self._starts(root), selections)))
        drafts = merged(builder.drafts)
        fetches = [self._fetch(draft, kind, declared, deferred) for draft in drafts]
        return Plan(passing(fetches), deferred)

    def _starts(self, root: str) -> list[Path]:
        """The ways into a root type: one per subgraph that has it."""
        outside = Path(None, None, None, 0, 0, root)
        places = (Place(root, graph) for graph in self._supergraph.types[root].graphs)
        return [outside.to(place, Jump(place, root), JUMP_COST) for place in places]

    def _in_order(self, selections: Selections, builder: Builder) -> None:
        """Mutations: each root field in one subgraph only, after everything that the one before it set off."""
        after: frozenset[int] = frozenset()
        for identity, selected in selections.fields.items():
            alone = Selections(selections.type, {identity: selected})
            trees = []
            for start in self._starts(selections.type):
                try:
                    ways = self._walker.direct(start, selected)
                    leaves = self._walker.leaves(ways, selected.children) if selected.children else [ways]
                except NoResolvablePath:
                    continue
                if ways:
                    trees.append(choose(None, leaves))
            if not trees:
                raise NoResolvablePath(f"{selections.type}.{next(iter(alone)).name}")
            made = builder.build(min(trees, key=lambda tree: tree.cost), after)
            after = frozenset(draft.id for draft in builder.drafts if draft.id in made and not draft.defers)

    def _fetch(self, draft: Draft, kind: str, declared: Mapping[str, str], deferred: tuple[Deferred, ...]) -> Fetch:
        printer = Printer(self._supergraph)
        extra: list[str] = []
        lookups: tuple[Lookup, ...] = ()
        if draft.asked is not None:
            text = printer.selections(draft.asked)
            own = kind if not draft.path else "query"
        else:
            own = "query"
            lookups, text = self._lookups(draft, printer, extra, declared)
        return Fetch(
            id=draft.id,
            subgraph=self._supergraph.graphs[draft.graph].name,
            kind=own,  # type: ignore[arg-type] # one of the three kinds
            document=operation(own, "", text, declared, printer.variables, extra),
            variables=tuple(sorted(printer.variables)),
            after=tuple(sorted(draft.after)),
            lookups=lookups,
            path=draft.path,
            roots=tuple(draft.asked.fields) if draft.asked is not None else (),
            vital=self._vitals(draft.asked) if own == "mutation" and draft.asked is not None else (),
            renames=tuple(sorted(printer.renames, key=lambda rename: -len(rename.path))),  # what is below goes first
            defers=tuple(deferred[number - 1] for number in sorted(draft.defers)),
        )

    def _vitals(self, asked: Asked) -> tuple[str, ...]:
        """The response keys of root fields that cannot be null."""
        return tuple(key for key, entry in asked.fields.items() if self._vital(asked.place.type, entry.name))

    def _vital(self, root: str, name: str) -> bool:
        """Whether a root field cannot be null."""
        declared = self._supergraph.types[root].fields.get(name)
        return declared is not None and isinstance(declared.type, NonNullTypeNode)

    def _lookups(
        self, draft: Draft, printer: Printer, extra: list[str], declared: Mapping[str, str]
    ) -> tuple[tuple[Lookup, ...], str]:
        """The `_entities` fields of a request: one per path, with a fragment per type."""
        groups: list[list[Wanted]] = []
        by_path: dict[tuple[PathPart, ...], list[list[Wanted]]] = {}
        for wanted in draft.wanted:
            others = by_path.setdefault(wanted.path, [])
            for group in others:
                if not (wanted.told or group[0].told or any(held.typename == wanted.typename for held in group)):
                    group.append(wanted)
                    break
            else:
                groups.append([wanted])
                others.append(groups[-1])
        lookups, parts = [], []
        for number, group in enumerate(groups):
            single = len(groups) == 1
            alias = "_entities" if single else f"_e{number}"
            variable = free("representations", declared) if single else free(f"r{number}", declared)
            fragments = {wanted.typename: wanted.asked for wanted in group}
            field = f"_entities(representations: {MARK}{variable}) {printer.fragments(fragments, alias)}"
            told = []
            for context in group[0].told:  # a variable is one lookup's, since its value is
                name = f"{free('context', declared)}_{sum(': [_Any!]!' not in e for e in extra)}"
                field = re.sub(rf"{MARK}{context.variable}\b", f"{MARK}{name}", field)
                told.append(replace(context, variable=name))
                extra.append(f"${name}: {context.type}")
            parts.append((field if single else f"{alias}: {field}").replace(MARK, "$"))
            extra.append(f"${variable}: [_Any!]!")
            lookups.append(
                Lookup(alias, variable, tuple(w.frozen() for w in group), tuple(told), field if told else "")
            )
        return tuple(lookups), f"{{ {' '.join(parts)} }}"


def plan_operation(
    supergraph: Supergraph,
    document: DocumentNode,
    node: OperationDefinitionNode,
    conditions: Mapping[str, bool] | None = None,
    labels: frozenset[str] = frozenset(),
    defers: Defers | None = None,
    denials: Denials | None = None,
) -> Plan:
    """The plan of an operation on a supergraph while the `labels` of progressive @overrides hold. With `defers`, what is
    deferred is fetched apart. What `denials` name is not fetched.

    Raises NoResolvablePath and TooManyWays.
    """
    planner = supergraph.planners.get(labels)
    if not isinstance(planner, Planner):
        planner = supergraph.planners[labels] = Planner(supergraph.under(labels))
    return planner.plan(document, node, conditions, defers, denials)
