"""What the gateway's tests stand on: a small supergraph, a caller in process, and a server that can be told to misbehave."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from gateway.access_log import AccessLog
from gateway.app import Gateway, application
from gateway.callers import Callers
from gateway.departures import Departures
from gateway.documents import Documents
from gateway.engine.execution import Request
from gateway.engine.supergraph import Supergraph, load_supergraph
from gateway.exchange import Exchange
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.settings import Limits, Settings
from gateway.subgraphs import NoAnswer, Subgraphs
from services.kit.faults import Fault
from services.kit.settings import Mode
from services.kit.testing import tokens

Json = dict[str, Any]
SUPERGRAPH = Path(__file__).parent / "supergraph.graphql"
SDL = SUPERGRAPH.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def supergraph() -> Supergraph:
    """Books of a library and their readers' opinions, in two subgraphs."""
    return load_supergraph(SDL)


class Answers(Subgraphs):
    """Subgraphs without a wire: answers by name, what was sent is kept."""

    def __init__(self, answers: Mapping[str, Json | Fault | Callable[[Json], Json]]) -> None:
        self.answers = answers
        self.sent: list[tuple[str, Json]] = []
        self.headers = b""

    async def fetch(self, request: Request, headers: bytes, deadline: float, exchange: Exchange) -> Json:
        body = orjson.loads(request.body)
        self.sent.append((request.fetch.subgraph, body))
        self.headers = headers
        exchange.fetched(request.fetch.subgraph, 0.001)
        answer = self.answers[request.fetch.subgraph]
        if isinstance(answer, Fault):
            raise NoAnswer(answer)
        return answer(body) if callable(answer) else answer


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer of the gateway."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Json:
        return orjson.loads(self.content)  # type: ignore[no-any-return]

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]


@dataclass
class Door:
    """A caller of a gateway in process."""

    app: Callable[[Any, Any, Any], Awaitable[None]]
    subgraphs: Answers
    settings: Settings
    parts: list[bytes] = field(default_factory=list)

    async def post(self, query: object = None, headers: Mapping[str, str] | None = None, **more: object) -> Reply:
        """POST an operation as JSON; `more` are variables and operationName."""
        return await self.send("POST", orjson.dumps({"query": query, **more}), headers or {})

    async def send(
        self,
        method: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: str = "",
        path: str = "/graphql",
    ) -> Reply:
        """Send anything anywhere."""
        given = {"content-type": "application/json", **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value],
        }
        chunks = [body[i : i + 65_536] for i in range(0, len(body), 65_536)] or [b""]
        messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
        messages[-1]["more_body"] = False
        waiting = iter(messages)
        sent: list[Json] = []

        async def receive() -> Any:
            with contextlib.suppress(StopIteration):
                return next(waiting)
            return await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], head, b"".join(m.get("body", b"") for m in sent[1:]))


Opening = Callable[..., Door]


@pytest.fixture
def open_door(supergraph: Supergraph) -> Opening:
    """Opens a gateway whose subgraphs give fixed answers: `open_door(books={"data": ...}, mode=..., limits=...)`.

    `changed` are further settings.
    """

    def open_(
        mode: Mode = Mode.TEST,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        documents: Documents | None = None,
        changed: Mapping[str, Any] = MappingProxyType({}),
        **answers: Any,
    ) -> Door:
        settings = Settings(supergraph=Path("unread"), mode=mode, limits=limits, **changed)
        known = documents or Documents({}, only_trusted=False)
        operations = Operations(supergraph, known, limits, remembered=3, shows_schema=settings.shows_its_schema)
        subgraphs = Answers(answers)
        quiet = AccessLog(enabled=False)
        pipeline = Pipeline(
            operations, subgraphs, Callers(tokens.verifier("onedoor"), settings), settings, Departures(), quiet
        )
        return Door(pipeline, subgraphs, settings)

    return open_


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Loopback:
    """A server on a free port; each request is read whole, then a script of bytes, pauses and endings is played."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.url = ""
        self.play: Handler = ok

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append((head, await reader.readexactly(length)))
                await self.play(reader, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has hung up
        finally:
            writer.close()


async def ok(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A small, right answer."""
    writer.write(http(b'{"data":{"__typename":"Query"}}'))


def http(body: bytes, status: bytes = b"200 OK", head: bytes = b"") -> bytes:
    """An HTTP answer with a length."""
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status,
        head,
        len(body),
        body,
    )


def playing(*parts: bytes | None) -> Handler:
    """Writes the parts; None hangs up."""

    async def play(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            if part is None:
                writer.close()
            else:
                writer.write(part)

    return play


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Says nothing until the other side hangs up."""
    await reader.read()


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Loopback]:
    """A server on the loopback while the block lasts."""
    server = Loopback()
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(server.serve(reader, writer)))

    bound = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{bound.sockets[0].getsockname()[1]}/graphql"
    try:
        yield server
    finally:
        bound.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    """A server that answers rightly until it is told otherwise by `loopback.play`."""
    async with listening() as server:
        yield server


@dataclass
class Wired:
    """A whole gateway whose two subgraphs are servers on the loopback."""

    door: Door
    gateway: Gateway
    books: Loopback
    opinions: Loopback


@pytest.fixture
async def wired() -> AsyncIterator[Wired]:
    """The whole application, over real connections. Its deadline is 400 ms, an answer at most 100 kB."""
    async with listening() as books, listening() as opinions:
        settings = Settings(
            supergraph=SUPERGRAPH,
            mode=Mode.TEST,
            subgraph_urls={"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": opinions.url},
            deadline_s=0.4,
            answer_bytes=100_000,
        )
        gateway = Gateway(settings)
        async with gateway.running():
            yield Wired(Door(application(gateway), Answers({}), settings), gateway, books, opinions)
