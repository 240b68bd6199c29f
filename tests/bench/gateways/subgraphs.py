"""The four subgraphs as one server that costs next to nothing: each distinct request is executed once and remembered.

`python -m tests.bench.gateways.subgraphs PORT`; a subgraph answers at `/<name>`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import httptools
import orjson
import uvloop
from graphql import GraphQLSchema, build_schema, graphql_sync

from tests.bench.gateways.data import OFFICERS, PREMISES, visits_of

FOLDER = Path(__file__).parent
NAMES = ("staff", "premises", "occupancy", "visits")
Json = dict[str, Any]
PRELUDE = """
directive @key(fields: String!) repeatable on OBJECT
directive @shareable on FIELD_DEFINITION
directive @external on FIELD_DEFINITION
directive @requires(fields: String!) on FIELD_DEFINITION
directive @provides(fields: String!) on FIELD_DEFINITION
scalar _Any
"""


def schema_of(name: str) -> GraphQLSchema:
    """A subgraph's executable schema, its entities included."""
    sdl = (FOLDER / "subgraphs" / f"{name}.graphql").read_text().partition("\n\n")[2]
    kinds = [line.split()[1] for line in sdl.splitlines() if "@key" in line and line.startswith("type")]
    extended = "extend type Query" if "type Query" in sdl else "type Query"
    entities = f"union _Entity = {' | '.join(kinds)}\n{extended} {{ _entities(representations: [_Any!]!): [_Entity]! }}"
    schema = build_schema(f"{PRELUDE}\n{sdl}\n{entities}")
    resolvers: dict[tuple[str, str], Any] = {
        ("Query", "officers"): lambda *_: OFFICERS,
        ("Query", "officer"): lambda _, __, id: next((o for o in OFFICERS if o["id"] == id), None),
        ("Query", "busiest"): lambda _, __, first: PREMISES[:first],
        ("Query", "_entities"): lambda _, __, representations: [_entity(r) for r in representations],
        ("Officer", "visits"): lambda o, _: visits_of("officer", "id", o["id"]),
        ("Premises", "visits"): lambda p, _: visits_of("premises", "number", p["number"]),
        ("Premises", "waitingDays"): lambda p, _: p["area"] // 100 + p["storeys"],
    }
    for (type_name, field), resolve in resolvers.items():
        type_ = schema.type_map.get(type_name)
        if type_ is not None and field in type_.fields:  # type: ignore[attr-defined] # an object type
            type_.fields[field].resolve = resolve  # type: ignore[attr-defined]
    return schema


def _entity(told: Json) -> Json | None:
    if told["__typename"] == "Officer":
        return next((o for o in OFFICERS if o["id"] == told["id"]), None)
    found = next((p for p in PREMISES if p["number"] == told["number"]), None)
    return found and {**found, **told}


class Connection(asyncio.Protocol):
    """One connection of a gateway."""

    schemas: dict[bytes, GraphQLSchema]
    known: dict[tuple[bytes, bytes], bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.url, self.body = b"", b""

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url, self.body = url, b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        key = (self.url, self.body)
        answer = self.known.get(key)
        if answer is None:
            answer = self.known[key] = self.answer()
        self.transport.write(answer)  # type: ignore[attr-defined] # a transport that writes

    def answer(self) -> bytes:
        if not self.body:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        asked = orjson.loads(self.body)
        schema = self.schemas[self.url.lstrip(b"/")]
        result = graphql_sync(
            schema, asked["query"], variable_values=asked.get("variables"), operation_name=asked.get("operationName")
        )
        body = orjson.dumps(result.formatted)
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def serve(port: int) -> None:
    """Serve on the loopback for ever."""
    Connection.schemas = {name.encode(): schema_of(name) for name in NAMES}
    Connection.known = {}
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
