"""People see and end their own sessions, at the paths and in the shapes of Keycloak's account address.

Source: Keycloak 26.4, Account REST API, `/account/sessions`.
"""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from clusters.access import Access
from clusters.issuer.keys import ACCOUNT, Json
from clusters.issuer.logout import Logout
from clusters.issuer.oauth import NO_STORE, unauthorized
from clusters.issuer.sessions import Grant, Once


class OwnSessions:
    """Answers tokens of clients of the account address only."""

    def __init__(
        self, access: Access, shown: Callable[[Request], Json | None], refreshes: Once, logout: Logout
    ) -> None:
        self._access, self._shown, self._refreshes, self._logout = access, shown, refreshes, logout

    async def listed(self, request: Request) -> Response:
        """All of one's sessions; times in Unix seconds."""
        me = self._me(request)
        if me is None:
            return unauthorized()
        now, life_s = time.time(), self._access.lives.session
        told = [
            {
                "id": grant.holder.session,
                "started": grant.holder.since,
                "lastAccess": int(now - age_s),
                "expires": int(now - age_s) + life_s,
                "clients": [{"clientId": grant.client}],
                **({"current": True} if grant.holder.session == me["sid"] else {}),
            }
            for age_s, grant in self._refreshes.of(me["sub"])
        ]
        return JSONResponse(told, headers=NO_STORE)

    async def ended(self, request: Request) -> Response:
        """End one of one's sessions, or all but this one. Another person's, and one that is not there, are passed over alike."""
        me = self._me(request)
        if me is None:
            return unauthorized()
        wanted = request.path_params.get("session")
        for grant in self._own(me):
            if wanted == grant.holder.session or (wanted is None and grant.holder.session != me["sid"]):
                await self._logout.end(self._access.clients[grant.client], me["sub"], grant.holder.session)
        return Response(status_code=204)

    def _own(self, me: Json) -> list[Grant]:
        return [grant for _, grant in self._refreshes.of(me["sub"])]

    def _me(self, request: Request) -> Json | None:
        """Who asks: a person by a token for this address, in a session that has not ended."""
        claims = self._shown(request)
        if claims is None or claims["aud"] != ACCOUNT:
            return None
        return claims if any(grant.holder.session == claims["sid"] for grant in self._own(claims)) else None
