"""What another site may make a visitor's browser do here: nothing that its user would not have been asked about.

A browser sends some requests across sites without asking first (without a preflight). Of those only GET gets this far, since POST
must be JSON. No identity travels with it, as tokens are in a header that browsers ask about; it is refused all the same.
"""

from collections.abc import Container, Mapping

from gateway import faults as own
from gateway.errors import Refused

# A browser asks before it sends any of these for a page of another site; the names are those that GraphQL clients use.
ASKED_ABOUT = (
    b"apollo-require-preflight",
    b"x-apollo-operation-name",
    b"graphql-require-preflight",
    b"x-requested-with",
)
# What a page of an allowed origin may send along.
ALLOWED_HEADERS = (
    *("accept", "accept-language", "authorization", "content-type", "dpop"),
    *("onedoor-authority", "onedoor-explain", "onedoor-purpose"),
    *("traceparent", "tracestate", "x-request-id"),
    *(name.decode() for name in ASKED_ABOUT),
)
JSON = b"application/json"


def may_open_socket(headers: Mapping[bytes, bytes], trusted_origins: Container[bytes] = ()) -> bool:
    """Whether a WebSocket may be opened: by what is no browser, a page from here, or one of a trusted origin. A browser asks
    nobody before it opens one. Source: RFC 6455, section 10.2."""
    origin = headers.get(b"origin")
    if origin is None or origin in trusted_origins or headers.get(b"sec-fetch-site") == b"same-origin":
        return True
    authority = origin.partition(b"://")[2].lower()
    return authority != b"" and authority == headers.get(b"host", b"").lower()


def refuse_unasked(headers: Mapping[bytes, bytes], trusted_origins: Container[bytes] = ()) -> None:
    """Refuse a GET that a page of another site could have sent unasked. Raises Refused.

    What does not come from a browser passes: it has neither Sec-Fetch-Site nor Origin, nor a browser's name.
    """
    if any(headers.get(name) for name in ASKED_ABOUT) or headers.get(b"content-type", b"").startswith(JSON):
        return
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site in (b"same-origin", b"none") or (origin is not None and origin in trusted_origins):
        return
    if site is None and origin is None and not headers.get(b"user-agent", b"").startswith(b"Mozilla/"):
        return
    raise Refused(own.CROSS_SITE_REFUSED)
