"""What the issuer's endpoints share: OAuth errors, small forms, and pages that say one thing."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from clusters.issuer import pages
from services.kit.language import Language, negotiate

LARGEST_FORM = 16_384
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
Form = Mapping[str, str]


class Rejected(Exception):
    """An OAuth error. Source: RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.description, self.status = error, description, status

    def answer(self) -> Response:
        """The error as a client reads it."""
        return JSONResponse({"error": self.error, "error_description": self.description}, self.status, headers=NO_STORE)


async def form_of(request: Request) -> Form:
    """A small urlencoded form; what came twice counts once. Raises Rejected."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Rejected("invalid_request", "send application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise Rejected("invalid_request", "the form is too large", 413)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def challenge_of(asked: Mapping[str, str]) -> str:
    """The PKCE challenge of a request. Raises Rejected where there is none by S256. Source: RFC 7636 section 4.3."""
    challenge = asked.get("code_challenge", "")
    if asked.get("code_challenge_method") != "S256" or not 43 <= len(challenge) <= 128:
        raise Rejected("invalid_request", "code_challenge with code_challenge_method=S256 is required")
    return challenge


def redirect(uri: str, answer: Mapping[str, str], state: str | None) -> Response:
    """Back to the client, with what it asked for."""
    query = urlencode({**answer, **({"state": state} if state is not None else {})})
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(f"{uri}?{query}" if query else uri, 302, headers=headers)


def told(language: Language, text: str, status: int = 400, title: str = "error") -> Response:
    """A page that only says something; `text` and `title` are keys of `pages.TEXTS`."""
    return HTMLResponse(pages.message(language, title, text), status, headers=pages.headers())


def unauthorized() -> Response:
    """A token is missing, ended, or not for this. Sources: RFC 6750 section 3, RFC 9449 section 7.1."""
    return JSONResponse({"error": "invalid_token"}, 401, headers={"www-authenticate": "Bearer, DPoP", **NO_STORE})


def language_of(request: Request) -> Language:
    """What the person reads: chosen on the page, else the browser's."""
    wished = request.query_params.get("ui_locales") or request.headers.get("accept-language", "")
    return negotiate(wished.replace(" ", ","))
