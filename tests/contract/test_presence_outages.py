"""PresenceStore while Redis is away, in whole or in part: an answer within 5 s, a recovery by itself."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest

from contract.conftest import StateClient, StateServer
from contract.ears import BEAT, CALL, Ear, people, sign
from liveroom.adapters.state.redis import RedisState
from liveroom.errors import Code, Refusal
from liveroom.ports.presence import PresenceStore
from servers import Redis, RedisCluster

LIMIT_S = 5.5


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Whatever connection was left open is told of here, not in some later test."""
    yield
    gc.collect()


@pytest.fixture
def server_ear(state_server: StateServer, connect_presence: Callable[[str], PresenceStore]) -> Ear:
    return Ear(connect_presence(state_server.url))


def every_verb(ear: Ear) -> list[Awaitable[Any]]:
    """In all parts of the store."""
    users = people(60)
    signs = [sign(BEAT, 0, user) for user in users]
    return [
        ear.hear(*signs),
        ear.watch(0),
        ear.look(*users),
        ear.clear(dict.fromkeys(users, 0)),
        ear.restore(*signs),
    ]


async def in_time(verbs: Sequence[Awaitable[Any]]) -> list[Any]:
    """What each answers; a refusal is an answer, anything else is raised."""
    started = time.monotonic()
    async with asyncio.timeout(2 * LIMIT_S):
        outcomes = await asyncio.gather(*verbs, return_exceptions=True)
    assert time.monotonic() - started <= LIMIT_S
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            assert outcome.code == Code.ServiceUnavailable
        elif isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def assert_away(ear: Ear) -> None:
    assert {type(outcome) for outcome in await in_time(every_verb(ear))} == {Refusal}


async def assert_back(ear: Ear) -> None:
    """At once, though nothing was connected anew."""
    outcomes = await in_time([verb for _ in range(3) for verb in every_verb(ear)])
    assert not any(isinstance(outcome, Refusal) for outcome in outcomes)
    assert await ear.online(people(60)[59])


async def test_a_crowd_that_is_the_first_to_come(
    state_server: StateServer, connect_presence: Callable[[str], PresenceStore]
) -> None:
    """Nothing is connected yet; each round is another process."""
    for _ in range(5):
        ear = Ear(connect_presence(state_server.url))
        outcomes = await in_time([verb for _ in range(5) for verb in every_verb(ear)])
        assert not any(isinstance(outcome, Refusal) for outcome in outcomes)


@pytest.mark.parametrize("surprise", [AttributeError, KeyError])
async def test_a_client_that_stumbles_over_its_own_tables(
    state_server: StateServer, connect_state: Callable[[str], StateClient], surprise: type[Exception]
) -> None:
    """As the cluster's does while it reads them anew: once or twice is not noticed, always is an outage."""
    state, _ = connect_state(state_server.url)
    assert isinstance(state, RedisState)
    stumbles = 0

    async def stumble(client: Any, times: int) -> Any:
        nonlocal stumbles
        stumbles += 1
        if stumbles <= times:
            raise surprise
        return await client.get("liveroom:nothing")

    assert await state.run(lambda client: stumble(client, 2)) is None
    assert stumbles == 3
    stumbles = 0
    with pytest.raises(Refusal) as refused:
        await state.run(lambda client: stumble(client, 1_000))
    assert refused.value.code == Code.ServiceUnavailable


async def test_redis_that_was_killed(state_server: StateServer, server_ear: Ear) -> None:
    await assert_back(server_ear)
    await asyncio.to_thread(state_server.kill)
    await assert_away(server_ear)
    await asyncio.to_thread(state_server.start)
    await assert_back(server_ear)


async def test_redis_that_does_not_answer(state_server: StateServer, server_ear: Ear) -> None:
    await assert_back(server_ear)
    state_server.suspend()
    await assert_away(server_ear)
    state_server.resume()
    await asyncio.to_thread(state_server.heal)
    await assert_back(server_ear)


def nodes_of(server: StateServer) -> list[Redis]:
    return server.nodes if isinstance(server, RedisCluster) else [server]


async def test_scripts_go_out_once(state_server: StateServer, server_ear: Ear) -> None:
    """Then by their hash, which is a hundredth of them; who has lost them is told them again."""
    await assert_back(server_ear)
    for node in nodes_of(state_server):
        assert node.ask("CONFIG RESETSTAT").startswith("+OK")
    await assert_back(server_ear)
    for node in nodes_of(state_server):
        commands = node.ask("INFO commandstats")
        assert "cmdstat_evalsha:" in commands
        assert "cmdstat_eval:" not in commands
        assert node.ask("SCRIPT FLUSH").startswith("+OK")
    await assert_back(server_ear)


@pytest.fixture
def partial_cluster(redis_cluster: RedisCluster) -> Iterator[RedisCluster]:
    """A cluster whose nodes go on when one of them is away."""
    redis_cluster.heal()
    redis_cluster.flush()
    _need_all(redis_cluster, "no")
    yield redis_cluster
    redis_cluster.heal()
    _need_all(redis_cluster, "yes")


def _need_all(cluster: RedisCluster, answer: str) -> None:
    for node in cluster.nodes:
        assert node.ask(f"CONFIG SET cluster-require-full-coverage {answer}").startswith("+OK")


@pytest.mark.parametrize("how", ["kill", "suspend"])
async def test_a_part_that_is_away(
    partial_cluster: RedisCluster, connect_presence: Callable[[str], PresenceStore], how: str
) -> None:
    """The verbs refuse, so that they are repeated; the other parts have got what is theirs."""
    ear = Ear(connect_presence(partial_cluster.url))
    users = people(60)
    await assert_back(ear)
    node = partial_cluster.nodes[1]
    await asyncio.to_thread(getattr(node, how))
    for sid in ("first", "second") if how == "kill" else ("first",):
        [outcome] = await in_time([ear.hear(*(sign(CALL, 0, user, sid) for user in users))])
        assert isinstance(outcome, Refusal)
    await asyncio.to_thread(partial_cluster.heal)
    heard = {user for user, standing in (await ear.look(*users, sids=["first"])).items() if standing.online}
    # One that was suspended may yet do what it was told then.
    assert 20 <= len(heard) <= (59 if how == "kill" else 60)
    again = await ear.hear(*(sign(CALL, 0, user, "first") for user in users))
    assert set(again.unsettled) == set(users) - heard
    assert {standing.online for standing in (await ear.look(*users, sids=["first"])).values()} == {True}
