"""Wake-ups: what one process tells reaches the others, or they know that they may have missed it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from contract.conftest import StateServer
from liveroom.adapters.state import redis
from liveroom.adapters.state.memory_wakeups import MemoryWakeups
from liveroom.adapters.state.redis_wakeups import RedisWakeups
from liveroom.errors import Code, Refusal
from liveroom.ports.wakeups import Wakeups

Connect = Callable[[str], Wakeups]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects as a process does."""
    opened: list[tuple[RedisWakeups, redis.RedisState]] = []

    def connect(url: str) -> Wakeups:
        if url.startswith("memory"):
            return MemoryWakeups()
        client: Any = redis.connect(url)
        state = redis.RedisState(client)
        opened.append((RedisWakeups(state, client), state))
        return opened[-1][0]

    yield connect
    for wakeups, state in opened:
        await wakeups.close()
        await state.close()


async def heard(wakeups: Wakeups, number: int = 1) -> list[bytes]:
    """The next few messages."""
    found: list[bytes] = []
    async with asyncio.timeout(5):
        while len(found) < number:
            found += (await wakeups.hear(0.2)).messages
    return found


async def test_processes_hear_each_other(state_url: str, connect: Connect) -> None:
    one, two = connect(state_url), connect(state_url)
    if not one.remote:
        # There is nobody else; it says so, and hears nothing.
        await one.tell(b"x")
        assert (await one.hear(0.01)).messages == []
        return
    assert (await one.hear(0.1)).gap
    assert (await two.hear(0.1)).gap
    await one.tell(b"first")
    await two.tell(b"second \xff")
    for process in (one, two):
        assert await heard(process, 2) == [b"first", b"second \xff"]
        assert await process.hear(0.05) == await process.hear(0.05)


async def test_nothing_is_waited_for_longer_than_asked(state_url: str, connect: Connect) -> None:
    wakeups = connect(state_url)
    await wakeups.hear(0.1)
    began = time.monotonic()
    assert (await wakeups.hear(0.2)).messages == []
    assert 0.1 < time.monotonic() - began < 1.5


async def test_a_store_that_was_away_leaves_a_gap(state_server: StateServer, connect: Connect) -> None:
    """And until it is back everybody is told so."""
    one, two = connect(state_server.url), connect(state_server.url)
    await one.hear(0.1)
    await two.hear(0.1)
    await asyncio.to_thread(state_server.kill)
    with pytest.raises(Refusal) as refused:
        await heard(one)
    assert refused.value.code == Code.ServiceUnavailable
    with pytest.raises(Refusal):
        await two.tell(b"lost")
    await asyncio.to_thread(state_server.heal)
    gaps = [await again(one), await again(two)]
    assert gaps == [True, True]
    async with asyncio.timeout(10):
        await told(two, b"back")
    assert await heard(one) == [b"back"]


async def again(wakeups: Wakeups) -> bool:
    """Hear until it answers once more; whether that said that something may have been missed."""
    async with asyncio.timeout(20):
        while True:
            try:
                found = await wakeups.hear(0.2)
            except Refusal:
                await asyncio.sleep(0.1)
                continue
            if found.gap:
                return True


async def told(wakeups: Wakeups, message: bytes) -> None:
    """Tell until it is taken."""
    while True:
        try:
            return await wakeups.tell(message)
        except Refusal:
            await asyncio.sleep(0.1)
