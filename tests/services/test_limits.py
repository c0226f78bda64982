"""Limits: how often one may do what, also while the state store is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from liveroom.adapters.state import memory, redis
from liveroom.errors import Code, state_away
from liveroom.model import Caller
from liveroom.ports.accounts import Profile
from liveroom.services.accounts import SignInPolicy
from servers import free_port
from services.rig import DEFAULT, NOON, SALT, Clock, Process, proof, refused

LIMIT = Code.UserQueryLimit


@pytest.fixture
async def away() -> AsyncIterator[redis.RedisLimits]:
    """The limits of a Redis that is not there."""
    state = redis.RedisState(redis.connect(f"redis://127.0.0.1:{free_port()}/0"))
    yield redis.RedisLimits(state)
    await state.close()


async def generate(process: Process, caller: Caller, times: int) -> None:
    for _ in range(times):
        await process.rooms.generate(caller)


async def look_up(process: Process, caller: Caller, times: int, user_id: str) -> None:
    for _ in range(times):
        await process.accounts.query(caller, user_id, None)


async def test_sixty_room_ids_an_hour(process: Process, clock: Clock) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    await generate(process, ann, 60)
    refusal = await refused(LIMIT, process.rooms.generate(ann))
    assert refusal.retry_after_s == 3600
    await process.rooms.generate(ben)
    clock.pass_s(3599)
    refusal = await refused(LIMIT, process.rooms.generate(ann))
    assert refusal.retry_after_s == 1
    clock.pass_s(1)
    await process.rooms.generate(ann)


async def test_a_room_that_is_generated_on_entering_counts(process: Process) -> None:
    ann = await process.sign_up("ann")
    await generate(process, ann, 58)
    for _ in range(2):
        await process.enter(ann, None)
    await refused(LIMIT, process.enter(ann, None))
    await refused(LIMIT, process.rooms.generate(ann))
    await process.enter(ann, "chosen")


async def test_sixty_others_a_minute(process: Process, clock: Clock) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    await look_up(process, ann, 58, ben.user_id)
    await refused(Code.UserNotExists, process.accounts.query(ann, "nobody", None))
    await refused(Code.UserNotExists, process.accounts.query(ann, None, "+49"))
    refusal = await refused(LIMIT, process.accounts.query(ann, ben.user_id, None))
    assert refusal.retry_after_s == 60
    await refused(LIMIT, process.accounts.query(ann, "nobody", None))
    await look_up(process, ben, 1, ann.user_id)
    clock.pass_s(60)
    await look_up(process, ann, 60, ben.user_id)
    await refused(LIMIT, process.accounts.query(ann, ben.user_id, None))


async def test_oneself_is_free(process: Process) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    for search in (None, ann.user_id):
        for _ in range(70):
            await process.accounts.query(ann, search, None)
    await look_up(process, ann, 60, ben.user_id)
    await refused(LIMIT, process.accounts.query(ann, ben.user_id, None))
    assert (await process.accounts.query(ann, None, None)).user_id == ann.user_id
    assert (await process.accounts.query(ann, ann.user_id, None)).user_id == ann.user_id


async def test_the_same_user_of_another_tenant_is_somebody_else(process: Process) -> None:
    for tenant in ("default", "acme"):
        for _ in range(3):
            await process.limits.spend("generate", tenant, "1", most=3, window_s=60)
    await refused(LIMIT, process.limits.spend("generate", "acme", "1", most=3, window_s=60))
    await process.limits.spend("query", "acme", "1", most=3, window_s=60)


async def test_switched_off_they_let_everything_pass(start: Callable[..., Process]) -> None:
    process = start(limited=False)
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    await generate(process, ann, 61)
    await look_up(process, ann, 61, ben.user_id)


async def test_while_the_state_store_is_away_each_process_counts(
    start: Callable[..., Process], away: redis.RedisLimits, clock: Clock
) -> None:
    process, other = start(shared=away), start(shared=away)
    ann = await process.sign_up("ann")
    await generate(process, ann, 60)
    refusal = await refused(LIMIT, process.rooms.generate(ann))
    assert refusal.retry_after_s == 3600
    await generate(other, ann, 1)
    clock.pass_s(3600)
    await generate(process, ann, 1)


@pytest.mark.parametrize("limited", [True, False])
async def test_a_replay_is_noticed_without_the_state_store_and_without_limits(
    start: Callable[..., Process], away: redis.RedisLimits, clock: Clock, limited: bool
) -> None:
    process = start(shared=away, limited=limited, policy=SignInPolicy(max_age_s=300))
    await process.accounts.register(DEFAULT, "ann", SALT)
    signature = proof("ann", ts=str(NOON // 1000))
    await process.accounts.sign_in(DEFAULT, signature, Profile())
    clock.pass_s(11)
    await refused(Code.SystemVerifyError, process.accounts.sign_in(DEFAULT, signature, Profile()))


@pytest.mark.parametrize("flood_window_s", [60, 3600])
async def test_a_flood_of_others_resets_no_limit_that_ends_after_theirs(clock: Clock, flood_window_s: int) -> None:
    limits = memory.MemoryLimits(clock.seconds)
    for number in range(memory.MOST_LIMITS):
        await limits.hit(f"before {number}", 1, flood_window_s)
    clock.pass_s(1)
    assert await limits.hit("k", 1, 3600) == 0
    for number in range(memory.MOST_LIMITS * 8 // 10):
        assert await limits.hit(f"after {number}", 1, flood_window_s) == 0
    assert await limits.hit("k", 1, 3600) == 3600
    assert await limits.hit("after 0", 1, flood_window_s) == flood_window_s
    assert await limits.hit("before 0", 1, flood_window_s) == 0, "those that end soonest made room"


async def test_a_flood_of_showings_lets_only_those_be_shown_again_that_are_forgotten_first(clock: Clock) -> None:
    limits = memory.MemoryLimits(clock.seconds)
    for number in range(memory.MOST_SHOWINGS + 1):
        assert await limits.first_seen(f"k{number}", number, 360) == number
        clock.now += 1
    for number in range(memory.MOST_SHOWINGS // 10, memory.MOST_SHOWINGS + 1):
        assert await limits.first_seen(f"k{number}", -1, 360) == number
    assert await limits.first_seen("k0", -1, 360) == -1, "memory is bounded"


async def test_uses_and_showings_do_not_push_each_other_out(clock: Clock) -> None:
    limits = memory.MemoryLimits(clock.seconds)
    assert await limits.first_seen("k", 1, 10) == 1
    assert await limits.hit("k", 1, 10) == 0
    for number in range(memory.MOST_LIMITS * 2):
        await limits.first_seen(f"k{number}", 2, 360)
    assert await limits.hit("k", 1, 10) == 10
    for number in range(memory.MOST_LIMITS * 2):
        await limits.hit(f"k{number}", 1, 360)
    assert await limits.first_seen("k", 3, 10) == 1


class Leaving:
    """A state store that is there until it is told to go, and may come back empty."""

    def __init__(self) -> None:
        self.here: memory.MemoryLimits | None = memory.MemoryLimits()

    async def hit(self, key: str, most: int, window_s: int) -> int:
        return await self._there().hit(key, most, window_s)

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        return await self._there().first_seen(key, now, keep_s)

    def _there(self) -> memory.MemoryLimits:
        if self.here is None:
            raise state_away()
        return self.here


async def test_a_signature_shown_before_the_state_store_went_away_is_no_new_one(
    start: Callable[..., Process], clock: Clock
) -> None:
    shared = Leaving()
    process = start(shared=shared, policy=SignInPolicy(max_age_s=300))
    await process.accounts.register(DEFAULT, "ann", SALT)
    signature = proof("ann", ts=str(NOON // 1000))
    await process.accounts.sign_in(DEFAULT, signature, Profile())
    clock.pass_s(11)
    shared.here = None
    await refused(Code.SystemVerifyError, process.accounts.sign_in(DEFAULT, signature, Profile()))
    shared.here = memory.MemoryLimits()
    await refused(Code.SystemVerifyError, process.accounts.sign_in(DEFAULT, signature, Profile()))
