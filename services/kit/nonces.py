"""Nonces of signed calls: each is accepted once. In this process's memory for every call; for mutations, which are what must
not happen twice, also as a row in the mutation's own transaction, so that no other process carries the same call out. Whatever
else may be used once until a moment is taken by the same rows."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Column, DateTime, Table, Text, delete, func
from sqlalchemy.dialects.postgresql import insert

from services.kit import faults
from services.kit.signatures import AHEAD_S, LONGEST_S
from services.kit.tables import METADATA

if TYPE_CHECKING:
    from services.kit.database import Db
    from services.kit.operation import Operation

HALF_S = LONGEST_S + AHEAD_S + 1  # longer than a signature holds after it has come
MOST_REMEMBERED = 200_000  # 23 MB; 2,700 calls a second for as long as any of them is kept
nonces = Table(
    "request_nonce",
    METADATA,
    Column("nonce", Text, primary_key=True),
    Column("field", Text, primary_key=True),  # one call may hold several mutations, each in a transaction of its own
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
)


class Nonce(NamedTuple):
    """A call's nonce, and when its signature ends, in Unix time (s)."""

    value: str
    expires: int


class Full(Exception):
    """More calls came than can be remembered. Forgetting one that still holds would let it be replayed, so none is accepted."""


class Nonces:
    """Those that were seen while their signatures held, in two halves: the older is dropped when none in it can hold any more.

    Only nonces of valid signatures get in, so nobody but the holder of a key can fill it.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._older, self._newer = set[str](), set[str]()
        self._turned = float("-inf")

    def is_first(self, nonce: str, now: float) -> bool:
        """Note a nonce that holds at a moment (Unix time, s). Returns whether it had not been seen. Raises Full."""
        if now - self._turned >= HALF_S:  # all that came before the last turn have ended
            self._older, self._newer = self._newer if now - self._turned < 2 * HALF_S else set(), set()
            self._turned = now
        if nonce in self._newer or nonce in self._older:
            return False
        if len(self._newer) + len(self._older) >= self._most:
            raise Full
        self._newer.add(nonce)
        return True


async def claim(db: "Db", operation: "Operation", field: str) -> None:
    """Take the call's nonce, if it has one, for one of its mutations in its transaction; whoever comes with the same at the
    same time waits for its end. Raises Faulted SIGNATURE_REFUSED where it was taken, from then on for all of the call."""
    if operation.nonce is None:
        return
    if not operation.is_replay:
        expires = datetime.fromtimestamp(operation.nonce.expires, UTC)
        operation.is_replay = not await take(db, operation.nonce.value, field, expires)
    if operation.is_replay:
        raise faults.Faulted(faults.SIGNATURE_REFUSED)


async def take(db: "Db", nonce: str, field: str, expires: datetime) -> bool:
    """Take what holds until a moment, in this transaction; whoever else does waits for its end. Returns whether nobody had."""
    row = {"nonce": nonce, "field": field, "expires_at": expires}
    taken = await db.execute(insert(nonces).values(row).on_conflict_do_nothing().returning(nonces.c.nonce))
    return taken.first() is not None


async def forget(db: "Db") -> int:
    """Delete the nonces whose signatures have ended. Returns how many."""
    done = await db.execute(delete(nonces).where(nonces.c.expires_at < func.now()).returning(nonces.c.nonce))
    return len(done.all())
