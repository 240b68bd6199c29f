"""One GraphQL operation inside a service: who asks, in which language, and the units of work it has opened."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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

    @property
    def reader(self) -> Db:
        """The operation's read-only unit of work."""
        if self._reader is None:
            self._reader = self.database.reader()
        return self._reader

    async def close(self) -> None:
        """End the reading transaction. After a mutation the next read begins anew and sees what was committed."""
        if self._reader is not None:
            await self._reader.close()
