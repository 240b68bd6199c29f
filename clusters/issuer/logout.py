"""Signing out: the session ends, and the client's server is told at once.

Sources: OpenID Connect RP-Initiated Logout 1.0 (section 2), Back-Channel Logout 1.0 (sections 2.4 and 2.5). As with Keycloak,
a refresh token that comes again ends its session silently.
"""

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import Response

from clusters.access import Access, Client
from clusters.issuer.keys import Signer
from clusters.issuer.oauth import Form, language_of, redirect, told

PATIENCE_S = 3.0
_LOG = structlog.get_logger(__name__)


class Logout:
    """Ends sessions. `ended` is what the issuer's grants look at."""

    def __init__(
        self, access: Access, signer: Signer, ended: set[str], transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self._access, self._signer, self._ended, self._transport = access, signer, ended, transport

    async def by_browser(self, request: Request, form: Form) -> Response:
        """End the session that an ID token names, and lead back to the client where the address is registered."""
        language = language_of(request)
        claims = self._signer.signed_in(form.get("id_token_hint", ""))
        client = self._access.clients.get(str(claims["aud"])) if claims else None
        if claims is None or client is None:  # Keycloak asks a person who gives no hint, and refuses a wrong one
            if form.get("id_token_hint"):
                return told(language, "bad_hint", title="not_signed_out")
            return told(language, "signed_out", 200, "signed_out")
        back = form.get("post_logout_redirect_uri")
        if back is not None and back not in client.after_logout:
            return told(language, "bad_client")
        await self.end(client, str(claims["sub"]), str(claims["sid"]))
        return redirect(back, {}, form.get("state")) if back else told(language, "signed_out", 200, "signed_out")

    async def end(self, client: Client, subject: str, session: str) -> None:
        """End a session. Whoever is told has answered, or has been given three seconds, when this returns."""
        self._ended.add(session)
        if client.logout is None:
            return
        token = self._signer.logout_token(client.id, subject, session)
        try:
            async with httpx.AsyncClient(timeout=PATIENCE_S, transport=self._transport) as http:
                answer = await http.post(client.logout, data={"logout_token": token})
            if answer.is_error:
                _LOG.warning("logout_not_taken", client=client.id, status=answer.status_code)
        except httpx.HTTPError as problem:
            _LOG.warning("logout_not_told", client=client.id, error=type(problem).__name__)
