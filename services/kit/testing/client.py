"""Asks a service in process, through its real view: body, token, language, execution, answer. No socket."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select

from services.kit.database import Database
from services.kit.events import Outbox
from services.kit.feed import Feed
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
    """A caller of one service."""

    def __init__(self, service: Service, database: Database) -> None:
        self.service, self.database, self.feed = service, database, Feed()
        self.audience = service.name.replace("_", "-")
        self._view = GraphQLView(service.schema, database, self.feed, tokens.verifier(self.audience))

    async def run(
        self,
        text: str,
        *scopes: str,
        username: str | None = None,
        language: str = "en",
        variables: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Run an operation. With a scope or a username it is signed in, otherwise anonymous."""
        headers = {"content-type": "application/json", "accept-language": language}
        if scopes or username:
            access = tokens.token(*scopes, username=username or "citizen", audience=self.audience)
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
        self, body: bytes, headers: Mapping[str, str], method: str = "POST", *, listens_s: float = 5
    ) -> Answer:
        """Send any bytes. Of a stream, what came until it ended or the client, after `listens_s`, left."""
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
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        await self._view(scope, receive, send)
        answer = b"".join(m.get("body", b"") for m in sent[1:])
        got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        if got["content-type"].startswith("text/event-stream"):
            return Answer(sent[0]["status"], {"stream": answer.decode()}, got)
        return Answer(sent[0]["status"], orjson.loads(answer), got)

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
            yield seen
