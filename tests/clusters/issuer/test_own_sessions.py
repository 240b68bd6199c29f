"""People see and end their own sessions at the development issuer, and nobody else's."""

from typing import Any

import httpx
import pytest

from clusters.access import access
from services.kit.dpop import Prover
from services.kit.tokens import TokenRefused
from tests.clusters.issuer.conftest import (
    ENDPOINT,
    REDIRECT,
    URL,
    VERIFIER,
    Told,
    claims_of,
    code_of,
    exchanged,
    tokens_of,
    verifier,
)

SESSIONS = f"{URL}/account/sessions"


async def account_token(browser: httpx.AsyncClient, name: str = "owner", prover: Prover | None = None) -> str:
    """A token for seeing one's sessions."""
    form = {
        "client_id": "onedoor-account",
        "grant_type": "authorization_code",
        "code": await code_of(browser, name, client_id="onedoor-account"),
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    }
    headers = {"dpop": prover.proof("POST", f"{ENDPOINT}/token")} if prover else {}
    answer = await browser.post(f"{ENDPOINT}/token", data=form, headers=headers)
    return str(answer.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "accept": "application/json"}


async def lives(browser: httpx.AsyncClient, tokens: dict[str, Any]) -> bool:
    answer = await exchanged(browser, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    return answer.status_code == 200


class TestOnesOwnSessions:
    async def test_are_listed_with_their_clients_and_the_one_that_looks_is_marked(
        self, browser: httpx.AsyncClient
    ) -> None:
        tokens, token = await tokens_of(browser), await account_token(browser)
        await tokens_of(browser, "citizen")
        told = {session["id"]: session for session in (await browser.get(SESSIONS, headers=bearer(token))).json()}
        seen, own = claims_of(tokens["access_token"]), claims_of(token)
        assert told.keys() == {seen["sid"], own["sid"]}
        assert told[seen["sid"]]["clients"] == [{"clientId": "onedoor-cli"}]
        assert told[seen["sid"]]["started"] == seen["auth_time"] <= told[seen["sid"]]["lastAccess"]
        assert [session.get("current") for session in told.values()].count(True) == 1
        assert told[own["sid"]]["current"]

    async def test_one_is_ended_and_its_gateway_told(self, browser: httpx.AsyncClient, told: Told) -> None:
        tokens, kept, token = await tokens_of(browser), await tokens_of(browser), await account_token(browser)
        ended = claims_of(tokens["access_token"])["sid"]
        assert (await browser.delete(f"{SESSIONS}/{ended}", headers=bearer(token))).status_code == 204
        assert [claims_of(form["logout_token"])["sid"] for _, form in told.posts] == [ended]
        assert (await lives(browser, tokens), await lives(browser, kept)) == (False, True)

    async def test_all_others_are_ended_and_the_one_that_asks_goes_on(self, browser: httpx.AsyncClient) -> None:
        many, token = [await tokens_of(browser) for _ in "123"], await account_token(browser)
        assert (await browser.delete(SESSIONS, headers=bearer(token))).status_code == 204
        assert [await lives(browser, tokens) for tokens in many] == [False] * 3
        assert len((await browser.get(SESSIONS, headers=bearer(token))).json()) == 1

    async def test_another_persons_stays_and_is_answered_as_if_absent(self, browser: httpx.AsyncClient) -> None:
        tokens, token = await tokens_of(browser, "citizen"), await account_token(browser)
        session = claims_of(tokens["access_token"])["sid"]
        answers = [await browser.delete(f"{SESSIONS}/{name}", headers=bearer(token)) for name in (session, "absent")]
        assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2
        assert await lives(browser, tokens)


class TestTheToken:
    async def test_opens_no_service(self, browser: httpx.AsyncClient) -> None:
        token = await account_token(browser)
        for audience in access().audiences:
            with pytest.raises(TokenRefused):
                await verifier(browser, audience).verify(token)

    @pytest.mark.parametrize("kind", ["for services", "none", "ended", "of a key, without proof"])
    async def test_of_another_kind_shows_and_ends_nothing(self, browser: httpx.AsyncClient, kind: str) -> None:
        tokens, token = await tokens_of(browser), await account_token(browser)
        if kind == "ended":
            await browser.delete(f"{SESSIONS}/{claims_of(token)['sid']}", headers=bearer(token))
        elif kind == "of a key, without proof":
            token = await account_token(browser, prover=Prover())
        given = {"for services": bearer(tokens["access_token"]), "none": {}}.get(kind, bearer(token))
        for method in ("GET", "DELETE"):
            assert (await browser.request(method, SESSIONS, headers=given)).status_code == 401
        assert await lives(browser, tokens)

    async def test_that_is_bound_is_taken_with_its_proof(self, browser: httpx.AsyncClient) -> None:
        prover = Prover()
        token = await account_token(browser, prover=prover)
        assert (await browser.get(SESSIONS, headers=prover.headers("GET", SESSIONS, token))).status_code == 200
        elsewhere = prover.headers("GET", f"{SESSIONS}/other", token)
        assert (await browser.get(SESSIONS, headers=elsewhere)).status_code == 401
