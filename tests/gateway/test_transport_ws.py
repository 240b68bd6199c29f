"""What a client's message means where it stands: never a crash, always the protocol's own close code."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transport_ws import Closing, Code, Complete, Conversation, Init, Meaning, Ping, Subscribe

INIT = {"type": "connection_init"}
ASK = {"id": "1", "type": "subscribe", "payload": {"query": "{ a }"}}


def said(conversation: Conversation, *messages: object) -> Meaning:
    """What the last of some messages means, the client being acknowledged as soon as it asks."""
    meaning: Meaning = None
    for message in messages:
        meaning = conversation.understand(message if isinstance(message, str) else orjson.dumps(message).decode())
        if isinstance(meaning, Init):
            conversation.acknowledge()
    return meaning


def closed(*messages: object) -> int:
    with pytest.raises(Closing) as caught:
        said(Conversation(), *messages)
    return int(caught.value.code)


class TestAMessage:
    def test_means_what_the_protocol_says(self) -> None:
        conversation = Conversation()
        assert said(conversation, {"type": "ping", "payload": {"at": 1}}) == Ping()
        assert said(conversation, {**INIT, "payload": {"authorization": "x"}}) == Init({"authorization": "x"})
        assert said(conversation, ASK) == Subscribe("1", {"query": "{ a }"})
        assert said(conversation, {"type": "pong"}) is None
        assert said(conversation, {"id": "1", "type": "complete"}) == Complete("1")
        assert said(conversation, ASK) == Subscribe("1", {"query": "{ a }"})  # the id is free again

    def test_may_name_a_document_by_its_hash(self) -> None:
        named: tuple[dict[str, Any], ...] = ({"documentId": "x"}, {"extensions": {"persistedQuery": {}}})
        for payload in named:
            assert isinstance(said(Conversation(), INIT, {**ASK, "payload": payload}), Subscribe)

    @pytest.mark.parametrize(
        "message",
        [
            "", "x", "{", "null", "[]", '"connection_init"', "{}", '{"type": 1}', '{"type": "next", "id": "1"}',
            '{"type": "connection_ack"}', '{"type": "connection_init", "payload": []}', '{"type": "ping", "payload": 1}',
            '{"type": "complete"}', '{"type": "complete", "id": 1}', '{"type": "complete", "id": ""}', "[" * 5_000,
        ],
    )  # fmt: skip
    def test_of_no_form_closes_the_socket(self, message: str) -> None:
        assert closed(message) == closed(INIT, message) == Code.BAD_REQUEST

    @pytest.mark.parametrize(
        "changed",
        [
            {"id": None}, {"id": 1}, {"id": ""}, {"id": "x" * 1_000}, {"payload": None}, {"payload": []},
            {"payload": {}}, {"payload": {"query": 1}}, {"payload": {"query": None}},
            {"payload": {"query": 1, "documentId": "x"}},
            {"payload": {"query": "{ a }", "variables": []}}, {"payload": {"query": "{ a }", "operationName": 1}},
            {"payload": {"query": "{ a }", "extensions": "x"}},
        ],
    )  # fmt: skip
    def test_that_asks_in_no_form_closes_the_socket(self, changed: dict[str, Any]) -> None:
        assert closed(INIT, {**ASK, **changed}) == Code.BAD_REQUEST

    def test_in_binary_closes_the_socket(self) -> None:
        with pytest.raises(Closing) as caught:
            Conversation().understand(None)
        assert caught.value.code == Code.BAD_REQUEST


class TestAClient:
    def test_who_asks_before_the_acknowledgement_is_sent_away(self) -> None:
        assert closed(ASK) == Code.UNAUTHORIZED

    def test_who_begins_twice_is_sent_away(self) -> None:
        assert closed(INIT, INIT) == Code.TOO_MANY_INITS

    def test_who_uses_an_id_twice_is_sent_away(self) -> None:
        assert closed(INIT, ASK, ASK) == Code.ALREADY_EXISTS

    def test_is_told_why_within_what_a_close_frame_holds(self) -> None:
        conversation = Conversation()
        with pytest.raises(Closing) as caught:
            said(conversation, INIT, *[{**ASK, "id": "é" * 200}] * 2)
        assert len(caught.value.reason.encode()) <= 123
        assert caught.value.reason.startswith("Subscriber for é")


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_messages = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["connection_init", "subscribe", "complete", "ping", "pong", "next", "error"]) | _json,
        "id": st.sampled_from(["1", "2"]) | _json,
        "payload": st.fixed_dictionaries({}, optional={"query": st.just("{ a }") | _json, "variables": _json}) | _json,
    },
)
_texts = st.text(max_size=30) | _messages.map(lambda m: orjson.dumps(m).decode()) | st.none()
_known = st.sampled_from(
    [orjson.dumps(m).decode() for m in (INIT, ASK, {"id": "1", "type": "complete"}, {"type": "ping"})]
)


class TestAnySequence:
    @given(st.lists(_texts | _known, max_size=12))
    def test_has_a_meaning_or_a_close_code(self, texts: list[str | None]) -> None:
        conversation, inits, running = Conversation(), 0, set[str]()
        for text in texts:
            try:
                meaning = conversation.understand(text)
            except Closing as closing:
                assert closing.code in (4400, 4401, 4409, 4429)
                assert (closing.code == 4429) <= (inits > 0)
                assert (closing.code == 4401) <= (inits == 0)
                assert (closing.code == 4409) <= bool(running)
                return
            match meaning:
                case Init():
                    inits += 1
                    conversation.acknowledge()
                case Subscribe(identity, payload):
                    assert inits == 1
                    assert identity not in running
                    assert isinstance(payload, dict)
                    running.add(identity)
                case Complete(identity):
                    running.discard(identity)
            assert conversation.running == running
