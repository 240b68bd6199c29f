"""A supergraph put into service while requests run: nothing that runs notices, and a bad one changes nothing."""

import asyncio
import gc
import itertools
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from gateway import metrics
from gateway.engine.supergraph import load_supergraph
from gateway.reload import Reloader
from tests.gateway.conftest import SDL, Wired, http, playing
from tests.gateway.running import running

BOOK = b'{"data":{"book":{"title":"Waves"}}}'
TEXT = '{ book(isbn: "1") { title } }'
MORE = SDL.replace(
    "  title: String! @join__field(graph: BOOKS)", "  title: String! @join__field(graph: BOOKS)\n  pages: Int"
)
WITHOUT_OPINIONS = "\n".join(
    line.replace(" @join__type(graph: OPINIONS)", "").replace(' @join__type(graph: OPINIONS, key: "isbn")', "")
    for line in SDL.replace("type Opinion @join__type(graph: OPINIONS) {\n  text: String!\n  stars: Int\n}\n", "").splitlines()
    if "graph: OPINIONS)" not in line.replace("@join__type(graph: OPINIONS)", "") and "OPINIONS @join__graph" not in line
)  # fmt: skip


@pytest.fixture
def file(wired: Wired, tmp_path: Path) -> Path:
    """The file of a running gateway."""
    path = tmp_path / "supergraph.graphql"
    path.write_text(SDL)
    return path


@pytest.fixture
def reloader(wired: Wired, file: Path) -> Reloader:
    return Reloader(wired.gateway, file)


def write(path: Path, sdl: str | bytes | None) -> None:
    """Give a file another content; None takes it away."""
    if sdl is None:
        path.unlink()
    else:
        path.write_bytes(sdl if isinstance(sdl, bytes) else sdl.encode())


def counted(outcome: str) -> float:
    return float(metrics.RELOADS.labels(outcome)._value.get())


class TestANewSupergraph:
    async def test_answers_from_then_on(self, wired: Wired, file: Path, reloader: Reloader) -> None:
        text = '{ book(isbn: "1") { pages } }'
        assert (await wired.door.post(text)).codes == ["GRAPHQL_VALIDATION_FAILED"]
        write(file, MORE)
        assert await reloader.reload() == "loaded"
        wired.books.play = playing(http(b'{"data":{"book":{"pages":12}}}'))
        assert (await wired.door.post(text)).body == {"data": {"book": {"pages": 12}}}

    async def test_is_named_by_readiness_and_figures(self, wired: Wired, file: Path, reloader: Reloader) -> None:
        write(file, MORE)
        await reloader.reload()
        ready = await wired.door.send("GET", path="/health/ready")
        assert ready.body["supergraph"] == load_supergraph(MORE).id
        figures = (await wired.door.send("GET", path="/metrics")).content.decode()
        assert f'onedoor_supergraph{{id="{load_supergraph(MORE).id}"}} 1.0' in figures
        assert load_supergraph(SDL).id not in figures

    async def test_leaves_what_runs_to_the_old_one(self, wired: Wired, file: Path, reloader: Reloader) -> None:
        arrived, let_go = asyncio.Event(), asyncio.Event()

        async def held(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            arrived.set()
            await let_go.wait()
            writer.write(http(b'{"data":{"best":{"text":"Good"}}}'))

        wired.opinions.play = held
        asking = asyncio.ensure_future(wired.door.post("{ best { text } }"))
        await arrived.wait()
        write(file, WITHOUT_OPINIONS)
        assert await reloader.reload() == "loaded"
        assert (await wired.door.post("{ best { text } }")).codes == ["GRAPHQL_VALIDATION_FAILED"]
        let_go.set()
        assert (await asking).body == {"data": {"best": {"text": "Good"}}}

    async def test_keeps_the_connections_to_subgraphs_that_stay(
        self, wired: Wired, file: Path, reloader: Reloader
    ) -> None:
        wired.books.play = playing(http(BOOK))
        for sdl in (SDL, MORE, WITHOUT_OPINIONS, SDL):
            write(file, sdl)
            await reloader.reload()
            assert (await wired.door.post(TEXT)).content == BOOK
        assert (wired.books.connections, len(wired.books.requests)) == (1, 4)

    async def test_closes_those_to_a_subgraph_that_goes(self, wired: Wired, file: Path, reloader: Reloader) -> None:
        wired.opinions.play = playing(http(b'{"data":{"best":{"text":"Good"}}}'))
        await wired.door.post("{ best { text } }")
        hung_up = asyncio.Event()

        async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(http(b'{"data":{"best":{"text":"Good"}}}'))
            await reader.read()
            hung_up.set()

        wired.opinions.play = until_the_end
        await wired.door.post("{ best { text } }")
        write(file, WITHOUT_OPINIONS)
        await reloader.reload()
        async with asyncio.timeout(5):
            await hung_up.wait()

    async def test_is_reached_where_its_address_says(self, wired: Wired, file: Path, reloader: Reloader) -> None:
        wired.gateway.settings = replace(wired.gateway.settings, subgraph_urls={"SUBGRAPH_URL_BOOKS": wired.books.url})
        write(file, SDL.replace("http://127.0.0.1:2/graphql", wired.opinions.url) + "\n# moved\n")
        wired.opinions.play = playing(http(b'{"data":{"best":{"text":"Good"}}}'))
        assert await reloader.reload() == "loaded"
        assert (await wired.door.post("{ best { text } }")).status == 200
        assert len(wired.opinions.requests) == 1

    async def test_that_is_the_same_changes_nothing(self, wired: Wired, reloader: Reloader) -> None:
        before = wired.gateway.pipeline
        assert await reloader.reload() == "unchanged"
        assert wired.gateway.pipeline is before


class TestABadFile:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff\xfe",
            b"type Query { a: Int }",
            SDL[: len(SDL) // 2].encode(),
            SDL.replace("join/v0.3", "join/v9.9").encode(),
            (SDL.replace("  BOOKS @join__graph", '  NEW @join__graph(name: "new", url: "")\n  BOOKS @join__graph')).encode(),
            SDL.replace("http://127.0.0.1:1/graphql", "ftp://x").replace('name: "books"', 'name: "elsewhere"').encode(),
            None,
        ],
        ids=["empty", "not UTF-8", "no supergraph", "half", "unknown version", "no address", "odd address", "gone"],
    )  # fmt: skip
    async def test_is_refused_and_the_old_one_stays(
        self, wired: Wired, file: Path, reloader: Reloader, content: bytes | None
    ) -> None:
        before, refused = wired.gateway.pipeline, counted("refused")
        write(file, content)
        assert await reloader.reload() == "refused"
        assert counted("refused") == refused + 1
        wired.books.play = playing(http(BOOK))
        assert (await wired.door.post(TEXT)).content == BOOK
        assert wired.gateway.pipeline is before
        assert wired.gateway.supergraph.id == load_supergraph(SDL).id

    async def test_does_no_harm_to_the_next_good_one(self, file: Path, reloader: Reloader) -> None:
        write(file, "")
        assert await reloader.reload() == "refused"
        write(file, MORE)
        assert await reloader.reload() == "loaded"


@pytest.fixture
async def followed(wired: Wired, file: Path, reloader: Reloader) -> AsyncIterator[Path]:
    """A file that is followed while the test runs."""
    following = asyncio.ensure_future(reloader.follow())
    try:
        yield file
    finally:
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following


async def until(seen: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(15):
        while not seen():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


async def served(wired: Wired, sdl: str) -> None:
    """Wait until a supergraph is served."""
    wanted = load_supergraph(sdl).id
    await until(lambda: wired.gateway.supergraph.id == wanted)


class TestAFollowedFile:
    async def test_is_served_when_it_is_written_or_replaced(self, wired: Wired, followed: Path) -> None:
        write(followed, MORE)
        await served(wired, MORE)
        new = followed.with_name("new")
        write(new, SDL)
        os.replace(new, followed)
        await served(wired, SDL)

    async def test_may_be_a_link_into_a_folder_that_is_swapped(
        self, wired: Wired, followed: Path, tmp_path: Path
    ) -> None:
        """As Kubernetes mounts a ConfigMap."""
        for name, sdl in (("one", MORE), ("two", WITHOUT_OPINIONS)):
            (tmp_path / name).mkdir()
            write(tmp_path / name / followed.name, sdl)
        (tmp_path / "data").symlink_to("one")
        write(followed, None)
        os.symlink(Path("data") / followed.name, followed)
        await served(wired, MORE)
        (tmp_path / "next").symlink_to("two")
        os.replace(tmp_path / "next", tmp_path / "data")
        await served(wired, WITHOUT_OPINIONS)

    async def test_that_was_bad_is_served_once_it_is_good(self, wired: Wired, followed: Path) -> None:
        refused = counted("refused")
        write(followed, "half of it")
        await until(lambda: counted("refused") > refused)
        write(followed, MORE)
        await served(wired, MORE)


class TestARunningGateway:
    async def test_reads_its_file_again_on_sighup_and_refuses_a_bad_one(self, tmp_path: Path) -> None:
        path = tmp_path / "supergraph.graphql"
        write(path, SDL)
        async with running(path, {}) as gateway:
            assert await gateway.serves(load_supergraph(SDL).id)
            write(path, "nothing")
            gateway.process.send_signal(signal.SIGHUP)
            await gateway.until(lambda: gateway.figure('onedoor_supergraph_reloads_total{outcome="refused"}'))
            assert await gateway.serves(load_supergraph(SDL).id)
            write(path, MORE)
            gateway.process.send_signal(signal.SIGHUP)
            await gateway.until(lambda: gateway.serves(load_supergraph(MORE).id))
            assert await gateway.end() == -signal.SIGTERM


class TestSubscriptions:
    async def test_go_on_over_a_reload(self, wired: Wired, file: Path, reloader: Reloader) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def events(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(head + b'event: next\ndata: {"data":{"bookAdded":{"title":"A"}}}\n\n')
            begun.set()
            await go_on.wait()
            writer.write(b'event: next\ndata: {"data":{"bookAdded":{"title":"B"}}}\n\nevent: complete\ndata:\n\n')

        wired.books.play = events
        text = "subscription { bookAdded { title } }"
        listening = asyncio.ensure_future(wired.door.post(text, {"accept": "text/event-stream"}))
        await begun.wait()
        write(file, WITHOUT_OPINIONS)
        assert await reloader.reload() == "loaded"
        go_on.set()
        content = (await listening).content
        assert content.count(b"event: next") == 2
        assert b'{"title":"B"}' in content
        assert b"errors" not in content


@pytest.mark.stack
class TestAThousandReloads:
    @pytest.fixture
    def quiet(self) -> Iterator[None]:
        """Without logs, which the test runner would keep in memory."""
        configured = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        yield
        structlog.configure(**configured)

    async def test_leave_memory_as_it_was(self, wired: Wired, quiet: None) -> None:
        """With an operation planned and answered on each, so that what hangs on a supergraph is there to be lost."""
        wired.books.play = playing(http(BOOK))
        supergraphs = itertools.cycle((SDL, MORE))

        async def reload(times: int) -> int:
            for _ in range(times):
                wired.gateway.serve(load_supergraph(next(supergraphs)))
                assert (await wired.door.post(TEXT)).content == BOOK
                wired.books.requests.clear()
            gc.collect()
            return sys.getallocatedblocks()

        before = await reload(50)
        after = await reload(1_000)
        assert after - before < 1_000  # blocks of memory: one a reload, where a supergraph holds thousands
        assert wired.books.connections == 1


def test_the_fixtures_are_supergraphs() -> None:
    assert set(load_supergraph(WITHOUT_OPINIONS).subgraphs) == {"books"}
    assert "pages" in load_supergraph(MORE).api_schema.type_map["Book"].fields  # type: ignore[attr-defined]
