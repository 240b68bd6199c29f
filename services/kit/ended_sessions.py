"""Sessions that have ended while tokens of theirs still ran: from that moment on, every token of theirs is refused.

Source: OpenID Connect Back-Channel Logout 1.0. The gateway hears of an end from the issuer and tells everybody by the event
`session.ended.v1`; gateway and services keep the ends of the last minutes, until the last token of each has run out by itself.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

EVENT = "session.ended.v1"
LONGEST_TOKEN_S = 300  # as long as an access token lives at most (clusters/access.toml)
CLOCKS_S = 30  # by which clocks may differ
REMEMBERED_S = LONGEST_TOKEN_S + 2 * CLOCKS_S
SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"{EVENT}.json",
    "title": "SessionEnded",
    "description": "A person has signed out, or was signed out: no token of the session holds any more.",
    "type": "object",
    "required": ["session", "person", "endedAt"],
    "properties": {
        "session": {
            "type": ["string", "null"],
            "description": "The session (`sid`); null ends all sessions of the person.",
        },
        "person": {"type": ["string", "null"], "description": "The person (`sub`), where the issuer names them."},
        "endedAt": {"type": "string", "format": "date-time"},
    },
    "anyOf": [{"properties": {"session": {"type": "string"}}}, {"properties": {"person": {"type": "string"}}}],
}


class Signed(Protocol):
    """What is known of a token: its subject, its session, and when it was given (Unix time in seconds)."""

    @property
    def subject(self) -> str: ...

    @property
    def session(self) -> str: ...

    @property
    def issued(self) -> float: ...


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The end of one session, or, where `session` is empty, of all sessions that a person had. `at`: Unix time in seconds, by
    the issuer's clock; `id` names the event."""

    id: UUID
    session: str
    person: str
    at: float

    def ends(self, token: Signed) -> bool:
        """Whether a token is one of those that no longer hold."""
        if self.session:
            return token.session == self.session
        return token.subject == self.person and token.issued <= self.at

    def envelope(self) -> dict[str, Any]:
        """The event, as CloudEvents 1.0 has it."""
        at = datetime.fromtimestamp(self.at, UTC).isoformat()
        return {
            "specversion": "1.0",
            "id": str(self.id),
            "source": "gateway",
            "type": EVENT,
            "subject": self.session or self.person,
            "time": at,
            "datacontenttype": "application/json",
            "data": {"session": self.session or None, "person": self.person or None, "endedAt": at},
        }

    @classmethod
    def read(cls, envelope: Mapping[str, Any]) -> "SessionEnded":
        """What an event says. Raises ValueError for one that breaks its contract."""
        try:
            data = envelope["data"]
            session, person = data["session"] or "", data["person"] or ""
            at = datetime.fromisoformat(data["endedAt"])
            if envelope["type"] != EVENT or not (session or person) or at.tzinfo is None:
                raise ValueError("not the end of a session")
            if not (isinstance(session, str) and isinstance(person, str)):
                raise ValueError("session and person must be texts")
            return cls(UUID(envelope["id"]), session, person, at.timestamp())
        except (LookupError, TypeError, AttributeError, OverflowError) as problem:
            raise ValueError(repr(problem)) from None


class EndedSessions:
    """The ends of the last minutes, and who wants to hear of one. One per process; what fills it has been verified before."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[str, float] = {}  # until when each must be known
        self._people: dict[str, SessionEnded] = {}
        self._listening: dict[asyncio.Future[None], Signed] = {}

    def end(self, ended: SessionEnded) -> None:
        """Refuse from now on what belongs to a session, and tell those who live by it. Said twice it changes nothing."""
        self._forget()
        until = ended.at + REMEMBERED_S
        if until <= self._clock():
            return
        if ended.session:
            self._sessions[ended.session] = max(until, self._sessions.get(ended.session, 0.0))
        elif ended.person not in self._people or self._people[ended.person].at < ended.at:
            self._people[ended.person] = ended
        for over, token in self._listening.items():
            if ended.ends(token) and not over.done():
                over.set_result(None)

    def hold(self, token: Signed) -> bool:
        """Whether a token belongs to a session that has ended."""
        if not self._sessions and not self._people:
            return False
        ended = self._people.get(token.subject)
        return token.session in self._sessions or (ended is not None and ended.ends(token))

    @contextlib.contextmanager
    def watching(self, token: Signed | None) -> "Iterator[asyncio.Future[None]]":
        """While the block lasts: a future that is done when the token's session has ended. The public has none to end."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if token is not None:
            if self.hold(token):
                over.set_result(None)
            self._listening[over] = token
        try:
            yield over
        finally:
            self._listening.pop(over, None)
            over.cancel()

    def _forget(self) -> None:
        """Drop from the front what is over; ends come about in the order of their moments."""
        now = self._clock()
        while self._sessions and next(iter(self._sessions.values())) <= now:
            del self._sessions[next(iter(self._sessions))]
        while self._people and next(iter(self._people.values())).at + REMEMBERED_S <= now:
            del self._people[next(iter(self._people))]
