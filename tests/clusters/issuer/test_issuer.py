"""The development issuer over HTTP as a browser and a client see it: what it gives, and all that it refuses.

The same shapes are tried on Keycloak itself in `tests/stack`.
"""

import os
import subprocess
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from clusters.access import access
from clusters.issuer.sessions import TRIES
from services.kit.tokens import TokenRefused
from tests.clusters.issuer.conftest import ENDPOINT, URL, by_code, code_of, exchanged, page, posted, verifier

CONFIDENTIAL = next(client for client in access().clients.values() if client.secret and client.role)


class TestSigningIn:
    @pytest.mark.parametrize("user", access().users.values(), ids=lambda user: user.name)
    async def test_a_demo_user_gets_tokens_that_gateway_and_services_take(
        self, browser: httpx.AsyncClient, user: Any
    ) -> None:
        tokens = (await by_code(browser, await code_of(browser, user.name))).json()
        for audience in access().audiences:
            claims = await verifier(browser, audience).verify(tokens["access_token"])
            assert claims.subject == user.subject
            assert claims.roles == {user.role}
            assert claims.scopes == {"openid", *access().roles[user.role]}
            assert claims.ministries == ({user.ministry.rpartition("/")[2]} if user.ministry else set())

    async def test_state_and_issuer_come_back_with_the_code(self, browser: httpx.AsyncClient) -> None:
        answer = await posted(browser, await page(browser), "owner", "owner-onedoor")
        returned = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (returned["state"], returned["iss"]) == (["s"], [URL])
        assert answer.headers["cache-control"] == "no-store"

    async def test_an_id_token_is_no_access_token(self, browser: httpx.AsyncClient) -> None:
        tokens = (await by_code(browser, await code_of(browser))).json()
        with pytest.raises(TokenRefused):
            await verifier(browser, "onedoor-cli").verify(tokens["id_token"])

    @pytest.mark.parametrize(("language", "word"), [("en", "Password"), ("fr", "Mot de passe")])
    async def test_the_page_speaks_the_persons_language(
        self, browser: httpx.AsyncClient, language: str, word: str
    ) -> None:
        shown = await page(browser, ui_locales=language)
        assert f'lang="{language}-CA"' in shown.text
        assert word in shown.text

    @pytest.mark.parametrize("name", ["owner", "nobody-at-all", "", "<script>", "\u202e", "x" * 5_000])
    async def test_a_wrong_name_and_a_wrong_password_are_told_alike(
        self, browser: httpx.AsyncClient, name: str
    ) -> None:
        answer = await posted(browser, await page(browser), name, "wrong")
        assert answer.status_code == 401
        assert "<script>" not in answer.text

    async def test_whoever_guesses_on_must_wait_even_with_the_right_password(self, browser: httpx.AsyncClient) -> None:
        for _ in range(TRIES):
            await posted(browser, await page(browser), "owner", "wrong")
        assert (await posted(browser, await page(browser), "owner", "owner-onedoor")).status_code == 429
        assert (await posted(browser, await page(browser), "citizen", "citizen-onedoor")).status_code == 302

    async def test_another_browser_cannot_post_the_page(self, browser: httpx.AsyncClient) -> None:
        shown = await page(browser)
        browser.cookies.clear()
        assert (await posted(browser, shown, "owner", "owner-onedoor")).status_code == 400

    async def test_a_page_works_once(self, browser: httpx.AsyncClient) -> None:
        shown = await page(browser)
        assert (await posted(browser, shown, "owner", "owner-onedoor")).status_code == 302
        assert (await posted(browser, shown, "owner", "owner-onedoor")).status_code == 400


class TestWhatIsAskedWrongly:
    @pytest.mark.parametrize(
        "changed",
        [
            {"client_id": "stranger"},
            {"redirect_uri": "https://evil.example/callback"},
            {"redirect_uri": "http://127.0.0.1:8400@evil.example/callback"},
            {"redirect_uri": "http://127.0.0.1:8400/elsewhere"},
            {"redirect_uri": "http://127.0.0.1:8400/callback?more=1"},
            {"redirect_uri": ""},
        ],
    )
    async def test_an_unknown_client_or_address_is_told_to_the_person_and_never_redirected_to(
        self, browser: httpx.AsyncClient, changed: dict[str, str]
    ) -> None:
        answer = await page(browser, **changed)
        assert answer.status_code == 400
        assert "location" not in answer.headers

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"code_challenge": ""}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": ""}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_type": "code id_token"}, "unsupported_response_type"),
            ({"response_mode": "fragment"}, "unsupported_response_type"),
            ({"prompt": "none"}, "login_required"),
        ],
    )
    async def test_a_request_without_pkce_or_for_another_flow_is_an_oauth_error(
        self, browser: httpx.AsyncClient, changed: dict[str, str], error: str
    ) -> None:
        answer = await page(browser, **changed)
        returned = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (returned["error"], returned["state"]) == ([error], ["s"])

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"code_verifier": "x" * 43}, "invalid_grant"),
            ({"code_verifier": ""}, "invalid_grant"),
            ({"redirect_uri": "http://127.0.0.1:9/callback"}, "invalid_grant"),
            ({"code": "none"}, "invalid_grant"),
            ({"client_id": "stranger"}, "invalid_client"),
            ({"grant_type": "password", "username": "owner", "password": "owner-onedoor"}, "unsupported_grant_type"),
            ({"grant_type": ""}, "unsupported_grant_type"),
        ],
    )
    async def test_a_code_is_worth_nothing_without_all_that_it_was_asked_with(
        self, browser: httpx.AsyncClient, changed: dict[str, str], error: str
    ) -> None:
        answer = await by_code(browser, await code_of(browser), **changed)
        assert answer.status_code in (400, 401)
        assert answer.json()["error"] == error

    async def test_a_form_that_is_none_or_too_large_is_refused(self, browser: httpx.AsyncClient) -> None:
        assert (await browser.post(f"{ENDPOINT}/token", json={"grant_type": "refresh_token"})).status_code == 400
        assert (await exchanged(browser, grant_type="refresh_token", refresh_token="x" * 20_000)).status_code == 413


class TestTokens:
    async def test_a_code_that_comes_again_ends_the_session_of_the_first(self, browser: httpx.AsyncClient) -> None:
        code = await code_of(browser)
        tokens = (await by_code(browser, code)).json()
        assert (await by_code(browser, code)).json()["error"] == "invalid_grant"
        after = await exchanged(browser, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert after.json()["error"] == "invalid_grant"

    async def test_a_refresh_token_works_once_and_ends_the_session_when_it_comes_again(
        self, browser: httpx.AsyncClient
    ) -> None:
        first = (await by_code(browser, await code_of(browser))).json()["refresh_token"]
        second = (await exchanged(browser, grant_type="refresh_token", refresh_token=first)).json()["refresh_token"]
        for token in (first, second):
            answer = await exchanged(browser, grant_type="refresh_token", refresh_token=token)
            assert answer.json()["error"] == "invalid_grant"

    async def test_signing_out_ends_the_refresh_token(self, browser: httpx.AsyncClient) -> None:
        token = (await by_code(browser, await code_of(browser))).json()["refresh_token"]
        form = {"client_id": "onedoor-cli", "refresh_token": token}
        assert (await browser.post(f"{ENDPOINT}/logout", data=form)).status_code == 204
        after = await exchanged(browser, grant_type="refresh_token", refresh_token=token)
        assert after.json()["error"] == "invalid_grant"

    async def test_a_confidential_client_acts_in_its_role_and_a_public_one_does_not(
        self, browser: httpx.AsyncClient
    ) -> None:
        form = {"grant_type": "client_credentials"}
        secret = str(CONFIDENTIAL.secret)
        own = await exchanged(browser, **form, client_id=CONFIDENTIAL.id, client_secret=secret)
        claims = await verifier(browser, "onedoor").verify(own.json()["access_token"])
        assert claims.roles == {CONFIDENTIAL.role}
        wrong = await exchanged(browser, **form, client_id=CONFIDENTIAL.id, client_secret="wrong")
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        assert (await exchanged(browser, **form)).json()["error"] == "unauthorized_client"

    async def test_discovery_names_addresses_that_are_there(self, browser: httpx.AsyncClient) -> None:
        told = (await browser.get(f"{URL}/.well-known/openid-configuration")).json()
        assert told["issuer"] == URL
        for name in ("authorization_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"):
            assert (await browser.get(told[name])).status_code != 404, name

    async def test_userinfo_tells_whose_a_token_is(self, browser: httpx.AsyncClient) -> None:
        token = (await by_code(browser, await code_of(browser))).json()["access_token"]
        own = await browser.get(f"{ENDPOINT}/userinfo", headers={"authorization": f"Bearer {token}"})
        assert own.json() == {"sub": access().users["owner"].subject}
        other = await browser.get(f"{ENDPOINT}/userinfo", headers={"authorization": f"Bearer {token}x"})
        assert other.status_code == 401


class TestProduction:
    @pytest.mark.parametrize(("lang", "word"), [("en_CA.UTF-8", "production"), ("fr_CA.UTF-8", "émetteur")])
    def test_it_refuses_to_start_in_a_sentence(self, lang: str, word: str) -> None:
        env = {**os.environ, "ONEDOOR_MODE": "production", "ISSUER_URL": URL, "LC_ALL": lang, "PYTHONUTF8": "1"}
        command = [sys.executable, "-m", "clusters.issuer"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert word in done.stderr
        assert "Traceback" not in done.stderr
