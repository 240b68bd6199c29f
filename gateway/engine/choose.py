"""Chooses one way per leaf so that all of them together cost least: fewest requests first, then fewest fields.

Greedy start, leaves with the fewest alternatives first; then each leaf is chosen anew while that makes the whole cheaper.
"""

from typing import TYPE_CHECKING

from gateway.engine.tree import Place, Step, Tree

if TYPE_CHECKING:
    from gateway.engine.way import Path

ROUNDS = 5
Way = list[tuple[Step, Place | None, int]]


def choose(place: Place | None, leaves: "list[list[Path]]", begun: int = 0) -> Tree:
    """The cheapest tree found that reaches every leaf, from the place that the ways reach after `begun` steps. The same
    leaves always make the same tree."""
    ways = [[way.steps()[begun:] for way in alternatives] for alternatives in leaves]
    picked: dict[int, Way] = {}
    shared = _Shared()
    for index in sorted(range(len(ways)), key=lambda i: (len(ways[i]), i)):
        picked[index] = shared.cheapest(ways[index])
        shared.add(picked[index], 1)
    open_ = [index for index, alternatives in enumerate(ways) if len(alternatives) > 1]
    for _ in range(ROUNDS):
        changed = False
        for index in open_:
            held = picked[index]
            shared.add(held, -1)
            best = shared.cheapest([held, *ways[index]])
            shared.add(best, 1)
            picked[index] = best
            changed |= best is not held
        if not changed:
            break
    tree = Tree(place)
    for index in range(len(ways)):
        tree.add(picked[index])
    return tree


class _Shared:
    """How many of the chosen ways go through each step, so that one can be priced, added and taken away."""

    __slots__ = ("below", "count")

    def __init__(self) -> None:
        self.below: dict[Step, _Shared] = {}
        self.count = 0

    def add(self, way: Way, count: int) -> None:
        here = self
        for step, _, _ in way:
            following = here.below.get(step)
            if following is None:
                following = here.below[step] = _Shared()
            following.count += count
            here = following

    def cheapest(self, ways: list[Way]) -> Way:
        """The way that costs least beyond what others go through; the first of several."""
        return min(ways, key=self._price)

    def _price(self, way: Way) -> int:
        here: _Shared | None = self
        added = 0
        for step, _, cost in way:
            here = here.below.get(step) if here is not None else None
            if here is None or not here.count:
                added += cost
                here = here if here is not None and here.count else None
        return added
