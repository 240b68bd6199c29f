"""Keeps the grants of a service up to what `accounts` knows, and the lease of its process running as long as they are.

It asks every second, and at once where a change is announced. What it is told is committed to the table, whoever acts on what a
grant was is told so, and only then does the next question say that all is applied.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from uuid import uuid4

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy import func, select

from services.kit import broker, nats_client
from services.kit.database import Database
from services.kit.grants import consents_of, grants, keep
from services.kit.lease import Lease
from services.kit.revisions import (
    ASK_EVERY_S,
    LEASE_S,
    Answer,
    NotTold,
    Question,
    asked,
    read,
)
from services.kit.signing_keys import KeyFile

PATIENCE_S = 2.0
_LOG = structlog.get_logger(__name__)


class GrantFollower:
    """One process's part in it. `keys` are the public ones of `accounts`; `options` go to the connection as they are."""

    def __init__(
        self,
        url: str,
        service: str,
        database: Database,
        lease: Lease,
        keys: KeyFile[Mapping[str, Ed25519PublicKey]],
        **options: object,
    ) -> None:
        self._url, self._service, self._options = url, service, options
        self._database, self._lease, self.keys = database, lease, keys
        self._instance, self._applied = uuid4(), -1
        self._news, self._client = asyncio.Event(), Client()

    async def run(self) -> None:
        """Follow for ever, whatever is away. Cancel to stop: the lease is given back, so that nobody waits for its end."""
        try:
            await nats_client.connect(self._client, self._url, self._options, back=self._news.set)
            await self._client.subscribe(broker.subject_of(broker.GRANT_CHANGED), cb=self._hear)
            while True:
                self._news.clear()
                try:
                    while not await self._ask():
                        pass
                except NotTold as refused:
                    _LOG.error("grants_refused", reason=str(refused))
                except Exception as error:  # the database or NATS is away: the lease runs out, and this goes on
                    _LOG.warning("grants_wait", error=repr(error)[:200])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), ASK_EVERY_S)
        finally:
            self._lease.end()
            with contextlib.suppress(*nats_client.AWAY):
                leaving = Question(uuid4(), self._instance, max(self._applied, 0), leaving=True)
                await self._client.publish(broker.lease_of(self._service), asked(leaving))
                await self._client.flush(1)
            with contextlib.suppress(*nats_client.AWAY):
                await self._client.close()

    async def _ask(self) -> bool:
        """Ask once and apply what is told. Returns whether there is nothing more to say. Raises NotTold, and what NATS and the
        database raise."""
        if self._applied < 0:
            async with self._database.transaction() as db:
                self._applied = await db.first(select(func.max(grants.c.seq))) or 0
        since = self._lease.clock()  # before asking: what the answer tells was so at this moment or later
        question = Question(uuid4(), self._instance, self._applied)
        told = await self._client.request(broker.lease_of(self._service), asked(question), timeout=PATIENCE_S)
        answer = read(told.data, question, self.keys.held)
        if answer.revisions:
            await self._apply(answer)
        if self._applied == answer.head:
            self._lease.extend(since + LEASE_S)
        return not answer.revisions

    async def _apply(self, answer: Answer) -> None:
        async with self._database.transaction() as db:
            await keep(db, answer.revisions)
        told = (revision.grant for revision in answer.revisions)
        self._lease.revised(*(key for grant in told for key in (grant.id, consents_of(grant.subject))))
        self._applied = answer.revisions[-1].seq

    async def _hear(self, _: Msg) -> None:
        self._news.set()
