"""A shell's way through a door that takes no plain token: keys in files, proofs, and what is refused with a remedy."""

import json
import stat
from pathlib import Path

import pytest

from clusters import asking
from clusters.asking import QueryFailed
from services.kit.dpop import Proofs, target

URL = "https://api.example.ca/graphql"


class TestAKeyInAFile:
    def test_is_made_once_for_its_owner_only(self, tmp_path: Path) -> None:
        file = tmp_path / "key.jwk"
        first = asking.prover(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert asking.prover(file).thumbprint == first.thumbprint

    def test_proves_one_request(self, tmp_path: Path) -> None:
        file = tmp_path / "key.jwk"
        proof = asking.proof(file, "a.b.c", "POST", URL)
        assert Proofs().check(proof, "POST", {target(URL)}, "a.b.c") == asking.prover(file).thumbprint

    @pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}'])
    def test_that_is_none_is_refused_and_kept(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "key.jwk"
        file.write_text(text)
        with pytest.raises(QueryFailed, match=r"key\.jwk"):
            asking.prover(file)
        assert file.read_text() == text

    def test_in_a_folder_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(QueryFailed, match="nowhere"):
            asking.prover(tmp_path / "nowhere" / "key.jwk")


class TestAnOperation:
    def test_to_a_door_that_is_closed_is_told_with_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATEWAY_URL", "http://127.0.0.1:9/graphql")
        with pytest.raises(QueryFailed, match="onedoor up"):
            asking.ask("{ __typename }", "{}", None, None, None, None)

    @pytest.mark.parametrize("variables", ["", "7", "[]", "{"])
    def test_with_variables_that_are_none_is_not_sent(self, variables: str) -> None:
        with pytest.raises(QueryFailed, match="--variables"):
            asking.ask("{ __typename }", variables, None, None, None, None)

    def test_by_an_address_that_is_none_is_not_proved(self, tmp_path: Path) -> None:
        with pytest.raises(QueryFailed):
            asking.proof(tmp_path / "key.jwk", json.dumps("x"), "POST", "nowhere")
