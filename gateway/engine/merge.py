"""Merges requests: fewer calls cost less than anything else, for the door and for the subgraphs behind it.

Pass 1, *into the later one*: two requests to one subgraph, neither waiting for the other, become the one that waits longer,
if that makes no circle. Pass 2, *numbering*: ids follow the order in which requests can start.
"""

from gateway.engine.fetches import Draft, ancestors


def merged(drafts: list[Draft]) -> list[Draft]:
    """The drafts after all passes, in an order in which each follows those it waits for."""
    kept = {draft.id: draft for draft in drafts}
    while (pair := _pair(kept)) is not None:
        _absorb(kept, *pair)
    return numbered(kept)


def _pair(kept: dict[int, Draft]) -> tuple[Draft, Draft] | None:
    """The first two entity requests that can be one: (the earlier, the later that takes it in)."""
    entity = [draft for draft in kept.values() if draft.asked is None]
    waits = {draft.id: ancestors(kept, draft) for draft in entity}
    for earlier in entity:
        for later in entity:
            if earlier is later or earlier.graph != later.graph or earlier.id in waits[later.id]:
                continue
            if earlier.defers != later.defers:  # what is deferred is fetched apart, or it would not be
                continue
            if later.id in waits[earlier.id] or not waits[earlier.id] <= waits[later.id]:
                continue
            return earlier, later
    return None


def _absorb(kept: dict[int, Draft], earlier: Draft, later: Draft) -> None:
    later.after |= earlier.after
    for wanted in earlier.wanted:
        later.want(wanted)
    del kept[earlier.id]
    for draft in kept.values():
        if earlier.id in draft.after:
            draft.after = (draft.after - {earlier.id}) | {later.id}


def numbered(kept: dict[int, Draft]) -> list[Draft]:
    """The drafts in an order in which each follows those it waits for, with ids that say so."""
    ordered: list[Draft] = []
    done: dict[int, int] = {}
    waiting = sorted(kept.values(), key=lambda draft: draft.id)
    while waiting:
        ready = [draft for draft in waiting if draft.after <= done.keys()]
        for draft in ready:
            done[draft.id] = len(done) + 1
            ordered.append(draft)
        waiting = [draft for draft in waiting if draft.id not in done]
    for draft in ordered:
        draft.after = {done[before] for before in draft.after}
    for draft in ordered:
        draft.id = done[draft.id]
    return ordered
