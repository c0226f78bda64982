"""What absence does to rooms: hidden, visible again, closed; who stays a member, and who leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.errors import Code
from liveroom.model import Caller, CategoryPolicy, RoomState, Tenant
from services.days import Day
from services.rig import DEFAULT, Clock, Process, refused

VISIBLE, HIDDEN, CLOSED = RoomState

Start = Callable[..., Process]


@pytest.fixture
async def day(start: Start, clock: Clock) -> Day:
    """Two processes; calls and beats reach one and the other in turn."""
    presence = MemoryPresence()
    day = Day(clock, start(presence=presence), start(presence=presence))
    await day.begin()
    return day


@pytest.fixture
async def ann(day: Day) -> Caller:
    return await day.sign_up("ann")


@pytest.fixture
async def ben(day: Day) -> Caller:
    return await day.sign_up("ben")


@pytest.fixture
async def cat(day: Day) -> Caller:
    return await day.sign_up("cat")


async def grouped(day: Day, room_id: str) -> bool:
    """Whether any process's IM has the group; each of them has one of its own."""
    found = [await process.messaging.groups(DEFAULT, [room_id]) for process in day.processes]
    return any(there[room_id] for there in found)


async def test_an_owner_whose_app_dies_comes_back_and_nothing_is_lost(day: Day, ann: Caller, ben: Caller) -> None:
    room = ann.user_id
    await day.enter(ann, room, "anchor", title="a show", category="live")
    await day.enter(ben, room)
    day.beat(ann, ben)
    await day.pass_s(60)
    before = await day.room(room)
    day.fall_silent(ann)
    day.process.presence.beat(ann)
    await day.pass_s(29)
    assert await day.state(room) == VISIBLE
    await day.pass_s(1)
    assert await day.state(room) == HIDDEN
    assert await day.process.listed() == []
    assert await day.online(room) == {ann.user_id: False, ben.user_id: True}
    await day.pass_long(600)
    day.beat(ann)
    await day.pass_s(1)
    assert await day.online(room) == {ann.user_id: True, ben.user_id: True}
    assert await day.state(room) == VISIBLE
    after = await day.room(room)
    assert after.position > before.position, "it was hidden and shown"
    assert replace(after, position=0) == replace(before, position=0)
    await day.pass_s(60)
    assert await day.state(room) == VISIBLE


async def test_an_owner_who_stays_away_loses_the_room_after_half_an_hour(start: Start, clock: Clock) -> None:
    """Its IM group goes as well, and the next opening begins at zero. One process, whose IM is one."""
    day = Day(clock, start())
    await day.begin()
    ann, ben = await day.sign_up("ann"), await day.sign_up("ben")
    room = ann.user_id
    await day.enter(ann, room, "anchor", title="a show")
    await day.enter(ben, room)
    day.beat(ann, ben)
    await day.pass_s(20)
    assert await grouped(day, room)
    day.fall_silent(ann)
    await day.pass_s(30)
    assert await day.state(room) == HIDDEN
    await day.pass_long(1_750)
    assert await day.state(room) == HIDDEN
    assert await grouped(day, room)
    await day.pass_s(60)
    assert await day.state(room) == CLOSED
    assert not await grouped(day, room)
    await refused(Code.RoomNotExists, day.process.rooms.detail(ben, room))
    await day.enter(ann, room, "anchor")
    again = await day.room(room)
    assert (again.opening, again.inside, again.joined, again.title) == (2, 1, 1, "")
    assert await grouped(day, room)


async def test_each_absence_has_its_own_half_hour(day: Day, ann: Caller) -> None:
    await day.enter(ann, "r")
    day.beat(ann)
    for _ in range(2):
        day.fall_silent(ann)
        await day.pass_long(1_740)
        assert await day.state("r") == HIDDEN
        day.beat(ann)
        await day.pass_s(2)
        assert await day.state("r") == VISIBLE


async def test_audience_leaves_a_minute_after_it_went_offline(day: Day, ann: Caller, ben: Caller, cat: Caller) -> None:
    await day.enter(ann, "r", "anchor")
    for user in (ben, cat):
        await day.enter(user, "r")
    day.beat(ann, ben, cat)
    await day.pass_s(20)
    day.fall_silent(ben)
    day.process.presence.beat(ben)
    await day.pass_s(30)
    assert await day.online("r") == {ann.user_id: True, ben.user_id: False, cat.user_id: True}
    await day.pass_s(59)
    assert (await day.room("r")).inside == 3
    await day.pass_s(1)
    assert await day.online("r") == {ann.user_id: True, cat.user_id: True}
    room = await day.room("r")
    assert (room.inside, room.joined) == (2, 3)


async def test_audience_that_is_back_within_the_minute_stays(day: Day, ann: Caller, ben: Caller) -> None:
    await day.enter(ann, "r")
    await day.enter(ben, "r")
    day.beat(ann, ben)
    await day.pass_s(20)
    day.fall_silent(ben)
    await day.pass_s(85)
    assert not (await day.online("r"))[ben.user_id]
    day.beat(ben)
    await day.pass_s(120)
    assert (await day.online("r"))[ben.user_id]


async def test_an_anchor_shows_the_room_while_its_owner_is_away(
    day: Day, ann: Caller, ben: Caller, cat: Caller
) -> None:
    """The owner stays a member for as long as the room is there."""
    await day.enter(ann, "r", "audience")
    for user in (ben, cat):
        await day.enter(user, "r", "host")
    day.beat(ann, ben, cat)
    await day.pass_s(20)
    day.fall_silent(ann)
    await day.pass_long(3_600)
    assert await day.state("r") == VISIBLE
    assert await day.online("r") == {ann.user_id: False, ben.user_id: True, cat.user_id: True}
    day.fall_silent(ben, cat)
    await day.pass_s(31)
    assert await day.state("r") == HIDDEN
    day.beat(cat)
    await day.pass_s(1)
    assert await day.state("r") == VISIBLE


async def test_an_anchor_leaves_after_half_an_hour(day: Day, ann: Caller, ben: Caller) -> None:
    await day.enter(ann, "r")
    await day.enter(ben, "r", "anchor")
    day.beat(ann, ben)
    await day.pass_s(20)
    day.fall_silent(ben)
    await day.pass_long(1_800)
    assert await day.online("r") == {ann.user_id: True, ben.user_id: False}
    await day.pass_s(36)
    assert await day.online("r") == {ann.user_id: True}


async def test_an_empty_room_closes_after_half_an_hour(day: Day, ann: Caller, ben: Caller) -> None:
    """The owner has left, and is online all the time."""
    await day.enter(ann, "r")
    await day.enter(ben, "r")
    day.beat(ann, ben)
    for user in (ann, ben):
        await day.call(user).members.leave(user, "r")
    await day.pass_long(1_796)
    assert await day.state("r") == HIDDEN
    await day.pass_s(4)
    assert await day.state("r") == CLOSED


async def test_a_room_that_its_owner_never_entered_closes_after_half_an_hour(
    day: Day, ann: Caller, ben: Caller
) -> None:
    """A viewer with a stale list opened it, and sits there as an anchor."""
    await day.enter(ben, ann.user_id, "anchor")
    day.beat(ann, ben)
    await day.pass_long(1_796)
    assert await day.state(ann.user_id) == HIDDEN
    await day.pass_s(4)
    assert await day.state(ann.user_id) == CLOSED


async def test_a_room_ends_by_destroy_while_it_is_hidden(day: Day, ann: Caller, ben: Caller) -> None:
    await day.enter(ann, "r")
    await day.enter(ben, "r")
    day.beat(ann, ben)
    await day.pass_s(1)
    day.fall_silent(ann, ben)
    await day.pass_s(31)
    await day.call(ann).rooms.destroy(ann, "r")
    await day.pass_s(100)
    assert await day.state("r") == CLOSED
    await day.enter(ben, "r")
    assert (await day.room("r")).owned_by == ben.user_id


async def test_a_user_is_absent_from_all_its_rooms_at_once(day: Day, ann: Caller, ben: Caller) -> None:
    await day.enter(ben, "of ben")
    for room in ("r1", "r2"):
        await day.enter(ann, room)
    await day.enter(ann, "of ben")
    day.beat(ann, ben)
    await day.pass_s(1)
    day.fall_silent(ann)
    await day.pass_s(31)
    assert [await day.state(room) for room in ("r1", "r2", "of ben")] == [HIDDEN, HIDDEN, VISIBLE]
    await day.pass_s(61)
    assert [ann.user_id in await day.online(room) for room in ("r1", "r2", "of ben")] == [True, True, False]
    day.beat(ann)
    await day.pass_s(1)
    assert [await day.state(room) for room in ("r1", "r2")] == [VISIBLE, VISIBLE]


QUICK = Tenant(
    name="default",
    categories={"quick": CategoryPolicy(5, 50), "for ever": CategoryPolicy(0, 0), "": CategoryPolicy(20, 100)},
)


@pytest.fixture
async def quick(start: Start, clock: Clock) -> Day:
    """A tenant whose categories differ, an empty one included."""
    day = Day(clock, start(tenants=(QUICK,)))
    await day.begin()
    return day


@pytest.mark.parametrize(
    ("category", "evicted_after_s", "closed_after_s"),
    [("quick", 5, 50), ("", 20, 100), ("another", 60, 1_800), ("for ever", None, None)],
)
async def test_times_of_a_category(
    quick: Day, category: str, evicted_after_s: int | None, closed_after_s: int | None
) -> None:
    ann, ben, cat = [await quick.sign_up(name, QUICK) for name in ("ann", "ben", "cat")]
    await quick.enter(ann, "r", category=category)
    await quick.enter(ben, "r", "audience")
    await quick.enter(cat, "r", "anchor")
    quick.beat(ann, ben, cat)
    quick.fall_silent(ann, ben, cat)
    await quick.pass_s(30)
    everybody = {user.user_id: False for user in (ann, ben, cat)}
    assert await quick.online("r") == everybody
    if evicted_after_s is None or closed_after_s is None:
        await quick.pass_long(7_000)
        assert await quick.online("r") == everybody
        return
    await quick.pass_s(evicted_after_s - 1)
    assert await quick.online("r") == everybody
    await quick.pass_s(1)
    assert await quick.online("r") == {ann.user_id: False, cat.user_id: False}
    await quick.pass_long(closed_after_s - evicted_after_s - 1)
    assert await quick.state("r") == HIDDEN
    await quick.pass_s(1)
    assert await quick.state("r") == CLOSED


@pytest.mark.parametrize(
    ("first", "then", "closes_in_s"),
    [("another", "quick", 20), ("quick", "another", 1_770), ("quick", "for ever", None)],
)
async def test_a_category_that_changes_while_the_room_is_hidden(
    quick: Day, first: str, then: str, closes_in_s: int | None
) -> None:
    """The time is counted from when the room was hidden; its owner is elsewhere, and online."""
    ann = await quick.sign_up("ann", QUICK)
    quick.beat(ann)
    await quick.enter(ann, "r", category=first)
    await quick.call(ann).members.leave(ann, "r")
    await quick.pass_s(30)
    await quick.call(ann).update(ann, "r", category=then)
    await quick.pass_long((closes_in_s or 5_000) - 2)
    assert await quick.state("r") == HIDDEN
    await quick.pass_s(2)
    assert await quick.state("r") == (HIDDEN if closes_in_s is None else CLOSED)
