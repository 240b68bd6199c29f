"""Keycloak itself with our realm: what its tokens say, what it refuses, and that the running realm is the written one."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jws
from keycloak import KeycloakAdmin

from clusters import own_sessions, signin
from clusters.access import Authentication, SecondFactor, User, access
from clusters.keycloak.differences import differences
from clusters.keycloak.expected import expected, running
from clusters.keycloak.realm import INSIDE, realm
from clusters.local.processes import end, free_port, spawn, wait_until
from loadtests import signin as load_signin
from services.kit.dpop import Prover
from services.kit.settings import Issuer
from services.kit.tokens import Claims, Keys, TokenRefused, Verifier, http_source
from tests.stack.conftest import Keycloak, answers
from tests.stack.visits import PASSWORD, Register
from tests.stack.visits import admin as admin
from tests.stack.visits import register as register

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
RULES = access(gateway=INSIDE)
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


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The development issuer beside it."""
    port, log = free_port(), tmp_path_factory.mktemp("issuer") / "issuer.log"
    url = f"http://127.0.0.1:{port}/realms/onedoor"
    env = {**os.environ, "ONEDOOR_MODE": "local", "ISSUER_URL": url, "PORT": str(port)}
    process = spawn([sys.executable, "-m", "clusters.issuer"], log, env=env)
    try:
        wait_until(lambda: answers(url), process, "the development issuer", log, patience_s=60)
        yield url
    finally:
        end(process, signal.SIGTERM, patience_s=10)


def assert_alike(theirs: str, ours: str, their_issuer: str, our_issuer: str, *, of_client: bool = False) -> None:
    """Two tokens say the same kinds of things, and the same of what does not change from one sign-in to the next."""
    one, other = claims_of(theirs), claims_of(ours)
    assert one.keys() == other.keys()
    assert (one.pop("iss"), other.pop("iss")) == (their_issuer, our_issuer)
    changing = {"exp", "iat", "jti", "sid", "auth_time", "at_hash"} | ({"sub"} if of_client else set())
    for name in one.keys() - changing:
        assert _plain(one[name]) == _plain(other[name]), name
    for name in one.keys() & changing:
        assert type(one[name]) is type(other[name]), name
    assert one["exp"] - one["iat"] == other["exp"] - other["iat"] == RULES.lives.access
    headers = [jws.extract_compact(token.encode()).headers() for token in (theirs, ours)]
    assert [header["typ"] for header in headers] == [headers[0]["typ"]] * 2
    assert headers[0].keys() == headers[1].keys()


def _plain(value: Any) -> Any:
    """Lists, and the words of a scope, in an order of their own."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return sorted(value.split() if isinstance(value, str) else value)


class TestTokens:
    @pytest.mark.parametrize(
        "user",
        [u for u in USERS if RULES.second_factors.get(u.role) is not SecondFactor.KEY],
        ids=lambda user: user.name,
    )  # those who use a key are in test_signing_in.py
    async def test_a_person_has_the_role_scopes_and_ministry_that_access_says(
        self, keycloak: Keycloak, user: User
    ) -> None:
        token = signin.access_token(keycloak.issuer, user.name, user.password)
        claims = await verifier(keycloak, "onedoor").verify(token)
        assert (claims.subject, set(claims.roles)) == (user.subject, {user.role})
        assert claims.scopes == {"openid", *RULES.roles[user.role]}
        assert claims.ministries == ({user.ministry.rpartition("/")[2]} if user.ministry else set())

    async def test_of_somebody_in_many_groups_names_each_whole_until_the_refresh_after_they_leave_it(
        self, keycloak: Keycloak, admin: KeycloakAdmin, register: Register
    ) -> None:
        person = register.person("citizen", groups=("/education", "/education/education", "/justice/attorney-general"))
        first = signin.sign_in(keycloak.issuer, person.name, PASSWORD)
        assert (await verifier(keycloak, "accounts").verify(str(first["access_token"]))).ministries == {
            "education",
            "attorney-general",
        }
        admin.group_user_remove(person.id, admin.get_group_by_path("/education/education")["id"])
        second = signin.refresh(keycloak.issuer, first)
        claims = await verifier(keycloak, "accounts").verify(str(second["access_token"]))
        assert claims.ministries == {
            "attorney-general"
        }  # of the cluster `education` they still are, which is no ministry

    @pytest.mark.parametrize("audience", RULES.audiences)
    async def test_the_gateway_and_every_service_take_it(self, keycloak: Keycloak, audience: str) -> None:
        token = signin.access_token(keycloak.issuer, "owner", "owner-onedoor")
        assert isinstance(await verifier(keycloak, audience).verify(token), Claims)

    @pytest.mark.parametrize(("name", "acr"), [("owner", None), ("citizen", "2"), ("specialist", None)])
    def test_it_says_what_the_development_issuer_says_and_nothing_more(
        self, keycloak: Keycloak, development: str, name: str, acr: str | None
    ) -> None:
        theirs, ours = (
            signin.sign_in(issuer, name, f"{name}-onedoor", acr=acr) for issuer in (keycloak.issuer, development)
        )
        assert_alike(str(theirs["access_token"]), str(ours["access_token"]), keycloak.issuer, development)
        assert_alike(str(theirs["id_token"]), str(ours["id_token"]), keycloak.issuer, development)
        assert claims_of(str(theirs["id_token"]))["acr"] == ("1" if name == "owner" else "2")
        again = [signin.refresh(keycloak.issuer, theirs), signin.refresh(development, ours)]
        assert_alike(str(again[0]["access_token"]), str(again[1]["access_token"]), keycloak.issuer, development)
        assert theirs.keys() - ours.keys() == {"not-before-policy"} and ours.keys() <= theirs.keys()

    def test_for_seeing_ones_sessions_it_says_the_same_and_opens_no_service(
        self, keycloak: Keycloak, development: str
    ) -> None:
        prover = Prover()
        theirs, ours = (
            signin.sign_in(issuer, "owner", "owner-onedoor", prover=prover, client=own_sessions.CLIENT_ID)
            for issuer in (keycloak.issuer, development)
        )
        assert_alike(str(theirs["access_token"]), str(ours["access_token"]), keycloak.issuer, development)
        assert claims_of(str(theirs["access_token"]))["aud"] == "account"

    def test_of_a_client_it_says_what_the_development_issuer_says(self, keycloak: Keycloak, development: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": MONITOR.id, "client_secret": str(MONITOR.secret)}
        theirs, ours = (
            str(httpx.post(f"{issuer}/protocol/openid-connect/token", data=form).json()["access_token"])
            for issuer in (keycloak.issuer, development)
        )
        assert_alike(theirs, ours, keycloak.issuer, development, of_client=True)

    async def test_a_client_acts_by_itself_in_its_role(self, keycloak: Keycloak) -> None:
        answer = exchanged(
            keycloak, grant_type="client_credentials", client_id=MONITOR.id, client_secret=str(MONITOR.secret)
        )
        claims = await verifier(keycloak, "onedoor").verify(answer.json()["access_token"])
        assert claims.roles == {MONITOR.role}
        assert claims.scopes >= set(RULES.roles[str(MONITOR.role)])

    @pytest.mark.parametrize(
        "client", [c.id for c in RULES.clients.values() if c.authentication is Authentication.KEY and not c.secret]
    )
    @pytest.mark.parametrize("form", [{}, {"client_secret": ""}, {"client_secret": "guessed"}], ids=str)
    def test_a_client_that_has_a_key_is_nobody_without_it(
        self, keycloak: Keycloak, client: str, form: dict[str, str]
    ) -> None:
        answer = exchanged(keycloak, grant_type="client_credentials", client_id=client, **form)
        assert answer.status_code in (400, 401)
        assert answer.json()["error"] == "invalid_client", answer.text

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
    def test_it_is_the_written_one_but_for_what_an_import_adds(self, admin: KeycloakAdmin) -> None:
        found = differences(expected(realm(RULES, demo=True)), running(admin))
        assert len(found) == 1, found
        (added,) = found
        assert added.resource == ("scopes of new clients", "optional")
        assert added.found == ["offline_access"]  # of clients that are made later, and none is

    def test_nobody_else_is_in_it(self, admin: KeycloakAdmin) -> None:
        assert {user["id"] for user in admin.get_users({})} == {user.subject for user in USERS}
