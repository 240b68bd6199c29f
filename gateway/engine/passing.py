"""Who is told what: the subgraphs to which a plan passes on fields of a fetch, beyond the keys by which values are looked up.

These are what @requires and @fromContext ask for. Their owner is told the recipients beforehand, since it has to answer for whom
its fields reach.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gateway.engine.plan import Fetch, Input


def passing(fetches: Sequence[Fetch]) -> tuple[Fetch, ...]:
    """The fetches with their recipients. One that asks for a field of the same response key elsewhere counts, too: rather one
    recipient too many than one too few."""
    by_id = {fetch.id: fetch for fetch in fetches}
    recipients: dict[int, set[str]] = {}
    for fetch in fetches:
        if keys := {given.key for _, given in passed(fetch)}:
            asks = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(keys)))})\b")
            for before in map(by_id.__getitem__, fetch.after):
                if before.subgraph != fetch.subgraph and asks.search(before.document):
                    recipients.setdefault(before.id, set()).add(fetch.subgraph)
    return tuple(
        replace(fetch, recipients=tuple(sorted(recipients[fetch.id]))) if fetch.id in recipients else fetch
        for fetch in fetches
    )


def passed(fetch: Fetch) -> Iterator[tuple[str, Input]]:
    """What a fetch is told beyond keys, and of which type it is a field; of a context, of each type that it names."""
    for lookup in fetch.lookups:
        for entities in lookup.entities:
            yield from ((entities.typename, given) for given in entities.inputs if given.key not in entities.required)
        for told in lookup.told:
            yield from ((kind, given) for given in told.inputs for kind in sorted(given.types or ("",)))
