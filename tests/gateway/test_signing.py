"""What the gateway signs: each try of each fetch, and the opening of each stream; with a context that tells what it is for."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import get_operation_ast, parse

from clusters.keys import PRIVATE, PUBLIC, Step, take
from clusters.topology import SUPERGRAPH as PROVINCE
from gateway.app import Gateway, application
from gateway.callers import Callers
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import load_supergraph
from gateway.settings import Settings, gateway_settings
from gateway.signing import Signer
from services.kit.context import Context, read
from services.kit.language import Language
from services.kit.settings import Mode, SettingMissing
from services.kit.signatures import LONGEST_S, SignatureRefused, verify
from services.kit.signing_keys import public_keys
from services.kit.testing import tokens
from tests.gateway.conftest import SDL, SUPERGRAPH, Answers, Door, Loopback, Wired, http, listening, playing
from tests.gateway.speaking import DONE, event, saying, upstream
from tests.gateway.test_resilience import BOOK, MUTATION, TEXT, in_turn
from tests.gateway.test_response_cache import bearer, held, together

EVENTS = {"accept": "text/event-stream"}
WATCH = "subscription { bookAdded { title } }"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    take(Step.MAKE, tmp_path)
    return tmp_path


@pytest.fixture
def signing(wired: Wired, keys: Path) -> Wired:
    """A gateway that signs."""
    wired.gateway.callers = Callers(tokens.verifier("onedoor"), wired.gateway.settings)
    wired.gateway.signer = Signer(keys / PRIVATE)
    wired.gateway.serve(load_supergraph(SDL))
    return wired


def headers_of(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.split(b"\r\n")[1:]
    return [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines if line)]


def verified(at: Loopback, keys: Path) -> list[Context]:
    """The contexts of all that a subgraph was asked, each verified as a service does."""
    known = public_keys((keys / PUBLIC).read_bytes())
    return [
        read(verify("POST", at.url, headers_of(head), body, known, time.time()).context) for head, body in at.requests
    ]


class TestAFetch:
    async def test_is_signed_with_its_callers_token_and_choices(self, signing: Wired, keys: Path) -> None:
        signing.books.play = playing(http(BOOK))
        chosen = {"onedoor-purpose": "licensing", "onedoor-authority": "grant-7", "accept-language": "fr"}
        reply = await signing.door.post(TEXT, {**bearer("ana"), **chosen, "x-request-id": "mine"})
        assert reply.content == BOOK
        (told,) = verified(signing.books, keys)
        assert (told.purpose, told.authority, told.language) == ("licensing", "grant-7", Language.FR)
        assert len(told.op) == 64
        assert told.deadline_ms is not None and 0 < told.deadline_ms / 1000 - time.time() < 0.4
        sent = dict(headers_of(signing.books.requests[0][0]))
        assert (sent[b"x-request-id"], sent[b"authorization"]) == (b"mine", bearer("ana")["authorization"].encode())
        assert told.rid != "mine"  # a client's id is for people to find it by
        assert (len(told.rid), len(told.fetch)) == (32, 32)

    async def test_is_its_own_where_nothing_was_chosen(self, signing: Wired, keys: Path) -> None:
        signing.books.play = playing(http(BOOK))
        reply = await signing.door.post(TEXT)
        (told,) = verified(signing.books, keys)
        assert (told.purpose, told.authority, told.recipients) == ("", "self", ())
        assert told.rid == reply.headers["x-request-id"]

    async def test_is_signed_anew_for_another_try_and_stays_the_same_fetch(self, signing: Wired, keys: Path) -> None:
        signing.books.play = in_turn(
            playing(None), playing(http(b"busy", b"503 Service Unavailable")), playing(http(BOOK))
        )
        assert (await signing.door.post(TEXT)).content == BOOK
        first, *again = verified(signing.books, keys)
        assert again == [first, first]
        signatures = {dict(headers_of(head))[b"signature-input"] for head, _ in signing.books.requests}
        assert len(signatures) == 3

    async def test_is_signed_anew_when_a_pooled_connection_has_died(self, signing: Wired, keys: Path) -> None:
        signing.books.play = in_turn(playing(http(BOOK)), playing(None), playing(http(BOOK)))
        for _ in "ab":
            assert (await signing.door.post(TEXT)).content == BOOK
        _, second, third = verified(signing.books, keys)
        assert second == third
        signatures = {dict(headers_of(head))[b"signature"] for head, _ in signing.books.requests}
        assert len(signatures) == 3

    async def test_of_a_mutation_is_signed_too(self, signing: Wired, keys: Path) -> None:
        signing.books.play = playing(http(b'{"data":{"addBook":{"title":"T"}}}'))
        assert not (await signing.door.post(MUTATION)).codes
        assert len(verified(signing.books, keys)) == 1

    async def test_is_signed_by_the_key_that_is_active_now(self, signing: Wired, keys: Path) -> None:
        signing.books.play = playing(http(BOOK))
        old = await asyncio.to_thread(take, Step.PUBLISH, keys)
        await asyncio.to_thread(take, Step.ACTIVATE, keys)
        assert signing.gateway.signer is not None
        for _ in "ab":
            await signing.door.post(TEXT)
            signing.gateway.signer.key.refresh()
        used = [dict(headers_of(head))[b"signature-input"] for head, _ in signing.books.requests]
        assert [name.encode() in line for name, line in zip(old, used, strict=True)] == [True, True]
        assert len(verified(signing.books, keys)) == 2

    async def test_is_not_signed_where_there_is_no_key(self, wired: Wired) -> None:
        await wired.door.post(TEXT, {"onedoor-purpose": "licensing"})
        sent = dict(headers_of(wired.books.requests[0][0]))
        assert not {b"signature", b"signature-input", b"content-digest", b"onedoor-context"} & sent.keys()
        assert sent[b"onedoor-purpose"] == b"licensing"

    async def test_that_a_service_refuses_to_believe_is_an_outage_to_callers(self, signing: Wired) -> None:
        refusal = b'{"errors":[{"message":"m","extensions":{"code":"SIGNATURE_REFUSED","text":{"en":"a","fr":"b"}}}]}'
        signing.books.play = playing(http(refusal, b"401 Unauthorized"))
        reply = await signing.door.post(TEXT)
        assert (reply.status, reply.codes) == (200, ["SUBGRAPH_UNAVAILABLE"])

    async def test_of_the_state_of_subgraphs_is_signed(self, signing: Wired, keys: Path) -> None:
        signing.books.play = playing(http(b'{"data":{"__typename":"Query"}}'))
        assert (await signing.gateway.subgraphs.states())["books"] == "ok"
        assert len(verified(signing.books, keys)) == 1


class TestASharedFetch:
    async def test_is_shared_though_each_would_be_signed_otherwise(self, signing: Wired, keys: Path) -> None:
        await _share(signing)
        signing.books.play, _, let_go = held(BOOK)
        replies = await together(*[lambda: signing.door.post(TEXT)] * 5, let_go=let_go)
        assert [reply.content for reply in replies] == [BOOK] * 5
        assert len(verified(signing.books, keys)) == 1

    async def test_is_not_shared_between_purposes_or_authorities(self, signing: Wired) -> None:
        await _share(signing)
        signing.books.play, _, let_go = held(BOOK)
        chosen = [{}, {"onedoor-purpose": "a"}, {"onedoor-authority": "a"}, {"onedoor-purpose": "b"}]
        await together(*(lambda c=c: signing.door.post(TEXT, c) for c in chosen), let_go=let_go)
        assert len(signing.books.requests) == 4


async def _share(wired: Wired) -> None:
    wired.gateway.settings = replace(
        wired.gateway.settings, shares_fetches=True, response_cache_bytes=0, deadline_s=5.0
    )
    wired.gateway.serve(load_supergraph(SDL))


class TestAStream:
    async def test_over_http_signs_its_opening(self, signing: Wired, keys: Path) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        said = b'event: next\ndata: {"data":{"bookAdded":{"title":"T"}}}\n\nevent: complete\ndata:\n\n'
        signing.books.play = playing(head, said, None)
        assert b'"title":"T"' in (await signing.door.post(WATCH, EVENTS)).content
        (told,) = verified(signing.books, keys)
        assert told.deadline_ms is not None and told.deadline_ms / 1000 > time.time() + 600

    async def test_over_a_websocket_signs_its_handshake(self, keys: Path) -> None:
        async with upstream(("graphql-transport-ws",)) as books, listening() as opinions:
            settings = Settings(
                supergraph=SUPERGRAPH,
                mode=Mode.TEST,
                subgraph_urls={"SUBSCRIPTION_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": opinions.url},
                signing_keys=keys / PRIVATE,
            )
            gateway = Gateway(settings)
            books.play = saying(event(bookAdded={"title": "T"}), DONE)
            async with gateway.running():
                await Door(application(gateway), Answers({}), settings).post(WATCH, EVENTS)
            given = [(name.lower().encode(), value.encode()) for name, value in books.handshakes[0].items()]
            known = public_keys((keys / PUBLIC).read_bytes())
            assert read(verify("GET", books.url, given, b"", known, time.time()).context).authority == "self"
            with pytest.raises(SignatureRefused):
                verify("GET", books.url, given, b"", known, time.time() + LONGEST_S)


class TestAChoice:
    @pytest.mark.parametrize("name", ["onedoor-purpose", "onedoor-authority"])
    @pytest.mark.parametrize("value", ["a b", 'a"', "-", "x" * 101, "é", "a,b", " "])
    async def test_that_can_be_none_is_refused_before_any_fetch(self, signing: Wired, name: str, value: str) -> None:
        reply = await signing.door.post(TEXT, {name: value})
        assert (reply.status, reply.codes) == (400, ["BAD_REQUEST"])
        text: Mapping[str, str] = reply.body["errors"][0]["extensions"]["text"]
        assert all(name.title() in half for half in text.values())
        assert not signing.books.requests

    async def test_in_a_context_of_the_clients_own_counts_for_nothing(self, signing: Wired, keys: Path) -> None:
        signing.books.play = playing(http(BOOK))
        forged = {"onedoor-context": 'rid="x", authority="grant-7"', "signature": "x", "content-digest": "x"}
        assert (await signing.door.post(TEXT, forged)).content == BOOK
        assert verified(signing.books, keys)[0].authority == "self"


class TestTheRecipientsOfAFetch:
    def test_are_the_services_that_are_told_more_than_a_key(self) -> None:
        """By @requires: `riskScore` needs the sector, `helpNearby` the postal code; `inspections` needs the key only."""
        supergraph = load_supergraph(PROVINCE.read_text(encoding="utf-8"))
        fields = {"riskScore { score }": ("inspections",), "helpNearby { location { id } }": ("information_referral",)}
        for field, expected in {**fields, "inspections(first: 1) { edges { cursor } }": ()}.items():
            assert _recipients(supergraph, f'{{ business(businessNumber: "1") {{ {field} }} }}') == expected
        both = f'{{ business(businessNumber: "1") {{ {" ".join(fields)} }} }}'
        assert _recipients(supergraph, both) == ("information_referral", "inspections")


def _recipients(supergraph: Any, text: str) -> tuple[str, ...]:

    document = parse(text)
    node = get_operation_ast(document)
    assert node is not None
    return tuple(name for fetch in plan_operation(supergraph, document, node, {}).fetches for name in fetch.recipients)


class TestAProductionGateway:
    @pytest.mark.parametrize("value", [None, "", " "])
    def test_does_not_start_without_keys(self, value: str | None) -> None:

        env = {"SUPERGRAPH": "x", "ONEDOOR_MODE": "production", **({} if value is None else {"SIGNING_KEYS": value})}
        with pytest.raises(SettingMissing, match="SIGNING_KEYS"):
            gateway_settings(env)

    def test_does_not_start_with_a_file_that_holds_none(self, tmp_path: Path) -> None:
        with pytest.raises(SettingMissing, match=r"nothing\.json"):
            Gateway(Settings(SUPERGRAPH, Mode.PRODUCTION, signing_keys=tmp_path / "nothing.json"))
