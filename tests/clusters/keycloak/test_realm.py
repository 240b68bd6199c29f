"""The realm as code: what is committed is what the files say, and nothing in it is wider than security asks for."""

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.access import SecondFactor, access
from clusters.keycloak import blocklist, realm
from clusters.keycloak.clients import BUILT_IN

RULES = access(web="https://onedoor.example", gateway="https://door.example")
SERVING = realm.realm(RULES)
DEMO = realm.realm(RULES, demo=True)
CLIENTS: dict[str, dict[str, Any]] = {client["clientId"]: client for client in SERVING["clients"]}


class TestTheCommittedFile:
    def test_is_what_the_code_says(self) -> None:
        assert realm.FILE.read_text(encoding="utf-8") == realm.written(), f"mend it: {realm.MENDS}"

    def test_holds_no_private_key(self) -> None:
        text = realm.FILE.read_text(encoding="utf-8")
        assert "PRIVATE KEY" not in text and '\\"d\\"' not in text


class TestPasswords:
    def test_the_committed_list_is_what_the_code_says(self) -> None:
        assert blocklist.FILE.read_text(encoding="utf-8") == blocklist.written(), f"mend it: {blocklist.MENDS}"

    def test_it_holds_what_people_write_who_must_write_twelve(self) -> None:
        held = set(blocklist.passwords())
        assert {"password1234", "motdepasse123", "onedoor2026!", "qwerty123456", "ontarioontario"} <= held
        assert len(held) > 3_000
        assert all(len(password) >= blocklist.SHORTEST and password == password.lower() for password in held)

    def test_no_demo_user_needs_one_of_it(self) -> None:
        assert not {user.password for user in RULES.users.values()} & set(blocklist.passwords())


class TestARealmThatServesPeople:
    def test_has_nobody_whose_password_is_known(self) -> None:
        assert all("credentials" not in user for user in SERVING["users"])
        assert {user["username"] for user in DEMO["users"]} > RULES.users.keys()

    def test_has_no_secret(self) -> None:
        assert not [name for name, client in CLIENTS.items() if "secret" in client]

    def test_has_no_address_of_a_developers_machine_but_loopback_for_the_command_line(self) -> None:
        local = {name for name, client in CLIENTS.items() if "127.0.0.1" in str(client)}
        assert local == {"onedoor-cli", "onedoor-account"}

    def test_binds_tokens_of_the_command_line_to_a_key(self) -> None:
        assert CLIENTS["onedoor-cli"]["attributes"]["dpop.bound.access.tokens"] == "true"


class TestClients:
    @pytest.mark.parametrize("name", CLIENTS)
    def test_none_takes_a_shortcut(self, name: str) -> None:
        client = CLIENTS[name]
        for wide in ("implicitFlowEnabled", "directAccessGrantsEnabled", "fullScopeAllowed"):
            assert client[wide] is False
        assert client["optionalClientScopes"] == []
        assert not [uri for uri in client["redirectUris"] if "*" in uri]

    @pytest.mark.parametrize("name", RULES.clients)
    def test_each_proves_itself_by_a_key_or_is_public_and_acts_for_people_only(self, name: str) -> None:
        client = CLIENTS[name]
        if client["publicClient"]:
            assert client["serviceAccountsEnabled"] is False
        else:
            assert client["clientAuthenticatorType"] == "client-jwt"
            assert client["attributes"]["use.jwks.string"] == "true"

    @pytest.mark.parametrize("name", [c for c in RULES.clients if CLIENTS[c]["standardFlowEnabled"]])
    def test_where_people_sign_in_the_gateway_hears_of_the_end_and_codes_need_pkce(self, name: str) -> None:
        told = CLIENTS[name]["attributes"]
        assert told["backchannel.logout.url"] == "https://door.example/auth/backchannel-logout"
        assert told["backchannel.logout.session.required"] == "true"
        assert told["pkce.code.challenge.method"] == "S256"

    def test_every_service_has_one_under_the_name_of_its_audience(self) -> None:
        assert {audience for audience in RULES.audiences if audience != "onedoor"} <= CLIENTS.keys()

    def test_tokens_by_which_people_see_their_sessions_open_no_service_and_no_others_do_that(self) -> None:
        held = {name: set(client["defaultClientScopes"]) for name, client in CLIENTS.items()}
        assert held["onedoor-account"] == {"basic", "acr", "account"}
        assert [name for name, scopes in held.items() if "account" in scopes] == ["onedoor-account"]
        assert SERVING["clientScopeMappings"]["account"] == [{"clientScope": "account", "roles": ["manage-account"]}]

    def test_none_of_keycloaks_own_signs_anybody_in(self) -> None:
        for name in BUILT_IN:
            client = CLIENTS[name]
            assert (client["enabled"], client["standardFlowEnabled"]) == (name == "account", False)
            assert client["redirectUris"] == client["defaultClientScopes"] == []

    def test_a_key_is_published_for_its_client_alone(self) -> None:
        key = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "abc", "kid": "1"}]}
        made = {c["clientId"]: c for c in realm.realm(RULES, {"catalogue": key})["clients"]}
        holding = [name for name, client in made.items() if '"x": "abc"' in str(client.get("attributes"))]
        assert holding == ["catalogue"]


class TestRoles:
    def test_staff_have_a_second_factor_and_citizens_may_do_without(self) -> None:
        assert RULES.roles.keys() - RULES.second_factors.keys() == {"citizen"}
        strong = {role for role, factor in RULES.second_factors.items() if factor is SecondFactor.KEY}
        assert strong == {"ministry_administrator", "operator", "auditor"}

    def test_an_auditor_reads_only_but_for_the_own_account(self) -> None:
        assert all(scope.endswith(":read") for scope in RULES.roles["auditor"] if scope != "account:manage")

    def test_who_conducts_an_inspection_does_not_review_it(self) -> None:
        for held in RULES.roles.values():
            assert not {"inspection:conduct", "inspection:review"} <= set(held)

    def test_each_is_held_by_a_demo_user_and_staff_work_in_a_ministry(self) -> None:
        assert {user.role for user in RULES.users.values()} == RULES.roles.keys()
        groups = set(paths(SERVING["groups"]))
        for user in RULES.users.values():
            assert (user.ministry is not None) == (user.role in RULES.second_factors)
            assert user.ministry is None or f"/{user.ministry}" in groups


def paths(groups: list[dict[str, Any]], above: str = "") -> Iterator[str]:
    for group in groups:
        yield f"{above}/{group['name']}"
        yield from paths(group["subGroups"], f"{above}/{group['name']}")
