"""Wake-ups for one process, which has nobody else to tell."""

import asyncio

from liveroom.ports.wakeups import Heard


class MemoryWakeups:
    remote = False

    async def tell(self, message: bytes) -> None:  # noqa: ARG002 - nobody is there
        return

    async def hear(self, longest_s: float) -> Heard:
        await asyncio.sleep(longest_s)
        return Heard([])

    async def close(self) -> None:
        return
