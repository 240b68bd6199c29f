"""Tells the security audit what the door refused: by code, by who acted, by operation, and nothing else about anybody.

A refusal costs a look at a table in memory. Alike ones of some seconds are one, the number of different ones is bounded, and what
cannot be told now waits, bounded too: no request ever waits for the audit.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog

from services.kit.broker import OBSERVED

Json = dict[str, Any]
# Of all codes those by which somebody was kept from something: who they are, what they may, for what, how much.
WATCHED = frozenset(
    {
        *("UNAUTHENTICATED", "SESSION_ENDED", "DPOP_REQUIRED", "INVALID_DPOP_PROOF", "LOGOUT_REFUSED"),
        *("FORBIDDEN", "STEP_UP_REQUIRED", "AUTHORITY_REFUSED", "AUTHORITY_UNAVAILABLE", "CONSENT_REQUIRED"),
        *("PURPOSE_REQUIRED", "PURPOSE_NOT_COVERING", "CASE_REQUIRED"),
        *("RATE_LIMITED", "OPERATION_TOO_LARGE", "PAYLOAD_TOO_LARGE", "TOO_MANY_SUBSCRIPTIONS", "TOO_MANY_OPERATIONS"),
        *(
            "TOO_MANY_SOCKETS",
            "DOCUMENT_NOT_TRUSTED",
            "CROSS_SITE_REFUSED",
            "ORIGIN_REFUSED",
            "BATCH_REFUSED",
            "UPLOADS_REFUSED",
        ),
    }
)
EVERY_S = 5.0
AT_ONCE = 100  # events a message
MOST = 1_000  # different refusals in that time; of what is beyond, only code and number are kept
MOST_MESSAGES = 50  # that wait to be told; meanwhile alike refusals are added up as before
_LOG = structlog.get_logger(__name__)


class Watch:
    """What one process has refused and not told yet."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._observer = clock, f"gateway-{uuid4().hex[:12]}"
        self._seen: dict[tuple[str, str, str], tuple[float, float, int]] = {}
        self._untold: deque[Json] = deque()

    def note(self, codes: Iterable[str], actor: str, operation: str) -> None:
        """Somebody, or nobody known (""), was refused by these codes. Never waits."""
        now = self._clock()
        for code in codes:
            if code in WATCHED:
                key = (code, actor, operation)
                if key not in self._seen and len(self._seen) >= MOST:
                    key = (code, "", "")
                begun, _, count = self._seen.get(key, (now, now, 0))
                self._seen[key] = (begun, now, count + 1)

    async def run(self, publish: Callable[[Json], Awaitable[None]]) -> None:
        """Tell for ever; `publish` takes an envelope; when it raises, the same is told again. Cancel to stop."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.tell(publish)
            except Exception as error:  # NATS is away, mostly
                _LOG.warning("refusals_wait", error=repr(error), messages=len(self._untold), refusals=len(self._seen))

    async def tell(self, publish: Callable[[Json], Awaitable[None]]) -> None:
        """Tell all there is. Raises what `publish` raises."""
        self._collect()
        while self._untold:
            await publish(self._untold[0])
            self._untold.popleft()

    def _collect(self) -> None:
        if not self._seen or len(self._untold) >= MOST_MESSAGES:
            return
        seen, self._seen = list(self._seen.items()), {}
        for begin in range(0, len(seen), AT_ONCE):
            self._untold.append(self._envelope(seen[begin : begin + AT_ONCE]))

    def _envelope(self, some: list[tuple[tuple[str, str, str], tuple[float, float, int]]]) -> Json:
        """An event, as CloudEvents 1.0 has it."""
        told = [
            {
                "id": str(uuid4()),
                "at": _told(begun),
                "lastAt": _told(last),
                "kind": code,
                "actor": actor[:300],
                "client": "",
                "operation": operation[:300],
                "detail": "",
                "count": count,
            }
            for (code, actor, operation), (begun, last, count) in some
        ]
        return {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "gateway",
            "type": OBSERVED,
            "subject": self._observer,
            "time": _told(self._clock()),
            "datacontenttype": "application/json",
            "data": {"observer": self._observer, "source": "gateway", "events": told},
        }


def _told(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
