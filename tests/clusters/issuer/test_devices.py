"""A device without a browser: it shows a code, a person allows or refuses it, and it gets tokens once. RFC 8628."""

from typing import Any

import httpx
import pytest

from clusters.issuer.devices import INTERVAL_S, LIFE_S, Devices
from clusters.issuer.keys import Holder
from clusters.issuer.oauth import Rejected
from tests.clusters.issuer.conftest import (
    CHALLENGE,
    ENDPOINT,
    URL,
    VERIFIER,
    claims_of,
    exchanged,
    signed_in,
    submitted,
)

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
HOLDER = Holder("someone", ("citizen",), (), "session", 0)
ASKED = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


async def begun(browser: httpx.AsyncClient, **changed: str) -> httpx.Response:
    form = {"client_id": "onedoor-cli", **ASKED, **changed}
    return await browser.post(f"{ENDPOINT}/auth/device", data={name: value for name, value in form.items() if value})


async def asks(browser: httpx.AsyncClient, told: dict[str, Any], **changed: str) -> httpx.Response:
    form = {"grant_type": GRANT, "device_code": told["device_code"], "code_verifier": VERIFIER}
    return await exchanged(browser, **{**form, **changed})


async def at_consent(browser: httpx.AsyncClient, told: dict[str, Any], name: str = "owner") -> httpx.Response:
    return await signed_in(browser, await browser.get(told["verification_uri_complete"]), name)


class TestOverHttp:
    @pytest.mark.parametrize("name", ["owner", "officer"])
    async def test_a_device_that_is_allowed_gets_tokens_once(self, browser: httpx.AsyncClient, name: str) -> None:
        told = (await begun(browser)).json()
        assert (await asks(browser, told)).json()["error"] == "authorization_pending"
        consent = await at_consent(browser, told, name)
        assert told["user_code"] in consent.text and "onedoor-cli" in consent.text
        assert (await submitted(browser, consent, {"answer": "allow"})).status_code == 200
        tokens = (await asks(browser, told)).json()
        assert claims_of(tokens["access_token"])["acr"] == ("1" if name == "owner" else "2")
        assert tokens["refresh_token"]
        assert (await asks(browser, told)).json()["error"] == "expired_token"

    @pytest.mark.parametrize("answer", ["deny", "", "ALLOW"])
    async def test_one_that_is_refused_is_told_so(self, browser: httpx.AsyncClient, answer: str) -> None:
        told = (await begun(browser)).json()
        await submitted(browser, await at_consent(browser, told), {"answer": answer})
        assert (await asks(browser, told)).json()["error"] == "access_denied"

    async def test_a_code_is_typed_as_people_type(self, browser: httpx.AsyncClient) -> None:
        told = (await begun(browser)).json()
        typed = told["user_code"].lower().replace("-", " ")
        assert (
            "onedoor_login" in (await browser.get(f"{URL}/device", params={"user_code": typed})).headers["set-cookie"]
        )

    @pytest.mark.parametrize(("language", "word"), [("en", "unknown"), ("fr", "inconnu")])
    @pytest.mark.parametrize("typed", ["", "BCDF-GHJK", "<script>", "x" * 3_000])
    async def test_a_code_that_nobody_shows_is_told(
        self, browser: httpx.AsyncClient, typed: str, language: str, word: str
    ) -> None:
        shown = await browser.get(f"{URL}/device", params={"user_code": typed, "ui_locales": language})
        assert shown.status_code == 400
        assert word in shown.text and "<script>" not in shown.text

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"code_challenge": ""}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"client_id": "stranger"}, "invalid_client"),
            ({"client_id": "onedoor-monitor", "client_secret": "onedoor-monitor-local"}, "unauthorized_client"),
        ],
    )
    async def test_a_client_that_is_no_device_or_shows_no_challenge_is_refused(
        self, browser: httpx.AsyncClient, changed: dict[str, str], error: str
    ) -> None:
        assert (await begun(browser, **changed)).json()["error"] == error

    @pytest.mark.parametrize(
        "changed", [{"code_verifier": "x" * 43}, {"code_verifier": ""}, {"device_code": "guessed"}]
    )
    async def test_a_code_is_worth_nothing_to_another(
        self, browser: httpx.AsyncClient, changed: dict[str, str]
    ) -> None:
        told = (await begun(browser)).json()
        await submitted(browser, await at_consent(browser, told), {"answer": "allow"})
        assert (await asks(browser, told, **changed)).status_code == 400
        assert (await asks(browser, told)).status_code == 200  # and the device's own is not spent by it


class TestWithAClock:
    def test_who_asks_too_often_is_told_to_slow_down(self) -> None:
        now = [0.0]
        devices = Devices(lambda: now[0])
        code = str(devices.begin("cli", ASKED, "x")["device_code"])
        errors = []
        for pause_s in (0, INTERVAL_S - 1, INTERVAL_S):
            now[0] += pause_s
            with pytest.raises(Rejected) as refused:
                devices.redeem("cli", {"device_code": code}, lambda _: True)
            errors.append(refused.value.error)
        assert errors == ["authorization_pending", "slow_down", "authorization_pending"]

    def test_what_nobody_answers_ends(self) -> None:
        now = [0.0]
        devices = Devices(lambda: now[0])
        told = devices.begin("cli", ASKED, "x")
        now[0] += LIFE_S
        devices.answer(str(told["user_code"]), HOLDER)
        with pytest.raises(Rejected, match="expired_token"):
            devices.redeem("cli", {"device_code": str(told["device_code"])}, lambda _: True)

    def test_an_answer_is_given_once(self) -> None:
        devices = Devices()
        told = devices.begin("cli", ASKED, "x")
        devices.answer(str(told["user_code"]), None)
        devices.answer(str(told["user_code"]), HOLDER)
        with pytest.raises(Rejected, match="access_denied"):
            devices.redeem("cli", {"device_code": str(told["device_code"])}, lambda _: True)
