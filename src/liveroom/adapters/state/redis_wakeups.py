"""Wake-ups by Redis' publish and subscribe: one channel, `liveroom:told`; a Cluster carries it to every node."""

import asyncio
import contextlib
from typing import Any

from redis.exceptions import RedisClusterException, RedisError

from liveroom.adapters.state.redis import SURPRISES, TIMEOUT_S, RedisState
from liveroom.errors import state_away
from liveroom.ports.wakeups import Heard

CHANNEL = "liveroom:told"
MOST = 500
# Without a word for so long the connection is asked whether it still stands.
SILENT_S = 10.0

_AWAY = (RedisError, RedisClusterException, OSError, TimeoutError, *SURPRISES)


class RedisWakeups:
    remote = True

    def __init__(self, state: RedisState, client: Any) -> None:
        self._state = state
        self._client = client
        self._subscription: Any = None
        self._asked_at = 0.0

    async def tell(self, message: bytes) -> None:
        await self._state.run(lambda client: client.publish(CHANNEL, message))

    async def hear(self, longest_s: float) -> Heard:
        gap = self._subscription is None
        try:
            if gap:
                await self._subscribe()
                return Heard([], gap=True)
            await self._keep_alive()
            return await self._messages(longest_s)
        except _AWAY as error:
            await self.close()
            raise state_away() from error

    async def close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(*_AWAY):
                await subscription.aclose()

    async def _subscribe(self) -> None:
        async with asyncio.timeout(2 * TIMEOUT_S):
            await self._client.initialize()
            subscription = self._client.pubsub()
            try:
                await subscription.subscribe(CHANNEL)
                told: Any = None
                while told is None or told["type"] != "subscribe":
                    told = await subscription.get_message(timeout=TIMEOUT_S)
            except BaseException:
                await subscription.aclose()
                raise
        self._subscription = subscription
        self._asked_at = asyncio.get_running_loop().time()

    async def _messages(self, longest_s: float) -> Heard:
        """What is there already, or the next that comes."""
        found: list[bytes] = []
        gap = False
        wait_s = longest_s
        while len(found) < MOST:
            told = await self._subscription.get_message(timeout=wait_s)
            if told is None:
                break
            # The library connects anew by itself, and then subscribes again.
            gap |= told["type"] == "subscribe"
            if told["type"] == "message":
                found.append(told["data"])
                wait_s = 0
        return Heard(found, gap)

    async def _keep_alive(self) -> None:
        """A connection that was cut without a word would be listened to for ever."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at > SILENT_S:
            self._asked_at = now
            async with asyncio.timeout(TIMEOUT_S):
                await self._subscription.ping()
