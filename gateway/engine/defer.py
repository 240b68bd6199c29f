"""Deferred fragments before anything runs: which of an operation's @defer hold, and which fields they leave for later.

A field that is asked for at once, too, is not deferred: what is asked for earliest counts. Source: GraphQL draft, incremental
delivery (2025): a field belongs to the fragments that defer it, less those inside another of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphql import DirectiveNode, FragmentSpreadNode, InlineFragmentNode, StringValueNode, VariableNode

from gateway.engine.normalise import TYPENAME, Selected, Selections
from gateway.engine.supergraph import Supergraph

NOW = 0  # what stands for the number of a deferred fragment where nothing is deferred


@dataclass(frozen=True, slots=True)
class Deferred:
    """A deferred fragment: its number in the operation from 1 on, its label, and the number of the one around it or NOW."""

    number: int
    label: str | None
    within: int

    def __str__(self) -> str:
        return f"#{self.number}" if self.label is None else self.label


@dataclass(slots=True)
class Defers:
    """The deferred fragments of one operation for given values of its conditions, numbered as they are met.

    A fragment in two others counts twice; one spread at two places of the same, once.
    """

    conditions: Mapping[str, bool]
    all: list[Deferred] = field(default_factory=list)
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)

    def of(self, item: FragmentSpreadNode | InlineFragmentNode, within: int) -> int:
        """The number of a fragment, that of the one around it where it is not deferred itself."""
        directive = directive_of(item)
        if directive is None or not self._holds(directive):
            return within
        number = self._numbers.get((id(item), within))
        if number is None:
            number = self._numbers[id(item), within] = len(self.all) + 1
            self.all.append(Deferred(number, _label(directive), within))
        return number

    def around(self, number: int) -> set[int]:
        """The fragments around one, itself among them."""
        found = set()
        while number != NOW:
            found.add(number)
            number = self.all[number - 1].within
        return found

    def least(self, numbers: Iterable[int]) -> frozenset[int]:
        """To which fragments a field belongs that is asked for in several; none when it is asked for at once, too."""
        given = set(numbers)
        if NOW in given:
            return frozenset()
        return frozenset(n for n in given if self.around(n) & given == {n})

    def settle(self, selections: Selections, supergraph: Supergraph) -> None:
        """Tell each field of an operation to which fragments it belongs."""
        self._settle([selections], frozenset(), supergraph)

    def _settle(self, here: list[Selections], around: frozenset[int], supergraph: Supergraph) -> None:
        """`here` are all selection sets at one place of the answer: one response key has one value there.

        Where something comes later, which type a value has must be known before: what comes depends on it.
        """
        by_key: dict[str | None, list[Selected]] = defaultdict(list)
        for selections in here:
            for selected in selections:
                by_key[selected.key].append(selected)
        for key, same in by_key.items():
            found = around if key == TYPENAME else self.least(n for selected in same for n in selected.occurs)
            for selected in same:
                selected.defers = found
            self._settle([selected.children for selected in same if selected.children], found, supergraph)
        if any(selected.defers != around for same in by_key.values() for selected in same):
            for selections in here:
                if supergraph.types[selections.type].abstract:
                    told = Selected(selections.type, TYPENAME, TYPENAME, "", frozenset(), defers=around)
                    selections.fields.setdefault((told.on, told.key, told.name, told.arguments), told)

    def _holds(self, directive: DirectiveNode) -> bool:
        for argument in directive.arguments or ():
            if argument.name.value == "if":
                value = argument.value
                if isinstance(value, VariableNode):
                    return self.conditions.get(value.name.value, True)
                return bool(value.value)  # type: ignore[attr-defined] # the document is valid
        return True


def directive_of(item: FragmentSpreadNode | InlineFragmentNode) -> DirectiveNode | None:
    """The @defer of a fragment."""
    return next((d for d in item.directives or () if d.name.value == "defer"), None)


def _label(directive: DirectiveNode) -> str | None:
    values = (a.value for a in directive.arguments or () if a.name.value == "label")
    return next((value.value for value in values if isinstance(value, StringValueNode)), None)
