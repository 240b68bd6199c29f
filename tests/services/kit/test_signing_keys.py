"""Key files: what each may hold, and that a change is taken up while a bad one changes nothing."""

from pathlib import Path

import orjson
import pytest
from joserfc.jwk import OKPKey, RSAKey

from services.kit.signing_keys import KeyFile, KeysUnusable, public_keys, signing_key

ONE, OTHER = (OKPKey.generate_key("Ed25519", {"kid": kid}) for kid in ("one", "other"))
NAMELESS = OKPKey.generate_key("Ed25519")
ENCRYPTING = OKPKey.generate_key("X25519", {"kid": "x"})


def set_of(*keys: OKPKey, private: bool) -> bytes:
    return orjson.dumps({"keys": [key.as_dict(private=private) for key in keys]})


class TestPrivateKeys:
    def test_the_first_of_a_set_signs(self) -> None:
        assert signing_key(set_of(ONE, OTHER, private=True)).id == "one"
        assert signing_key(set_of(OTHER, ONE, private=True)).id == "other"

    def test_may_be_one_jwk_or_pem(self) -> None:
        """Where no id is said it is the thumbprint of RFC 7638."""
        assert signing_key(orjson.dumps(ONE.as_dict(private=True))).id == "one"
        assert signing_key(NAMELESS.as_pem(private=True)).id == NAMELESS.thumbprint()

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"{}", b"[]", b"null", b"nonsense", b'{"keys":[]}', b'{"keys":[1]}', b'{"keys":{}}', b"\xff"),
            b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----",
            set_of(ONE, private=False),
            set_of(ENCRYPTING, private=True),
            RSAKey.generate_key(2048).as_pem(private=True),
            set_of(OKPKey.generate_key("Ed25519", {"kid": 'a"b'}), private=True),
        ],
        ids=[
            *("empty", "nothing", "a list", "null", "nonsense", "no keys", "a number", "keys of a kind", "no UTF-8"),
            *("no PEM", "public", "encrypting", "RSA", "quotes in its id"),
        ],
    )
    def test_of_any_other_kind_are_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError):
            signing_key(content)


class TestPublicKeys:
    def test_are_found_by_their_ids(self) -> None:
        assert set(public_keys(set_of(ONE, NAMELESS, private=False))) == {"one", NAMELESS.thumbprint()}

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b'{"keys":[]}', b'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"aa"}]}'),
            set_of(ONE, private=True),
            set_of(ONE, ONE, private=False),
            set_of(ENCRYPTING, private=False),
        ],
        ids=["empty", "no keys", "no point", "private", "one id twice", "encrypting"],
    )
    def test_of_any_other_kind_are_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError):
            public_keys(content)


class TestAKeyFile:
    def test_that_cannot_be_used_names_itself_and_the_remedy(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        for content in (None, b"{}"):
            if content is not None:
                file.write_bytes(content)
            with pytest.raises(KeysUnusable, match=r"keys\.json.*onedoor keys"):
                KeyFile(file, public_keys)

    def test_that_changes_is_taken_up(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(set_of(ONE, private=False))
        keys = KeyFile(file, public_keys)
        file.write_bytes(set_of(ONE, OTHER, private=False))
        keys.refresh()
        assert set(keys.held) == {"one", "other"}

    def test_that_turns_bad_or_goes_leaves_the_known_keys(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(set_of(ONE, private=False))
        keys = KeyFile(file, public_keys)
        file.write_bytes(b"{")
        keys.refresh()
        assert set(keys.held) == {"one"}
        file.unlink()
        keys.refresh()
        assert set(keys.held) == {"one"}
