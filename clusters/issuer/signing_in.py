"""The pages on which a person signs in: password, then the code of an app where the role or the client asks for it.

There is no session of the browser: each request is a whole sign-in, which satisfies every `max_age`. Staff are asked for the
second factor each time, others when a client requests it (`acr_values=2`, RFC 9470).
"""

import hmac
import time
from dataclasses import replace
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from clusters.access import Access, Client, User
from clusters.issuer import pages
from clusters.issuer.codes import AppCodes
from clusters.issuer.devices import Devices
from clusters.issuer.keys import Holder
from clusters.issuer.oauth import Form, Rejected, challenge_of, form_of, language_of, redirect, told
from clusters.issuer.sessions import Grant, Login, Once, Remembered, Tries
from services.kit.language import Language

COOKIE = "onedoor_login"
PASSWORD, SECOND_FACTOR = "1", "2"  # values of `acr`
_LOG = structlog.get_logger(__name__)


class SigningIn:
    """The authorization endpoint and the pages behind it."""

    def __init__(self, url: str, access: Access, codes: Once, devices: Devices) -> None:
        self.url, self.access = url, access
        self._path = urlsplit(url).path
        self._codes, self._devices = codes, devices
        self._logins: Remembered[Login] = Remembered(access.lives.login)
        self._tries, self._app_codes = Tries(), AppCodes()

    async def authorize(self, request: Request) -> Response:
        """The login page, or why there is none. An unknown client or address is told to the person, never redirected to."""
        asked = dict(request.query_params)
        language = language_of(request)
        client = self.access.clients.get(asked.get("client_id", ""))
        redirect_uri = asked.get("redirect_uri", "")
        if client is None or not registered(client, redirect_uri):
            return told(language, "bad_client")
        try:
            challenge = _wanted(asked)
        except Rejected as refused:
            answer = {"error": refused.error, "error_description": refused.description, "iss": self.url}
            return redirect(redirect_uri, answer, asked.get("state"))
        assurance = SECOND_FACTOR if SECOND_FACTOR in asked.get("acr_values", "").split() else PASSWORD
        login = Login(
            client.id, redirect_uri, asked.get("state"), asked.get("nonce"), challenge, _browser(request), assurance
        )
        return self._page(request, login, language)

    async def device(self, request: Request) -> Response:
        """Where a person types the code that a device shows; then they sign in as ever. Source: RFC 8628 section 3.3."""
        language = language_of(request)
        typed = request.query_params.get("user_code")
        device = self._devices.typed(typed or "")
        if device is None:
            problem = "bad_user_code" if typed is not None else None
            page = pages.device(language, self._other(request, language), problem, (typed or "")[:40])
            return HTMLResponse(page, 400 if problem else 200, headers=pages.headers())
        login = Login(device.client, "", None, None, "", _browser(request), PASSWORD, device=device.user_code)
        return self._page(request, login, language)

    async def authenticate(self, request: Request) -> Response:
        """One step further: password, code, consent. What belongs to another browser, or is over, is refused."""
        language = language_of(request)
        name = request.query_params.get("session_code", "")
        login = self._logins.look(name)
        if login is None or not hmac.compare_digest(login.browser, request.cookies.get(COOKIE, "")):
            return told(language, "expired")
        if request.method == "GET":  # the language was changed on a later page
            return self._page(request, login, language, name=name)
        try:
            form = await form_of(request)
        except Rejected as refused:
            return told(language, "expired", refused.status)
        if login.user and not login.holder:
            return self._code(request, name, login, form, language)
        return (
            self._consent(name, login, form, language) if login.holder else self._password(request, name, login, form)
        )

    def _password(self, request: Request, name: str, login: Login, form: Form) -> Response:
        """A wrong name and a wrong password are told alike."""
        language, username = language_of(request), form.get("username", "")[:200]
        if self._tries.too_many(username):
            return self._page(request, login, language, "wait", username, name=name)
        user = self.access.users.get(username)
        expected = user.password if user else "\0"
        if not hmac.compare_digest(expected.encode(), form.get("password", "").encode("utf-8", "replace")) or not user:
            self._tries.wrong(username)
            return self._page(request, login, language, "wrong", username, name=name)
        self._logins.take(name)
        if login.assurance == SECOND_FACTOR or user.role in self.access.second_factors:
            return self._page(request, replace(login, user=user.name), language)
        return self._finish(request, login, user, PASSWORD)

    def _code(self, request: Request, name: str, login: Login, form: Form, language: Language) -> Response:
        user = self.access.users[login.user]
        if self._tries.too_many(user.name):
            return self._page(request, login, language, "wait", name=name)
        if not self._app_codes.accept(user, form.get("otp", "")):
            self._tries.wrong(user.name)
            return self._page(request, login, language, "wrong_code", name=name)
        self._logins.take(name)
        return self._finish(request, login, user, SECOND_FACTOR)

    def _finish(self, request: Request, login: Login, user: User, assurance: str) -> Response:
        scopes = self.access.roles[user.role]
        holder = Holder(user.subject, (user.role,), scopes, str(uuid4()), int(time.time()), assurance, user.groups)
        _LOG.info("signed_in", user=user.name, client=login.client, assurance=assurance)
        if login.device:
            return self._page(request, replace(login, user=user.name, holder=holder), language_of(request))
        code = self._codes.give(Grant(holder, login.client, login.redirect_uri, login.challenge, login.nonce))
        answer = {"code": code, "session_state": holder.session, "iss": self.url}
        return redirect(login.redirect_uri, answer, login.state)

    def _consent(self, name: str, login: Login, form: Form, language: Language) -> Response:
        self._logins.take(name)
        allowed = form.get("answer") == "allow" and login.holder is not None
        self._devices.answer(login.device, login.holder if allowed else None)
        return told(language, "device_allowed" if allowed else "device_denied", 200, "device_title")

    def _page(
        self,
        request: Request,
        login: Login,
        language: Language,
        problem: str | None = None,
        username: str = "",
        *,
        name: str | None = None,
    ) -> Response:
        """The page that a login stands at. Without a name, it begins here."""
        kept = name or self._logins.keep(login)
        query = urlencode({"session_code": kept, "ui_locales": language.value})
        action = f"{self._path}/login-actions/authenticate?{query}"
        other = self._other(request, language) if request.method == "GET" and not name else self._later(kept, language)
        if login.holder:
            page = pages.consent(language, action, other, login.client, login.user, login.device)
        elif login.user:
            page = pages.code(language, action, other, login.user, problem)
        else:
            page = pages.sign_in(language, action, list(self.access.users.values()), other, problem, username)
        parts = urlsplit(login.redirect_uri)
        target = f"{parts.scheme}://{parts.netloc}" if login.redirect_uri else ""
        status = 200 if problem is None else 429 if problem == "wait" else 401
        answer = HTMLResponse(page, status, headers=pages.headers(target))
        answer.set_cookie(COOKIE, login.browser, httponly=True, samesite="lax", path=self._path)
        return answer

    def _later(self, name: str, language: Language) -> str:
        query = urlencode({"session_code": name, "ui_locales": _other(language).value})
        return f"{self._path}/login-actions/authenticate?{query}"

    @staticmethod
    def _other(request: Request, language: Language) -> str:
        switched = {**dict(request.query_params), "ui_locales": _other(language).value}
        return f"{request.url.path}?{urlencode(switched)}"


def _other(language: Language) -> Language:
    return Language.EN if language is Language.FR else Language.FR


def _browser(request: Request) -> str:
    return request.cookies.get(COOKIE) or str(uuid4())


def _wanted(asked: Form) -> str:
    """The PKCE challenge of a well-formed request. Raises Rejected."""
    if asked.get("response_type") != "code" or asked.get("response_mode", "query") != "query":
        raise Rejected("unsupported_response_type", "only response_type=code with response_mode=query")
    if asked.get("prompt") == "none":
        raise Rejected("login_required", "this issuer keeps no browser session")
    return challenge_of(asked)


def registered(client: Client, redirect_uri: str) -> bool:
    """Whether an address is one of the client's, exactly; a loopback one with no port stands for any port (RFC 8252)."""
    try:
        parts = urlsplit(redirect_uri)
        loopback = parts.hostname == "127.0.0.1" and parts.scheme == "http" and parts.port is not None
    except ValueError:
        return False
    if loopback and parts.username is None and f"http://127.0.0.1{parts.path}" in client.redirect_uris:
        return not parts.query and not parts.fragment
    return redirect_uri in client.redirect_uris
