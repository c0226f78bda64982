"""Settling: what a review found could go wrong between the state store and the facts in SQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from liveroom.model import RoomState
from services.days import Day, Soft
from services.rig import Clock, Process

VISIBLE, HIDDEN, CLOSED = RoomState

Start = Callable[..., Process]


@pytest.fixture
def soft() -> Soft:
    return Soft()


@pytest.fixture
async def day(start: Start, clock: Clock, soft: Soft) -> Day:
    day = Day(clock, start(presence=soft), start(presence=soft))
    await day.begin()
    return day


async def test_a_logout_while_the_store_has_forgotten_everybody_hides_nobody(day: Day, soft: Soft) -> None:
    """Her other session is there, though the store cannot know yet."""
    await day.sign_up("ann")
    here, gone = await day.sign_in("ann"), await day.sign_in("ann")
    await day.enter(here, "r", "anchor")
    await day.enter(gone, "r")
    await day.pass_s(5)
    soft.lose_all()
    await day.log_out(gone)
    for _ in range(40):
        await day.pass_s(1)
        assert await day.state("r") == VISIBLE


async def test_a_store_that_forgets_between_hearing_and_settling_hides_nobody(day: Day, soft: Soft) -> None:
    """She was heard, the mark was made, and then all was gone, before anybody watched."""
    ann = await day.sign_up("ann")
    await day.enter(ann, "r", "anchor")
    process = day.process
    await process.presence.flush()
    soft.lose_all()
    await process.settling.settle_returned()
    assert await day.state("r") == VISIBLE
    for _ in range(40):
        await day.pass_s(1)
        assert await day.state("r") == VISIBLE


async def test_a_member_of_very_many_rooms_goes_and_comes(day: Day) -> None:
    """Its rooms are changed in several transactions, each of a bounded size."""
    ann = await day.sign_up("ann")
    rooms = [f"r{number}" for number in range(300)]
    for room in rooms:
        await day.process.members.enter(await day.sign_up(f"owner of {room}"), room, "anchor", {})
        await day.enter(ann, room)
    for caller_silent in (True, False):
        if caller_silent:
            await day.process.callbacks.disconnected(ann.tenant, [ann.user_id], day.clock())
            await day.pass_s(12)
        else:
            day.call(ann)
            await day.pass_s(1)
        inside = await day.process.absence.inside([("default", ann.user_id)])
        assert dict(inside["default", ann.user_id]) == dict.fromkeys(rooms, not caller_silent)


async def test_who_returns_does_not_wait_for_those_who_are_missed(day: Day) -> None:
    """There is a queue for either."""
    ann = await day.sign_up("ann")
    await day.enter(ann, "r", "anchor")
    await day.process.callbacks.disconnected(ann.tenant, [ann.user_id], day.clock())
    await day.pass_s(12)
    assert await day.state("r") == HIDDEN
    process = day.process
    process.presence.called(ann)
    await process.presence.flush()
    await process.settling.settle_returned()
    assert await day.state("r") == VISIBLE


async def test_a_logout_that_is_known_before_the_call_it_follows_changes_nothing(day: Day) -> None:
    """The call was heard by one process, the logout and the next login by the other, which tells first."""
    first, second = day.processes
    await day.sign_up("ann")
    ann = await day.sign_in("ann")
    first.presence.called(ann)
    await first.members.enter(ann, "r", "anchor", {})
    await day.log_out(ann)
    for process in (second, first):
        await process.presence.flush()
        await process.settling.settle_returned()
        assert await day.state("r") == VISIBLE
    again = await day.sign_in("ann")
    for _ in range(15):
        day.call(again)
        await day.pass_s(1)
        assert await day.state("r") == VISIBLE
