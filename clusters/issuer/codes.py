"""The codes of an authenticator app: six digits, a new one each 30 seconds, each good once. Source: RFC 6238."""

import time
from collections import OrderedDict
from collections.abc import Callable

import pyotp

from clusters.access import User

PERIOD_S, AROUND = 30, 1  # one period earlier or later is taken: clocks differ
_MOST = 50_000


class AppCodes:
    """Judges codes, and remembers which were used for as long as they could be used again (section 5.2)."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used: OrderedDict[tuple[str, int], None] = OrderedDict()

    def accept(self, user: User, code: str) -> bool:
        """Whether a code is the user's, of now, and new."""
        now = int(self._clock()) // PERIOD_S
        generator = pyotp.TOTP(user.authenticator_secret)
        digits = "".join(code.split())
        for step in range(now - AROUND, now + AROUND + 1):
            if digits.isascii() and pyotp.utils.strings_equal(generator.generate_otp(step), digits):
                return self._first(user.name, step)
        return False

    def _first(self, name: str, step: int) -> bool:
        if (name, step) in self._used:
            return False
        self._used[name, step] = None
        if len(self._used) > _MOST:
            self._used.popitem(last=False)
        return True
