"""Ways for TCP between parts of a running province, that can be cut, and a recorder of what passes: for which grant an answer
with data has left an owner, and when."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clusters.local.processes import free_port
from services.kit.lease import elapsed

SHOWN = b'"edges":['  # in no answer that was refused
AUTHORITY = re.compile(rb'authority="([^"]+)"')


class Link:
    """A way for TCP from an address of its own to another, that can be cut. `sees` is told what passes, by connection."""

    def __init__(self, target: str, sees: "Callable[[dict[str, Any], bytes, bool], None] | None" = None) -> None:
        host, port = target.rsplit(":", 1)
        self._target, self._sees = (host, int(port)), sees
        self.port, self.is_cut = free_port(), False
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self) -> None:
        """Nothing passes any more, and the connections that there are end."""
        self.is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self.is_cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        writers = [writer]
        try:
            if not self.is_cut:
                there_reader, there = await asyncio.open_connection(*self._target)
                writers.append(there)
                self._open |= set(writers)
                held: dict[str, Any] = {}
                await asyncio.gather(
                    self._pass(reader, there, held, asks=True), self._pass(there_reader, writer, held, asks=False)
                )
        except OSError:
            pass
        finally:
            self._open -= set(writers)
            for each in writers:
                each.transport.abort()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: dict[str, Any], *, asks: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._sees is not None:
                    self._sees(held, data, asks)
                writer.write(data)
                await writer.drain()
        writer.close()


@dataclass
class Seen:
    """What has left the owners: how many answers with data, by owner, and those of revoked grants."""

    revoked: dict[str, float] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)

    def at(self, owner: str) -> Callable[[dict[str, Any], bytes, bool], None]:
        def sees(held: dict[str, Any], data: bytes, asks: bool) -> None:
            if asks:
                found = AUTHORITY.search(data)
                held["authority"] = found[1].decode() if found else held.get("authority", "")
            elif SHOWN in data:
                self.reads[owner] += 1
                if held["authority"] in self.revoked:
                    self.late.append(f"{owner}, {elapsed() - self.revoked[held['authority']]:.3f} s after the reply")

        return sees
