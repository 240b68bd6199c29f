"""What is told of grants: signed for the one question that was asked, and refused whole for anything that is wrong with it."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws
from joserfc.jwk import OKPKey

from services.kit import revisions
from services.kit.grants import Revision
from services.kit.revisions import Answer, NotTold, Question, read, read_question, signed
from services.kit.testing.grants import delegation

KEY, OTHER = (OKPKey.generate_key("Ed25519", {"kid": f"accounts-{n}"}) for n in "12")
NONCE, INSTANCE = uuid4(), uuid4()
ASKED = Question(NONCE, INSTANCE, 4)
AT = datetime(2030, 1, 1, tzinfo=UTC)
NOW = AT.timestamp()
LASTS = {"begins": AT, "ends": AT + timedelta(days=1)}
GRANT = delegation("ann", "clerk", **LASTS, confirmed=({"act": "a", "until": "2030-01-01T00:00:00Z"},))
TOLD = Answer(NONCE, AT, 6, (Revision(5, GRANT), Revision(6, delegation("bob", "clerk", **LASTS))))


def public(key: OKPKey) -> Ed25519PublicKey:
    found = key.public_key
    assert isinstance(found, Ed25519PublicKey)
    return found


KEYS: Mapping[str, Ed25519PublicKey] = {"accounts-1": public(KEY)}


def by(key: OKPKey, content: bytes, **header: Any) -> bytes:
    said = {"alg": "Ed25519", "typ": revisions.TYPE, "kid": key.kid, **header}
    return jws.serialize_compact(said, content, key, algorithms=["Ed25519"]).encode()


def plain(part: Any) -> bytes:
    written = revisions._ANSWER.dump_json(part) if part is TOLD else orjson.dumps(part)
    return base64.urlsafe_b64encode(written).rstrip(b"=")


def changed(**changes: Any) -> bytes:
    """An answer that accounts has signed, with something in it that there must not be."""
    content = orjson.loads(revisions._ANSWER.dump_json(TOLD))
    for path, value in changes.items():
        place = content
        *way, last = path.split("__")
        for step in way:
            place = place[int(step) if step.isdecimal() else step]
        place[last] = value
    return by(KEY, orjson.dumps(content))


def altered() -> bytes:
    head, payload, signature = signed(TOLD, KEY).split(b".")
    return b".".join((head, payload[:-4] + (b"AAAA" if payload[-4:] != b"AAAA" else b"BBBB"), signature))


WHOLE = revisions._ANSWER.dump_json(TOLD)
WRONG: Mapping[str, Any] = {
    "altered": altered,
    "signed by another key": lambda: by(OTHER, WHOLE, kid="accounts-1"),
    "signed by a key that is not known": lambda: by(OTHER, WHOLE),
    "signed for something else": lambda: by(KEY, WHOLE, typ="onedoor-audit-head"),
    "signed by no algorithm": lambda: b".".join((plain({"alg": "none", "typ": revisions.TYPE}), plain(TOLD), b"")),
    "not signed": lambda: WHOLE,
    "nothing": lambda: b"",
    "two parts": lambda: signed(TOLD, KEY).rpartition(b".")[0],
    "no object": lambda: by(KEY, b"[]"),
    "no JSON": lambda: by(KEY, b"{"),
    "an answer to another question": lambda: signed(replace(TOLD, nonce=uuid4()), KEY),
    "a field more": lambda: changed(more=1),
    "a field more in a grant": lambda: changed(revisions__0__grant__may_pass_on=True),
    "a kind that nobody knows": lambda: changed(revisions__0__grant__kind="power"),
    "a number as text": lambda: changed(revisions__0__grant__rev="1"),
    "a moment without a zone": lambda: changed(revisions__0__grant__ends="2030-01-01T00:00:00"),
    "no places": lambda: changed(revisions__0__seq=0),
    "older places": lambda: signed(replace(TOLD, revisions=(Revision(4, GRANT), Revision(3, GRANT))), KEY),
    "places beyond the head": lambda: changed(head=5),
    "a head without what leads to it": lambda: signed(replace(TOLD, revisions=()), KEY),
    "a head before what is known": lambda: signed(replace(TOLD, head=3, revisions=()), KEY),
}


class TestAnAnswer:
    def test_is_read_as_it_was_signed(self) -> None:
        assert read(signed(TOLD, KEY), ASKED, KEYS, NOW) == TOLD

    def test_says_that_nothing_has_changed(self) -> None:
        nothing = replace(TOLD, head=4, revisions=())
        assert read(signed(nothing, KEY), ASKED, KEYS, NOW) == nothing

    @pytest.mark.parametrize("what", WRONG)
    def test_is_refused_whole_where_it_is(self, what: str) -> None:
        with pytest.raises(NotTold):
            read(WRONG[what](), ASKED, KEYS, NOW)

    @pytest.mark.parametrize(("ahead_s", "fits"), [(29, True), (31, False), (-29, True), (-31, False)])
    def test_of_another_time_is_refused(self, ahead_s: int, fits: bool) -> None:
        if fits:
            assert read(signed(TOLD, KEY), ASKED, KEYS, NOW - ahead_s) == TOLD
        else:
            with pytest.raises(NotTold, match="clocks"):
                read(signed(TOLD, KEY), ASKED, KEYS, NOW - ahead_s)


class TestAQuestion:
    def test_is_read_as_it_was_asked(self) -> None:
        assert read_question(revisions.asked(ASKED)) == ASKED

    @pytest.mark.parametrize(
        "sent",
        [b"", b"[]", b"{}", b'{"nonce":1}', b"\xff" * 9, revisions.asked(replace(ASKED, applied=-1)),
         revisions.asked(ASKED).replace(b"}", b',"head":9}')],
        ids=["empty", "a list", "nothing", "a number", "no UTF-8", "before the first", "more"],
    )  # fmt: skip
    def test_of_another_form_is_none(self, sent: bytes) -> None:
        with pytest.raises(NotTold):
            read_question(sent)

    def test_names_its_instance(self) -> None:
        assert isinstance(read_question(revisions.asked(ASKED)).instance, UUID)
