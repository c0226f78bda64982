"""Deliveries: how far each listener has got in each log, and that nothing is lost between telling and writing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from contract.nodes import Node, Ticks
from liveroom.adapters.store.deliveries import Listener, SqlDeliveries
from liveroom.adapters.store.outbox import SqlOutbox
from liveroom.events import About
from liveroom.model import Caller
from liveroom.ports.accounts import Profile
from liveroom.ports.deliveries import Backlog, Delivery
from liveroom.ports.outbox import position_of

EVERYTHING, CLOSINGS = Listener("all"), Listener("closings", frozenset({"room.closed"}))
LISTENERS = (EVERYTHING, CLOSINGS)
LATER = 10**12


@pytest.fixture
def listening(new_node: Callable[..., Node]) -> Node:
    """A process whose tenant has two listeners."""
    return new_node(listeners=LISTENERS)


@pytest.fixture
def other(new_node: Callable[..., Node]) -> Node:
    """Another one."""
    return new_node(listeners=LISTENERS)


@pytest.fixture
def owed(listening: Node) -> SqlDeliveries:
    return SqlDeliveries(listening.database)


@pytest.fixture
def owed_elsewhere(other: Node) -> SqlDeliveries:
    return SqlDeliveries(other.database)


@pytest.fixture
async def ann(listening: Node) -> Caller:
    return (await listening.callers(1))[0]


async def taken(owed: SqlDeliveries, clock: Ticks, listener: str = "all", lease: int = 1_000) -> list[Delivery]:
    now = clock()
    return await owed.take("default", listener, now, now + lease, 10)


async def test_what_is_owed(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    """To each listener what it wants, from where it begins; of each room and user apart."""
    await listening.enter(ann, "r")
    await listening.enter(ann, "s")
    await listening.accounts.update("default", ann.user_id, Profile(name="Ann"))
    found = await taken(owed, clock)
    assert {(one.about, one.subject): (one.position, one.mark) for one in found} == {
        (About.ROOM, "r"): (position_of(1) - 1, position_of(2)),
        (About.ROOM, "s"): (position_of(1) - 1, position_of(2)),
        (About.USER, ann.user_id): (position_of(1) - 1, position_of(1)),
    }
    assert await taken(owed, clock, "closings") == []
    await listening.destroy(ann, "r")
    (closing,) = await taken(owed, clock, "closings")
    assert (closing.position, closing.mark) == (position_of(3) - 1, position_of(3))
    events = await SqlOutbox(listening.database).after(closing.log, closing.position, 10)
    assert [event.kind for event in events] == ["room.closed"]


async def test_what_is_taken_is_nobody_else_s(
    listening: Node, owed: SqlDeliveries, owed_elsewhere: SqlDeliveries, ann: Caller, clock: Ticks
) -> None:
    for room in "abcdefgh":
        await listening.enter(ann, room)
    both = await asyncio.gather(*(taken(each, clock) for each in (owed, owed_elsewhere) * 2))
    subjects = [one.subject for found in both for one in found]
    assert sorted(subjects) == list("abcdefgh")
    assert await taken(owed_elsewhere, clock) == []
    clock.now += 1_001
    assert len(await taken(owed_elsewhere, clock)) == 8, "whoever took them was gone for too long"


async def test_told_to_the_end(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    await owed.told(one, one.mark, 0)
    assert await owed.backlogs() == {}
    await listening.leave(ann, "r")
    (again,) = await taken(owed, clock)
    assert again.position < position_of(3) <= again.mark, "it goes on where it was"


async def test_told_in_part(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    await owed.told(one, position_of(1), clock.now + 500)
    assert await taken(owed, clock) == []
    clock.now += 500
    (rest,) = await taken(owed, clock)
    assert (rest.position, rest.mark) == (position_of(1), position_of(2))


async def test_what_happens_while_it_is_told(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    await listening.leave(ann, "r")
    assert await taken(owed, clock) == []
    await owed.told(one, one.mark, 0)
    (rest,) = await taken(owed, clock)
    assert (rest.position, rest.mark) == (one.mark, position_of(4)), "member.left, and room.hidden"


async def test_told_too_late(
    listening: Node, owed: SqlDeliveries, owed_elsewhere: SqlDeliveries, ann: Caller, clock: Ticks
) -> None:
    """Once somebody else has it, nothing that the first one says counts."""
    await listening.enter(ann, "r")
    (mine,) = await taken(owed, clock)
    clock.now += 1_001
    (theirs,) = await taken(owed_elsewhere, clock)
    await owed.told(mine, mine.mark, 0)
    await owed.put_off(mine, clock.now, LATER)
    await owed.bury(mine, clock.now, "mine")
    assert await owed.dead("default", "all", 10) == []
    await owed_elsewhere.told(theirs, theirs.mark, 0)
    assert await owed.backlogs() == {}


async def test_put_off(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    failed_at = clock.now
    await owed.put_off(one, failed_at, clock.now + 1_000)
    assert await taken(owed, clock) == []
    assert await owed.backlogs() == {("default", "all"): Backlog(1, 1, failed_at, 0)}
    await listening.leave(ann, "r")
    assert await taken(owed, clock) == [], "what happens meanwhile makes it due no sooner"
    clock.now += 1_000
    (again,) = await taken(owed, clock)
    assert (again.tries, again.failing_since, again.position) == (1, failed_at, one.position)
    await owed.put_off(again, clock.now, LATER)
    await owed.hurry("default", "all", clock.now)
    (hurried,) = await taken(owed, clock)
    assert (hurried.tries, hurried.failing_since) == (2, failed_at)
    await owed.told(hurried, position_of(1), 0)
    (rest,) = await taken(owed, clock)
    assert (rest.tries, rest.failing_since) == (0, 0)


async def test_buried_and_revived(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    await listening.leave(ann, "r")
    await owed.bury(one, clock.now, "HTTP status 500")
    (letter,) = await owed.dead("default", "all", 10)
    assert (letter.subject, letter.first, letter.last) == ("r", one.position, one.mark)
    assert letter.reason == "HTTP status 500"
    (rest,) = await taken(owed, clock)
    assert rest.position == one.mark, "what came later goes on"
    await owed.told(rest, rest.mark, 0)
    await owed.revive([letter], clock.now)
    await owed.revive([letter], clock.now)
    assert await owed.dead("default", "all", 10) == []
    (again,) = await taken(owed, clock)
    assert (again.position, again.mark) == (letter.first, letter.last)


async def test_revived_beside_what_waits(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    await owed.bury(one, clock.now, "")
    await listening.leave(ann, "r")
    await owed.revive(await owed.dead("default", "all", 10), clock.now)
    (both,) = await taken(owed, clock)
    assert (both.position, both.mark) == (one.position, position_of(4))


async def test_dead_letters_grow_old(listening: Node, owed: SqlDeliveries, ann: Caller, clock: Ticks) -> None:
    await listening.enter(ann, "r")
    (one,) = await taken(owed, clock)
    died_at = clock.now
    await owed.bury(one, died_at, "")
    assert await owed.prune(died_at) == 0
    assert await owed.prune(died_at + 1) == 1
    assert await owed.dead("default", "all", 10) == []


async def test_writers_and_tellers_at_the_same_time(
    listening: Node, other: Node, owed: SqlDeliveries, owed_elsewhere: SqlDeliveries, clock: Ticks
) -> None:
    """Whatever is told by whom, in the end everything has been, in order, and nothing is owed."""
    users, rooms = await listening.callers(12), ["r", "s", "t"]
    told: dict[str, list[int]] = {room: [] for room in rooms}
    writing = True

    async def write(number: int, user: Caller) -> None:
        for turn in range(6):
            node, room = (listening, other)[turn % 2], rooms[(number + turn) % 3]
            await node.enter(user, room)
            await node.leave(user, room)

    async def tell(deliveries: SqlDeliveries, outbox: SqlOutbox) -> None:
        idle = 0
        while writing or idle < 3:
            found = await taken(deliveries, clock, lease=LATER)
            idle = 0 if found else idle + 1
            for one in found:
                events = await outbox.after(one.log, one.position, 3)
                told[one.subject] += [event.position for event in events]
                await deliveries.told(one, events[-1].position, 0)
            await asyncio.sleep(0.005)

    async def write_all() -> None:
        nonlocal writing
        await asyncio.gather(*(write(number, user) for number, user in enumerate(users)))
        writing = False

    await asyncio.gather(
        write_all(),
        tell(owed, SqlOutbox(listening.database)),
        tell(owed_elsewhere, SqlOutbox(other.database)),
    )
    assert await owed.backlogs() == {}
    for room, positions in told.items():
        events = await SqlOutbox(listening.database).after(("default", About.ROOM, room), 0, 1_000)
        assert positions == [event.position for event in events]


def test_a_delivery_is_of_a_log() -> None:
    one = Delivery("default", "all", About.ROOM, "r", 0, 1, 0, 0, 0)
    assert one.log == ("default", About.ROOM, "r")
    assert replace(one, about=About.USER).log == ("default", About.USER, "r")
