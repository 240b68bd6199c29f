"""GraphiQL at /graphql for people with a browser: in local mode only, from files that are here, so without a network."""

import html
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import MappingProxyType

from starlette.staticfiles import StaticFiles

from gateway.exchange import Receive, Scope, Send
from services.kit.language import Language, Words, negotiate

FOLDER = Path(__file__).parent / "graphiql"
FILES_AT = "/graphiql"
# Scripts from here alone. GraphiQL writes styles into its elements, and brings its fonts and icons as data.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TEXTS = MappingProxyType(
    {
        "title": Words("One Door: try the API", "One Door : essayer l’API"),
        "noscript": Words("This page needs JavaScript.", "Cette page a besoin de JavaScript."),
        "welcome": Words(
            "# Write an operation and press Ctrl+Enter.\n# Ctrl+Space shows what fits at the cursor.\n"
            "# A token goes under Headers, as Authorization.\n\nquery {\n  __typename\n}\n",
            "# Écrivez une opération et appuyez sur Ctrl+Entrée.\n# Ctrl+Espace montre ce qui convient au curseur.\n"
            "# Un jeton se met sous Headers, en Authorization.\n\nquery {\n  __typename\n}\n",
        ),
    }
)


def page(language: Language) -> bytes:
    """The page in a language; GraphiQL itself speaks English only."""
    told = {name: html.escape(words.of(language)) for name, words in TEXTS.items()}
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    return text.format(lang=f"{language.value}-CA", **told).encode()


def files() -> StaticFiles:
    """What the page loads, as an application to be mounted at `FILES_AT`."""
    return StaticFiles(directory=FOLDER)


def beside(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application, and the page for those who GET it with `Accept: text/html`."""
    pages = {language: page(language) for language in Language}

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["method"] == "GET" else {}
        if b"text/html" not in headers.get(b"accept", b""):
            await app(scope, receive, send)
            return
        language = negotiate(headers.get(b"accept-language", b"").decode("latin-1"))
        head = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(pages[language])),
            (b"content-language", language.tag),
            (b"content-security-policy", POLICY.encode()),
            (b"vary", b"Accept, Accept-Language"),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": pages[language]})

    return either
