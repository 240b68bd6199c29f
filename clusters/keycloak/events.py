"""`onedoor keycloak events`: tells the security audit what happens at Keycloak: sign-ins, failed ones, what administrators do.

It asks Keycloak for its events and has NATS keep them; the service accounts takes each once, however often it is told. A file
says how far it came: after a crash or a pause it goes on from there, as long as Keycloak keeps its events (90 days).
"""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import nats
import structlog
from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from services.kit.broker import OBSERVED, STREAM, sign_in, subject_of
from services.kit.settings import authority, nats_seed, nats_url

Json = dict[str, Any]
OBSERVER = "keycloak"
CLIENT = "onedoor-events"  # who reads events, unless KEYCLOAK_CLIENT_ID names another
EVERY_S = 5.0
AT_ONCE = 100
AGAIN_MS = 60_000  # before the last one seen: what was committed later than its time says
# Every session's everyday; their failures are kept.
EVERYDAY = {"REFRESH_TOKEN", "CODE_TO_TOKEN", "CLIENT_LOGIN", "INTROSPECT_TOKEN", "USER_INFO_REQUEST"}
_LOG = structlog.get_logger(__name__)


def seen(event: Json) -> Json:
    """What is kept of a user's event: no address, no name, no detail but the error."""
    return _seen(event, event["type"], event, "")


def seen_of_admin(event: Json) -> Json:
    """What is kept of an administrator's event: not what was written."""
    kind = f"ADMIN_{event['operationType']}_{event.get('resourceType', 'UNKNOWN')}"
    return _seen(event, kind, event.get("authDetails") or {}, event.get("resourcePath") or "")


def _seen(event: Json, kind: str, who: Json, operation: str) -> Json:
    at = datetime.fromtimestamp(event["time"] / 1000, UTC).isoformat()
    told = json.dumps(event, sort_keys=True).encode()
    return {
        "id": str(event.get("id") or hashlib.sha256(told).hexdigest()),
        "at": at,
        "lastAt": at,
        "kind": kind[:100],
        "actor": str(who.get("userId") or "")[:300],
        "client": str(who.get("clientId") or "")[:300],
        "operation": operation[:300],
        "detail": str(event.get("error") or "")[:300],
        "count": 1,
    }


class Follower:
    """Follows the events of a realm. `publish` takes an envelope; `state` is the file that says how far it came."""

    def __init__(self, admin: KeycloakAdmin, publish: Callable[[Json], Awaitable[None]], state: Path) -> None:
        self._publish, self._state = publish, state
        self._kinds = (("user", admin.get_events, seen), ("admin", admin.get_admin_events, seen_of_admin))

    async def run(self) -> None:
        """Follow for ever. Cancel to stop."""
        while True:
            try:
                await self.once()
            except (KeycloakError, OSError, TimeoutError, nats.errors.Error) as problem:
                _LOG.warning("events_wait", error=repr(problem)[:200])
            await asyncio.sleep(EVERY_S)

    async def once(self) -> int:
        """Tell all that has happened since the last time. Returns how many events were told. How far it came is written when
        all of it is told."""
        since, told = self._known(), 0
        for name, ask, understood in self._kinds:
            newest = since.get(name, 0)
            for page in _pages(ask, max(0, newest - AGAIN_MS)):
                since[name] = max([since.get(name, 0), *(event["time"] for event in page)])
                kept = [understood(event) for event in page if event.get("type") not in EVERYDAY]
                if kept:
                    await self._publish(_envelope(kept))
                told += len(kept)
        self._write(since)
        return told

    def _known(self) -> dict[str, int]:
        try:
            return {name: int(at) for name, at in json.loads(self._state.read_text()).items()}
        except (FileNotFoundError, ValueError, AttributeError):
            return {}  # from the beginning: told again is told once

    def _write(self, since: dict[str, int]) -> None:
        part = self._state.with_name(f"{self._state.name}.part")
        part.write_text(json.dumps(since))
        os.replace(part, self._state)


def _pages(ask: Callable[[Json], Sequence[Json]], since_ms: int) -> Iterator[Sequence[Json]]:
    """Pages of events since a moment, the latest first: what comes meanwhile makes some come twice, and none be missed."""
    for first in range(0, 1_000_000, AT_ONCE):
        page = ask({"dateFrom": since_ms, "first": first, "max": AT_ONCE})
        if page:
            yield page
        if len(page) < AT_ONCE:
            return


def _envelope(events: Sequence[Json]) -> Json:
    """An event as CloudEvents 1.0 has it; its id is that of what it tells, so that the stream knows it again."""
    told = "/".join(event["id"] for event in events)
    return {
        "specversion": "1.0",
        "id": str(uuid5(NAMESPACE_URL, told)),
        "source": OBSERVER,
        "type": OBSERVED,
        "subject": OBSERVER,
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": {"observer": OBSERVER, "source": "issuer", "events": list(events)},
    }


async def follow(admin: KeycloakAdmin, state: Path, *, once: bool) -> int:
    """Follow as the environment says (NATS_URL, NATS_SEED_FILE, TLS_AUTHORITY). Raises SettingMissing, OSError."""
    url = nats_url()
    signed_in = sign_in(OBSERVER, url, nats_seed(), authority())
    client = await nats.connect(url, max_reconnect_attempts=-1, **signed_in.options)
    stream = client.jetstream()

    async def publish(envelope: Json) -> None:
        body, headers = json.dumps(envelope).encode(), {"Nats-Msg-Id": envelope["id"]}
        await stream.publish(subject_of(OBSERVED), body, 5, STREAM, headers)

    try:
        follower = Follower(admin, publish, state)
        if once:
            return await follower.once()
        await follower.run()
        return 0
    finally:
        await client.close()
