"""What the issuer remembers, in memory: open login pages, codes, refresh tokens, and wrong tries. All of it ends.

A code or a refresh token works once. One that comes again was stolen from somebody: its whole session ends.
Sources: RFC 6749 section 4.1.2, RFC 9700 sections 2.2.2 and 4.14.
"""

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from clusters.issuer.keys import Holder

T = TypeVar("T")
MOST = 50_000
TRIES, WITHIN_S = 8, 60.0
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Login:
    """A login page that stands open: what the client asked for, the browser's own secret, and how far the person has come.

    `user` is whose password was right; `holder` is set where a signed-in person is asked about the device of this user code.
    """

    client: str
    redirect_uri: str
    state: str | None
    nonce: str | None
    challenge: str
    browser: str
    assurance: str
    user: str = ""
    device: str = ""
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code or refresh token stands for. `key` is the thumbprint of the key that it is bound to, if any."""

    holder: Holder
    client: str
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str | None = None
    key: str = ""


class Remembered(Generic[T]):
    """Values under unguessable names, each for a while. The oldest give way when there are too many."""

    def __init__(self, life_s: float, clock: Clock = time.monotonic) -> None:
        self._life_s, self._clock = life_s, clock
        self._held: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def keep(self, value: T) -> str:
        """Remember a value; returns its name."""
        name = secrets.token_urlsafe(32)
        self._held[name] = (self._clock() + self._life_s, value)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return name

    def all(self) -> Iterator[tuple[float, T]]:
        """What has not ended, each with its age in seconds."""
        now = self._clock()
        return ((now - until + self._life_s, value) for until, value in self._held.values() if until > now)

    def look(self, name: str) -> T | None:
        """The value of a name, if it has not ended."""
        until, value = self._held.get(name, (0.0, None))
        return value if until > self._clock() else None

    def take(self, name: str) -> T | None:
        """The value of a name, which is forgotten with it."""
        value = self.look(name)
        self._held.pop(name, None)
        return value


class Once:
    """Grants that work once; what comes again ends its session."""

    def __init__(self, life_s: float, ended: set[str], clock: Clock = time.monotonic) -> None:
        self._fresh: Remembered[Grant] = Remembered(life_s, clock)
        self._used: Remembered[Grant] = Remembered(life_s, clock)
        self._aliases: dict[str, str] = {}
        self._ended = ended

    def give(self, grant: Grant) -> str:
        """A new name for a grant."""
        return self._fresh.keep(grant)

    def of(self, subject: str) -> Iterator[tuple[float, Grant]]:
        """A person's grants that can still be redeemed, each with its age in seconds."""
        return (
            (age_s, grant)
            for age_s, grant in self._fresh.all()
            if grant.holder.subject == subject and grant.holder.session not in self._ended
        )

    def redeem(self, name: str) -> Grant | None:
        """The grant, the first time its name is shown, while its session lives."""
        grant = self._fresh.take(name)
        if grant is None:
            if used := self._used.look(self._aliases.get(name, "")):
                self._ended.add(used.holder.session)
            return None
        self._aliases[name] = self._used.keep(grant)
        if len(self._aliases) > MOST:
            self._aliases.clear()
        return None if grant.holder.session in self._ended else grant


class Tries:
    """Wrong passwords per name, bounded in time and number, so that nobody guesses on and on."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def too_many(self, name: str) -> bool:
        """Whether the name must wait."""
        since = self._clock() - WITHIN_S
        return sum(at > since for at in self._wrong.get(name, ())) >= TRIES

    def wrong(self, name: str) -> None:
        """Note a wrong password."""
        self._wrong.setdefault(name, deque(maxlen=TRIES)).append(self._clock())
        self._wrong.move_to_end(name)
        while len(self._wrong) > MOST:
            self._wrong.popitem(last=False)
