"""Signs a demo user in as a person would: authorization code with PKCE through the issuer's pages, or a device's code.

The same on the development issuer and on Keycloak. There is no password grant anywhere.
"""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp

from clusters.access import authenticator_secret
from services.kit.dpop import Prover
from services.kit.language import spoken

CLIENT_ID = "onedoor-cli"
REDIRECT_URI = "http://127.0.0.1:8400/callback"  # nothing listens there: the code is read from the redirect itself
PATIENCE_S = 15
PAGES = 8  # password, a code that may have been used already, and a few more
CODE_PERIOD_S = 30
BETWEEN_CODES_S = 0.3  # Keycloak takes two wrong ones within 0.2 s for a program that guesses
Tokens = Mapping[str, Any]


class SignInFailed(Exception):
    """No token was given; the text says why, as far as the issuer does."""


@dataclass(frozen=True, slots=True)
class Device:
    """A code that waits to be typed at an address; `interval_s` is how often to ask, `until` ends it (monotonic seconds)."""

    user_code: str
    address: str
    address_with_code: str
    code: str
    verifier: str
    interval_s: float
    until: float


class _Page(HTMLParser):
    """A page's first form: its action, its hidden fields, and the names of those that a person fills in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.hidden: dict[str, str] = {}
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        held = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = held.get("action")
        elif tag == "input" and held.get("name"):
            self.names.add(str(held["name"]))
            if held.get("type") == "hidden":
                self.hidden[str(held["name"])] = held.get("value") or ""


def access_token(issuer_url: str, username: str, password: str) -> str:
    """An access token. Raises SignInFailed."""
    return str(sign_in(issuer_url, username, password)["access_token"])


def sign_in(
    issuer_url: str,
    username: str,
    password: str,
    *,
    acr: str | None = None,
    secret: str | None = None,
    prover: Prover | None = None,
    client: str = CLIENT_ID,
) -> Tokens:
    """The token endpoint's answer: access, refresh and ID token, and their lives in seconds. Raises SignInFailed.

    `acr` asks for a level of assurance that is not older than five minutes; `secret` (base32) makes the codes of the second
    factor, the demo user's unless given; the tokens are those of a `client`, bound to the key of a `prover`. Sources: RFC 6749
    section 4.1, RFC 7636 (S256), RFC 6238, RFC 9470, RFC 9449.
    """
    endpoint = f"{issuer_url}/protocol/openid-connect"
    verifier, challenge = _pkce()
    asked = {
        "client_id": client,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid",
        "state": secrets.token_urlsafe(16),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"acr_values": acr, "max_age": "300"} if acr else {}),
    }
    with _browser(issuer_url) as browser:
        code = _code(browser, f"{endpoint}/auth", asked, username, password, secret or authenticator_secret(username))
        grant = {
            "grant_type": "authorization_code",
            "redirect_uri": REDIRECT_URI,
            "code": code,
            "code_verifier": verifier,
        }
        return _exchanged(browser, endpoint, username, grant, prover, client)


def begin_device(issuer_url: str) -> Device:
    """Ask for a code that a person types elsewhere. Raises SignInFailed. Source: RFC 8628 section 3.1, with PKCE."""
    verifier, challenge = _pkce()
    asked = {"client_id": CLIENT_ID, "scope": "openid", "code_challenge": challenge, "code_challenge_method": "S256"}
    with _browser(issuer_url) as browser:
        answer = browser.post(f"{issuer_url}/protocol/openid-connect/auth/device", data=asked)
        if answer.status_code != httpx.codes.OK:
            raise SignInFailed(answer.text[:300])
        told = answer.json()
        return Device(
            told["user_code"],
            told["verification_uri"],
            told["verification_uri_complete"],
            told["device_code"],
            verifier,
            float(told.get("interval", 5)),
            time.monotonic() + float(told["expires_in"]),
        )


def finish_device(
    issuer_url: str, device: Device, pause: Callable[[float], None] = time.sleep, prover: Prover | None = None
) -> Tokens:
    """The token endpoint's answer once the person has allowed the device. Raises SignInFailed (RFC 8628 section 3.5)."""
    endpoint, interval_s = f"{issuer_url}/protocol/openid-connect", device.interval_s
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device.code}
    form = {"client_id": CLIENT_ID, **grant, "code_verifier": device.verifier}
    with _browser(issuer_url) as browser:
        while time.monotonic() < device.until:
            answer = browser.post(f"{endpoint}/token", data=form, headers=_proof(f"{endpoint}/token", prover))
            if answer.status_code == httpx.codes.OK:
                return dict(answer.json())
            match answer.json().get("error"):
                case "authorization_pending":
                    pass
                case "slow_down":
                    interval_s += 5
                case _:
                    break
            pause(interval_s)
    raise SignInFailed(
        spoken(
            f"the code {device.user_code} was not allowed in time, or was refused; ask for a new one",
            f"le code {device.user_code} n’a pas été autorisé à temps, ou a été refusé; demandez-en un autre",
        )
    )


def refresh(issuer_url: str, tokens: Tokens, prover: Prover | None = None) -> Tokens:
    """New tokens for a refresh token, which is spent by it; a bound one needs its prover. Raises SignInFailed where it was spent
    before, has ended, or is bound to another key."""
    grant = {"grant_type": "refresh_token", "refresh_token": str(tokens["refresh_token"])}
    with _browser(issuer_url) as browser:
        return _exchanged(browser, f"{issuer_url}/protocol/openid-connect", CLIENT_ID, grant, prover)


def sign_out(issuer_url: str, tokens: Tokens) -> None:
    """End the session of these tokens, and of all that came from the same sign-in. Raises SignInFailed.

    By their ID token, which also ends one that is bound to a key: Keycloak (26.4.7) looks at no proof where it takes a refresh
    token for this, and then misses it. Source: OpenID Connect RP-Initiated Logout 1.0, section 2.
    """
    address = f"{issuer_url}/protocol/openid-connect/logout"
    with _browser(issuer_url) as browser:
        answer = browser.post(address, data={"id_token_hint": str(tokens["id_token"])})
        if answer.is_error or _Page(answer.text).action is not None:  # a form asks a person, who is not there
            raise SignInFailed(f"{issuer_url}: {_beginning(answer)}")


def tokens_of(text: str) -> Tokens:
    """The token endpoint's answer from JSON. Raises SignInFailed where there is no ID token in it."""
    try:
        held = json.loads(text)
    except ValueError:
        held = None
    if not isinstance(held, dict) or not isinstance(held.get("id_token"), str):
        raise SignInFailed(
            spoken(
                "there is no id_token in it; give what `onedoor token --json` printed",
                "il n’y a pas d’id_token\u00a0; donnez ce qu’a affiché `onedoor token --json`",
            )
        )
    return dict(held)


def app_code(secret: str) -> tuple[str, int]:
    """What an authenticator app shows now, and for how many seconds more."""
    now = time.time()
    return str(pyotp.TOTP(secret).at(int(now))), CODE_PERIOD_S - int(now) % CODE_PERIOD_S


@contextmanager
def _browser(issuer_url: str) -> Iterator[httpx.Client]:
    """A client that keeps cookies as a browser does. Its errors of transport are told as SignInFailed."""
    try:
        with httpx.Client(timeout=PATIENCE_S, headers={"accept-language": spoken("en", "fr")}) as browser:
            # Keycloak's cookies are Secure even on plain loopback, where browsers send them and Python's jar would not.
            browser.event_hooks["request"].append(lambda request: _send_cookies(browser, request))
            yield browser
    except httpx.ConnectError:
        raise SignInFailed(
            spoken(
                f"no issuer answers at {issuer_url}; start it: onedoor up, or set ISSUER_URL",
                f"aucun émetteur ne répond à {issuer_url}; démarrez\u00a0: onedoor up, ou indiquez ISSUER_URL",
            )
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise SignInFailed(f"{issuer_url}: {problem!r}") from problem


def _send_cookies(browser: httpx.Client, request: httpx.Request) -> None:
    if held := "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar):
        request.headers["cookie"] = held


def _pkce() -> tuple[str, str]:
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _code(browser: httpx.Client, url: str, asked: Mapping[str, str], username: str, password: str, secret: str) -> str:
    """Walk the pages to the redirect, and return the code that it carries. Raises SignInFailed."""
    shown = browser.get(url, params=asked)
    codes, seen = _app_codes(secret), set[str]()
    for _ in range(PAGES):
        returned = parse_qs(urlsplit(shown.headers.get("location", "")).query)
        if returned.get("state") == [asked["state"]] and returned.get("code"):
            return str(returned["code"][0])
        if shown.is_redirect:
            shown = browser.get(str(shown.url.join(shown.headers["location"])))
            continue
        page = _Page(shown.text)
        if page.action is None or ("password" in page.names and "password" in seen):
            break
        if "password" in page.names:
            typed = {"username": username, "password": password}
        elif "otp" in page.names:
            typed = {"otp": next(codes)}
        else:
            break
        seen |= page.names
        shown = browser.post(str(shown.url.join(page.action)), data={**page.hidden, **typed})
    raise SignInFailed(f"{username}: {_beginning(shown)}")


_spent: set[tuple[str, int]] = set()  # periods whose codes this process has used


def _app_codes(secret: str) -> Iterator[str]:
    """Codes that the issuer has not seen from here, those of now first; each works once (RFC 6238 section 5.2)."""
    generator = pyotp.TOTP(secret)
    while True:
        now = int(time.time()) // CODE_PERIOD_S
        for period in (now, now + 1, now - 1):
            if (secret, period) not in _spent:
                _spent.add((secret, period))
                yield str(generator.generate_otp(period))
                time.sleep(BETWEEN_CODES_S)
        time.sleep(CODE_PERIOD_S - time.time() % CODE_PERIOD_S)


def _exchanged(
    browser: httpx.Client,
    endpoint: str,
    who: str,
    grant: Mapping[str, str],
    prover: Prover | None,
    client: str = CLIENT_ID,
) -> Tokens:
    form = {"client_id": client, **grant}
    answer = browser.post(f"{endpoint}/token", data=form, headers=_proof(f"{endpoint}/token", prover))
    if answer.status_code != httpx.codes.OK:
        raise SignInFailed(f"{who}: {answer.text[:300]}")
    return dict(answer.json())


def _proof(address: str, prover: Prover | None) -> dict[str, str]:
    return {"dpop": prover.proof("POST", address)} if prover else {}


def _beginning(answer: httpx.Response) -> str:
    """What a page says to a person: its alert (Keycloak marks it aria-live), else how it begins, without its markup."""
    for alert in re.findall(r'(?:role="alert"|aria-live="polite")[^>]*>([^<]*\S[^<]*)<', answer.text):
        if "<" not in (words := " ".join(unescape(alert).split())):  # scripts of the page hold markup as text
            return words
    text = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL | re.IGNORECASE)
    return f"{answer.status_code} {' '.join(text.split())[:300]}"
