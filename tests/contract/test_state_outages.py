"""The state store while Redis is away, and when it is back: an answer within 5 s, a recovery by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from contract.conftest import StateClient, StateServer
from contract.nodes import NOON
from liveroom.errors import Code, Refusal
from liveroom.ports.back_ends import BackEnd
from liveroom.ports.limits import LimitStore
from servers import RedisCluster

LIMIT_S = 5.5


@pytest.fixture
def client(state_server: StateServer, connect_state: Callable[[str], StateClient]) -> StateClient:
    return connect_state(state_server.url)


async def warm(limits: LimitStore) -> None:
    """Have a pool of connections, on every node of a cluster."""
    assert await limits.hit("warm", 1, 60) == 0
    assert set(await asyncio.gather(*(limits.hit(f"warm {turn}", 1, 60) for turn in range(30)))) == {0}


async def assert_away(state: BackEnd, limits: LimitStore) -> None:
    """Each verb refuses in time."""
    started = time.monotonic()
    verbs = [state.ping(), *(limits.hit(f"k{turn}", 1, 60) for turn in range(5)), limits.first_seen("k", NOON, 60)]
    try:
        async with asyncio.timeout(2 * LIMIT_S):
            outcomes = await asyncio.gather(*verbs, return_exceptions=True)
    except TimeoutError:
        outcomes = []
    took_s = time.monotonic() - started
    assert took_s <= LIMIT_S
    for outcome in outcomes:
        assert isinstance(outcome, Refusal), repr(outcome)
        assert outcome.code == Code.ServiceUnavailable


async def assert_back(state: BackEnd, limits: LimitStore, who: str = "") -> None:
    """The very first command works, and so do as many at once as the pool holds."""
    assert await limits.hit(f"{who} is back", 1, 60) == 0
    assert set(await asyncio.gather(*(limits.hit(f"{who} {turn}", 1, 60) for turn in range(30)))) == {0}
    assert await limits.first_seen(who, NOON, 60) == NOON
    await state.ping()


async def test_a_crowd_that_is_the_first_to_come(
    state_server: StateServer, connect_state: Callable[[str], StateClient]
) -> None:
    """Nothing is connected yet, and all want something at once; each round is another process."""
    for number in range(40):
        _, limits = connect_state(state_server.url)
        crowd = [limits.first_seen(f"k{number}", NOON, 60) for _ in range(40)]
        assert await asyncio.gather(*crowd) == [NOON] * 40


async def test_redis_that_was_killed(
    state_server: StateServer, client: StateClient, connect_state: Callable[[str], StateClient]
) -> None:
    """For whoever was connected, and for whoever starts meanwhile."""
    await warm(client[1])
    await asyncio.to_thread(state_server.kill)
    newcomer = connect_state(state_server.url)
    for one in (client, newcomer, client):
        await assert_away(*one)
    await asyncio.to_thread(state_server.start)
    await assert_back(*client, "old")
    await assert_back(*newcomer, "new")


async def test_redis_that_does_not_answer(state_server: StateServer, client: StateClient) -> None:
    await warm(client[1])
    state_server.suspend()
    await assert_away(*client)
    state_server.resume()
    await asyncio.to_thread(state_server.heal)
    await assert_back(*client)


async def test_a_restart_of_redis_is_not_noticed_afterwards(state_server: StateServer, client: StateClient) -> None:
    """The pooled connections were cut meanwhile; what Redis held is lost without harm."""
    await warm(client[1])
    await asyncio.to_thread(state_server.stop)
    await asyncio.to_thread(state_server.start)
    await assert_back(*client)


async def test_a_cluster_that_loses_one_node(
    redis_cluster: RedisCluster, connect_state: Callable[[str], StateClient]
) -> None:
    """What lived there is refused or counted elsewhere, in time; then it is as before."""
    redis_cluster.heal()
    redis_cluster.flush()
    state, limits = connect_state(redis_cluster.url)
    await warm(limits)
    await asyncio.to_thread(redis_cluster.nodes[1].kill)
    started = time.monotonic()
    outcomes = await asyncio.gather(*(limits.hit(f"k{turn}", 1, 60) for turn in range(20)), return_exceptions=True)
    assert time.monotonic() - started <= LIMIT_S
    assert all(outcome == 0 or isinstance(outcome, Refusal) for outcome in outcomes)
    await asyncio.to_thread(redis_cluster.heal)
    await assert_back(state, limits)
