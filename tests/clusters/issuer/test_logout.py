"""Signing out: the session is over, the client's server is told, and a person is led back to known addresses only."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from joserfc import jws

from clusters.access import access
from clusters.issuer.app import create_app
from clusters.issuer.keys import LOGOUT_EVENT
from tests.clusters.issuer.conftest import ENDPOINT, URL, Told, claims_of, exchanged, tokens_of

CLI = access().clients["onedoor-cli"]


async def still_lives(browser: httpx.AsyncClient, tokens: dict[str, Any]) -> bool:
    answer = await exchanged(browser, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    return answer.status_code == 200


async def by_client(browser: httpx.AsyncClient, tokens: dict[str, Any]) -> httpx.Response:
    form = {"client_id": "onedoor-cli", "refresh_token": tokens["refresh_token"]}
    return await browser.post(f"{ENDPOINT}/logout", data=form)


class TestByAClient:
    async def test_its_server_is_told_in_a_signed_token(self, browser: httpx.AsyncClient, told: Told) -> None:
        tokens = await tokens_of(browser)
        assert (await by_client(browser, tokens)).status_code == 204
        [(url, form)] = told.posts
        said, session = claims_of(form["logout_token"]), claims_of(tokens["access_token"])
        assert url == CLI.logout
        assert jws.extract_compact(form["logout_token"].encode()).headers()["typ"] == "logout+jwt"
        assert (said["iss"], said["aud"], said["sid"], said["sub"]) == (URL, CLI.id, session["sid"], session["sub"])
        assert said["events"] == {LOGOUT_EVENT: {}} and "nonce" not in said and said["jti"]
        assert 0 < said["exp"] - said["iat"] <= 120

    @pytest.mark.parametrize(
        "answer",
        [httpx.Response(500), httpx.Response(400), httpx.ConnectError("away"), httpx.ReadTimeout("slow")],
        ids=repr,
    )
    async def test_the_session_ends_though_its_server_fails(
        self, browser: httpx.AsyncClient, told: Told, answer: httpx.Response | Exception
    ) -> None:
        told.answer = answer
        tokens = await tokens_of(browser)
        assert (await by_client(browser, tokens)).status_code == 204
        assert not await still_lives(browser, tokens)

    async def test_an_unknown_token_tells_nobody(self, browser: httpx.AsyncClient, told: Told) -> None:
        assert (await by_client(browser, {"refresh_token": "guessed"})).status_code == 204
        assert told.posts == []


class TestByABrowser:
    async def test_the_session_of_the_id_token_ends(self, browser: httpx.AsyncClient, told: Told) -> None:
        tokens, other = await tokens_of(browser), await tokens_of(browser)
        answer = await browser.get(f"{ENDPOINT}/logout", params={"id_token_hint": tokens["id_token"]})
        assert (answer.status_code, len(told.posts)) == (200, 1)
        assert not await still_lives(browser, tokens)
        assert await still_lives(browser, other)

    @pytest.mark.parametrize("kind", ["access_token", "forged", "none"])
    async def test_nothing_ends_without_an_id_token(self, browser: httpx.AsyncClient, told: Told, kind: str) -> None:
        tokens = await tokens_of(browser)
        given = {"access_token": tokens["access_token"], "forged": tokens["id_token"][:-4] + "AAAA", "none": ""}[kind]
        answer = await browser.get(f"{ENDPOINT}/logout", params={"id_token_hint": given, "ui_locales": "fr"})
        said = "Vous avez fermé votre session." if kind == "none" else "Aucune session n’a été fermée."
        assert (said in answer.text, answer.status_code) == (True, 200 if kind == "none" else 400)
        assert told.posts == [] and await still_lives(browser, tokens)

    @pytest.mark.parametrize("address", ["https://evil.example/", "http://127.0.0.1:3000/elsewhere", ""])
    async def test_nobody_is_led_to_an_address_that_is_not_the_clients(
        self, browser: httpx.AsyncClient, told: Told, address: str
    ) -> None:
        tokens = await tokens_of(browser)
        asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": address, "state": "s"}
        answer = await browser.get(f"{ENDPOINT}/logout", params=asked)
        assert (answer.status_code, "location" in answer.headers, told.posts) == (400, False, [])

    async def test_a_registered_address_gets_the_person_back(self) -> None:
        client = replace(CLI, after_logout=("http://127.0.0.1/bye",), logout=None)
        rules = replace(access(), clients={CLI.id: client})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(URL, rules))) as browser:
            tokens = await tokens_of(browser)
            asked = {
                "id_token_hint": tokens["id_token"],
                "post_logout_redirect_uri": "http://127.0.0.1/bye",
                "state": "s",
            }
            answer = await browser.get(f"{ENDPOINT}/logout", params=asked)
            assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1/bye?state=s")
            assert not await still_lives(browser, tokens)
