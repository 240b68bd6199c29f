"""The business owner's journey in real processes, signed in as people sign in: through Keycloak, and in a real browser."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from clusters import signin
from clusters.journeys.business import journey
from clusters.journeys.door import Door
from clusters.local import state
from tests.conftest import province
from tests.stack.conftest import Keycloak

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
STEPS = ["sign-in", "identical", "similar", "free", "register", "programs", "inspection", "overview"]


@pytest.fixture(scope="module")
def province_of_keycloak(keycloak: Keycloak) -> Iterator[state.State]:
    """The province with Keycloak in the issuer's place."""
    with province({"ISSUER_URL": keycloak.issuer}) as running:
        yield running


def walked(running: state.State, sign_in: Callable[[str], str]) -> list[str]:
    with httpx.Client(timeout=15) as http:
        return [step.code for step in journey(Door(running.environment["GATEWAY_URL"], http), sign_in)]


class TestThroughKeycloak:
    def test_no_other_issuer_runs(self, province_of_keycloak: state.State) -> None:
        issuer = next(part for part in province_of_keycloak.parts if part.name == "issuer")
        assert (issuer.status, issuer.pid) == ("elsewhere", None)

    def test_the_whole_journey(self, province_of_keycloak: state.State, keycloak: Keycloak) -> None:
        token = lambda user: signin.access_token(keycloak.issuer, user, f"{user}-onedoor")  # noqa: E731
        assert walked(province_of_keycloak, token) == STEPS

    def test_a_token_of_another_issuer_is_refused(self, province_of_keycloak: state.State) -> None:
        forged = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + ".e30."
        answer = httpx.post(
            province_of_keycloak.environment["GATEWAY_URL"],
            json={"query": "{ myBusinesses { edges { cursor } } }"},
            headers={"authorization": f"Bearer {forged}"},
        )
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


class Visitor:
    """A person with a browser in front of the development issuer's login page."""

    def __init__(self, issuer: str, callback: str, page: Page) -> None:
        self.callback, self.page = callback, page
        self.endpoint = f"{issuer}/protocol/openid-connect"
        self.verifier = secrets.token_urlsafe(48)

    def opens(self, language: str = "en") -> None:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        asked = {
            "client_id": signin.CLIENT_ID,
            "response_type": "code",
            "redirect_uri": self.callback,
            "scope": "openid",
            "state": "of this visitor",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "ui_locales": language,
        }
        self.page.goto(f"{self.endpoint}/auth?{urlencode(asked)}")

    def types(self, user: str, password: str) -> None:
        """With the keyboard alone."""
        self.page.locator("#username").fill(user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(password)
        self.page.keyboard.press("Enter")

    def token(self) -> str:
        """The access token of the code that came back."""
        self.page.wait_for_url(f"{self.callback}**")
        returned = parse_qs(urlsplit(self.page.url).query)
        assert returned["state"] == ["of this visitor"]
        grant = {
            "grant_type": "authorization_code",
            "client_id": signin.CLIENT_ID,
            "redirect_uri": self.callback,
            "code": returned["code"][0],
            "code_verifier": self.verifier,
        }
        return str(httpx.post(f"{self.endpoint}/token", data=grant).json()["access_token"])


class TestInABrowser:
    @pytest.fixture
    def visitor(self, open_province: state.State, browser: Browser, callback: str) -> Iterator[Visitor]:
        page = browser.new_page()
        yield Visitor(open_province.environment["ISSUER_URL"], callback, page)
        page.close()

    def test_the_whole_journey(self, open_province: state.State, visitor: Visitor) -> None:
        def sign_in(user: str) -> str:
            visitor.opens()
            visitor.types(user, f"{user}-onedoor")
            return visitor.token()

        assert walked(open_province, sign_in) == STEPS

    def test_a_wrong_password_is_told_and_the_second_try_works(self, visitor: Visitor) -> None:
        visitor.opens("fr")
        visitor.types("citizen", "wrong")
        alert = visitor.page.get_by_role("alert")
        assert alert.inner_text() == "Le nom d’utilisateur ou le mot de passe est erroné. Réessayez."
        assert visitor.page.locator("#username").input_value() == "citizen"
        visitor.types("citizen", "citizen-onedoor")
        assert visitor.token().count(".") == 2

    def test_the_language_is_changed_by_a_link(self, visitor: Visitor) -> None:
        visitor.opens("en")
        visitor.page.get_by_role("link", name="Français").click()
        assert visitor.page.locator("html").get_attribute("lang") == "fr-CA"
        assert visitor.page.locator("h1").inner_text() == "Ouvrir une session"
        visitor.types("owner", "owner-onedoor")
        assert visitor.token()

    @pytest.mark.parametrize("language", ["en", "fr"])
    @pytest.mark.parametrize("wrong", [False, True], ids=["at first", "after a wrong password"])
    def test_axe_finds_nothing_to_mend(self, visitor: Visitor, language: str, wrong: bool) -> None:
        broken: list[str] = []
        visitor.page.on("console", lambda message: broken.append(message.text))
        visitor.opens(language)
        if wrong:
            visitor.types("nobody", "wrong")
            visitor.page.get_by_role("alert").wait_for()
        assert [
            text for text in broken if "401" not in text
        ] == []  # a style that the policy forbids would be told here
        found = Axe().run(visitor.page)
        assert found.violations_count == 0, found.generate_report()
