"""What is lost between two steps: a state store that is away or forgets, a process that is killed or not there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from liveroom.errors import Code, Refusal
from liveroom.model import Caller, RoomState
from services.days import TWO_HOURS_S, Cast, Day, Soft, meddled_presence
from services.rig import DEFAULT, Clock, Process

VISIBLE, HIDDEN, CLOSED = RoomState
# After a look at everybody inside, which one of the processes takes every five minutes.
AUDIT_S = 330

Start = Callable[..., Process]


@pytest.fixture
def soft() -> Soft:
    return Soft()


@pytest.fixture
async def day(start: Start, clock: Clock, soft: Soft) -> Day:
    day = Day(clock, start(presence=soft), start(presence=soft))
    await day.begin()
    return day


@pytest.fixture
async def ann(day: Day) -> Caller:
    """The owner of the room "r", inside."""
    ann = await day.sign_up("ann")
    await day.enter(ann, "r", "anchor")
    return ann


@pytest.fixture
async def cast(day: Day) -> Cast:
    cast = Cast(day)
    await cast.arrive()
    return cast


async def test_a_store_that_comes_back_empty(day: Day, cast: Cast, soft: Soft) -> None:
    """Nobody is missed before a full timeout, and whoever really left is, after it."""
    cast.drop()
    await day.pass_s(20)
    soft.lose_all()
    for _ in range(3):
        await day.pass_s(9)
        await cast.assert_nobody_missed()
    # The timeout, the minute until audience leaves, and what five seconds of the audit add.
    await day.pass_s(3 + 6 + 61)
    await cast.assert_only_the_dead_missed()
    await cast.assert_right_after_two_hours()


async def test_a_store_that_comes_back_empty_again_and_again(day: Day, cast: Cast, soft: Soft) -> None:
    for _ in range(10):
        soft.lose_all()
        await day.pass_s(29)
        await cast.assert_nobody_missed()


@pytest.mark.parametrize("kept", ["owner", "nobody"])
async def test_a_store_that_comes_back_with_some_entries_lost(day: Day, cast: Cast, soft: Soft, kept: str) -> None:
    """It says that it was watched, so that no gap is seen: nobody is missed for having been forgotten."""
    cast.drop()
    lost = [cast.anchor, cast.viewer, cast.leaver, cast.android, cast.quiet]
    soft.lose_entries(*lost, *[cast.owner] * (kept == "nobody"))
    await day.pass_s(29)
    await cast.assert_nobody_missed()
    await day.pass_long(AUDIT_S)
    await day.pass_s(100)
    await cast.assert_only_the_dead_missed()
    await cast.assert_right_after_two_hours()


async def test_two_minutes_in_which_no_process_runs(day: Day, cast: Cast) -> None:
    """The store is there all the time, with everybody's deadline passed."""
    cast.drop()
    day.clock.pass_s(120)
    for _ in range(3):
        await day.pass_s(9)
        await cast.assert_nobody_missed()
    await day.pass_s(3 + 6 + 61)
    await cast.assert_only_the_dead_missed()
    await cast.assert_right_after_two_hours()


async def test_an_hour_in_which_no_process_runs_closes_no_room(day: Day, cast: Cast) -> None:
    """Its owner was away already, and is back as soon as it can be heard."""
    day.fall_silent(cast.owner)
    await day.pass_s(40)
    assert await day.state("r") == HIDDEN
    day.clock.pass_s(3_600)
    day.beat(cast.owner)
    await day.pass_s(60)
    assert await day.state("r") == VISIBLE


async def test_a_store_that_is_away(day: Day, cast: Cast, soft: Soft) -> None:
    """Keepalives are refused, other calls go on, nobody is missed, and it heals by itself."""
    cast.drop()
    newcomer = await day.sign_up("newcomer")
    with soft.gone():
        # The first ones find it out.
        for process in day.processes:
            process.presence.called(cast.viewer)
        await day.pass_s(1)
        for second in range(60):
            for process in day.processes:
                with pytest.raises(Refusal) as refusal:
                    process.presence.beat(cast.viewer)
                assert refusal.value.code == Code.ServiceUnavailable
            await day.pass_s(1)
            if second % 20 == 0:
                await cast.assert_nobody_missed()
        await day.enter(newcomer, "r")
        await day.call(newcomer).rooms.detail(newcomer, "r")
        await day.call(newcomer).members.leave(newcomer, "r")
    for _ in range(3):
        await day.pass_s(9)
        await cast.assert_nobody_missed()
    await day.pass_s(3 + 6 + 61)
    await cast.assert_only_the_dead_missed()
    await cast.assert_right_after_two_hours()


async def test_who_logs_out_while_the_store_is_away_is_missed_in_the_end(day: Day, soft: Soft) -> None:
    await day.sign_up("ann")
    ann = await day.sign_in("ann")
    await day.enter(ann, "r")
    day.beat(ann)
    await day.pass_s(10)
    with soft.gone():
        await day.pass_s(2)
        await day.log_out(ann)
        await day.pass_s(2)
    await day.pass_long(TWO_HOURS_S + AUDIT_S)
    assert await day.state("r") == HIDDEN


async def test_who_is_away_already_is_not_sent_away_while_the_store_is(day: Day, cast: Cast, soft: Soft) -> None:
    """They may be back, and cannot say so."""
    cast.drop()
    await day.pass_s(40)
    assert not (await day.online("r"))[cast.leaver.user_id]
    with soft.gone():
        await day.pass_long(TWO_HOURS_S // 2)
        assert cast.leaver.user_id in await day.online("r")
        assert await day.state("of anchor") == HIDDEN
    await day.pass_s(1)
    day.beat(cast.leaver, cast.anchor)
    await day.pass_s(60)
    await cast.assert_nobody_missed()


@pytest.mark.parametrize("at", [0, 5, 10])
async def test_one_of_two_processes_is_killed(day: Day, cast: Cast, at: int) -> None:
    """With whatever it had in memory; the other one goes on."""
    cast.drop()
    await day.pass_s(at)
    cast.there.append(cast.quiet)
    day.beat(cast.viewer, cast.owner)
    del day.processes[0]
    await day.pass_s(29 - at)
    online = await day.online("r")
    assert all(online[user.user_id] for user in cast.there)
    await day.pass_s(20)
    assert await day.state("of anchor") == HIDDEN
    assert await day.state("r") == VISIBLE


STEPS = ("of_users", "look", "inside", "change", "clear")
SETTLING = [f"{side} {verb}" for verb in STEPS for side in ("before", "after")]


@contextlib.asynccontextmanager
async def killed_at(point: str, day: Day) -> AsyncIterator[Any]:
    """Presence of a process that is killed at this point."""

    async def meddle(here: str) -> None:
        if here == point:
            raise asyncio.CancelledError

    # Cancelled as by a kill: nothing in it may go on.
    with pytest.raises(asyncio.CancelledError):
        yield meddled_presence(day.process, day.clock, meddle)


async def watched_for(day: Day, seconds: int) -> None:
    """Time passes in which nothing is due."""
    for _ in range(seconds):
        day.clock.pass_s(1)
        await day.process.settling.watch()


@pytest.mark.parametrize("point", ["after watch", *SETTLING])
async def test_a_process_that_is_killed_while_it_hides_a_room(day: Day, ann: Caller, point: str) -> None:
    """The others find the owner by its mark."""
    day.beat(ann)
    await day.pass_s(1)
    day.fall_silent(ann)
    await watched_for(day, 28)
    day.clock.pass_s(2)
    async with killed_at(point, day) as (_, killed):
        await killed.watch()
        await killed.settle_missed()
    await day.pass_s(7)
    assert await day.state("r") == HIDDEN
    day.beat(ann)
    await day.pass_s(1)
    assert await day.state("r") == VISIBLE


@pytest.mark.parametrize("point", ["after record", *SETTLING])
async def test_a_process_that_is_killed_while_it_shows_a_room_again(day: Day, ann: Caller, point: str) -> None:
    """One beat only, and only the killed process took it."""
    day.beat(ann)
    day.fall_silent(ann)
    await day.pass_s(40)
    assert await day.state("r") == HIDDEN
    async with killed_at(point, day) as (killed, settling):
        killed.beat(ann)
        await killed.flush()
        await settling.settle_returned()
    await day.pass_s(7)
    assert await day.state("r") == VISIBLE
    await day.pass_s(30)
    assert await day.state("r") == HIDDEN


@pytest.mark.parametrize("point", ["before look", "before change"])
async def test_an_audit_while_she_is_being_settled_gives_her_no_new_timeout(day: Day, ann: Caller, point: str) -> None:
    """Found silent, and not yet offline in SQL: she is unsettled, not forgotten by the state store."""
    await day.pass_s(1)
    process = day.process
    await process.callbacks.disconnected(DEFAULT, [ann.user_id], day.clock())
    await process.presence.flush()
    await watched_for(day, 9)

    async def meddle(here: str) -> None:
        if here == point:
            await meddled_presence(day.process, day.clock, lambda _: asyncio.sleep(0))[1].audit()

    _, settling = meddled_presence(day.process, day.clock, meddle)
    day.clock.pass_s(1)
    await settling.watch()
    await settling.settle_missed()
    await day.pass_s(7)
    assert await day.state("r") == HIDDEN
    await day.pass_long(AUDIT_S)
    assert await day.state("r") == HIDDEN


POINTS = ["before watch", "after watch", *SETTLING]


@pytest.mark.parametrize("settled_there", [False, True])
@pytest.mark.parametrize("point", POINTS)
async def test_a_beat_between_the_claim_and_its_effect_wins(
    day: Day, ann: Caller, point: str, settled_there: bool
) -> None:
    """One process has found her silent and is at it; she beats at the other at any point of that."""
    day.beat(ann)
    await day.pass_s(1)
    day.fall_silent(ann)
    _, other = day.processes

    async def meddle(here: str) -> None:
        if here == point and not beaten:
            beaten.append(here)
            other.presence.beat(ann)
            await other.presence.flush()
            if settled_there:
                await other.settling.settle_returned()

    beaten: list[str] = []
    _, sweeping = meddled_presence(other, day.clock, meddle)
    await watched_for(day, 28)
    day.clock.pass_s(2)
    await sweeping.watch()
    await sweeping.settle_missed()
    assert beaten
    day.beat(ann)
    await day.pass_s(7)
    assert await day.state("r") == VISIBLE
    assert await day.online("r") == {ann.user_id: True}
