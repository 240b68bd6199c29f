"""One GraphQL operation inside a service: who asks, in which language, and the units of work it has opened."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.kit.access_log import AccessLog, Act
from services.kit.caller import ANONYMOUS, Caller
from services.kit.database import Database, Db
from services.kit.language import Language

if TYPE_CHECKING:
    from services.kit.feed import Feed


@dataclass(slots=True)
class Operation:
    """The context of every resolver. Nothing is read from the database before something asks for it."""

    database: Database
    feed: "Feed"
    caller: Caller = ANONYMOUS
    language: Language = Language.EN
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
            self._log = AccessLog(self.caller.subject)
        return self._log

    @property
    def has_looked(self) -> bool:
        """Whether something is noted that is not committed."""
        return self._log is not None and bool(self._log)

    async def commit_log(self, fetch: str) -> None:
        """Commit what is noted by a transaction of its own. Raises what the database raises: then no answer may leave."""
        await self.close()  # who held one connection while waiting for another could wait for ever
        async with self.database.log_transaction() as db:
            await self.log.write(db, Act.READ, fetch)

    async def close(self) -> None:
        """End the reading transaction. After a mutation the next read begins anew and sees what was committed."""
        if self._reader is not None:
            await self._reader.close()
