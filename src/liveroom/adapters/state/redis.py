"""Short-lived state in Redis, standalone or Cluster.

Keys: `liveroom:limit:{key}` uses of a limit in its current window, expiring with it;
`liveroom:seen:{key}` the moment something was first shown, in ms, expiring.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from liveroom.errors import state_away

TIMEOUT_S = 1.5
VERB_S = 4.0

# The cluster's client, reading the topology anew, closes connections that others are about to use,
# and empties tables that they are about to read.
SURPRISES = (AttributeError, LookupError)
TRIES = 3

# One use of a limit: answers 0 or, when none was left, the milliseconds until the window ends.
_HIT = """
local uses = redis.call('INCR', KEYS[1])
if uses == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if uses <= tonumber(ARGV[1]) then return 0 end
return math.max(1, redis.call('PTTL', KEYS[1]))
"""


def connect(url: str, password: str | None = None) -> Any:
    """A client for `redis://…` or `redis+cluster://host:port,host:port`."""
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        # A pooled connection that a restart of Redis cut says nothing about Redis as it is now.
        "retry": Retry(NoBackoff(), 1),
    }
    if password:
        options["password"] = password
    if not url.startswith("redis+cluster://"):
        return Redis.from_url(url, **options)
    parsed = urlsplit(url)
    _, _, hosts = parsed.netloc.rpartition("@")
    if parsed.password:
        options["password"] = parsed.password
    # The cluster's client retries by itself, and looks for the nodes anew.
    del options["retry"]
    nodes = [ClusterNode(*_host_port(host)) for host in hosts.split(",")]
    return RedisCluster(startup_nodes=nodes, **options)


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


class RedisState:
    """The connection to Redis that all short-lived state shares."""

    name = "state"

    def __init__(self, client: Any) -> None:
        self._client = client

    async def run(self, command: Callable[[Any], Awaitable[Any]]) -> Any:
        """One round trip; raises ServiceUnavailable when Redis is away."""
        trip = asyncio.ensure_future(self._tried(command))
        try:
            # Cancelled, a cluster's client closes its connections first; nobody waits for that.
            done, _ = await asyncio.wait([trip], timeout=VERB_S)
            if not done:
                raise state_away()
            return trip.result()
        except (RedisError, RedisClusterException, OSError, *SURPRISES) as error:
            raise state_away() from error
        finally:
            if not trip.done():
                trip.add_done_callback(_heard)
                trip.cancel()

    async def _tried(self, command: Callable[[Any], Awaitable[Any]]) -> Any:
        for _ in range(TRIES - 1):
            with contextlib.suppress(*SURPRISES):
                return await self._once(command)
        return await self._once(command)

    async def _once(self, command: Callable[[Any], Awaitable[Any]]) -> Any:
        # A cluster's client that does not know the slots yet asks any node, and of a crowd
        # that is sent elsewhere each fifth one closes the connections of all.
        await self._client.initialize()
        return await command(self._client)

    async def ping(self) -> None:
        await self.run(lambda client: client.ping())

    async def close(self) -> None:
        await self._client.aclose()


def _heard(trip: asyncio.Future[Any]) -> None:
    """What became of a trip that nobody waits for any more is of no interest."""
    if not trip.cancelled():
        trip.exception()


class RedisLimits:
    def __init__(self, state: RedisState) -> None:
        self._state = state

    async def hit(self, key: str, most: int, window_s: int) -> int:
        name = f"liveroom:limit:{key}"
        left_ms = await self._state.run(lambda client: client.eval(_HIT, 1, name, most, window_s * 1000))
        return -(-int(left_ms) // 1000)

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        name = f"liveroom:seen:{key}"
        before = await self._state.run(lambda client: client.set(name, now, nx=True, get=True, ex=keep_s))
        return now if before is None else int(before)
