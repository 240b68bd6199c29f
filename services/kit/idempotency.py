"""Idempotency keys: a repeated request is answered like the first, and never acts twice.

A key is unique per caller and mutation and kept for 30 days. Same key and same input: the entity that the first request
made. Same key and other input: a refusal. Two at once: the second waits for the first's transaction, then finds its
answer. A refused request has changed nothing, so its key is free again; so has one that died on its way.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Column, DateTime, Table, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.operation import Operation
from services.kit.refusals import IdempotencyKeyReused, InvalidInput
from services.kit.tables import METADATA

if TYPE_CHECKING:
    from services.kit.entities import Entity

KEPT = timedelta(days=30)
LONGEST_KEY = 200

keys = Table(
    "idempotency_key",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("mutation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("input_hash", Text, nullable=False),
    Column("answer", JSONB),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)


async def once(
    db: Db,
    operation: Operation,
    mutation: str,
    key: str,
    given: Mapping[str, Any],
    entities: "Mapping[str, Entity]",
    act: Callable[[], Awaitable[Any]],
) -> Any:
    """Act, or answer as the first request with this key was answered. Raises IdempotencyKeyReused, InvalidInput."""
    if not 1 <= len(key) <= LONGEST_KEY:
        raise InvalidInput(
            at="idempotencyKey",
            field="idempotencyKey",
            detail_en=f"a key has 1 to {LONGEST_KEY} characters",
            detail_fr=f"une clé compte de 1 à {LONGEST_KEY} caractères",
        )
    digest = hashlib.sha256(orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()
    caller = holder(operation.caller)
    mine = (keys.c.caller == caller, keys.c.mutation == mutation, keys.c.key == key)
    await db.execute(delete(keys).where(*mine, keys.c.created_at < datetime.now(UTC) - KEPT))
    claim = insert(keys).values(caller=caller, mutation=mutation, key=key, input_hash=digest)
    claimed = await db.execute(claim.on_conflict_do_nothing().returning(keys.c.key))
    if claimed.first() is None:
        held = (await db.execute(select(keys.c.input_hash, keys.c.answer).where(*mine))).one()
        if held.input_hash != digest:
            raise IdempotencyKeyReused()
        return await entities[held.answer["__typename"]].find(operation, held.answer, db)
    result = await act()
    entity = next((e for e in entities.values() if type(result) is e.cls), None)
    if entity is None:
        raise TypeError(f"{mutation} is idempotent, so it must return an entity of its service")
    await db.flush()  # generated keys exist only then
    answer = {"__typename": entity.name, **entity.key_of(result)}
    await db.execute(update(keys).where(*mine).values(answer=orjson.loads(orjson.dumps(answer, default=str))))
    return result


def holder(caller: Caller) -> str:
    """Whose a key is: a person's for what they do themselves, and another for each grant that they act on."""
    return caller.subject if caller.kind is None else f"{caller.actor} {caller.authority}"


async def forget(db: Db) -> int:
    """Delete keys older than 30 days. Returns how many."""
    done = await db.execute(delete(keys).where(keys.c.created_at < datetime.now(UTC) - KEPT).returning(keys.c.key))
    return len(done.all())
