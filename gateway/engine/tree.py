"""Places, steps and the tree into which chosen ways merge: where ways begin alike they share steps, and so requests."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """A type in a subgraph; `provided` is the field set that a @provides grants below here, as text."""

    type: str
    graph: str
    provided: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the gateway tells an argument: `selection` on the value that lies `up` fields above, of type `known`.

    `type` is the argument's, as text. `finding` gathers the value from where that value was first reached.
    """

    up: int
    known: str
    selection: str
    type: str
    finding: "Tree | None" = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Resolve:
    """Resolve a field on values of type `on`. `key` is the client's response key, None for the planner's own fields.
    `told` are arguments by name that the client does not know of."""

    on: str
    name: str
    arguments: str
    variables: frozenset[str]
    key: str | None
    told: tuple[tuple[str, Told], ...] = ()
    directives: str = ""


@dataclass(frozen=True, slots=True)
class Narrow:
    """Only values of one object type go on."""

    type: str


@dataclass(frozen=True, slots=True)
class Jump:
    """A new request to a subgraph: for entities of type `place.type`, found by `inputs`, which `finding` gathers first.

    `inputs` are field sets on the type `known` that the values have, as text: the key, then what a @requires asks for. No
    inputs means a root type, which every subgraph that has it can enter. `told` is what lies above the values and goes along;
    `defers` are the deferred fragments that it is for.
    """

    place: Place
    known: str
    inputs: tuple[str, ...] = ()
    finding: "Tree | None" = field(default=None, compare=False)
    told: tuple[Told, ...] = ()
    defers: frozenset[int] = frozenset()


Step = Resolve | Narrow | Jump


class Tree:
    """Steps from one place, merged. Children keep first-seen order, so that the same ways always make the same tree."""

    __slots__ = ("children", "cost", "place")

    def __init__(self, place: Place | None) -> None:
        self.place = place
        self.children: dict[Step, Tree] = {}
        self.cost = 0

    def add(self, steps: Iterable[tuple[Step, Place | None, int]]) -> None:
        """Add a way; `cost` grows by what it costs beyond what was there."""
        tree = self
        for step, place, cost in steps:
            following = tree.children.get(step)
            if following is None:
                following = tree.children[step] = Tree(place)
                self.cost += cost
            tree = following
