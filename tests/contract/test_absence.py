"""AbsenceStore: who is offline, and what is due because of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from contract.nodes import DEFAULT, NOON, Node, Ticks
from liveroom.adapters.store.tables import members
from liveroom.model import Caller, CategoryPolicy, Tenant
from liveroom.ports.absence import Leaver, Sides
from liveroom.ports.rooms import Change, RoomOrder
from liveroom.services.absence import came_online, evicted, expired, went_offline

ONLINE, OFFLINE, BOTH = Sides(True, False), Sides(False, True), Sides(True, True)
# Names of which one begins with another, and what may stand behind the shorter one.
FIRST, LONGER, LAST = Tenant(name="a"), Tenant(name="a-b"), Tenant(name="ab")


async def absent(node: Node, caller: Caller, at: int, *rooms: str) -> None:
    """The caller is offline from then on, in these rooms, or in every one."""
    await turned(node, caller, went_offline, at, rooms)


async def present(node: Node, caller: Caller, at: int) -> None:
    await turned(node, caller, came_online, at, ())


async def turned(node: Node, caller: Caller, rule: Callable[..., Change], at: int, rooms: tuple[str, ...]) -> None:
    tenant, user_id = caller.tenant, caller.user_id
    inside = await node.absence.inside([(tenant.name, user_id)])
    for room_id in rooms or [room_id for room_id, _ in inside[tenant.name, user_id]]:
        decide = partial(rule, tenant=tenant, user_id=user_id, room_id=room_id, at=at)
        await node.rooms.change(RoomOrder(tenant.name, user_id, room_id, decide))


def key(caller: Caller) -> tuple[str, str]:
    return caller.tenant.name, caller.user_id


@pytest.fixture
async def ann(node: Node) -> Caller:
    return await node.caller("ann")


@pytest.fixture
async def ben(node: Node) -> Caller:
    return await node.caller("ben")


async def test_nothing_is_due_where_nobody_is(node: Node, ann: Caller) -> None:
    assert await node.absence.inside([]) == {}
    assert await node.absence.inside([key(ann)]) == {}
    assert await node.absence.due_to_leave(["default"], NOON * 2, 10) == []
    assert await node.absence.due_to_close(["default"], NOON * 2, 10) == []
    assert await node.absence.inside_after(("", ""), 10) == []
    assert await node.absence.open_after(("", ""), 10) == []
    assert await node.absence.entered_until("default", "r", NOON * 2, 10, "") == []


async def test_where_a_user_is_and_as_what_it_counts(node: Node, other: Node, ann: Caller, ben: Caller) -> None:
    """Only rooms that it is inside of and that are open."""
    for room in ("r1", "r2"):
        await node.enter(ann, room)
    await node.enter(ben, "r1")
    users = [key(ann), key(ben), ("default", "nobody"), ("acme", ann.user_id)]

    async def inside() -> list[dict[str, bool]]:
        found = await other.absence.inside(users)
        assert found.keys() <= {key(ann), key(ben)}
        return [dict(found.get(key(user), [])) for user in (ann, ben)]

    assert await inside() == [{"r1": True, "r2": True}, {"r1": True}]
    await absent(node, ann, NOON, "r1")
    assert await inside() == [{"r1": False, "r2": True}, {"r1": True}]
    await absent(node, ann, NOON)
    assert await inside() == [{"r1": False, "r2": False}, {"r1": True}]
    await node.destroy(ann, "r1")
    assert await inside() == [{"r2": False}, {}]
    await present(node, ann, NOON)
    assert await inside() == [{"r2": True}, {}]
    await node.leave(ann, "r2")
    assert await other.absence.inside(users) == {}


async def test_many_users_are_asked_for_at_once(node: Node) -> None:
    users = await node.callers(250)
    await asyncio.gather(*(node.enter(user, "r") for user in users))
    found = await node.absence.inside([key(user) for user in users])
    assert found == {key(user): [("r", True)] for user in users}


async def test_what_is_due_is_told_of_the_tenants_asked_for(node: Node, ann: Caller, ben: Caller) -> None:
    """Those of another process's tenants do not stand in the way of ours."""
    await node.enter(ann, "r")
    await node.enter(ben, "r")
    await absent(node, ann, NOON)
    await absent(node, ben, NOON)
    assert await node.absence.due_to_leave(["acme"], NOON * 2, 10) == []
    assert await node.absence.due_to_close(["acme"], NOON * 2, 10) == []
    assert len(await node.absence.due_to_leave(["acme", "default"], NOON * 2, 10)) == 1
    assert len(await node.absence.due_to_close(["acme", "default"], NOON * 2, 10)) == 1


async def test_who_is_due_to_leave(node: Node, other: Node, ann: Caller) -> None:
    """Longest due first, no more than asked for, and not before the moment; the owner never."""
    users = await node.callers(4)
    await node.enter(ann, "r")
    await asyncio.gather(*(node.enter(user, "r") for user in users))
    for at, user in zip((30, 10, 20, 40), users, strict=True):
        await absent(node, user, NOON + at)
    await absent(node, ann, NOON)
    due = [Leaver("default", "r", 1, users[number].user_id) for number in (1, 2, 0, 3)]
    assert await other.absence.due_to_leave(["default"], NOON + 60_009, 10) == []
    assert await other.absence.due_to_leave(["default"], NOON + 60_010, 10) == due[:1]
    assert await other.absence.due_to_leave(["default"], NOON + 60_035, 10) == due[:3]
    assert await other.absence.due_to_leave(["default"], NOON + 70_000, 2) == due[:2]
    await present(node, users[1], NOON + 50)
    await node.leave(users[2], "r")
    assert await other.absence.due_to_leave(["default"], NOON + 70_000, 10) == due[2:]
    # What was due in an opening that is over is due no more, also once the room is open again.
    await node.destroy(ann, "r")
    assert await other.absence.due_to_leave(["default"], NOON * 2, 10) == []
    await node.enter(ann, "r")
    assert await other.absence.due_to_leave(["default"], NOON * 2, 10) == []


async def test_who_left_is_due_no_more(node: Node, ann: Caller, ben: Caller) -> None:
    await node.enter(ann, "r")
    await node.enter(ben, "r")
    await absent(node, ben, NOON)
    at = NOON + 60_000
    (leaver,) = await node.absence.due_to_leave(["default"], at, 10)
    orders = [RoomOrder("default", ben.user_id, "r", lambda rows: evicted(rows, DEFAULT, leaver, at)) for _ in range(2)]
    assert sorted(await asyncio.gather(*map(node.rooms.change, orders))) == [False, True]
    assert await node.absence.due_to_leave(["default"], NOON * 2, 10) == []
    assert await node.inside("r") == [ann.user_id]


async def test_what_is_due_to_close(node: Node, other: Node, clock: Ticks) -> None:
    """Longest due first; a room that never closes by itself, is visible again or closed is not named."""
    never = Tenant(name="default", categories={"for ever": CategoryPolicy(0, 0)})
    users = [replace(user, tenant=never) for user in await node.callers(5)]
    for number, user in enumerate(users):
        await node.enter(user, f"r{number}", category="for ever" if number == 4 else "")
    for at, number in ((30, 0), (10, 1), (20, 2), (40, 3), (5, 4)):
        await absent(node, users[number], NOON + at)
    due = [("default", f"r{number}") for number in (1, 2, 0, 3)]
    assert await other.absence.due_to_close(["default"], NOON + 1_800_009, 10) == []
    assert await other.absence.due_to_close(["default"], NOON + 1_800_010, 10) == due[:1]
    assert await other.absence.due_to_close(["default"], NOON * 2, 2) == due[:2]
    assert await other.absence.due_to_close(["default"], NOON * 2, 10) == due
    await present(node, users[1], NOON + 50)
    await node.destroy(users[2], "r2")
    end = RoomOrder("default", "", "r0", lambda rows: expired(rows, never, "r0", NOON * 2))
    assert sorted(await asyncio.gather(node.rooms.change(end), other.rooms.change(end))) == [False, True]
    assert await other.absence.due_to_close(["default"], NOON * 2, 10) == due[3:]


async def test_pages_of_everybody_inside(node: Node, other: Node) -> None:
    """In order of tenant and id, each once, whatever begins with what; those of closed rooms may be named."""
    users = [user for tenant in (LAST, FIRST, LONGER, DEFAULT) for user in await node.callers(3, tenant)]
    for user in users:
        await node.enter(user, "r")
        await node.enter(user, f"of {user.user_id}"[:48].replace(" ", "-"))
    await absent(node, users[0], NOON)
    await absent(node, users[1], NOON, "r")
    await node.leave(users[2], "r")
    expected = sorted((key(user), ONLINE) for user in users)
    sides = dict(expected) | {key(users[0]): OFFLINE, key(users[1]): BOTH}
    for size in (1, 2, 5, 100):
        found: list[tuple[tuple[str, str], Sides]] = []
        while page := await other.absence.inside_after(found[-1][0] if found else ("", ""), size):
            assert len(page) <= size
            found += page
        assert found == [(user, sides[user]) for user in sorted(sides)]


async def test_pages_of_open_rooms(node: Node, other: Node) -> None:
    keys = []
    for tenant in (LAST, FIRST, LONGER, DEFAULT):
        (user,) = await node.callers(1, tenant)
        for room in ("r", "r-", "r!", "q~", "closed"):
            await node.enter(user, room)
            keys.append((tenant.name, room))
        await node.destroy(user, "closed")
    # A hidden room is open.
    await absent(node, user, NOON)
    expected = sorted(room for room in keys if room[1] != "closed")
    for size in (1, 3, 100):
        found: list[tuple[str, str]] = []
        while page := await other.absence.open_after(found[-1] if found else ("", ""), size):
            assert len(page) <= size
            found += page
        assert found == expected


async def test_who_has_entered_until_a_moment(node: Node, other: Node, clock: Ticks, ann: Caller) -> None:
    """Of this opening, and inside; entering again counts as entering."""
    await node.enter(ann, "r")
    users = await node.callers(4)
    entered_at = []
    for user in users:
        await node.enter(user, "r")
        (row,) = await node.rows(select(members.c.entered_at).where(members.c.user_id == user.user_id))
        entered_at.append(row.entered_at)
    await node.enter(users[1], "r")
    await node.leave(users[3], "r")

    async def until(at: int, most: int = 10, room: str = "r", tenant: str = "default") -> list[str]:
        return sorted(await other.absence.entered_until(tenant, room, at, most, ann.user_id))

    names = [user.user_id for user in users]
    assert await until(entered_at[0] - 1) == []
    assert await until(entered_at[0]) == [names[0]]
    assert await until(entered_at[2]) == sorted([names[0], names[2]])
    assert await until(clock.now) == sorted(names[:3])
    assert len(await until(clock.now, 2)) == 2
    assert await until(clock.now, room="r2") == await until(clock.now, tenant="acme") == []
    await node.destroy(ann, "r")
    assert await until(clock.now) == []
    await node.enter(ann, "r")
    assert await until(clock.now) == []
