"""Signed calls: what one vouches for holds as it was signed, nowhere else and no longer; as the standard and its library say."""

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier
from http_message_signatures.algorithms import ED25519
from http_message_signatures.resolvers import MappingKeyResolver
from hypothesis import given
from hypothesis import strategies as st

from services.kit.signatures import AHEAD_S, LONGEST_S, SignatureRefused, Signed, SigningKey, base, sign, verify
from services.kit.signing_keys import signing_key

KEY = SigningKey("gateway-1", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
KEYS = {KEY.id: KEY.private.public_key()}
TARGET = "http://127.0.0.1:8101/graphql"
BODY = b'{"query":"{ __typename }"}'
CONTEXT = 'rid="r1", op="0a", fetch="f1", purpose="", authority="self", lang=fr, deadline=1700000000000, for=()'
TOKEN = b"Bearer aaaa.bbbb.cccc"
NOW = 1_800_000_000.5
Headers = list[tuple[bytes, bytes]]
COMPONENTS = ("@method", "@target-uri", "content-digest", "authorization", "onedoor-context")


def signed(authorization: bytes | None = TOKEN, at: float = NOW, key: SigningKey = KEY) -> Headers:
    """A call's headers, as a server hands them on."""
    lines = sign(key, "POST", TARGET, BODY, CONTEXT, authorization, at).split(b"\r\n")
    assert lines.pop() == b""
    own = [] if authorization is None else [(b"authorization", authorization)]
    return [*own, *((name, value) for name, _, value in (line.partition(b": ") for line in lines))]


def judged(headers: Headers, at: float = NOW, method: str = "POST", target: str = TARGET, body: bytes = BODY) -> Signed:
    return verify(method, target, headers, body, KEYS, at)


def changed(headers: Headers, name: bytes, change: Callable[[bytes], bytes]) -> Headers:
    return [(n, change(value) if n == name else value) for n, value in headers]


class TestASignedCall:
    @pytest.mark.parametrize("authorization", [None, TOKEN, b"  " + TOKEN + b" "])
    def test_vouches_for_its_context(self, authorization: bytes | None) -> None:
        found = judged(signed(authorization))
        assert (found.context, found.expires) == (CONTEXT, int(NOW) + LONGEST_S)

    def test_has_a_nonce_of_its_own(self) -> None:
        nonces = {judged(signed()).nonce for _ in range(100)}
        assert len(nonces) == 100
        assert all(len(nonce) >= 22 for nonce in nonces)

    def test_holds_for_half_a_minute_and_not_before_it_was_signed(self) -> None:
        headers = signed()
        for at in (NOW - AHEAD_S, NOW, NOW + LONGEST_S - 1):
            judged(headers, at)
        for at in (NOW - AHEAD_S - 1, NOW + LONGEST_S, NOW + 86_400):
            with pytest.raises(SignatureRefused):
                judged(headers, at)


ALTERED: dict[str, Callable[[], Signed]] = {
    "no signature": lambda: judged([h for h in signed() if h[0] != b"signature"]),
    "no parameters": lambda: judged([h for h in signed() if h[0] != b"signature-input"]),
    "no digest": lambda: judged([h for h in signed() if h[0] != b"content-digest"]),
    "no context": lambda: judged([h for h in signed() if h[0] != b"onedoor-context"]),
    "token taken away": lambda: judged([h for h in signed() if h[0] != b"authorization"]),
    "token added": lambda: judged([*signed(None), (b"authorization", TOKEN)]),
    "another's token": lambda: judged(changed(signed(), b"authorization", lambda _: b"Bearer dddd.eeee.ffff")),
    "another body": lambda: judged(signed(), body=BODY + b" "),
    "another method": lambda: judged(signed(), method="GET"),
    "another service": lambda: judged(signed(), target="http://127.0.0.1:8102/graphql"),
    "a query": lambda: judged(signed(), target=TARGET + "?a=1"),
    "another purpose": lambda: judged(
        changed(signed(), b"onedoor-context", lambda v: v.replace(b'purpose=""', b'purpose="audit"'))
    ),
    "an unknown key": lambda: judged(signed(key=SigningKey("other", KEY.private))),
    "a key of the same name": lambda: judged(signed(key=SigningKey(KEY.id, Ed25519PrivateKey.generate()))),
    "another tag": lambda: judged(changed(signed(), b"signature-input", lambda v: v.replace(b'"onedoor"', b'"other"'))),
    "two labels": lambda: judged(changed(signed(), b"signature-input", lambda v: v + b", b=" + v.partition(b"=")[2])),
    "fewer components": lambda: judged(
        changed(signed(), b"signature-input", lambda v: v.replace(b'"content-digest" ', b""))
    ),
    "other bits that mean the same": lambda: judged(changed(signed(), b"signature", _same_bytes)),
}


def _same_bytes(value: bytes) -> bytes:
    """The last letter of 64 bytes in base64 holds four bits that mean nothing."""
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = value.index(b"==") - 1
    other = value[:at] + bytes([letters[letters.index(value[at]) | 1]]) + value[at + 1 :]
    assert b64decode(other[len("onedoor=:") : -1]) == b64decode(value[len("onedoor=:") : -1])
    return other


class TestAnAlteredCall:
    @pytest.mark.parametrize("altered", ALTERED)
    def test_is_refused(self, altered: str) -> None:
        with pytest.raises(SignatureRefused):
            ALTERED[altered]()

    @pytest.mark.parametrize("name", [name for name, _ in signed()])
    def test_is_refused_where_a_header_comes_twice(self, name: bytes) -> None:
        headers = signed()
        for value in (dict(headers)[name], b""):
            with pytest.raises(SignatureRefused, match="doubled"):
                judged([*headers, (name, value)])

    @pytest.mark.parametrize(
        ("was", "is_"),
        [
            (b";nonce=", b";nonse="),
            (b";tag=", b";created=1;tag="),
            (b";nonce=", b';nonce="a";nonce='),
            (b";created=", b";created=a"),
            (b";created=", b";created=-"),
            (b";created=", b";created=99999999999999999999"),
            (b";keyid=", b';alg="rsa-pss-sha512";keyid='),
            (b";keyid=", b';alg="hmac-sha256";keyid='),
            (b"=(", b"=( "),
            (b'"@method"', b'"@method";req'),
            (b'"@method"', b'"@method" "@method"'),
            (b"onedoor=", b"other="),
        ],
    )
    def test_is_refused_for_parameters_of_any_other_form(self, was: bytes, is_: bytes) -> None:
        """Signed anew by the key itself, so that nothing but the form speaks against it."""
        headers = dict(signed())
        given = headers[b"signature-input"].replace(was, is_)
        assert given != headers[b"signature-input"]
        covered = [(b"@method", b"POST"), (b"@target-uri", TARGET.encode()), *_fields(headers)]
        signature = KEY.private.sign(base(covered, given.partition(b"=")[2]))
        headers |= {b"signature-input": given, b"signature": b"onedoor=:" + b64encode(signature) + b":"}
        with pytest.raises(SignatureRefused):
            judged(list(headers.items()))

    @pytest.mark.parametrize("seconds", [0, -1, LONGEST_S + 1, 10**9])
    def test_is_refused_where_it_would_hold_too_long_or_never(self, seconds: int) -> None:
        headers = dict(signed())
        made, ends = int(NOW), int(NOW) + LONGEST_S
        given = headers[b"signature-input"].replace(b"expires=%d" % ends, b"expires=%d" % (made + seconds))
        covered = [(b"@method", b"POST"), (b"@target-uri", TARGET.encode()), *_fields(headers)]
        signature = KEY.private.sign(base(covered, given.partition(b"=")[2]))
        headers |= {b"signature-input": given, b"signature": b"onedoor=:" + b64encode(signature) + b":"}
        with pytest.raises(SignatureRefused, match="expired"):
            judged(list(headers.items()))

    @given(st.data())
    def test_in_any_letter_is_refused(self, data: st.DataObject) -> None:
        headers = signed()
        parts = [*(name for name, _ in headers), b"@method", b"@target-uri", b"body"]
        name = data.draw(st.sampled_from(parts), "part")
        whole = {**dict(headers), b"@method": b"POST", b"@target-uri": TARGET.encode(), b"body": BODY}[name]
        at = data.draw(st.integers(0, len(whole) - 1), "at")
        letters = st.binary(max_size=3).filter(lambda new: new.strip() == new and not set(new) & set(b"\r\n"))
        other = whole[:at] + data.draw(letters, "new") + whole[at + data.draw(st.integers(0, 3), "gone") :]
        if other == whole or (name in dict(headers) and other.strip() == whole):
            return
        given = {**dict(headers), b"@method": b"POST", b"@target-uri": TARGET.encode(), b"body": BODY, name: other}
        method, target, body = (given.pop(part) for part in (b"@method", b"@target-uri", b"body"))
        with pytest.raises((SignatureRefused, UnicodeError)):
            judged(list(given.items()), NOW, method.decode("ascii"), target.decode("ascii"), body)

    @given(st.dictionaries(st.sampled_from([name for name, _ in signed()]), st.binary(max_size=300), min_size=1))
    def test_of_anything_at_all_is_refused(self, garbage: dict[bytes, bytes]) -> None:
        with pytest.raises(SignatureRefused):
            judged(list((dict(signed()) | garbage).items()))

    @given(st.sets(st.sampled_from([name for name, _ in signed()]), min_size=1, max_size=4))
    def test_that_mixes_two_signed_ones_is_refused(self, names: set[bytes]) -> None:
        mine = signed(b"Bearer mine")
        theirs = dict(signed(b"Bearer theirs"))
        mixed = [(name, theirs[name] if name in names else value) for name, value in mine]
        if dict(mixed) in (dict(mine), theirs):  # digest and context are the same in both
            return
        with pytest.raises(SignatureRefused):
            judged(mixed)


def _fields(headers: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, headers[name]) for name in (b"content-digest", b"authorization", b"onedoor-context")]


class TestTheStandard:
    def test_its_example_is_signed_alike(self) -> None:
        """RFC 9421, appendix B.2.6."""
        jwk = {
            "kty": "OKP",
            "crv": "Ed25519",
            "kid": "test-key-ed25519",
            "d": "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU",
            "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
        }
        key = signing_key(orjson.dumps(jwk))
        covered = [
            (b"date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
            (b"@method", b"POST"),
            (b"@path", b"/foo"),
            (b"@authority", b"example.com"),
            (b"content-type", b"application/json"),
            (b"content-length", b"18"),
        ]
        names = b" ".join(b'"%b"' % name for name, _ in covered)
        signature = key.private.sign(base(covered, b'(%b);created=1618884473;keyid="%b"' % (names, key.id.encode())))
        assert b64encode(signature) == (
            b"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
        )

    @pytest.mark.parametrize("authorization", [None, TOKEN])
    def test_its_library_verifies_what_we_sign(self, authorization: bytes | None) -> None:
        verifier = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=RESOLVER)
        message = _message(signed(authorization, time.time()))
        (found,) = verifier.verify(message, expect_tag="onedoor", body=BODY)
        names = COMPONENTS if authorization else tuple(c for c in COMPONENTS if c != "authorization")
        assert tuple(found.covered_components)[:-1] == tuple(f'"{name}"' for name in names)

    @pytest.mark.parametrize("include_alg", [True, False])
    @pytest.mark.parametrize("authorization", [None, TOKEN])
    def test_we_verify_what_its_library_signs(self, authorization: bytes | None, *, include_alg: bool) -> None:
        message = _message([h for h in signed(authorization) if h[0] in (b"authorization", b"onedoor-context")])
        HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=RESOLVER).sign(
            message,
            key_id=KEY.id,
            created=datetime.fromtimestamp(int(NOW), UTC),
            expires=datetime.fromtimestamp(int(NOW) + 20, UTC),
            nonce="n-1",
            label="onedoor",
            tag="onedoor",
            include_alg=include_alg,
            covered_component_ids=[c for c in COMPONENTS if authorization or c != "authorization"],
            body=BODY,
        )
        headers = [(name.lower().encode(), value.encode()) for name, value in message.headers.items()]
        assert judged(headers) == Signed(CONTEXT, "n-1", int(NOW) + 20)


RESOLVER = MappingKeyResolver(public_keys=dict(KEYS), private_keys={KEY.id: KEY.private})


def _message(headers: Headers) -> Any:
    given = {name.decode(): value.decode() for name, value in headers}
    return SimpleNamespace(method="POST", url=TARGET, headers=given)
