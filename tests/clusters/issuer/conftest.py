"""A browser and a client before a development issuer of their own, reached over HTTP in process."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pyotp
import pytest
from joserfc import jws

from clusters.access import access, authenticator_secret
from clusters.issuer.app import create_app
from services.kit.settings import Issuer as IssuerSettings
from services.kit.tokens import Keys, Verifier

URL = "http://issuer.test/realms/onedoor"
ENDPOINT = f"{URL}/protocol/openid-connect"
REDIRECT = "http://127.0.0.1:8400/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # of RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
USUAL = {
    "client_id": "onedoor-cli",
    "response_type": "code",
    "redirect_uri": REDIRECT,
    "scope": "openid",
    "state": "s",
    "nonce": "n",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


class Told:
    """The clients' servers: what the issuer has posted to them, and what they answer."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.answer: httpx.Response | Exception = httpx.Response(200)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = parse_qs(request.content.decode())
        self.posts.append((str(request.url), {name: values[0] for name, values in form.items()}))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def browser(told: Told) -> AsyncIterator[httpx.AsyncClient]:
    """A browser before an issuer of its own."""
    transport = httpx.ASGITransport(app=create_app(URL, access(), httpx.MockTransport(told)))
    async with httpx.AsyncClient(transport=transport) as client:
        yield client


async def page(browser: httpx.AsyncClient, **changed: str) -> httpx.Response:
    asked = {name: value for name, value in {**USUAL, **changed}.items() if value}
    return await browser.get(f"{ENDPOINT}/auth", params=asked)


async def submitted(browser: httpx.AsyncClient, shown: httpx.Response, form: Mapping[str, str]) -> httpx.Response:
    """The page's form, filled in."""
    found = re.search(r'<form[^>]* action="([^"]+)"', shown.text)
    assert found, shown.text
    return await browser.post(str(shown.url.join(found[1].replace("&amp;", "&"))), data=dict(form))


async def posted(browser: httpx.AsyncClient, shown: httpx.Response, name: str, password: str) -> httpx.Response:
    return await submitted(browser, shown, {"username": name, "password": password})


def app_code(name: str) -> str:
    """What a demo user's app shows now."""
    return str(pyotp.TOTP(authenticator_secret(name)).now())


async def signed_in(browser: httpx.AsyncClient, shown: httpx.Response, name: str) -> httpx.Response:
    """What comes after password and, where it is asked for, the code."""
    answer = await posted(browser, shown, name, f"{name}-onedoor")
    if 'name="otp"' in answer.text:
        answer = await submitted(browser, answer, {"otp": app_code(name)})
    return answer


async def code_of(browser: httpx.AsyncClient, name: str = "owner", **changed: str) -> str:
    answer = await signed_in(browser, await page(browser, **changed), name)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


async def tokens_of(browser: httpx.AsyncClient, name: str = "owner", **changed: str) -> dict[str, Any]:
    found: dict[str, Any] = (await by_code(browser, await code_of(browser, name, **changed))).json()
    return found


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified."""
    found: dict[str, Any] = orjson.loads(jws.extract_compact(token.encode()).payload)
    return found


async def exchanged(browser: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await browser.post(f"{ENDPOINT}/token", data={"client_id": "onedoor-cli", **form})


async def by_code(browser: httpx.AsyncClient, code: str, /, **changed: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return await exchanged(browser, **{**form, **changed})


def verifier(browser: httpx.AsyncClient, audience: str) -> Verifier:
    async def published() -> dict[str, Any]:
        document: dict[str, Any] = (await browser.get(f"{ENDPOINT}/certs")).json()
        return document

    return Verifier(IssuerSettings(URL, URL), audience, Keys(published))
