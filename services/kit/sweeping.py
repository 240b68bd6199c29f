"""Deletes rows that no longer count, while a service runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import structlog

from services.kit import idempotency, nonces
from services.kit.database import Database, Db

SWEPT_EVERY_S = 300.0
FORGETTING: Mapping[str, Callable[[Db], Awaitable[int]]] = MappingProxyType(
    {"idempotency_keys": idempotency.forget, "nonces": nonces.forget}
)
_LOG = structlog.get_logger(__name__)


async def sweep(database: Database) -> None:
    """Forget old keys and nonces at once and every five minutes, for ever; several processes may. Cancel to stop."""
    while True:
        for what, forget in FORGETTING.items():
            try:
                async with database.transaction() as db:
                    forgotten = await forget(db)
                if forgotten:
                    _LOG.info("forgotten", what=what, count=forgotten)
            except Exception as error:  # the next time will do
                _LOG.warning("sweep_failed", what=what, error=repr(error))
        await asyncio.sleep(SWEPT_EVERY_S)
