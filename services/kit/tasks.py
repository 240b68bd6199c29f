"""Tasks that run for ever, and their end."""

import asyncio

PATIENCE_S = 1.0


async def end(*tasks: "asyncio.Task[None]") -> None:
    """Cancel tasks until they have ended, whatever they end with.

    Once is not always enough: asyncio.wait_for forgets a cancellation that meets its own end (Python 3.11), and the client of
    NATS then goes on connecting for ever.
    """
    while waiting := [task for task in tasks if not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=PATIENCE_S)
    await asyncio.gather(*tasks, return_exceptions=True)
