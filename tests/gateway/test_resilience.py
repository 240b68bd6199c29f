"""What a gateway does about a subgraph in trouble: tries again within bounds, leaves it alone, keeps it from taking all."""

import asyncio
from dataclasses import replace

import pytest

from gateway import metrics
from gateway.guard import FEWEST_CALLS, OPEN_S, State
from gateway.subgraphs import MOST_RETRIES, Subgraphs
from tests.gateway.conftest import SDL, Handler, Reply, Wired, http, playing, silent

BOOK = b'{"data":{"book":{"title":"Waves"}}}'
BEST = b'{"data":{"best":{"text":"Good"}}}'
TEXT = '{ book(isbn: "1") { title } }'
MUTATION = 'mutation { addBook(input: {isbn: "1", title: "T"}) { title } }'
REFUSED = playing(http(b"busy", b"503 Service Unavailable"))


def in_turn(*plays: Handler) -> Handler:
    """Plays one after the other, the last one for ever."""
    left = list(plays)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(reader, writer)

    return play


def told_in_both_languages(reply: Reply, code: str) -> None:
    (error,) = reply.body["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["text"]["en"] and error["extensions"]["text"]["fr"]
    assert error["path"]


class TestTryingAgain:
    @pytest.mark.parametrize(
        "failure",
        [
            playing(None),
            playing(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", None),
            playing(http(b"bad gateway", b"502 Bad Gateway")),
            REFUSED,
            playing(http(b"", b"504 Gateway Timeout")),
        ],
        ids=["hung up", "cut off", "502", "503", "504"],
    )
    async def test_a_query_is_answered_though_the_first_try_failed(self, wired: Wired, failure: Handler) -> None:
        wired.books.play = in_turn(failure, playing(http(BOOK)))
        assert (await wired.door.post(TEXT)).content == BOOK
        first, again = wired.books.requests
        assert first == again  # byte for byte: by request id, deadline and body a service knows it for the same fetch

    async def test_it_is_tried_a_few_times_and_no_more(self, wired: Wired) -> None:
        wired.books.play = REFUSED
        told_in_both_languages(await wired.door.post(TEXT), "SUBGRAPH_UNAVAILABLE")
        assert len(wired.books.requests) == 1 + MOST_RETRIES

    @pytest.mark.parametrize(
        "answer", [http(b"no", b"500 Oops"), http(b"no", b"429 Slow Down"), http(b"no"), http(b"no", b"404 Not Found")]
    )
    async def test_what_would_fail_again_is_not_tried_again(self, wired: Wired, answer: bytes) -> None:
        wired.books.play = playing(answer)
        await wired.door.post(TEXT)
        assert len(wired.books.requests) == 1

    @pytest.mark.parametrize("failure", [playing(None), REFUSED])
    async def test_a_mutation_is_never_tried_again(self, wired: Wired, failure: Handler) -> None:
        wired.books.play = in_turn(failure, playing(http(b'{"data":{"addBook":{"title":"T"}}}')))
        assert (await wired.door.post(MUTATION)).codes == ["SUBGRAPH_UNAVAILABLE"]
        assert len(wired.books.requests) == 1

    async def test_what_timed_out_is_not_tried_again(self, wired: Wired) -> None:
        wired.books.play = silent
        assert (await wired.door.post(TEXT)).codes == ["DEADLINE_EXCEEDED"]
        assert len(wired.books.requests) == 1

    async def test_an_outage_is_met_with_hardly_more_requests(self, wired: Wired) -> None:
        """Even with the breaker taken out of the way, sixty callers send far fewer than twice sixty requests."""
        wired.books.play = REFUSED
        peer = wired.gateway.subgraphs._peers["books"]
        for _ in range(60):
            await wired.door.post(TEXT)
            peer.guard.state = State.CLOSED
        assert len(wired.books.requests) <= 60 + 10

    async def test_tries_share_the_requests_deadline(self, wired: Wired) -> None:
        wired.books.play = in_turn(REFUSED, silent)
        begun = asyncio.get_running_loop().time()
        assert (await wired.door.post(TEXT)).codes == ["DEADLINE_EXCEEDED"]
        assert asyncio.get_running_loop().time() - begun < 4 * wired.door.settings.deadline_s


class TestTheBreaker:
    async def broken(self, wired: Wired) -> None:
        wired.opinions.play = REFUSED
        while wired.gateway.subgraphs.breakers["opinions"] != "open":
            await wired.door.post("{ best { text } }")
        wired.opinions.requests.clear()

    async def test_spares_a_subgraph_that_keeps_failing_and_the_rest_is_answered(self, wired: Wired) -> None:
        await self.broken(wired)
        wired.books.play = playing(http(BOOK))
        reply = await wired.door.post('{ book(isbn: "1") { title } best { text } }')
        assert reply.body["data"] == {"book": {"title": "Waves"}, "best": None}
        told_in_both_languages(reply, "SUBGRAPH_UNAVAILABLE")
        assert wired.opinions.requests == []

    async def test_is_seen_in_readiness_and_figures(self, wired: Wired) -> None:
        await self.broken(wired)
        ready = await wired.door.send("GET", path="/health/ready")
        assert ready.body["breakers"] == {"books": "closed", "opinions": "open"}
        assert ready.status == 200
        figures = (await wired.door.send("GET", path="/metrics")).content.decode()
        assert 'onedoor_subgraph_breaker{subgraph="opinions"} 2.0' in figures
        assert 'onedoor_subgraph_breaker{subgraph="books"} 0.0' in figures

    async def test_spares_it_mutations_too(self, wired: Wired) -> None:
        wired.books.play = REFUSED
        while wired.gateway.subgraphs.breakers["books"] != "open":
            await wired.door.post(TEXT)
        wired.books.requests.clear()
        assert (await wired.door.post(MUTATION)).codes == ["SUBGRAPH_UNAVAILABLE"]
        assert wired.books.requests == []

    async def test_closes_once_a_trial_is_answered(self, wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
        await self.broken(wired)
        wired.gateway.subgraphs._peers["opinions"].guard._opened -= OPEN_S
        wired.opinions.play = playing(http(BEST))
        assert (await wired.door.post("{ best { text } }")).content == BEST
        assert wired.gateway.subgraphs.breakers["opinions"] == "closed"

    async def test_lets_a_crowd_wait_for_the_trial_of_one(self, wired: Wired) -> None:
        await self.broken(wired)
        wired.gateway.subgraphs._peers["opinions"].guard._opened -= OPEN_S
        replies = await asyncio.gather(*(wired.door.post("{ best { text } }") for _ in range(20)))
        assert len(wired.opinions.requests) == 1
        assert all(reply.codes == ["SUBGRAPH_UNAVAILABLE"] for reply in replies)

    async def test_takes_slowness_for_failure(self, wired: Wired) -> None:
        wired.opinions.play = silent
        await asyncio.gather(*(wired.door.post("{ best { text } }") for _ in range(FEWEST_CALLS)))
        assert wired.gateway.subgraphs.breakers["opinions"] == "open"

    @pytest.mark.parametrize(
        "answer",
        [
            http(b'{"data":{"best":null},"errors":[{"message":"no"}]}'),
            http(b'{"errors":[{"message":"no"}]}', b"400 Bad Request"),
            http(b"<html>", b"404 Not Found"),
            http(b'{"data":{"best":{"text":"' + b"x" * 100_000 + b'"}}}'),
        ],
        ids=["GraphQL errors", "400", "404", "huge"],
    )
    async def test_is_not_moved_by_what_callers_can_bring_about(self, wired: Wired, answer: bytes) -> None:
        wired.opinions.play = playing(answer)
        for _ in range(3 * FEWEST_CALLS):
            await wired.door.post("{ best { text } }")
        assert wired.gateway.subgraphs.breakers["opinions"] == "closed"

    async def test_keeps_its_state_over_a_reload(self, wired: Wired) -> None:
        from gateway.engine.supergraph import load_supergraph

        await self.broken(wired)
        wired.gateway.serve(load_supergraph(SDL + "\n# another\n"))
        assert wired.gateway.subgraphs.breakers["opinions"] == "open"


class TestTheBulkhead:
    @pytest.fixture
    def narrow(self, wired: Wired) -> Wired:
        """Two connections to each subgraph, and three requests may wait."""
        settings = replace(wired.door.settings, connections=2, queued=3)
        wired.gateway.settings = settings
        wired.gateway.subgraphs = Subgraphs(wired.gateway.supergraph, settings)
        wired.gateway.pipeline._subgraphs = wired.gateway.subgraphs
        return wired

    async def test_refuses_what_no_longer_fits_the_queue(self, narrow: Wired) -> None:
        narrow.opinions.play = silent
        refused = metrics.SUBGRAPH_ERRORS.labels("opinions", "SUBGRAPH_OVERLOADED")._value.get()
        asked = [asyncio.ensure_future(narrow.door.post("{ best { text } }")) for _ in range(9)]
        while sum(one.done() for one in asked) < 4:
            await asyncio.wait([one for one in asked if not one.done()], return_when=asyncio.FIRST_COMPLETED)
        assert narrow.opinions.connections <= 2
        codes = sorted(code for reply in await asyncio.gather(*asked) for code in reply.codes)
        assert codes == ["DEADLINE_EXCEEDED"] * 5 + ["SUBGRAPH_OVERLOADED"] * 4
        assert metrics.SUBGRAPH_ERRORS.labels("opinions", "SUBGRAPH_OVERLOADED")._value.get() == refused + 4

    async def test_tells_so_in_both_languages_and_the_rest_is_answered(self, narrow: Wired) -> None:
        narrow.opinions.play = silent
        narrow.books.play = playing(http(BOOK))
        full = [asyncio.ensure_future(narrow.door.post("{ best { text } }")) for _ in range(5)]
        while len(narrow.gateway.subgraphs.origin("opinions")._waiting) < 3:  # noqa: ASYNC110 - a queue tells nobody
            await asyncio.sleep(0)
        reply = await narrow.door.post('{ book(isbn: "1") { title } best { text } }')
        assert reply.body["data"] == {"book": {"title": "Waves"}, "best": None}
        told_in_both_languages(reply, "SUBGRAPH_OVERLOADED")
        await asyncio.gather(*full)

    async def test_serves_all_that_fit_in_their_turn(self, narrow: Wired) -> None:
        narrow.books.play = playing(http(BOOK))
        replies = await asyncio.gather(*(narrow.door.post(TEXT) for _ in range(5)))
        assert [reply.content for reply in replies] == [BOOK] * 5
        assert narrow.books.connections == 2
