"""Writes the entries of what was refused, after the answer has left: how long an answer takes tells nobody whether there was
something to refuse.

It begins in the turn in which the answer leaves, and writes all that waits in one transaction: an entry waits for the
transaction in hand and for its own, a few milliseconds. That much is lost with a process that is killed; one that is told to end
writes what waits first. Whoever asks again and again within the hour adds nothing, here or in the database. Where the database
cannot be written, what waits is tried again; what does not fit any more, or is not written in time at the end, is lost and
said in the log.
"""

import asyncio
from collections.abc import Hashable
from itertools import islice

import structlog

from services.kit.access_log import AccessLog, Refused, write_refused
from services.kit.database import Database, is_unavailable

MOST_WAITING = 10_000
AT_ONCE = 200
AGAIN_AFTER_S = 1.0
ENDS_WITHIN_S = 3.0
_LOG = structlog.get_logger(__name__)


class RefusedEntries:
    """What waits to be written, by a task that lives as long as there is something."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[Hashable, Refused] = {}
        self._writing: asyncio.Task[None] | None = None

    def keep(self, log: AccessLog) -> None:
        """Write soon what an operation was refused, now that the answer has left."""
        refused = log.take_refused()
        if refused is None:
            return
        if len(self._waiting) >= MOST_WAITING:
            _lost(refused)
            return
        self._waiting.setdefault(refused.key(), refused)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def written(self) -> None:
        """Until nothing waits, or `ENDS_WITHIN_S` at the longest."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=ENDS_WITHIN_S)
            self._writing.cancel()
        for refused in self._waiting.values():
            _lost(refused)

    async def _write(self) -> None:
        most = AT_ONCE
        while self._waiting:
            some = dict(islice(self._waiting.items(), most))
            try:
                async with self._database.logging() as db:
                    await write_refused(db, list(some.values()))
            except Exception as error:
                if is_unavailable(error):
                    _LOG.warning("refused_entries_wait", number=len(self._waiting), error=type(error).__name__)
                    await asyncio.sleep(AGAIN_AFTER_S)
                    continue
                if len(some) > 1:  # one of them cannot be written, which must not hold up the others
                    most = 1
                    continue
                _lost(*some.values(), exc_info=True)
            for key in some:
                del self._waiting[key]


def _lost(refused: Refused, **more: object) -> None:
    _LOG.error("refused_entry_lost", actor=refused.caller.subject, operation=refused.told.op, **more)
