"""Token buckets: never more than they permit, whoever asks in whatever way; and what those who are refused are told."""

import asyncio
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from graphql import parse
from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.topology import SUPERGRAPH as PROVINCE
from gateway import rate_limits
from gateway.app import Gateway
from gateway.engine.supergraph import load_supergraph
from gateway.field_rates import FieldRates
from gateway.operations import Operations
from gateway.pipeline import Pipeline
from gateway.rate_limits import Buckets, RateLimits
from gateway.settings import Limits, Rates, gateway_settings
from gateway.sockets import Sockets
from services.kit.settings import SettingMissing
from services.kit.testing import tokens
from tests.gateway.conftest import SDL, SUPERGRAPH, Door, Opening, Wired
from tests.gateway.speaking import served, speaking

RATED = SDL.replace("  book(isbn: ID!): Book @join", "  book(isbn: ID!): Book @rateLimit(times: 3, seconds: 60) @join")
BOOKS = {"data": {"book": {"title": "Waves"}}}
BEST = {"data": {"best": {"text": "Good"}}}
ONE = '{ book(isbn: "1") { title } }'  # costs 1 for the request and 1 for the book
SMALL = Rates(identity=1, identity_burst=10, address=1, address_burst=6)

amounts = st.floats(0.01, 10)
pauses = st.floats(0, 5)


class Clock:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestBuckets:
    @settings(max_examples=50)
    @given(
        rate=st.floats(0.1, 100),
        burst=st.floats(10, 1_000),
        asked=st.lists(st.tuples(pauses, amounts), min_size=1, max_size=60),
    )
    def test_permit_in_no_window_more_than_a_burst_and_the_rate(
        self, rate: float, burst: float, asked: list[tuple[float, float]]
    ) -> None:
        buckets, now, taken = Buckets(rate, burst), 1e6, list[tuple[float, float]]()
        for pause, amount in asked:
            now += pause
            if buckets.lacks_s("a", amount, now) <= 0:
                buckets.take("a", amount, now)
                taken.append((now, amount))
        for first, (begin, _) in enumerate(taken):
            total = 0.0
            for end, amount in taken[first:]:
                total += amount
                assert total <= burst + rate * (end - begin) + 1e-3

    @settings(max_examples=50)
    @given(asked=st.lists(st.tuples(pauses, amounts, st.sampled_from("abc")), max_size=60))
    def test_agree_with_buckets_that_are_counted_in_the_plain_way(self, asked: list[tuple[float, float, str]]) -> None:
        """Forgetting who has been away long enough changes nothing."""
        rate, burst, now = 2.0, 12.0, 1e6
        buckets, plain, since = Buckets(rate, burst), dict.fromkeys("abc", burst), dict.fromkeys("abc", now)
        for pause, amount, caller in asked:
            now += pause
            plain[caller] = min(plain[caller] + (now - since[caller]) * rate, burst)
            since[caller] = now
            assert buckets.left(caller, now) == pytest.approx(plain[caller], abs=1e-3)
            if plain[caller] >= amount + 1e-3:
                assert buckets.lacks_s(caller, amount, now) <= 0
                buckets.take(caller, amount, now)
                plain[caller] -= amount

    @given(amount=st.floats(0.5, 10), now=st.floats(0, 1e9))
    def test_have_what_was_lacking_once_the_time_is_over(self, amount: float, now: float) -> None:
        buckets = Buckets(0.5, 10)
        buckets.take("a", 10, now)
        lacks_s = buckets.lacks_s("a", amount, now)
        assert lacks_s == pytest.approx(amount / 0.5, abs=1e-3)
        assert buckets.lacks_s("a", amount, now + lacks_s - 0.01) > 0
        assert buckets.lacks_s("a", amount, now + lacks_s + 1e-3) <= 0

    def test_hold_no_more_callers_than_two_generations(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate_limits, "MOST_CALLERS", 1_000)
        buckets = Buckets(1, 1_000)
        tracemalloc.start()
        try:
            for number in range(4_000):
                buckets.take(f"@2001:db8:{number:x}::/64", 1, 0.0)
            full, _ = tracemalloc.get_traced_memory()
            for number in range(4_000, 20_000):
                buckets.take(f"@2001:db8:{number:x}::/64", 1, 0.0)
            flat, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(buckets) <= 2_000
        assert flat < full * 1.2

    def test_keep_who_comes_again_and_again_while_strangers_flood_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate_limits, "MOST_CALLERS", 100)
        buckets = Buckets(1, 1_000)
        for number in range(1_000):
            buckets.take(f"stranger {number}", 1, 0.0)
            if number % 50 == 0:
                buckets.take("regular", 40, 0.0)
        assert buckets.left("regular", 0.0) == pytest.approx(200)

    def test_forget_who_has_been_away_for_long(self) -> None:
        buckets = Buckets(1, 10)
        for now in range(0, 1_000, 20):
            buckets.take(f"caller at {now}", 1, float(now))
        assert len(buckets) <= 3


class TestFields:
    def count(self, text: str, **conditions: bool) -> dict[str, int]:
        document = parse(text)
        rates = FieldRates(load_supergraph(RATED).document)
        return {rate.coordinate: n for rate, n in rates.of(document, document.definitions[0], conditions)}  # type: ignore[arg-type]

    def test_each_alias_counts(self) -> None:
        text = "{" + " ".join(f'a{n}: book(isbn: "{n}") {{ title }}' for n in range(7)) + "}"
        assert self.count(text) == {"Query.book": 7}

    def test_one_key_counts_once_however_often_it_is_written(self) -> None:
        assert self.count('{ book(isbn: "1") { title } ... { book(isbn: "1") { isbn } } best { text } }') == {
            "Query.book": 1
        }

    def test_fragments_count_as_spread_out(self) -> None:
        text = (
            '{ ...A ...B } fragment A on Query { ...B a: book(isbn: "1") { title } }'
            ' fragment B on Query { b: book(isbn: "2") { title } }'
        )
        assert self.count(text) == {"Query.book": 2}

    def test_what_is_skipped_does_not_count(self) -> None:
        text = 'query ($x: Boolean!) { book(isbn: "1") @skip(if: $x) { title } }'
        assert (self.count(text, x=True), self.count(text, x=False)) == ({}, {"Query.book": 1})

    def test_the_provinces_owners_limit_names_codes_and_questions(self) -> None:
        rates = FieldRates(load_supergraph(PROVINCE.read_text(encoding="utf-8")).document)
        limited = {
            "nameCheck",
            "reserveName",
            "addChannel",
            "verifyChannel",
            "invitation",
            "confirmAct",
            "questionAccess",
        }
        assert {name.partition(".")[2] for name in rates._rates} >= limited

    @pytest.mark.parametrize(
        ("sdl", "told"),
        [
            ("type Book { a: Int @rateLimit(times: 1, seconds: 1) }", "Book.a: only root fields"),
            ("type Query { a: Int @rateLimit(times: 0, seconds: 1) }", "Query.a: times and seconds"),
            ('type Query { a: Int @rateLimit(times: 1, seconds: "1") }', "Query.a: times and seconds"),
        ],
    )
    def test_a_rate_that_could_not_be_kept_is_not_loaded(self, sdl: str, told: str) -> None:
        with pytest.raises(ValueError, match=told):
            FieldRates(parse(sdl))

    def test_a_directive_of_the_same_name_with_other_arguments_is_somebody_elses(self) -> None:
        document = parse('type Query { a: Int @rateLimit(max: 1, window: "1s") }')
        assert FieldRates(document)._rates == {}


@pytest.fixture
def limited(open_door: Opening, clock: Clock) -> Door:
    """A door with small limits and a clock that stands still."""
    door = open_door(books=BOOKS, opinions=BEST)
    pipeline: Any = door.app
    rated = load_supergraph(RATED)
    known = Operations(rated, pipeline._operations._documents, Limits(), remembered=3, shows_schema=True)
    pipeline._operations, pipeline._rate_limits = known, RateLimits(SMALL, clock)
    return door


def bearer(username: str) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens.token(audience='onedoor', username=username)}"}


async def asked(door: Door, times: int, text: str = ONE, headers: Mapping[str, str] | None = None) -> list[int]:
    return [(await door.post(text, headers)).status for _ in range(times)]


class TestCallers:
    async def test_a_stranger_is_refused_once_the_bucket_is_empty(self, limited: Door) -> None:
        assert await asked(limited, 5) == [200, 200, 200, 429, 429]
        assert len(limited.subgraphs.sent) == 3

    async def test_the_refusal_says_how_long_to_wait_in_both_languages(self, limited: Door) -> None:
        await asked(limited, 3, "{ best { text } }")
        reply = await limited.post("{ best { text } }", {"accept-language": "fr", "accept": "application/json"})
        assert reply.status == 429
        assert reply.headers["retry-after"] == "1"
        assert reply.headers["ratelimit-policy"] == '"address";q=6;w=6'
        assert reply.headers["ratelimit"] == '"address";r=0;t=1'
        (error,) = reply.body["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert error["extensions"]["retryAfter"] == 1
        assert error["message"] == error["extensions"]["text"]["fr"]
        assert "1 s" in error["message"]

    async def test_who_waits_as_told_is_answered(self, limited: Door, clock: Clock) -> None:
        await asked(limited, 3, "{ best { text } }")
        refused = await limited.post("{ best { text } best2: best { text } }")
        clock.now += int(refused.headers["retry-after"])
        assert (await limited.post("{ __typename }")).status == 200

    async def test_what_is_refused_is_not_charged(self, limited: Door, clock: Clock) -> None:
        await asked(limited, 3, "{ best { text } }")
        assert set(await asked(limited, 50, "{ __typename }")) == {429}
        clock.now += 2
        assert await asked(limited, 1, "{ best { text } }") == [200]

    async def test_each_person_has_a_bucket_whatever_the_token(self, limited: Door) -> None:
        first = {"authorization": f"Bearer {tokens.token(audience='onedoor', username='a', jti='1')}"}
        second = {"authorization": f"Bearer {tokens.token(audience='onedoor', username='a', jti='2')}"}
        text = "{ best { text } }"
        assert await asked(limited, 5, text, first) == [200] * 5
        assert await asked(limited, 1, text, second) == [429]
        assert await asked(limited, 1, text, bearer("b")) == [200]
        assert await asked(limited, 1, text) == [200]

    async def test_aliases_cost_what_they_would_cost_alone(self, limited: Door) -> None:
        text = (
            "{" + " ".join(f"a{n}: best {{ text }}" for n in range(4)) + "}"
        )  # 2 for 79 characters, 4 for the objects
        assert len(text) // 64 == 1
        assert await asked(limited, 2, text) == [200, 429]

    async def test_a_long_text_costs_before_it_is_understood(self, limited: Door) -> None:
        assert await asked(limited, 2, "{ nothing " + " " * 64 * 5 + "}") == [200, 429]
        assert (await limited.post("{ nothing" + " " * 64 * 9 + "}")).codes == ["OPERATION_TOO_LARGE"]

    async def test_more_than_a_burst_is_never_answered_and_says_so(self, limited: Door) -> None:
        text = "{" + " ".join(f"a{n}:best{{text}}" for n in range(7)) + "}"
        reply = await limited.post(text)
        (error,) = reply.body["errors"]
        assert error["extensions"]["code"] == "OPERATION_TOO_LARGE"
        assert error["extensions"]["limit"] == {"name": "rate", "most": 6, "found": 7}
        assert "retry-after" not in reply.headers
        assert limited.subgraphs.sent == []

    async def test_a_hundred_at_once_get_what_one_after_another_would(self, limited: Door) -> None:
        replies = await asyncio.gather(*(limited.post("{ best { text } }") for _ in range(100)))
        assert sum(reply.status == 200 for reply in replies) == 3

    async def test_a_forged_token_takes_nothing_from_whom_it_names(self, limited: Door) -> None:
        forged = {"authorization": bearer("a")["authorization"][:-8] + "AAAAAAAA"}
        assert set(await asked(limited, 50, headers=forged)) == {401}
        assert await asked(limited, 1, headers=bearer("a")) == [200]

    async def test_spoofed_addresses_open_no_further_bucket(self, limited: Door) -> None:
        found = [
            (await limited.post("{ best { text } }", {"x-forwarded-for": f"9.9.9.{n}", "forwarded": f"for=9.9.9.{n}"})).status
            for n in range(5)
        ]  # fmt: skip
        assert found == [200, 200, 200, 429, 429]


class TestRatedFields:
    async def test_are_refused_beside_the_cost(self, limited: Door, clock: Clock) -> None:
        who = bearer("a")
        assert await asked(limited, 3, headers=who) == [200] * 3
        clock.now += 9  # the cost has come back, the field has not
        reply = await limited.post(ONE, who)
        assert (reply.status, reply.codes, reply.headers["retry-after"]) == (429, ["RATE_LIMITED"], "11")
        assert reply.headers["ratelimit-policy"] == '"Query.book";q=3;w=60'
        assert "Query.book" in reply.body["errors"][0]["message"]
        assert await asked(limited, 1, "{ best { text } }", who) == [200]

    async def test_by_aliases_are_refused_as_by_requests(self, limited: Door) -> None:
        text = '{ a: book(isbn: "1") { title } b: book(isbn: "2") { title } }'
        assert await asked(limited, 2, text, bearer("a")) == [200, 429]

    async def test_more_than_ever_fit_are_told_so(self, limited: Door) -> None:
        text = "{" + " ".join(f'a{n}: book(isbn: "{n}") {{ isbn }}' for n in range(4)) + "}"
        (error,) = (await limited.post(text, bearer("a"))).body["errors"]
        assert error["extensions"]["limit"] == {"name": "times", "most": 3, "found": 4}

    async def test_a_refused_operation_takes_from_no_bucket(self, limited: Door, clock: Clock) -> None:
        who = bearer("a")
        assert await asked(limited, 3, headers=who) == [200] * 3
        clock.now += 100
        await asked(limited, 3, headers=who)
        await asked(limited, 4, headers=who)  # each charged 1 for being read, no more
        clock.now += 4
        assert await asked(limited, 1, "{ a: best { text } b: best { text } c: best { text } }", who) == [200]


class TestOnASocket:
    async def test_operations_and_subscriptions_are_charged_alike(self, wired: Wired, clock: Clock) -> None:
        limits = RateLimits(Rates(identity=1, identity_burst=10, address=1, address_burst=2), clock)
        wired.gateway.pipeline._rate_limits = limits
        async with served(Sockets(wired.gateway)) as port, speaking(port) as client:
            await client.begin()
            await client.ask("{ __typename }", "1")
            assert [m["type"] for m in await client.told()] == ["next", "complete"]
            await client.ask("{ __typename }", "2")
            assert [m["type"] for m in await client.told()] == ["next", "complete"]
            for text in ("{ __typename }", "subscription { reviewed { text } }"):
                await client.ask(text, text)
                (told,) = await client.told()
                assert told["type"] == "error"
                assert told["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
                assert told["payload"][0]["extensions"]["retryAfter"] == 1
        assert limits._strangers.left("@127.0.0.1", clock.now) == 0

    def test_nobody_is_limited_where_nothing_is_set(self, open_door: Opening) -> None:
        pipeline: Any = open_door().app
        assert isinstance(pipeline, Pipeline)
        assert pipeline._rate_limits is None


class TestSettings:
    ENV: Mapping[str, str] = {"SUPERGRAPH": str(SUPERGRAPH), "ONEDOOR_MODE": "production", "SIGNING_KEYS": "unread"}

    def test_production_limits_and_other_modes_do_not(self) -> None:
        assert gateway_settings(self.ENV).rates == Rates()
        assert gateway_settings({**self.ENV, "RATE_LIMITS": "0"}).rates is None
        for mode in ("local", "test"):
            assert gateway_settings({**self.ENV, "ONEDOOR_MODE": mode}).rates is None
            assert gateway_settings({**self.ENV, "ONEDOOR_MODE": mode, "RATE_LIMITS": "1"}).rates == Rates()

    def test_a_full_bucket_holds_the_dearest_operation_by_default(self) -> None:
        assert min(Rates().identity_burst, Rates().address_burst) >= Limits().cost

    def test_all_can_be_said(self) -> None:
        env = {"RATE_IDENTITY": "1", "RATE_IDENTITY_BURST": "2", "RATE_ADDRESS": "3", "RATE_ADDRESS_BURST": "4"}
        found = gateway_settings(
            {**self.ENV, **env, "RATE_SHARES": "5", "TRUSTED_PROXIES": "10.0.0.0/8", "FORWARDED_HEADER": "Forwarded"}
        ).rates
        assert found is not None
        assert (found.identity, found.identity_burst, found.address, found.address_burst) == (1, 2, 3, 4)
        assert (found.shares, list(map(str, found.trusted_proxies)), found.forwarded_header) == (
            *(5, ["10.0.0.0/8"], "forwarded"),
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [("RATE_IDENTITY", "0"), ("RATE_ADDRESS_BURST", "x"), ("TRUSTED_PROXIES", "10.0.0.1/8"), ("TRUSTED_PROXIES", "*"),
         ("FORWARDED_HEADER", "x-real-ip"), ("RATE_LIMITS", "yes")],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(SettingMissing, match=name):
            gateway_settings({**self.ENV, name: value})

    def test_a_share_of_the_rate_is_each_workers_and_the_burst_is_whole(self, clock: Clock) -> None:
        limits = RateLimits(Rates(identity=8, identity_burst=10, shares=4), clock)
        assert (limits._known.rate, limits._known.burst) == (2, 10)

    def test_a_reload_empties_no_bucket(self) -> None:
        gateway = Gateway(
            gateway_settings({**self.ENV, "ONEDOOR_MODE": "test", "RATE_LIMITS": "1", "SIGNING_KEYS": ""})
        )
        before = gateway.pipeline._rate_limits
        gateway.serve(load_supergraph(SDL))
        assert before is not None
        assert gateway.pipeline._rate_limits is before
