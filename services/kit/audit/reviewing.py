"""Which looks under a statute somebody reviews: one in ten of the entries whose purpose asks for a case, the same ones whoever
draws the sample and whenever. Nobody who looks can tell or choose beforehand: an entry's id is made by the database."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import orjson

from services.kit.purposes import purposes

ONE_IN = 10


def is_sampled(entry_id: UUID) -> bool:
    """Whether the entry of an id is in the sample."""
    return int.from_bytes(hashlib.sha256(entry_id.bytes).digest()[:8]) % ONE_IN == 0


def sampled(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The entries of an exported audit that are to be reviewed, in its order; what has had its time is not there any more.
    Raises ValueError for a line that is no JSON. Whether the export is whole is for `verifying` to say."""
    with_case = {purpose.code for purpose in purposes().values() if purpose.case_required}
    for line in lines:
        told = orjson.loads(line)
        entry = told[-1] if isinstance(told, list) and told else None
        if isinstance(entry, dict) and entry.get("purpose") in with_case and is_sampled(UUID(entry["id"])):
            yield entry
