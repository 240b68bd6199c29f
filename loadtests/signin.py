"""Signs a load-test user in as a person would: authorization code with PKCE through the issuer's pages, staff with the code of
an app.

The only sign-in code here; works on the development issuer and on Keycloak. There is no password grant.
"""

import base64
import hashlib
import html
import re
import secrets
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pyotp
import requests

CLIENT_ID = "onedoor-cli"
REDIRECT_URI = "http://127.0.0.1:8400/callback"


class SignInRefused(Exception):
    """The issuer did not hand out a code or a token; the text is its answer's beginning."""


def access_token(issuer_url: str, username: str, password: str) -> tuple[str, float]:
    """An access token and its life in seconds. Raises SignInRefused.

    Source: RFC 6749 section 4.1, RFC 7636 (S256).
    """
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    endpoint = f"{issuer_url}/protocol/openid-connect"
    asked = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid",
        "state": secrets.token_urlsafe(8),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    with requests.Session() as browser:
        page = browser.get(f"{endpoint}/auth?{urlencode(asked)}", timeout=10)
        answer = _submitted(browser, page, {"username": username, "password": password})
        for code in _app_codes(username):
            if 'name="otp"' not in answer.text:
                break
            answer = _submitted(browser, answer, {"otp": code})
        returned = parse_qs(urlsplit(answer.headers.get("location", "")).query).get("code")
        if not returned:
            raise SignInRefused(answer.text[:300])
        grant = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "code": returned[0],
            "code_verifier": verifier,
        }
        token = browser.post(f"{endpoint}/token", data=grant, timeout=10)
    if token.status_code != 200:
        raise SignInRefused(token.text[:300])
    body = token.json()
    return str(body["access_token"]), float(body["expires_in"])


def _submitted(browser: requests.Session, page: requests.Response, typed: dict[str, str]) -> requests.Response:
    form = re.search(r'<form[^>]*\baction="([^"]+)"', page.text)
    if form is None:
        raise SignInRefused(page.text[:300])
    action = urljoin(page.url, html.unescape(form[1]))
    # `requests` never sends a Secure cookie over http; the issuer's session needs it back on loopback.
    cookies = {c.name: c.value or "" for c in browser.cookies}
    fields = {**_hidden(page.text), **typed}
    return browser.post(action, data=fields, cookies=cookies, allow_redirects=False, timeout=10)


def _app_codes(username: str) -> Iterator[str]:
    """Codes that the issuer may take now; each works once, and another worker may have used one."""
    secret = base64.b32encode(f"{username}-onedoor-second-factor".encode()).decode()
    generator, period = pyotp.TOTP(secret), int(time.time()) // 30
    for at in (period, period + 1, period - 1):
        yield generator.generate_otp(at)
        time.sleep(0.3)  # Keycloak takes two wrong ones within 0.2 s for a program that guesses


def _hidden(page: str) -> dict[str, str]:
    """The login form's hidden fields, which must come back as they are."""
    inputs = re.findall(r'<input[^>]*type="hidden"[^>]*>', page)
    named = ((re.search(r'name="([^"]+)"', i), re.search(r'value="([^"]*)"', i)) for i in inputs)
    return {name[1]: html.unescape(value[1]) for name, value in named if name and value}
