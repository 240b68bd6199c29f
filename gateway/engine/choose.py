"""Chooses one way per leaf so that all of them together cost least: fewest requests first, then fewest fields.

Greedy start, leaves with the fewest alternatives first; then each leaf is chosen anew while that makes the whole cheaper.
"""

from typing import TYPE_CHECKING

from gateway.engine.tree import Place, Step, Tree

if TYPE_CHECKING:
    from gateway.engine.walk import Path

ROUNDS = 5
Way = list[tuple[Step, Place | None, int]]


def choose(place: Place | None, leaves: "list[list[Path]]") -> Tree:
    """The cheapest tree found that reaches every leaf. The same leaves always make the same tree."""
    ways = [[way.steps() for way in alternatives] for alternatives in leaves]
    picked: dict[int, int] = {}
    tree = Tree(place)
    for index in sorted(range(len(ways)), key=lambda i: (len(ways[i]), i)):
        prices = [tree.price(way) for way in ways[index]]
        picked[index] = prices.index(min(prices))
        tree.add(ways[index][picked[index]])
    if all(len(alternatives) == 1 for alternatives in ways):
        return _merged(place, ways, picked)
    best = _merged(place, ways, picked)
    for _ in range(ROUNDS):
        changed = False
        for index, alternatives in enumerate(ways):
            for alternative in range(len(alternatives)):
                if alternative == picked[index]:
                    continue
                tried = _merged(place, ways, {**picked, index: alternative})
                if tried.cost < best.cost:
                    best, picked, changed = tried, {**picked, index: alternative}, True
        if not changed:
            break
    return best


def _merged(place: Place | None, ways: list[list[Way]], picked: dict[int, int]) -> Tree:
    tree = Tree(place)
    for index, alternatives in enumerate(ways):
        tree.add(alternatives[picked[index]])
    return tree
