"""Background loops: a job that is done again and again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from liveroom.errors import Refusal

log = logging.getLogger(__name__)


async def every(seconds: float, job: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
    """Do it now and again until `stopping`; a back end that is away is waited for, and told of once."""
    name, told = getattr(job, "__name__", str(job)), ""
    while not stopping.is_set():
        try:
            await job()
        except Refusal as refusal:
            if refusal.message != told:
                log.warning("%s: %s", name, refusal.message)
            told = refusal.message
        except Exception:
            log.exception("%s failed", name)
        else:
            if told:
                log.info("%s goes on", name)
            told = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stopping.wait()
