"""Signs a demo user in as a person would: authorization code with PKCE through the issuer's login form.

The same on the development issuer and on Keycloak. There is no password grant anywhere.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from services.kit.language import spoken

CLIENT_ID = "onedoor-cli"
REDIRECT_URI = "http://127.0.0.1:8400/callback"  # nothing listens there: the code is read from the redirect itself
PATIENCE_S = 15


class SignInFailed(Exception):
    """No token was given; the text says why, as far as the issuer does."""


class _LoginForm(HTMLParser):
    """The action and the hidden fields of a page's first form, and its alert."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.hidden: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        held = dict(attributes)
        if tag == "form" and self.action is None:
            self.action = held.get("action")
        elif tag == "input" and held.get("type") == "hidden" and held.get("name"):
            self.hidden[str(held["name"])] = held.get("value") or ""


def access_token(issuer_url: str, username: str, password: str) -> str:
    """An access token. Raises SignInFailed."""
    return str(sign_in(issuer_url, username, password)["access_token"])


def sign_in(issuer_url: str, username: str, password: str) -> Mapping[str, Any]:
    """The token endpoint's answer: access, refresh and ID token, and their lives in seconds. Raises SignInFailed.

    Sources: RFC 6749 section 4.1, RFC 7636 (S256).
    """
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    endpoint = f"{issuer_url}/protocol/openid-connect"
    state = secrets.token_urlsafe(16)
    asked = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    try:
        with httpx.Client(timeout=PATIENCE_S, headers={"accept-language": spoken("en", "fr")}) as browser:
            page = browser.get(f"{endpoint}/auth", params=asked)
            form = _LoginForm(page.text)
            if form.action is None:
                raise SignInFailed(f"{issuer_url}: {_beginning(page)}")
            fields = {**form.hidden, "username": username, "password": password}
            # Keycloak's cookies are Secure even on plain loopback, where a client would keep them to itself.
            cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
            browser.cookies.clear()
            answer = browser.post(str(page.url.join(form.action)), data=fields, headers={"cookie": cookies})
            returned = parse_qs(urlsplit(answer.headers.get("location", "")).query)
            if returned.get("state") != [state] or not returned.get("code"):
                raise SignInFailed(f"{username}: {_beginning(answer)}")
            grant = {
                "grant_type": "authorization_code",
                "client_id": CLIENT_ID,
                "redirect_uri": REDIRECT_URI,
                "code": returned["code"][0],
                "code_verifier": verifier,
            }
            token = browser.post(f"{endpoint}/token", data=grant)
            if token.status_code != httpx.codes.OK:
                raise SignInFailed(f"{username}: {token.text[:300]}")
            return dict(token.json())
    except httpx.ConnectError:
        raise SignInFailed(
            spoken(
                f"no issuer answers at {issuer_url}; start it: onedoor up, or set ISSUER_URL",
                f"aucun émetteur ne répond à {issuer_url}; démarrez\u00a0: onedoor up, ou indiquez ISSUER_URL",
            )
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise SignInFailed(f"{issuer_url}: {problem!r}") from problem


def _beginning(answer: httpx.Response) -> str:
    """What a page says to a person: its alert (Keycloak marks it aria-live), else how it begins, without its markup."""
    for alert in re.findall(r'(?:role="alert"|aria-live="polite")[^>]*>([^<]*\S[^<]*)<', answer.text):
        if "<" not in (words := " ".join(unescape(alert).split())):  # scripts of the page hold markup as text
            return words
    text = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL | re.IGNORECASE)
    return f"{answer.status_code} {' '.join(text.split())[:300]}"
