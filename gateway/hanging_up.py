"""How a connection is ended for certain: a client that never reads what is left for it would else hold it for good."""

import asyncio
import contextlib
import fcntl
import sys
import termios
from typing import Any

STALLED_S = 30.0  # for which a client may take nothing of what is left


def hang_up(transport: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Close a connection once its client has taken what waits for it, or has taken nothing for a while."""
    left = _left(transport)
    transport.close()
    if left:
        loop.call_later(STALLED_S, _look, transport, loop, left)


def _look(transport: Any, loop: asyncio.AbstractEventLoop, before: int) -> None:
    left = _left(transport)
    if left == before:
        transport.abort()
    elif left:
        loop.call_later(STALLED_S, _look, transport, loop, left)


def _left(transport: Any) -> int:
    """Bytes that the client has not taken while some of them wait here, those in the kernel among them: it may hold
    megabytes, and ask for no more until it has sent many. Source: tcp(7), SIOCOUTQ."""
    waiting: int = transport.get_write_buffer_size()
    if waiting:
        with contextlib.suppress(OSError, ValueError):
            sending = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
            waiting += int.from_bytes(sending, sys.byteorder)
    return waiting
