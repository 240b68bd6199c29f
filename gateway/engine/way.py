"""Ways through the graph of what subgraphs can resolve, as the walk makes them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.engine.tree import Jump, Place, Step


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the root: its last step and the way before it. `cost` counts fields and, far dearer, requests."""

    place: Place | None  # None after a leaf
    step: Step | None
    before: "Path | None"
    cost: int
    own: int
    known: str  # the type that the value is known to have; differs from the place's type at an interface object
    fixed: bool = False  # whether the way before has been chosen already

    def to(self, place: Place | None, step: Step, own: int, known: str = "") -> "Path":
        return Path(place, step, self, self.cost + own, own, known or (place.type if place else ""))

    def along(self, further: "Path") -> "Path":
        """This way, then one that begins where it ends."""
        if further.step is None or further.before is None:
            return self
        return self.along(further.before).to(further.place, further.step, further.own, further.known)

    def steps(self) -> list[tuple[Step, Place | None, int]]:
        """The steps from the start in order, each with where it leads and its own cost."""
        found: list[tuple[Step, Place | None, int]] = []
        path: Path | None = self
        while path is not None and path.step is not None:
            found.append((path.step, path.place, path.own))
            path = path.before
        return found[::-1]

    def back(self) -> "Iterator[Path]":
        """This way and those that it goes on from."""
        path: Path | None = self
        while path is not None:
            yield path
            path = path.before

    @property
    def defers(self) -> frozenset[int]:
        """The deferred fragments that its last request is for."""
        return next((path.step.defers for path in self.back() if isinstance(path.step, Jump)), frozenset())

    def marked(self, defers: frozenset[int], known: set[int]) -> "Path":
        """This way with all requests made for deferred fragments, but for those of the ways `known` by their identity."""
        if self.before is None or self.step is None or id(self) in known:
            return self
        step = replace(self.step, defers=defers) if isinstance(self.step, Jump) else self.step
        return self.before.marked(defers, known).to(self.place, step, self.own, self.known)
