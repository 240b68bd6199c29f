"""The development issuer: Keycloak's paths, authorization code with PKCE, refresh, client credentials. Local mode only.

It stands in for Keycloak where that would take a gigabyte and half a minute; `make test-stack` runs the same journey on
Keycloak itself. There is no password grant and no implicit flow.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import NAMESPACE_URL, uuid4, uuid5

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from clusters.access import Access, Client, User
from clusters.issuer import pages
from clusters.issuer.keys import ALGORITHM, Holder, Signer
from clusters.issuer.sessions import Grant, Login, Once, Remembered, Tries
from services.kit.language import Language, negotiate
from services.kit.tokens import TokenRefused, bearer

LARGEST_FORM = 16_384
COOKIE = "onedoor_login"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
_LOG = structlog.get_logger(__name__)
Form = Mapping[str, str]


class Rejected(Exception):
    """An OAuth error. Source: RFC 6749 sections 4.1.2.1 and 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


class Issuer:
    """One realm: its users, clients, keys and what it remembers."""

    def __init__(self, url: str, access: Access) -> None:
        self.url, self.access = url, access
        self.signer = Signer(url, access.audiences)
        self.ended: set[str] = set()
        self.logins: Remembered[Login] = Remembered(access.lives.login)
        self.codes = Once(access.lives.code, self.ended)
        self.refreshes = Once(access.lives.session, self.ended)
        self.tries = Tries()

    # -- signing in

    async def authorize(self, request: Request) -> Response:
        """The login page, or why there is none. An unknown client or address is told to the person, never redirected to."""
        asked = dict(request.query_params)
        language = _language(request)
        client = self.access.clients.get(asked.get("client_id", ""))
        redirect_uri = asked.get("redirect_uri", "")
        if client is None or not _registered(client, redirect_uri):
            return _told(language, "bad_client", 400)
        try:
            challenge = _wanted(asked)
        except Rejected as refused:
            answer = {"error": refused.error, "error_description": refused.description, "iss": self.url}
            return _redirect(redirect_uri, answer, asked.get("state"))
        browser = request.cookies.get(COOKIE) or str(uuid4())
        login = Login(client.id, redirect_uri, asked.get("state"), asked.get("nonce"), challenge, browser)
        return self._login_page(request, self.logins.keep(login), login, language)

    def _login_page(
        self, request: Request, name: str, login: Login, language: Language, problem: str | None = None, user: str = ""
    ) -> Response:
        other = Language.EN if language is Language.FR else Language.FR
        query = urlencode({"session_code": name, "ui_locales": language.value})
        action = f"{urlsplit(self.url).path}/login-actions/authenticate?{query}"
        switched = {**dict(request.query_params), "ui_locales": other.value}
        page = pages.sign_in(
            language,
            action,
            list(self.access.users.values()),
            f"{request.url.path}?{urlencode(switched)}",
            problem,
            user,
        )
        parts = urlsplit(login.redirect_uri)
        status = 200 if problem is None else 429 if problem == "wait" else 401
        answer = HTMLResponse(page, status, headers=pages.headers(f"{parts.scheme}://{parts.netloc}"))
        answer.set_cookie(COOKIE, login.browser, httponly=True, samesite="lax", path=urlsplit(self.url).path)
        return answer

    async def authenticate(self, request: Request) -> Response:
        """Check name and password; redirect with a code. A wrong name and a wrong password are told alike."""
        language = _language(request)
        name = request.query_params.get("session_code", "")
        login = self.logins.look(name)
        if request.method == "GET":  # the language was changed on a page with an alert
            return self._login_page(request, name, login, language) if login else _told(language, "expired", 400)
        if login is None or not hmac.compare_digest(login.browser, request.cookies.get(COOKIE, "")):
            return _told(language, "expired", 400)
        try:
            form = await _form(request)
        except Rejected as refused:
            return _told(language, "expired", refused.status)
        username = form.get("username", "")[:200]
        if self.tries.too_many(username):
            return self._login_page(request, name, login, language, "wait", username)
        user = self.access.users.get(username)
        expected = user.password if user else "\0"
        if (
            not hmac.compare_digest(expected.encode(), form.get("password", "").encode("utf-8", "replace"))
            or user is None
        ):
            self.tries.wrong(username)
            return self._login_page(request, name, login, language, "wrong", username)
        self.logins.take(name)
        holder = self._holder(user)
        code = self.codes.give(Grant(holder, login.client, login.redirect_uri, login.challenge, login.nonce))
        _LOG.info("signed_in", user=user.name, client=login.client)
        return _redirect(
            login.redirect_uri, {"code": code, "session_state": holder.session, "iss": self.url}, login.state
        )

    def _holder(self, user: User) -> Holder:
        scopes = self.access.roles[user.role]
        return Holder(user.subject, (user.role,), scopes, str(uuid4()), int(time.time()))

    # -- tokens

    async def token(self, request: Request) -> Response:
        """The token endpoint. Source: RFC 6749 section 3.2."""
        try:
            form = await _form(request)
            client = self._client(request, form)
            match form.get("grant_type"):
                case "authorization_code":
                    grant = self._by_code(form, client)
                case "refresh_token":
                    grant = self._by_refresh(form, client)
                case "client_credentials":
                    return JSONResponse(self._for_client(client), headers=NO_STORE)
                case _:
                    raise Rejected(
                        "unsupported_grant_type", "use authorization_code, refresh_token or client_credentials"
                    )
        except Rejected as refused:
            body = {"error": refused.error, "error_description": refused.description}
            return JSONResponse(body, refused.status, headers=NO_STORE)
        return JSONResponse(self._answer(grant), headers=NO_STORE)

    def _client(self, request: Request, form: Form) -> Client:
        """The client that asks, authenticated if it has a secret. Source: RFC 6749 section 2.3."""
        name, secret = _basic(request.headers.get("authorization")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        client = self.access.clients.get(name)
        if client is None or not hmac.compare_digest((client.secret or "").encode(), secret.encode("utf-8", "replace")):
            raise Rejected("invalid_client", "unknown client or wrong secret", 401)
        return client

    def _by_code(self, form: Form, client: Client) -> Grant:
        grant = self.codes.redeem(form.get("code", ""))
        verifier = form.get("code_verifier", "").encode("utf-8", "replace")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        if (
            grant is None
            or grant.client != client.id
            or grant.redirect_uri != form.get("redirect_uri")
            or not hmac.compare_digest(grant.challenge, digest)
        ):
            raise Rejected("invalid_grant", "the code is not valid: used, ended, or asked for otherwise")
        return grant

    def _by_refresh(self, form: Form, client: Client) -> Grant:
        grant = self.refreshes.redeem(form.get("refresh_token", ""))
        if grant is None or grant.client != client.id:
            raise Rejected("invalid_grant", "the refresh token is not valid: used, ended or revoked")
        return grant

    def _for_client(self, client: Client) -> dict[str, Any]:
        if client.secret is None or client.role is None:
            raise Rejected("unauthorized_client", "a public client cannot act by itself")
        subject = str(uuid5(NAMESPACE_URL, f"onedoor:client:{client.id}"))
        holder = Holder(subject, (client.role,), self.access.roles[client.role], str(uuid4()), int(time.time()))
        life = self.access.lives.access
        return {
            "access_token": self.signer.access_token(holder, client.id, life),
            "expires_in": life,
            "token_type": "Bearer",
            "scope": " ".join(("openid", *holder.scopes)),
        }

    def _answer(self, grant: Grant) -> dict[str, Any]:
        lives, holder = self.access.lives, grant.holder
        return {
            "access_token": self.signer.access_token(holder, grant.client, lives.access),
            "expires_in": lives.access,
            "refresh_token": self.refreshes.give(Grant(holder, grant.client)),
            "refresh_expires_in": lives.session,
            "id_token": self.signer.id_token(holder, grant.client, lives.access, grant.nonce),
            "token_type": "Bearer",
            "session_state": holder.session,
            "scope": " ".join(("openid", *holder.scopes)),
        }

    # -- the rest

    async def userinfo(self, request: Request) -> Response:
        """The subject of an access token. Source: OpenID Connect Core 1.0, section 5.3."""
        try:
            token = bearer(request.headers.get("authorization"))
        except TokenRefused:
            token = None
        subject = self.signer.subject_of(token) if token else None
        if subject is None:
            return JSONResponse({"error": "invalid_token"}, 401, headers={"www-authenticate": "Bearer", **NO_STORE})
        return JSONResponse({"sub": subject}, headers=NO_STORE)

    async def logout(self, request: Request) -> Response:
        """End the session of a refresh token (POST), or say that there is none to end in the browser (GET)."""
        if request.method == "GET":
            language = _language(request)
            return HTMLResponse(pages.message(language, "signed_out", "signed_out"), headers=pages.headers())
        try:
            form = await _form(request)
            client = self._client(request, form)
        except Rejected as refused:
            return JSONResponse({"error": refused.error}, refused.status, headers=NO_STORE)
        grant = self.refreshes.redeem(form.get("refresh_token", ""))
        if grant is not None and grant.client == client.id:
            self.ended.add(grant.holder.session)
        return Response(status_code=204)

    async def certs(self, _: Request) -> Response:
        return JSONResponse(self.signer.jwks())

    async def discovery(self, _: Request) -> Response:
        """Source: OpenID Connect Discovery 1.0, section 3."""
        endpoint = f"{self.url}/protocol/openid-connect"
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{endpoint}/auth",
                "token_endpoint": f"{endpoint}/token",
                "userinfo_endpoint": f"{endpoint}/userinfo",
                "end_session_endpoint": f"{endpoint}/logout",
                "jwks_uri": f"{endpoint}/certs",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
                "code_challenge_methods_supported": ["S256"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "scopes_supported": ["openid", *self.access.scopes],
                "ui_locales_supported": ["en", "fr"],
                "authorization_response_iss_parameter_supported": True,
            }
        )


def create_app(url: str, access: Access) -> Starlette:
    """The issuer's ASGI application, below the path of its URL."""
    issuer = Issuer(url.rstrip("/"), access)
    base = urlsplit(issuer.url).path
    endpoint = f"{base}/protocol/openid-connect"

    async def healthy(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route(f"{base}/.well-known/openid-configuration", issuer.discovery),
            Route(f"{endpoint}/auth", issuer.authorize),
            Route(f"{base}/login-actions/authenticate", issuer.authenticate, methods=["GET", "POST"]),
            Route(f"{endpoint}/token", issuer.token, methods=["POST"]),
            Route(f"{endpoint}/certs", issuer.certs),
            Route(f"{endpoint}/userinfo", issuer.userinfo, methods=["GET", "POST"]),
            Route(f"{endpoint}/logout", issuer.logout, methods=["GET", "POST"]),
            Route("/health/live", healthy),
            Route("/health/ready", healthy),
            Route("/metrics", scrape),
        ]
    )


def _wanted(asked: Mapping[str, str]) -> str:
    """The PKCE challenge of a well-formed request. Raises Rejected. Source: RFC 7636 section 4.3."""
    if asked.get("response_type") != "code" or asked.get("response_mode", "query") != "query":
        raise Rejected("unsupported_response_type", "only response_type=code with response_mode=query")
    if asked.get("prompt") == "none":
        raise Rejected("login_required", "this issuer keeps no browser session")
    challenge = asked.get("code_challenge", "")
    if asked.get("code_challenge_method") != "S256" or not 43 <= len(challenge) <= 128:
        raise Rejected("invalid_request", "code_challenge with code_challenge_method=S256 is required")
    return challenge


def _registered(client: Client, redirect_uri: str) -> bool:
    """Whether an address is one of the client's, exactly; a loopback one with no port stands for any port (RFC 8252)."""
    try:
        parts = urlsplit(redirect_uri)
        loopback = parts.hostname == "127.0.0.1" and parts.scheme == "http" and parts.port is not None
    except ValueError:
        return False
    if loopback and parts.username is None and f"http://127.0.0.1{parts.path}" in client.redirect_uris:
        return not parts.query and not parts.fragment
    return redirect_uri in client.redirect_uris


def _redirect(uri: str, answer: Mapping[str, str], state: str | None) -> Response:
    query = urlencode({**answer, **({"state": state} if state is not None else {})})
    return RedirectResponse(
        f"{uri}?{query}", 302, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"}
    )


def _told(language: Language, text: str, status: int) -> Response:
    return HTMLResponse(pages.message(language, "error", text), status, headers=pages.headers())


def _language(request: Request) -> Language:
    wished = request.query_params.get("ui_locales") or request.headers.get("accept-language", "")
    return negotiate(wished.replace(" ", ","))


async def _form(request: Request) -> Form:
    """A small urlencoded form; what came twice counts once. Raises Rejected."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Rejected("invalid_request", "send application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise Rejected("invalid_request", "the form is too large", 413)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _basic(header: str | None) -> tuple[str, str] | None:
    if header is None or not header.lower().startswith("basic "):
        return None
    try:
        name, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
    except ValueError:
        return None
    return name, secret
