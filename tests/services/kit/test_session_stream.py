"""Ends of sessions between processes, on a real NATS: live, from the last minutes, and across an outage."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex
from uuid import uuid4

import nats
import orjson
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from services.kit import session_stream
from services.kit.broker import STREAM
from services.kit.bus import end
from services.kit.ended_sessions import REMEMBERED_S, EndedSessions, SessionEnded
from services.kit.session_stream import SUBJECT, SessionStream
from services.kit.tokens import Claims
from tests.services.kit.conftest import Broker, until


def ended(at: float | None = None) -> SessionEnded:
    """The end of a session of the test's own, since all tests share one server."""
    return SessionEnded(uuid4(), token_hex(8), "ana", at or time.time())


def token(of: SessionEnded) -> Claims:
    return Claims("ana", frozenset(), frozenset(), "onedoor-cli", of.session, of.at + 300, issued=of.at)


class Process:
    """A process's part in the stream."""

    def __init__(self, url: str) -> None:
        self.ended = EndedSessions()
        self.stream = SessionStream(url, self.ended)

    async def heard(self, *told: SessionEnded) -> None:
        async def all_of_them() -> bool:
            return all(self.ended.hold(token(one)) for one in told)

        await until(all_of_them)

    async def hears(self) -> None:
        async def so() -> bool:
            return self.stream.hears

        await until(so, 20)


@contextlib.asynccontextmanager
async def process(url: str) -> AsyncIterator[Process]:
    found = Process(url)
    running = [asyncio.ensure_future(part) for part in (found.stream.run(), found.stream.telling())]
    try:
        yield found
    finally:
        await end(*running)


async def declared(url: str) -> Client:
    """A client of a server that has the stream, as a service declares it."""
    client = await nats.connect(url)
    await client.jetstream().add_stream(StreamConfig(STREAM, subjects=["events.>"]))
    return client


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_stream, "PAUSE_S", 0.05)


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    opened = await declared(nats_url)
    yield opened
    await opened.close()


class TestTheEndOfASession:
    async def test_holds_at_once_where_it_is_told_and_soon_everywhere(self, nats_url: str, client: Client) -> None:
        told = ended()
        async with process(nats_url) as here, process(nats_url) as there:
            await there.hears()
            here.stream.tell(told)
            assert here.ended.hold(token(told))
            await there.heard(told)

    async def test_is_heard_by_who_starts_later(self, nats_url: str, client: Client) -> None:
        many = [ended() for _ in range(session_stream.AT_ONCE + 10)]
        async with process(nats_url) as here:
            for told in many:
                here.stream.tell(told)
            async with process(nats_url) as there:
                await there.heard(*many)

    async def test_that_is_no_event_stops_nobody(self, nats_url: str, client: Client) -> None:
        told = ended()
        async with process(nats_url) as here:
            await here.hears()
            for nonsense in (b"", b"{", b"[]", b'{"type":"session.ended.v1"}'):
                await client.jetstream().publish(SUBJECT, nonsense)
            here.stream.tell(told)
            async with process(nats_url) as there:
                await there.heard(told)

    async def test_long_ago_is_not_told(self, nats_url: str, client: Client) -> None:
        old, new = ended(time.time() - REMEMBERED_S - 1), ended()
        passing = await client.subscribe(SUBJECT)
        await client.flush()
        async with asyncio.timeout(20), process(nats_url) as here:
            here.stream.tell(old)
            here.stream.tell(new)
            async for message in passing.messages:  # those of other tests, too
                assert old.session.encode() not in message.data
                if new.session.encode() in message.data:
                    break


@pytest.mark.stack
class TestWhileNatsIsAway:
    async def test_it_holds_where_it_is_told_and_everywhere_once_nats_is_back(self, tmp_path: Path) -> None:
        broker = Broker(tmp_path)
        told = ended()
        try:
            async with process(broker.url) as here, process(broker.url) as there:
                first = await declared(broker.url)
                await first.close()
                await here.hears()
                await there.hears()
                broker.kill()

                async def unheard() -> bool:
                    return not here.stream.hears and not there.stream.hears

                await until(unheard)
                here.stream.tell(told)
                assert here.ended.hold(token(told))
                assert not there.ended.hold(token(told))
                broker.start()
                await there.heard(told)
        finally:
            broker.stop()

    async def test_who_was_cut_off_hears_what_was_told_meanwhile(self, tmp_path: Path) -> None:
        """The event reached the stream while this process had no connection: it is read when it has one again."""
        broker = Broker(tmp_path)
        try:
            client = await declared(broker.url)
            async with process(broker.url) as there:
                await there.hears()
                told = ended()
                sid = next(iter(there.stream._client._subs))
                await there.stream._client._subs[sid].unsubscribe()  # deaf, as one who is cut off
                await client.jetstream().publish(SUBJECT, orjson.dumps(told.envelope()))
                assert not there.ended.hold(token(told))
                broker.kill()
                broker.start()
                await there.heard(told)
            await client.close()
        finally:
            broker.stop()

    async def test_a_process_starts_all_the_same(self, tmp_path: Path) -> None:
        broker = Broker(tmp_path)
        broker.kill()
        try:
            async with process(broker.url) as here:
                told = ended()
                here.stream.tell(told)
                assert here.ended.hold(token(told))
                broker.start()
                client = await declared(broker.url)
                await here.hears()
                async with process(broker.url) as there:
                    await there.heard(told)
                await client.close()
        finally:
            broker.stop()
