"""A plain connection to NATS that is made and kept however long the server is away."""

import asyncio
from collections.abc import Callable, Mapping

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client

PAUSE_S = 1
AWAY = (OSError, TimeoutError, nats.errors.Error, nats.js.errors.Error)
_LOG = structlog.get_logger(__name__)


def _nothing() -> None:
    pass


async def connect(
    client: Client,
    url: str,
    options: Mapping[str, object],
    *,
    lost: Callable[[], None] = _nothing,
    back: Callable[[], None] = _nothing,
) -> None:
    """Connect; try until the server answers. From then on the client reconnects by itself, and `lost` and `back` tell of it.
    `options` are credentials and TLS (`broker.SignIn.options`)."""

    async def disconnected() -> None:
        lost()

    async def reconnected() -> None:
        back()

    while True:
        try:
            await client.connect(
                url,
                max_reconnect_attempts=-1,
                reconnect_time_wait=PAUSE_S,
                connect_timeout=2,
                disconnected_cb=disconnected,
                reconnected_cb=reconnected,
                error_cb=_failed,
                **options,  # type: ignore[arg-type]
            )
            return
        except AWAY as error:
            _LOG.warning("nats_away", error=type(error).__name__)
            await asyncio.sleep(PAUSE_S)


async def _failed(error: Exception) -> None:
    _LOG.info("nats_trouble", error=type(error).__name__)
