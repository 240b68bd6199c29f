"""`onedoor sessions`: what people see of their own sessions at the issuer, and how they end them.

The same on Keycloak and on the development issuer, by the account address of the first. It takes tokens of the client
`onedoor-account` alone, bound to a key that is made for the moment; no service takes those.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from clusters import signin
from services.kit.dpop import Prover
from services.kit.language import spoken

CLIENT_ID = "onedoor-account"
PATIENCE_S = 15
_WHEN = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class Session:
    """One session: when it began and was last used (Unix seconds), through which clients, from where as far as is known."""

    id: str
    started: int
    used: int
    clients: tuple[str, ...]
    address: str
    browser: str

    def __str__(self) -> str:
        began, used = (time.strftime(_WHEN, time.localtime(at)) for at in (self.started, self.used))
        where = " ".join(filter(None, (self.address, self.browser)))
        return spoken(
            f"{self.id}  since {began}, last used {used}  {', '.join(self.clients)}  {where}",
            f"{self.id}  depuis le {began}, utilisée le {used}  {', '.join(self.clients)}  {where}",
        ).rstrip()


class OwnSessions:
    """A person's sessions, while they are signed in to see them."""

    def __init__(self, http: httpx.Client, address: str, token: str, prover: Prover) -> None:
        self._http, self._address, self._token, self._prover = http, address, token, prover

    def all(self) -> list[Session]:
        """All of them but the one that looks, the last used first. Raises SignInFailed."""
        told = self._asked("GET", self._address).json()
        found = [_session(session) for session in told if not session.get("current")]
        return sorted(found, key=lambda session: -session.used)

    def end(self, session: str) -> None:
        """End one. Raises SignInFailed where the person has none of that name."""
        if session not in {own.id for own in self.all()}:  # the issuer says nothing of what is not there
            raise signin.SignInFailed(
                spoken(
                    f"you have no session {session}; `onedoor sessions` lists those that are open",
                    f"vous n’avez aucune session {session}\u00a0; `onedoor sessions` liste celles qui sont ouvertes",
                )
            )
        self._asked("DELETE", f"{self._address}/{session}")

    def end_all(self) -> int:
        """End all of them; returns how many there were. Raises SignInFailed."""
        found = self.all()
        # One by one: of an end of all at once Keycloak (26.4.7) tells each client of one session only.
        for session in found:
            self._asked("DELETE", f"{self._address}/{session.id}")
        return len(found)

    def _asked(self, method: str, address: str) -> httpx.Response:
        headers = {"accept": "application/json", **self._prover.headers(method, address, self._token)}
        try:
            answer = self._http.request(method, address, headers=headers)
        except httpx.HTTPError as problem:
            raise signin.SignInFailed(f"{address}: {problem!r}") from problem
        if answer.is_error:
            raise signin.SignInFailed(f"{address}: {answer.status_code} {answer.text[:200]}")
        return answer


@contextmanager
def looking(issuer_url: str, username: str, password: str, secret: str | None = None) -> Iterator[OwnSessions]:
    """Sign in to see one's sessions; the session in which one looks ends with the block. `secret` as in `signin.sign_in`.
    Raises SignInFailed."""
    prover = Prover()
    tokens = signin.sign_in(issuer_url, username, password, secret=secret, prover=prover, client=CLIENT_ID)
    try:
        with httpx.Client(timeout=PATIENCE_S) as http:
            yield OwnSessions(http, f"{issuer_url}/account/sessions", str(tokens["access_token"]), prover)
    finally:
        signin.sign_out(issuer_url, tokens)


def _session(told: dict[str, Any]) -> Session:
    browser = told.get("browser", "")
    return Session(
        told["id"],
        told["started"],
        told["lastAccess"],
        tuple(client["clientId"] for client in told["clients"]),
        told.get("ipAddress", ""),
        "" if "Unknown" in browser else browser,
    )
