"""LimitStore: short-lived counters that all processes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from contract.conftest import StateClient
from contract.nodes import NOON
from liveroom.ports.limits import LimitStore


async def test_as_many_uses_as_are_allowed(limits: LimitStore, other_limits: LimitStore) -> None:
    uses = [await (limits, other_limits)[turn % 2].hit("k", 5, 60) for turn in range(8)]
    assert uses[:5] == [0] * 5
    assert all(0 < wait_s <= 60 for wait_s in uses[5:])


async def test_no_use_is_lost_in_a_crowd(limits: LimitStore, other_limits: LimitStore) -> None:
    crowd = [(limits, other_limits)[turn % 2].hit("k", 60, 60) for turn in range(150)]
    assert (await asyncio.gather(*crowd)).count(0) == 60


async def test_keys_are_counted_apart(limits: LimitStore) -> None:
    keys = ["k", "K", "k ", "k:1", "k:1:2", "ключ", "{k}", "a" * 500]
    for key in keys:
        assert await limits.hit(key, 1, 60) == 0
    for key in keys:
        assert await limits.hit(key, 1, 60) > 0


async def test_what_is_over_is_forgotten(limits: LimitStore) -> None:
    """However often one knocks meanwhile."""
    assert await limits.hit("k", 1, 2) == 0
    assert await limits.first_seen("k", NOON, 2) == NOON
    started = time.monotonic()
    for turn in range(3):
        assert 0 < await limits.hit("k", 1, 2) <= 2
        assert await limits.first_seen("k", NOON + turn, 2) == NOON
        await asyncio.sleep(0.1)
    await asyncio.sleep(started + 2.05 - time.monotonic())
    assert await limits.hit("k", 1, 2) == 0
    assert await limits.hit("k", 1, 2) > 0
    assert await limits.first_seen("k", NOON + 2_100, 2) == NOON + 2_100


async def test_whoever_waits_as_long_as_told_may_come_in(limits: LimitStore) -> None:
    """The seconds are rounded up: a client that trusts `Retry-After` is not sent away again."""
    for number in range(3):
        started = time.monotonic()
        assert await limits.hit(f"k{number}", 1, 60) == 0
        ends_at = time.monotonic() + 60
        await asyncio.sleep(0.02)
        wait_s = await limits.hit(f"k{number}", 1, 60)
        told_until = time.monotonic() + wait_s
        assert told_until >= started + 60
        assert told_until <= ends_at + 1.5


async def test_a_limit_of_one_key_may_change(limits: LimitStore) -> None:
    assert await limits.hit("k", 1, 60) == 0
    assert await limits.hit("k", 1, 60) > 0
    assert await limits.hit("k", 10, 60) == 0, "the third of ten"


async def test_the_first_showing_is_now(limits: LimitStore, other_limits: LimitStore) -> None:
    assert await limits.first_seen("k", NOON, 60) == NOON
    assert await other_limits.first_seen("k", NOON + 5_000, 60) == NOON
    assert await limits.first_seen("k", NOON - 5_000, 60) == NOON
    assert await other_limits.first_seen("other", NOON + 1, 60) == NOON + 1


async def test_one_of_many_showings_is_the_first(limits: LimitStore, other_limits: LimitStore) -> None:
    crowd = [(limits, other_limits)[turn % 2].first_seen("k", NOON + turn, 60) for turn in range(40)]
    [first] = set(await asyncio.gather(*crowd))
    assert NOON <= first < NOON + 40


async def test_uses_and_showings_do_not_meet(limits: LimitStore) -> None:
    assert await limits.hit("k", 1, 60) == 0
    assert await limits.first_seen("k", NOON, 60) == NOON
    assert await limits.hit("k", 1, 60) > 0


async def test_a_state_that_is_there_says_so(state_url: str, connect_state: Callable[[str], StateClient]) -> None:
    state, _ = connect_state(state_url)
    await state.ping()
    assert state.name == "state"
