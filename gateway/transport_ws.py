"""graphql-transport-ws from the server's side, without a socket: what a client's message means where it stands.

Source: "GraphQL over WebSocket Protocol", as the package graphql-ws has it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

Json = dict[str, Any]
PROTOCOL = "graphql-transport-ws"
ACKNOWLEDGEMENT = '{"type":"connection_ack"}'
PONG = '{"type":"pong"}'
LONGEST_REASON = 123  # bytes, as WebSocket has it
LONGEST_ID = 256  # characters; clients use UUIDs


class Code(IntEnum):
    """Why a socket is closed: those of WebSocket itself, then the protocol's own."""

    GOING_AWAY = 1001
    INTERNAL = 1011
    RESTARTING = 1012
    TOO_SLOW = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    NO_SUCH_PROTOCOL = 4406
    INIT_TIMEOUT = 4408
    ALREADY_EXISTS = 4409
    TOO_MANY_INITS = 4429


class Closing(Exception):
    """The socket is to be closed, with this code and reason."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:LONGEST_REASON].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Init:
    """The client wants to be acknowledged: call `acknowledge` if it may."""

    payload: Json


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client asks an operation of any kind."""

    id: str
    payload: Json


@dataclass(frozen=True, slots=True)
class Complete:
    """The client no longer wants the results of an operation, which may have ended already."""

    id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The client wants a pong."""


Meaning = Init | Subscribe | Complete | Ping | None


class Conversation:
    """One client's messages so far. `running` are the ids of operations that have not ended: discard each when it does."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self._asked = self._acknowledged = False

    def acknowledge(self) -> str:
        """The client may ask operations from now on. Returns the message that says so."""
        self._acknowledged = True
        return ACKNOWLEDGEMENT

    def understand(self, text: str | None) -> Meaning:
        """What a message asks for; None when for nothing. `text` is None for a binary one. Raises Closing."""
        message = _object(text)
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise Closing(Code.BAD_REQUEST, "“payload” must be an object")
        match message.get("type"):
            case "connection_init":
                if self._asked:
                    raise Closing(Code.TOO_MANY_INITS, "Too many initialisation requests")
                self._asked = True
                return Init(payload or {})
            case "subscribe":
                return self._subscribe(_id(message), payload)
            case "complete":
                self.running.discard(identity := _id(message))
                return Complete(identity)
            case "ping":
                return Ping()
            case "pong":
                return None
        raise Closing(Code.BAD_REQUEST, "“type” must be connection_init, subscribe, complete, ping or pong")

    def _subscribe(self, identity: str, payload: Json | None) -> Subscribe:
        if not self._acknowledged:
            raise Closing(Code.UNAUTHORIZED, "Unauthorized")
        if identity in self.running:
            raise Closing(Code.ALREADY_EXISTS, f"Subscriber for {identity} already exists")
        asked = payload or {}
        by_hash = "documentId" in asked or bool(asked.get("extensions"))
        if not isinstance(asked.get("query"), str | None if by_hash else str):
            raise Closing(Code.BAD_REQUEST, "“payload” must be an object whose “query” is a text")
        for name, kind in (("variables", dict), ("operationName", str), ("extensions", dict)):
            if not isinstance(asked.get(name), kind | None):
                raise Closing(Code.BAD_REQUEST, f"“{name}” is of a wrong type")
        self.running.add(identity)
        return Subscribe(identity, asked)


def _object(text: str | None) -> Json:
    """A message as its JSON object. Raises Closing."""
    try:
        message = orjson.loads(text) if text is not None else None
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise Closing(Code.BAD_REQUEST, "a message must be a JSON object, as text")
    return message


def _id(message: Json) -> str:
    identity = message.get("id")
    if not isinstance(identity, str) or not 0 < len(identity) <= LONGEST_ID:
        raise Closing(Code.BAD_REQUEST, f"“id” must be a text of 1 to {LONGEST_ID} characters")
    return identity
