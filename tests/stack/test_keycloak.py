"""Keycloak itself with our realm: what its tokens say, what it refuses, and that the running realm is the written one."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jws
from keycloak import KeycloakAdmin

from clusters import signin
from clusters.access import Client, User, access
from clusters.issuer.keys import Holder, Signer
from clusters.keycloak.realm import realm
from loadtests import signin as load_signin
from services.kit.settings import Issuer
from services.kit.tokens import Claims, Keys, TokenRefused, Verifier, http_source
from tests.stack.conftest import Keycloak

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
RULES = access()
USERS = list(RULES.users.values())
MONITOR = next(client for client in RULES.clients.values() if client.role)
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # of RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def verifier(keycloak: Keycloak, audience: str) -> Verifier:
    """What a service of that audience verifies tokens with."""
    issuer = Issuer(keycloak.issuer, keycloak.issuer)
    return Verifier(issuer, audience, Keys(http_source(issuer.jwks_url)))


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jws.extract_compact(token.encode()).payload)
    return found


def asked(**changed: str) -> str:
    """The query of an authorization request, some of it changed; empty leaves out."""
    usual = {
        "client_id": "onedoor-cli",
        "response_type": "code",
        "redirect_uri": signin.REDIRECT_URI,
        "scope": "openid",
        "state": "s",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return urlencode({name: value for name, value in {**usual, **changed}.items() if value})


def exchanged(keycloak: Keycloak, **form: str) -> httpx.Response:
    return httpx.post(f"{keycloak.issuer}/protocol/openid-connect/token", data={"client_id": "onedoor-cli", **form})


class TestTokens:
    @pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
    async def test_a_person_has_the_role_and_scopes_that_access_says(self, keycloak: Keycloak, user: User) -> None:
        token = signin.access_token(keycloak.issuer, user.name, user.password)
        claims = await verifier(keycloak, "onedoor").verify(token)
        assert (claims.subject, set(claims.roles)) == (user.subject, {user.role})
        assert claims.scopes == {"openid", *RULES.roles[user.role]}

    @pytest.mark.parametrize("audience", RULES.audiences)
    async def test_the_gateway_and_every_service_take_it(self, keycloak: Keycloak, audience: str) -> None:
        token = signin.access_token(keycloak.issuer, "owner", "owner-onedoor")
        assert isinstance(await verifier(keycloak, audience).verify(token), Claims)

    def test_it_says_what_the_development_issuer_says_and_nothing_more(self, keycloak: Keycloak) -> None:
        theirs = signin.access_token(keycloak.issuer, "owner", "owner-onedoor")
        holder = Holder(RULES.users["owner"].subject, ("citizen",), RULES.roles["citizen"], "session", 0)
        ours = Signer(keycloak.issuer, RULES.audiences).access_token(holder, "onedoor-cli", RULES.lives.access)
        assert claims_of(theirs).keys() == claims_of(ours).keys()
        for same in ("iss", "sub", "typ", "azp", "acr", "realm_access"):
            assert claims_of(theirs)[same] == claims_of(ours)[same]
        assert set(claims_of(theirs)["aud"]) == set(claims_of(ours)["aud"])
        headers = [jws.extract_compact(token.encode()).headers() for token in (theirs, ours)]
        assert headers[0]["typ"] == headers[1]["typ"] == "at+jwt"
        assert claims_of(theirs)["exp"] - claims_of(theirs)["iat"] == RULES.lives.access

    async def test_a_client_acts_by_itself_in_its_role(self, keycloak: Keycloak) -> None:
        answer = exchanged(
            keycloak, grant_type="client_credentials", client_id=MONITOR.id, client_secret=str(MONITOR.secret)
        )
        claims = await verifier(keycloak, "onedoor").verify(answer.json()["access_token"])
        assert claims.roles == {MONITOR.role}
        assert claims.scopes >= set(RULES.roles[str(MONITOR.role)])

    async def test_an_id_token_is_no_access_token(self, keycloak: Keycloak) -> None:
        tokens = signin.sign_in(keycloak.issuer, "owner", "owner-onedoor")
        with pytest.raises(TokenRefused):
            await verifier(keycloak, "onedoor-cli").verify(str(tokens["id_token"]))

    async def test_load_users_sign_in_alike(self, keycloak: Keycloak) -> None:
        token, life_s = load_signin.access_token(keycloak.issuer, "citizen", "citizen-onedoor")
        assert (await verifier(keycloak, "onedoor").verify(token)).subject == RULES.users["citizen"].subject
        assert life_s == RULES.lives.access


class TestRefusals:
    def test_a_wrong_password(self, keycloak: Keycloak) -> None:
        with pytest.raises(signin.SignInFailed, match="Invalid username or password"):
            signin.access_token(keycloak.issuer, "operator", "wrong-password")

    @pytest.mark.parametrize("client", ["onedoor-cli", "onedoor-web", "onedoor-monitor", "admin-cli", "account"])
    def test_the_password_grant(self, keycloak: Keycloak, client: str) -> None:
        secret = RULES.clients[client].secret if client in RULES.clients else None
        form = {
            "grant_type": "password",
            "username": "owner",
            "password": "owner-onedoor",
            "client_secret": secret or "",
        }
        answer = exchanged(keycloak, client_id=client, **form)
        assert answer.status_code in (400, 401)
        assert "access_token" not in answer.json()

    @pytest.mark.parametrize(
        "changed",
        [
            {"code_challenge": "", "code_challenge_method": ""},
            {"code_challenge_method": "plain"},
            {"response_type": "token"},
            {"response_type": "code id_token"},
        ],
        ids=["no challenge", "plain challenge", "implicit", "hybrid"],
    )
    def test_a_code_without_pkce_and_the_implicit_flow(self, keycloak: Keycloak, changed: dict[str, str]) -> None:
        answer = httpx.get(f"{keycloak.issuer}/protocol/openid-connect/auth?{asked(**changed)}")
        if answer.is_redirect:
            returned = urlsplit(answer.headers["location"])
            assert "error" in parse_qs(returned.query) | parse_qs(returned.fragment)
        else:
            assert answer.status_code == 400

    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:8400/elsewhere",
            "http://127.0.0.1:8400@evil.example/callback",
        ],
    )
    def test_a_return_to_elsewhere(self, keycloak: Keycloak, address: str) -> None:
        answer = httpx.get(f"{keycloak.issuer}/protocol/openid-connect/auth?{asked(redirect_uri=address)}")
        assert answer.status_code == 400
        assert "location" not in answer.headers

    def test_a_refresh_token_that_comes_again_ends_the_session(self, keycloak: Keycloak) -> None:
        first = signin.sign_in(keycloak.issuer, "citizen", "citizen-onedoor")
        second = exchanged(keycloak, grant_type="refresh_token", refresh_token=str(first["refresh_token"])).json()
        again = exchanged(keycloak, grant_type="refresh_token", refresh_token=str(first["refresh_token"]))
        assert again.json()["error"] == "invalid_grant"
        after = exchanged(keycloak, grant_type="refresh_token", refresh_token=second["refresh_token"])
        assert after.json()["error"] == "invalid_grant"


class TestPage:
    @pytest.mark.parametrize(("language", "password"), [("en", "Password"), ("fr", "Mot de passe")])
    def test_speaks_the_persons_language(self, keycloak: Keycloak, language: str, password: str) -> None:
        page = httpx.get(f"{keycloak.issuer}/protocol/openid-connect/auth?{asked(ui_locales=language)}")
        assert re.search(f'<html[^>]* lang="{language}"', page.text)
        assert password in page.text


class TestRunningRealm:
    @pytest.fixture
    def admin(self, keycloak: Keycloak) -> KeycloakAdmin:
        return KeycloakAdmin(
            server_url=keycloak.base,
            client_id=keycloak.admin,
            client_secret_key=keycloak.admin_secret,
            realm_name="onedoor",
            user_realm_name="master",
        )

    def test_it_is_the_written_one(self, admin: KeycloakAdmin) -> None:
        running, written = admin.get_realm("onedoor"), realm(RULES)
        plain = {name: value for name, value in written.items() if isinstance(value, str | int | bool)}
        assert {name: running.get(name) for name in plain} == plain
        assert {role["name"] for role in admin.get_realm_roles()} >= RULES.roles.keys()
        own = {scope["name"] for scope in admin.get_client_scopes()} - {"offline_access"}  # Keycloak always makes it
        assert own == {scope["name"] for scope in written["clientScopes"]}

    def test_no_client_takes_a_shortcut(self, admin: KeycloakAdmin) -> None:
        clients = [client for client in admin.get_clients() if client["enabled"] and not client["bearerOnly"]]
        assert {client["clientId"] for client in clients} == RULES.clients.keys()
        for client in clients:
            assert not client["directAccessGrantsEnabled"], client["clientId"]
            assert not client["implicitFlowEnabled"], client["clientId"]
            assert not client["fullScopeAllowed"], client["clientId"]
            assert client["optionalClientScopes"] == [], client["clientId"]
            assert client["redirectUris"] == list(_registered(RULES.clients[client["clientId"]])), client["clientId"]

    def test_nobody_else_is_in_it(self, admin: KeycloakAdmin) -> None:
        assert {user["id"] for user in admin.get_users({})} == {user.subject for user in USERS}


def _registered(client: Client) -> tuple[str, ...]:
    return tuple(sorted(client.redirect_uris))
