"""Who is asked for the code of an app, when, and what a token says about it."""

import time

import httpx
import pyotp
import pytest

from clusters.access import User, access
from clusters.issuer.codes import PERIOD_S, AppCodes
from clusters.issuer.sessions import TRIES
from tests.clusters.issuer.conftest import app_code, claims_of, page, posted, submitted, tokens_of, verifier

STAFF = [user for user in access().users.values() if user.role in access().second_factors]
OWNER = access().users["owner"]


async def at_the_code(browser: httpx.AsyncClient, name: str = "officer") -> httpx.Response:
    return await posted(browser, await page(browser), name, f"{name}-onedoor")


class TestWhoIsAsked:
    @pytest.mark.parametrize("user", STAFF, ids=lambda user: user.name)
    async def test_staff_each_time(self, browser: httpx.AsyncClient, user: User) -> None:
        shown = await at_the_code(browser, user.name)
        assert (shown.status_code, 'name="otp"' in shown.text) == (200, True)

    async def test_a_citizen_only_when_a_client_asks_for_it(self, browser: httpx.AsyncClient) -> None:
        plain = await posted(browser, await page(browser), "owner", "owner-onedoor")
        assert plain.status_code == 302
        asked = await posted(browser, await page(browser, acr_values="2"), "owner", "owner-onedoor")
        assert 'name="otp"' in asked.text

    @pytest.mark.parametrize("asked", ["1", "3", "two", ""])
    async def test_an_unknown_level_is_no_reason(self, browser: httpx.AsyncClient, asked: str) -> None:
        answer = await posted(browser, await page(browser, acr_values=asked), "owner", "owner-onedoor")
        assert answer.status_code == 302

    async def test_the_page_says_where_the_code_comes_from_in_both_languages(self, browser: httpx.AsyncClient) -> None:
        shown = await at_the_code(browser)
        assert "onedoor code --user officer" in shown.text
        link = shown.text.split('<nav><a href="')[1].split('"')[0].replace("&amp;", "&")
        french = await browser.get(str(shown.url.join(link)))
        assert 'lang="fr-CA"' in french.text and "Code de votre application" in french.text
        assert (await submitted(browser, french, {"otp": app_code("officer")})).status_code == 302


class TestWhatATokenSays:
    @pytest.mark.parametrize(
        ("name", "asked", "level"),
        [("owner", "", "1"), ("owner", "2", "2"), ("officer", "", "2"), ("officer", "1", "2")],
    )
    async def test_the_level_that_was_reached_and_when(
        self, browser: httpx.AsyncClient, name: str, asked: str, level: str
    ) -> None:
        before = int(time.time())
        tokens = await tokens_of(browser, name, acr_values=asked)
        claims = await verifier(browser, "onedoor").verify(tokens["access_token"])
        assert (claims.assurance, claims.authenticated_at >= before) == (level, True)
        assert claims_of(tokens["id_token"])["acr"] == level


class TestACode:
    @pytest.mark.parametrize("wrong", ["", "0", "000000", "abcdef", "١٢٣٤٥٦", "x" * 5_000])
    async def test_that_is_wrong_is_told_and_another_may_follow(self, browser: httpx.AsyncClient, wrong: str) -> None:
        shown = await at_the_code(browser)
        again = await submitted(browser, shown, {"otp": wrong})
        assert again.status_code == 401 and 'role="alert"' in again.text
        assert (await submitted(browser, again, {"otp": app_code("officer")})).status_code == 302

    async def test_of_another_person_is_wrong(self, browser: httpx.AsyncClient) -> None:
        assert (await submitted(browser, await at_the_code(browser), {"otp": app_code("inspector")})).status_code == 401

    async def test_works_once(self, browser: httpx.AsyncClient) -> None:
        code = app_code("officer")
        assert (await submitted(browser, await at_the_code(browser), {"otp": code})).status_code == 302
        assert (await submitted(browser, await at_the_code(browser), {"otp": code})).status_code == 401

    async def test_is_not_guessed_on_and_on(self, browser: httpx.AsyncClient) -> None:
        shown = await at_the_code(browser)
        for _ in range(TRIES):
            shown = await submitted(browser, shown, {"otp": "000000"})
        assert (await submitted(browser, shown, {"otp": app_code("officer")})).status_code == 429
        assert (await at_the_code(browser)).status_code == 429  # nor by beginning again

    async def test_does_not_pass_without_the_password(self, browser: httpx.AsyncClient) -> None:
        first = await page(browser)
        assert (await submitted(browser, first, {"username": "officer", "otp": app_code("officer")})).status_code == 401

    async def test_counts_in_the_browser_only_where_the_password_was_typed(self, browser: httpx.AsyncClient) -> None:
        shown = await at_the_code(browser)
        browser.cookies.clear()
        assert (await submitted(browser, shown, {"otp": app_code("officer")})).status_code == 400

    @pytest.mark.parametrize(("periods", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
    def test_of_a_clock_that_is_a_little_off_is_taken(self, periods: int, good: bool) -> None:
        now = 1_800_000_000
        judge = AppCodes(lambda: now + periods * PERIOD_S)
        code = pyotp.TOTP(OWNER.authenticator_secret).at(now)
        assert judge.accept(OWNER, code) is good
        assert not judge.accept(OWNER, code)
