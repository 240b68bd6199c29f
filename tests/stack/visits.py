"""People of a test alone, each with a browser of their own in front of Keycloak's pages."""

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import orjson
import pyotp
import pytest
from joserfc import jws
from keycloak import KeycloakAdmin
from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as NothingCame

from clusters import signin
from clusters.keycloak.flows import app_credential
from tests.stack.conftest import Keycloak

PASSWORD = "a long enough password"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """Someone of this test alone. `secret` is their app's, if they have one."""

    id: str
    name: str
    secret: str


@dataclass(frozen=True, slots=True)
class Session:
    """What a sign-in gave: the token endpoint's answer, and what its access token says."""

    tokens: Json
    claims: Json


class Visit:
    """A person with a browser of their own in front of Keycloak."""

    def __init__(self, page: Page, issuer: str, callback: str) -> None:
        self.page, self.callback = page, callback
        self.endpoint = f"{issuer}/protocol/openid-connect"
        self.verifier = secrets.token_urlsafe(48)
        page.set_default_timeout(20_000)
        page.on("dialog", lambda dialog: dialog.accept("a key"))  # Keycloak asks how to call it

    @property
    def challenge(self) -> Json:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        encoded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return {"code_challenge": encoded, "code_challenge_method": "S256"}

    def opens(self, **more: str) -> None:
        asked = {
            "client_id": signin.CLIENT_ID,
            "response_type": "code",
            "redirect_uri": self.callback,
            "scope": "openid",
            "state": "of this visit",
            **self.challenge,
            **more,
        }
        self.page.goto(f"{self.endpoint}/auth?{urlencode(asked)}")

    def types(self, person: Person, password: str = PASSWORD) -> None:
        self.page.locator("#username").fill(person.name)
        self.page.locator("#password").fill(password)
        self.page.keyboard.press("Enter")

    def types_code(self, person: Person, periods: int = 0) -> None:
        """The code of now, or of a period beside it, which is taken too: each works once."""
        self.page.locator("#otp").fill(pyotp.TOTP(person.secret).at(int(time.time()) + 30 * periods))
        self.page.keyboard.press("Enter")

    def has_key(self) -> None:
        """Plug in a key of this browser's, which answers without a person's touch."""
        tools = self.page.context.new_cdp_session(self.page)
        tools.send("WebAuthn.enable")
        kind = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
        held = {"hasResidentKey": False, "hasUserVerification": True, "isUserVerified": True}
        tools.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, **held}})

    def shows_key(self) -> None:
        """Touch the key when it is asked for. A browser refuses a page that has only just come to the front; whoever meets that
        takes Keycloak's offer to try again."""
        self.page.bring_to_front()
        self.page.locator("#authenticateWebAuthnButton").click()
        try:
            self.page.wait_for_url(f"{self.callback}**", timeout=5_000)
        except NothingCame:
            self.page.locator("#kc-try-again").click()
            self.page.locator("#authenticateWebAuthnButton").click()

    def forgets(self) -> None:
        self.page.context.clear_cookies()

    def session(self) -> Session:
        """What the code that came back is worth."""
        self.page.wait_for_url(f"{self.callback}**")
        returned = parse_qs(urlsplit(self.page.url).query)
        assert returned["state"] == ["of this visit"]
        return self.exchanged(
            grant_type="authorization_code",
            redirect_uri=self.callback,
            code=returned["code"][0],
            code_verifier=self.verifier,
        )

    def exchanged(self, **form: str) -> Session:
        answer = self.asks(**form)
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        return Session(tokens, orjson.loads(jws.extract_compact(tokens["access_token"].encode()).payload))

    def asks(self, **form: str) -> httpx.Response:
        return httpx.post(f"{self.endpoint}/token", data={"client_id": signin.CLIENT_ID, **form})

    def refreshed(self, session: Session) -> httpx.Response:
        return self.asks(grant_type="refresh_token", refresh_token=session.tokens["refresh_token"])


@pytest.fixture(scope="module")
def admin(keycloak: Keycloak) -> KeycloakAdmin:
    return KeycloakAdmin(
        server_url=keycloak.base,
        client_id=keycloak.admin,
        client_secret_key=keycloak.admin_secret,
        realm_name="onedoor",
        user_realm_name="master",
    )


class Register:
    """Makes people, and removes them when the test is over: the realm is shared."""

    def __init__(self, admin: KeycloakAdmin) -> None:
        self._admin = admin
        self._made: list[str] = []

    def person(
        self, *roles: str, app: bool = False, actions: tuple[str, ...] = (), groups: tuple[str, ...] = ()
    ) -> Person:
        name, secret = f"visitor-{secrets.token_hex(6)}", pyotp.random_base32()
        credentials: list[Json] = [{"type": "password", "value": PASSWORD, "temporary": False}]
        credentials += [app_credential(secret)] if app else []
        told = {"username": name, "enabled": True, "credentials": credentials, "requiredActions": list(actions)}
        made = str(self._admin.create_user(told))
        self._made.append(made)
        self._admin.assign_realm_roles(made, [self._admin.get_realm_role(role) for role in roles])
        for path in groups:
            self._admin.group_user_add(made, self._admin.get_group_by_path(path)["id"])
        return Person(made, name, secret)

    def close(self) -> None:
        for made in self._made:
            self._admin.delete_user(made)


@pytest.fixture
def register(admin: KeycloakAdmin) -> Iterator[Register]:
    found = Register(admin)
    yield found
    found.close()


@pytest.fixture
def visit(keycloak: Keycloak, browser: Browser, callback: str) -> Iterator[Visit]:
    context = browser.new_context(locale="en-CA")
    yield Visit(context.new_page(), keycloak.issuer, callback)
    context.close()


@pytest.fixture
def elsewhere(keycloak: Keycloak, browser: Browser, callback: str) -> Iterator[Visit]:
    """Another browser."""
    context = browser.new_context(locale="fr-CA")
    yield Visit(context.new_page(), keycloak.issuer, callback)
    context.close()


def sets_app_up(visit: Visit) -> str:
    """As Keycloak's page asks; returns the new app's secret."""
    visit.page.locator("#mode-manual").click()
    secret: str = visit.page.locator("#kc-totp-secret-key").inner_text().replace(" ", "")
    visit.page.locator("#totp").fill(pyotp.TOTP(secret).now())
    visit.page.locator("#userLabel").fill("an app")
    visit.page.locator("#saveTOTPBtn").click()
    return secret
