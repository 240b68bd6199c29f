"""Who administers Keycloak: what the environment must say, and which keys can be used."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from clusters.keycloak.connection import KeycloakRefused, account, connected, private_key, public_keys
from clusters.keycloak.provision import from_environment

USUAL = {"KEYCLOAK_URL": "http://127.0.0.1:9/", "KEYCLOAK_CLIENT_SECRET": "secret"}


class TestTheEnvironment:
    @pytest.mark.parametrize(
        ("env", "named"),
        [
            ({}, "KEYCLOAK_URL"),
            ({"KEYCLOAK_URL": "http://127.0.0.1:9"}, "KEYCLOAK_CLIENT_KEY"),
            ({"KEYCLOAK_URL": "", "KEYCLOAK_CLIENT_SECRET": "x"}, "KEYCLOAK_URL"),
        ],
    )
    def test_what_is_missing_is_named(self, env: dict[str, str], named: str) -> None:
        with pytest.raises(KeycloakRefused, match=named):
            account(env, "onedoor")

    def test_the_realms_own_client_is_meant_unless_another_is_named(self) -> None:
        found = account(USUAL, "onedoor")
        assert (found.client, found.realm, found.url) == ("onedoor-admin", "onedoor", "http://127.0.0.1:9")
        named = {"KEYCLOAK_CLIENT_ID": "boot", "KEYCLOAK_CLIENT_REALM": "master"}
        assert (account({**USUAL, **named}, "onedoor").realm, account({**USUAL, **named}, "x").client) == (
            "master",
            "boot",
        )

    def test_a_key_is_preferred_to_a_secret(self) -> None:
        found = account({**USUAL, "KEYCLOAK_CLIENT_KEY": "/keys/admin.pem"}, "onedoor")
        assert (found.key, found.secret) == (Path("/keys/admin.pem"), None)

    def test_a_realm_that_serves_people_needs_its_addresses(self) -> None:
        with pytest.raises(KeycloakRefused, match="WEB_URL"):
            from_environment(USUAL, None, demo=False)
        with pytest.raises(KeycloakRefused, match="GATEWAY_URL"):
            from_environment({**USUAL, "WEB_URL": "https://www.example.ca"}, None, demo=False)

    def test_a_server_that_does_not_answer_is_named(self) -> None:
        with pytest.raises(KeycloakRefused, match=r"does not answer at http://127\.0\.0\.1:9"):
            connected(account(USUAL, "onedoor"), "onedoor")


class TestKeys:
    @pytest.mark.parametrize("form", ["pem", "jwk"])
    def test_a_private_key_is_read_as_pem_or_jwk(self, tmp_path: Path, form: str) -> None:
        key, file = ECKey.generate_key("P-256"), tmp_path / "key"
        file.write_bytes(key.as_pem(private=True) if form == "pem" else json.dumps(key.as_dict(private=True)).encode())
        assert private_key(file).thumbprint() == key.thumbprint()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "not a key",
            "{}",
            "[]",
            json.dumps(ECKey.generate_key("P-256").as_dict(private=False)),
            json.dumps(ECKey.generate_key("P-384").as_dict(private=True)),
            json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)),
            RSAKey.generate_key(2048).as_pem(private=True).decode(),
            "\0" * 100,
        ],
        ids=["empty", "text", "{}", "[]", "public", "P-384", "Ed25519", "RSA", "NUL"],
    )
    def test_what_is_no_private_key_on_p256_is_refused_by_name(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "key.json"
        file.write_text(text)
        with pytest.raises(KeycloakRefused, match=r"key\.json"):
            private_key(file)

    def test_a_file_that_is_not_there_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(KeycloakRefused, match="nowhere"):
            private_key(tmp_path / "nowhere")

    def test_public_keys_are_those_of_the_files_named_after_clients(self, tmp_path: Path) -> None:
        document = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
        (tmp_path / "catalogue.jwks.json").write_text(json.dumps(document))
        (tmp_path / "catalogue.pem").write_text("ignored")
        assert public_keys(tmp_path) == {"catalogue": document}

    def test_a_private_key_among_them_is_refused_and_to_be_replaced(self, tmp_path: Path) -> None:
        document = {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}
        (tmp_path / "catalogue.jwks.json").write_text(json.dumps(document))
        with pytest.raises(KeycloakRefused, match="private key"):
            public_keys(tmp_path)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 1}', '{"keys": [{}]}'])
    def test_what_holds_no_keys_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "catalogue.jwks.json").write_text(text)
        with pytest.raises(KeycloakRefused, match=r"catalogue\.jwks\.json"):
            public_keys(tmp_path)
