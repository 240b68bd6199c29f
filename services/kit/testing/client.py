"""Asks a service in process, through its real view: body, token, language, execution, answer. No socket."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select

from services.kit.caller import CITIZEN
from services.kit.database import Database
from services.kit.events import Outbox
from services.kit.feed import Feed
from services.kit.gate import Gate
from services.kit.lease import Lease
from services.kit.purposes import purposes
from services.kit.service import Service
from services.kit.testing import tokens
from services.kit.testing.database import Statements, statements
from services.kit.view import GraphQLView


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered. `data` and `errors` as in GraphQL; `codes` are the errors' codes."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        return self.body.get("data")

    @property
    def errors(self) -> list[dict[str, Any]]:
        return list(self.body.get("errors", []))

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


class Client:
    """A caller of one service, which knows every grant as it is as long as `lease` runs."""

    def __init__(self, service: Service, database: Database, gate: Gate | None = None) -> None:
        self.service, self.database, self.feed = service, database, Feed()
        self._seen: Statements | None = None
        self.audience = service.name.replace("_", "-")
        self.lease = Lease()
        self.lease.extend(float("inf"))
        self._view = GraphQLView(service.schema, database, self.feed, tokens.verifier(self.audience), gate, self.lease)

    async def run(
        self,
        text: str,
        *scopes: str,
        username: str | None = None,
        language: str = "en",
        variables: Mapping[str, Any] | None = None,
        claims: Mapping[str, Any] | None = None,
        authority: str | None = None,
        purpose: str | None = None,
    ) -> Answer:
        """Run an operation. With a scope, a username or claims of a token it is signed in, otherwise anonymous. `authority` is a
        grant's id (see `testing.grants`), for who acts for somebody else."""
        headers = {"content-type": "application/json", "accept-language": language}
        chosen = {"onedoor-authority": authority, "onedoor-purpose": purpose}
        headers |= {name: value for name, value in chosen.items() if value is not None}
        if scopes or username or claims:
            access = tokens.token(*scopes, username=username or "citizen", audience=self.audience, **claims or {})
            headers["authorization"] = f"Bearer {access}"
        body = {"query": text, "variables": dict(variables or {})}
        return await self.post(orjson.dumps(body), headers)

    async def entities(
        self, selection: str, *representations: Mapping[str, Any], scopes: tuple[str, ...] = (), **options: Any
    ) -> Answer:
        """Ask `_entities` for a selection (`... on Business { … }`) of representations."""
        text = "query ($r: [_Any!]!) { _entities(representations: $r) { " + selection + " } }"
        return await self.run(text, *scopes, variables={"r": list(representations)}, **options)

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str],
        method: str = "POST",
        *,
        query: bytes = b"",
        listens_s: float = 30,
    ) -> Answer:
        """Send any bytes. Of a stream, what came until it ended or the client, after `listens_s`, left. Who shows a token and
        says nothing of a purpose has the usual one of their role: an empty `onedoor-purpose` chooses none."""
        sent: list[dict[str, Any]] = []
        asked = [{"type": "http.request", "body": body, "more_body": False}]
        ended = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if asked:
                return asked.pop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), listens_s)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                ended.set()

        scope = {
            "type": "http",
            "method": method,
            "path": "/graphql",
            "query_string": query,
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in purposeful(headers).items()
            ],
        }
        await self._view(scope, receive, send)
        await self._after_the_answer()
        answer = b"".join(m.get("body", b"") for m in sent[1:])
        got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        if got["content-type"].startswith("text/event-stream"):
            return Answer(sent[0]["status"], {"stream": answer.decode()}, got)
        return Answer(sent[0]["status"], orjson.loads(answer), got)

    async def _after_the_answer(self) -> None:
        """What the service does then is done when the test goes on: its database may be one connection."""
        if self._seen is not None:
            self._seen.answered = True
        await self._view.refused_entries.written()
        if self._seen is not None:
            self._seen.answered = False

    async def events(self, event_type: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """The events in the outbox so far, in order: (type, data)."""
        reader = self.database.reader()
        try:
            rows = await reader.all(select(Outbox).order_by(Outbox.seq))
        finally:
            await reader.session.close()
        return [(row.type, row.data) for row in rows if event_type in (None, row.type)]

    @contextmanager
    def statements(self) -> Iterator[Statements]:
        """Watch the SQL that the service sends."""
        with statements(self.database.engine) as seen:
            self._seen = seen
            yield seen
        self._seen = None


def purposeful(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers with the usual purpose of the token's office among them, where they choose none: the first that is for it and needs
    neither a case nor a consent. Who has no office has their own affairs, and who acts for somebody else that of the grant."""
    if headers.get("onedoor-authority", "self") != "self":
        return headers
    roles = {*(tokens.roles_of(headers["authorization"]) if "authorization" in headers else ())} - {CITIZEN}
    usual = (p.code for p in purposes().values() if p.is_for(roles, "") and not p.is_asked_for)
    return {"onedoor-purpose": next(usual, ""), **headers}
