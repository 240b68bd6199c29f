"""One GraphQL operation inside a service: who asks, in which language, and the units of work it has opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services.kit import faults, grants
from services.kit.access_log import AccessLog, Act
from services.kit.caller import ANONYMOUS, Caller
from services.kit.context import Context
from services.kit.database import Database, Db
from services.kit.language import Language
from services.kit.lease import Lease, Reliance

if TYPE_CHECKING:
    from services.kit.feed import Feed
    from services.kit.nonces import Nonce


@dataclass(slots=True)
class Operation:
    """The context of every resolver. Nothing is read from the database before something asks for it.

    `context` is what the call says of itself: which request it belongs to, which authority and purpose were chosen. `nonce` is
    that of a signed call; `is_replay` once it has turned out that another process has carried the call out. `reliances` are on
    the grant that the caller acts on, and on the consents of people whose data are shown.
    """

    database: Database
    feed: "Feed"
    caller: Caller = ANONYMOUS
    language: Language = Language.EN
    context: Context = Context()  # noqa: RUF009 - frozen
    nonce: "Nonce | None" = None
    is_replay: bool = False
    lease: Lease = field(default_factory=Lease)
    reliances: dict[str, Reliance] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)  # the categories of data about people that resolvers have given
    _reader: Db | None = field(default=None, init=False)
    _log: AccessLog | None = field(default=None, init=False)

    @property
    def reader(self) -> Db:
        """The operation's read-only unit of work."""
        if self._reader is None:
            self._reader = self.database.reader()
        return self._reader

    @property
    def log(self) -> AccessLog:
        """What the operation has read of other people's data."""
        if self._log is None:
            self._log = AccessLog(self.caller, self.context)
        return self._log

    def rely(self, on: str, fault: faults.Fault = faults.AUTHORITY_REFUSED) -> Reliance:
        """Rely on a grant, or on the consents of a person, from before they are read. Raises Faulted AUTHORITY_UNAVAILABLE."""
        made = self.reliances[on] = self.lease.rely(on, fault)
        made.require()
        return made

    def require_reliances(self) -> None:
        """Raises Faulted where something that the operation relies on has become another: ask just before anything leaves."""
        for reliance in self.reliances.values():
            reliance.require()

    async def commit_log(self, fetch: str, data: Mapping[str, Any]) -> None:
        """Commit what is noted of the data of an answer by a transaction of its own. Raises Faulted CONSENT_REQUIRED, NotNoted
        and what the database raises: then no answer may leave."""
        self.log.require_noted(self.shown)
        self.log.keep_shown(data)
        if not self.log:
            return
        await self.close()  # who held one connection while waiting for another could wait for ever
        async with self.database.logging() as db:
            await grants.require_consent(self, db, self.log)
            await self.log.write(db, Act.READ, fetch)

    def begin_anew(self) -> None:
        """Forget what the last event of a subscription has shown."""
        self.shown.clear()
        self.log.begin_anew()

    async def close(self) -> None:
        """End the reading transaction. After a mutation the next read begins anew and sees what was committed."""
        if self._reader is not None:
            await self._reader.close()
