"""The users of NATS, asked of a server that was told of them: what each part may say and hear, and nobody else anything."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats as client
import orjson
import pytest
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StreamConfig

from clusters import broker, credentials
from clusters.local import nats
from clusters.local.processes import free_port
from clusters.programs.answering import ProgramDecided, ProgramRequested, Programs
from clusters.programs.behaviour import Behaviours
from clusters.topology import SERVICES
from services.kit.broker import GRANT_CHANGED, STREAM, durable_of, inbox_of, lease_of, sign_in, subject_of
from services.kit.ended_sessions import EVENT
from services.kit.events import Event, outbox_row
from services.kit.events import envelope as sent

pytestmark = pytest.mark.stack  # a server of its own
NAMES = [service.name for service in SERVICES]
TRAFFIC = broker.traffic(NAMES)
PARTS = sorted(TRAFFIC)
EVENTS = sorted(set[str]().union(*(part.announces for part in TRAFFIC.values())))
SHORT_S = 0.5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder of credentials, and the address of a server with its users and the stream."""
    folder: Path = tmp_path_factory.mktemp("broker")
    credentials.prepare(folder / "held", NAMES)
    users = (folder / "held" / credentials.USERS_FILE).read_text()
    server = nats.start(folder / "data", free_port(), folder / "nats.log", durable=False, users=users)
    yield folder / "held", server.url
    server.stop()


@asynccontextmanager
async def signed_in(place: tuple[Path, str], user: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A connection as a user, and what the server has refused it."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error).lower())

    folder, url = place
    seed = str(credentials.seed_file(folder, user))
    connection = await client.connect(url, nkeys_seed=seed, inbox_prefix=inbox_of(user), error_cb=note)
    try:
        yield connection, refused
    finally:
        await connection.close()


@pytest.fixture
async def stream(place: tuple[Path, str]) -> None:
    """Declared, as the first service declares it."""
    async with signed_in(place, "catalogue") as (connection, _):
        await connection.jetstream().add_stream(StreamConfig(STREAM, subjects=["events.>"]))


async def says(connection: Client, subject: str) -> bool:
    """Whether the stream takes what a user publishes."""
    try:
        await connection.jetstream().publish(subject, b"{}", timeout=SHORT_S)
    except (TimeoutError, errors.Error):
        return False
    return True


@pytest.mark.usefixtures("stream")
class TestAPart:
    @pytest.mark.parametrize("part", PARTS)
    async def test_announces_its_own_events_and_no_others(self, place: tuple[Path, str], part: str) -> None:
        async with signed_in(place, part) as (connection, refused):
            asked = [*EVENTS, "lake.froze.v1"]
            said = await asyncio.gather(*(says(connection, subject_of(kind)) for kind in asked))
        assert {kind for kind, done in zip(asked, said, strict=True) if done} == TRAFFIC[part].announces
        denied = {kind for kind in asked if any(f'publish to "{subject_of(kind)}"' in text for text in refused)}
        assert denied == set(asked) - TRAFFIC[part].announces

    @pytest.mark.parametrize("part", PARTS)
    async def test_hears_its_own_events_and_the_ends_of_sessions_and_no_others(
        self, place: tuple[Path, str], part: str
    ) -> None:
        async with signed_in(place, part) as (connection, refused):
            asked = [*map(subject_of, EVENTS), "events.>", ">", "_INBOX.>", *(f"{inbox_of(p)}.>" for p in PARTS)]
            for subject in asked:
                await connection.subscribe(subject)
            await connection.flush()
            mine = {
                *map(subject_of, TRAFFIC[part].announces - broker.UNHEARD),
                subject_of(EVENT),
                f"{inbox_of(part)}.>",
            }
            mine |= {subject_of(GRANT_CHANGED)} if part in NAMES else set()

            def told() -> set[str]:
                return {s for s in asked if any(f'subscription to "{s}"'.lower() in text for text in refused)}

            async with asyncio.timeout(10):
                while told() != set(asked) - mine:
                    await connection.flush()  # the server tells in order
                    assert not mine & told()

    @pytest.mark.parametrize("part", PARTS)
    async def test_handles_what_it_declares_and_takes_nothing_from_others(
        self, place: tuple[Path, str], part: str
    ) -> None:
        """By a consumer of its own; nor does it make, change or read one of another part's."""
        every = [(other, kind) for other in PARTS for kind in sorted(TRAFFIC[other].handles)]
        async with signed_in(place, part) as (connection, _):
            made = [await self.makes(connection, durable_of(other, kind), subject_of(kind)) for other, kind in every]
            assert {pair for pair, done in zip(every, made, strict=True) if done} == {p for p in every if p[0] == part}
            for kind in TRAFFIC[part].handles:  # under its own name, it cannot hear what it does not handle
                assert not await self.makes(connection, durable_of(part, kind), "events.inspection.scheduled.v1")
                assert not await self.makes(connection, durable_of(part, kind), "events.>")
            reading = connection.jetstream()
            for other, kind in every:
                if other != part:
                    with pytest.raises((TimeoutError, errors.Error)):
                        bound = await reading.pull_subscribe_bind(durable_of(other, kind), STREAM)
                        await bound.fetch(1, timeout=SHORT_S)

    async def makes(self, connection: Client, durable: str, subject: str) -> bool:
        config = ConsumerConfig(name=durable, durable_name=durable, filter_subject=subject, max_ack_pending=1)
        try:
            await connection.jetstream(timeout=SHORT_S).add_consumer(STREAM, config, timeout=SHORT_S)
        except (TimeoutError, errors.Error):
            return False
        return True

    @pytest.mark.parametrize(
        "asked",
        [
            *("STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.MSG.DELETE", "STREAM.MSG.GET", "DIRECT.GET"),
            *("CONSUMER.NAMES", "CONSUMER.LIST", "STREAM.SNAPSHOT"),
        ],
    )
    async def test_does_not_touch_the_stream_itself(self, place: tuple[Path, str], asked: str) -> None:
        async with signed_in(place, "business_registration") as (connection, refused):
            with pytest.raises(TimeoutError):
                await connection.request(f"$JS.API.{asked}.{STREAM}", b"{}", timeout=SHORT_S)
        assert "permissions violation" in "".join(refused)


async def asked(asking: Client, subject: str) -> bytes:
    """The answer to a question. NATS was seen to know of no responder just after it had confirmed one, so it is asked again, as
    services do."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(errors.NoRespondersError):
                return (await asking.request(subject, b"", timeout=5)).data
            await asking.flush()


class TestAQuestionForALease:
    """Asked by a service under its own name, heard by the one part that grants, and answered to who asked."""

    @pytest.mark.parametrize("part", PARTS)
    async def test_is_asked_and_heard_by_nobody_else(self, place: tuple[Path, str], part: str) -> None:
        heard: list[str] = []

        async def answer(message: Msg) -> None:
            heard.append(message.subject)
            await message.respond(b"yes")

        async with signed_in(place, broker.GRANTING) as (accounts, _), signed_in(place, part) as (asking, refused):
            await accounts.subscribe(lease_of("*"), queue="accounts", cb=answer)
            await accounts.flush()
            for name in NAMES:
                if name == part:
                    assert await asked(asking, lease_of(name)) == b"yes"
                else:
                    await asking.publish(lease_of(name), b"")
            if part != broker.GRANTING:
                await asking.subscribe(lease_of("*"))
            await asking.flush()
            async with asyncio.timeout(10):
                while len(refused) < len(set(NAMES) - {part}) + (part != broker.GRANTING):
                    await asking.flush()
        assert heard == [lease_of(name) for name in NAMES if name == part]


class TestNobody:
    @pytest.mark.parametrize("seed", ["none", "a stranger's"])
    async def test_is_let_in(self, place: tuple[Path, str], tmp_path: Path, seed: str) -> None:
        given: dict[str, Any] = {}
        if seed != "none":
            credentials.prepare(tmp_path / "other", NAMES)
            given["nkeys_seed"] = str(credentials.seed_file(tmp_path / "other", "inspections"))
        stranger, told = Client(), list[str]()

        async def note(error: Exception) -> None:
            told.append(str(error))

        try:
            with pytest.raises(errors.Error):
                await stranger.connect(place[1], allow_reconnect=False, error_cb=note, **given)
            assert "Authorization Violation" in "".join(told)
        finally:
            await stranger.close()


class TestTheProgramsThemselves:
    """The simulator, as its user: what the kit asks of NATS is what users may do."""

    async def test_hear_a_request_and_answer_it(self, place: tuple[Path, str]) -> None:
        folder, url = place
        request = {"requestId": str(uuid4()), "applicationId": "a", "businessNumber": "1", "program": "BUSINESS_NAME"}
        asked = envelope(ProgramRequested.model_validate(request))
        programs = Programs(
            url, Behaviours(), sign_in("programs", url, credentials.seed_file(folder, "programs"), None)
        )
        async with signed_in(place, "business_registration") as (registry, refused):
            await programs.start()
            try:
                answers = registry.jetstream()
                await answers.publish(subject_of(ProgramRequested.type), asked, headers={"Nats-Msg-Id": str(uuid4())})
                durable = durable_of("business_registration", ProgramDecided.type)
                hearing = await answers.pull_subscribe(subject_of(ProgramDecided.type), durable, STREAM)
                decided: dict[str, Any] = {}
                while decided.get("data", {}).get("requestId") != request["requestId"]:  # others' tests sent empty ones
                    (message,) = await hearing.fetch(1, timeout=10)
                    await message.ack_sync(timeout=5)
                    decided = json.loads(message.data)
            finally:
                await programs.stop()
        assert decided["data"]["outcome"] == "APPROVED"
        assert refused == []


def envelope(event: Event) -> bytes:
    """An event as a service would publish it."""
    row = outbox_row(event)
    return orjson.dumps(sent(row, "business_registration"))
