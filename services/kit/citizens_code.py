"""Acts for which a person who is assisted gives a code of their own: once for each act, whoever sits at the keyboard.

An officer who assists a person acts with that person's rights. What is dangerous or final is then done only when the person has
agreed to this very act: the owner refuses it and proposes it to `accounts`, which sends the person a code; the officer enters
what the person tells; the grant's next revision says which act was agreed to and until when; the owner takes that once.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from services.kit import grants, nonces
from services.kit.caller import Kind
from services.kit.events import Event
from services.kit.language import Words

if TYPE_CHECKING:
    from services.kit.database import Db
    from services.kit.operation import Operation

# What a mutation would do, for the person whose code it takes; of the mutation's own arguments. Refuses as the mutation does.
Telling = Callable[..., Awaitable[Words]]


class ActProposed(Event, type="act.proposed.v1", subject="grant"):
    """Whoever acts on an assisted session, `grant`, wants to do what takes the assisted person's code. `act` is its digest, the
    words name it."""

    grant: str
    act: str
    en: str
    fr: str


class CodeRequired(Exception):
    """The person has not agreed to this act."""

    def __init__(self, proposed: ActProposed) -> None:
        super().__init__(proposed.act)
        self.proposed = proposed


def digest(service: str, mutation: str, given: Mapping[str, Any]) -> str:
    """Which act it is: SHA-256 in hex over service, mutation and all arguments as they were given, in one canonical form."""
    said = orjson.dumps([service, mutation, given], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(said).hexdigest()


async def require(db: "Db", operation: "Operation", act: str, words: Callable[[], Awaitable[Words]]) -> None:
    """Let an act go on in its transaction, which uses up an agreement to it where the caller assists somebody. Raises
    CodeRequired where there is none."""
    caller = operation.caller
    if caller.kind is not Kind.ASSISTED:
        return
    held = await grants.find(db, caller.authority)
    for agreed in held.confirmed if held else ():
        until = datetime.fromisoformat(agreed["until"])
        holds = agreed["act"] == act and until.timestamp() > time.time()
        if holds and await nonces.take(db, f"{caller.authority} {act}", agreed["until"], until):
            return
    told = await words()
    raise CodeRequired(ActProposed(grant=caller.authority, act=act, en=told.en, fr=told.fr))
