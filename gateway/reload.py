"""Puts a changed supergraph file into service while requests run: on SIGHUP, and when the file changes.

The manifest of trusted documents is read again each time. A file that cannot be served is refused with a log line and a
metric, and what is served stays. What runs ends on the supergraph that it began with. Replace the file by renaming a whole
one over it; mounted volumes do so too.
"""

import asyncio
from pathlib import Path
from typing import Protocol

import structlog
import watchfiles

from gateway import metrics
from gateway.engine.supergraph import Supergraph, SupergraphRefused, identity, load_supergraph
from gateway.subgraphs import Addressless

REFUSALS = (SupergraphRefused, Addressless, OSError, ValueError)
LOOK_EVERY_MS = 1_000
_LOG = structlog.get_logger(__name__)


class Serving(Protocol):
    """What serves a supergraph and can be given another."""

    supergraph: Supergraph

    def serve(self, supergraph: Supergraph) -> None: ...

    def trusts_others(self) -> bool: ...


class Reloader:
    """Keeps what is served up to a file."""

    def __init__(self, serving: Serving, path: Path) -> None:
        self._serving, self._path = serving, path
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> str:
        """Serve what the file holds now: `loaded`, `unchanged`, or `refused` with everything as it was.

        The file is read and understood in a thread, so that requests go on meanwhile.
        """
        async with self._one_at_a_time:
            served = self._serving.supergraph.id
            try:
                found = await asyncio.to_thread(self._changed, served)
                outcome = "unchanged" if found is None else "loaded"
                if found is not None:
                    self._serving.serve(found)
                    _LOG.info("supergraph_loaded", supergraph=found.id, subgraphs=sorted(found.subgraphs))
            except REFUSALS as error:
                outcome = "refused"
                _LOG.error("supergraph_refused", reason=str(error), still_served=served)
            metrics.RELOADS.labels(outcome).inc()
            return outcome

    async def follow(self) -> None:
        """Reload at each change of the file until cancelled.

        The folder is watched, since a file is best replaced whole; and the file is looked at every second, since some
        file systems tell of no change. Where nothing can be watched, that is logged, and SIGHUP is left.
        """
        seen: object = ()
        try:
            async for _ in watchfiles.awatch(
                self._path.parent,
                recursive=False,
                watch_filter=None,
                debounce=400,
                rust_timeout=LOOK_EVERY_MS,
                yield_on_timeout=True,
            ):
                now = _look(self._path)
                if now != seen:
                    seen = now
                    await self.reload()
        except Exception as error:  # whatever it is: the door stays open, and says that it no longer looks
            _LOG.error("supergraph_not_watched", reason=repr(error))

    def _changed(self, served: str) -> Supergraph | None:
        sdl = self._path.read_text(encoding="utf-8")
        if identity(sdl) != served:
            return load_supergraph(sdl, self._serving.supergraph.contract)
        return self._serving.supergraph if self._serving.trusts_others() else None


def _look(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written; None when it is not there. Follows links, as mounts use them."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
