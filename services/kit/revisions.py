"""What an instance of a service and `accounts` say to one another about grants: a question for a lease, and its signed answer.

An instance asks every second, by NATS, saying up to which revision it knows all. The answer brings those that follow and names
the newest there is, the head. It is a JWS (RFC 7515, Ed25519 by RFC 9864) over the question's own nonce, so that no older answer
can stand for it: whoever has applied the head knows every grant as it was when it asked.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import OKPKey
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from services.kit import statements
from services.kit.broker import GRANT_CHANGED
from services.kit.events import Event
from services.kit.grants import STRICT, Revision

LEASE_S = 5.0
ASK_EVERY_S = 1.0
AT_ONCE = 100  # revisions in one answer
CLOCKS_S = 30  # by which clocks may differ
TYPE = "onedoor-grants"


class GrantChanged(Event, type=GRANT_CHANGED, subject="id"):
    """A grant has a new revision: whoever holds grants asks for it now and not at the next second."""

    id: str
    rev: int


class NotTold(ValueError):
    """What came is no answer, or nobody known has signed it for this question; the text says why, for logs."""


@dataclass(frozen=True, slots=True)
class Question:
    """Of one `instance` of a service, which knows all revisions up to `applied`; one that is `leaving` gives its lease back."""

    __pydantic_config__: ClassVar = STRICT
    nonce: UUID
    instance: UUID
    applied: Annotated[int, Field(ge=0)]
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The revisions that follow the question's `applied`, in order, some at a time; `head` is the last place there is."""

    __pydantic_config__: ClassVar = STRICT
    nonce: UUID
    at: AwareDatetime
    head: int
    revisions: tuple[Revision, ...]


_QUESTION, _ANSWER = TypeAdapter(Question), TypeAdapter(Answer)


def asked(question: Question) -> bytes:
    """A question as it is sent."""
    return _QUESTION.dump_json(question)


def read_question(sent: bytes) -> Question:
    """Raises NotTold."""
    try:
        return _QUESTION.validate_json(sent)
    except ValidationError as problem:
        raise NotTold(f"{problem.error_count()} problems in a question") from None


def signed(answer: Answer, key: OKPKey) -> bytes:
    """An answer as it is sent."""
    return statements.signed(TYPE, _ANSWER.dump_json(answer), key).encode()


def read(sent: bytes, question: Question, keys: Mapping[str, Ed25519PublicKey], now: float | None = None) -> Answer:
    """The answer to a question, signed by one of the known keys. Raises NotTold, whatever is wrong with any part of it."""
    try:
        _, payload = statements.verified(sent, TYPE, keys)
        answer = _ANSWER.validate_json(payload)
    except statements.NotSigned as problem:
        raise NotTold(str(problem)) from None
    except ValidationError as problem:
        raise NotTold(f"it is malformed: {problem.errors(include_input=False)[0]['loc']}") from None
    if answer.nonce != question.nonce:
        raise NotTold("it answers another question")
    if abs(answer.at.timestamp() - (time.time() if now is None else now)) > CLOCKS_S:
        raise NotTold("the clocks differ too much")
    places = [question.applied, *(revision.seq for revision in answer.revisions), answer.head]
    if sorted(places) != places or (not answer.revisions and answer.head != question.applied):
        raise NotTold(f"after {question.applied} it tells of {len(answer.revisions)} revisions up to {answer.head}")
    return answer


def moment() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)
