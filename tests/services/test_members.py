"""Members: entering and leaving, what shows a room, and the tenant's policies."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from liveroom.errors import Code
from liveroom.model import Caller, MemberProfile, RoomState, Tenant
from liveroom.ports.accounts import Profile
from services.rig import DEFAULT, Clock, Process, refused


@pytest.fixture
async def ann(process: Process) -> Caller:
    return await process.sign_up("ann")


@pytest.fixture
async def ben(process: Process) -> Caller:
    return await process.sign_up("ben")


@pytest.fixture
async def cat(process: Process) -> Caller:
    return await process.sign_up("cat")


def under(caller: Caller, **policies: object) -> Caller:
    """The same caller, had the tenant these policies."""
    tenant: Tenant = replace(caller.tenant, **policies)
    return replace(caller, tenant=tenant)


async def state(process: Process, caller: Caller, room_id: str) -> tuple[bool, bool]:
    """Whether the list shows the room, and whether the room says so itself."""
    room = await process.rooms.detail(caller, room_id)
    return room_id in await process.listed(), room.state == RoomState.VISIBLE


SHOWN, HIDDEN = (True, True), (False, False)


async def test_a_member_as_the_list_shows_it(process: Process, ann: Caller) -> None:
    await process.accounts.update(ann, Profile(name="Ann", avatar="a.png"))
    assert await process.members.enter(ann, "r", "host", {}) == ("r", "host")
    assert await process.members.page(ann, "r", 0, 10) == [
        MemberProfile(ann.user_id, "Ann", "a.png", "host", online=True)
    ]
    await process.accounts.update(ann, Profile(name="Anna"))
    assert (await process.members.page(ann, "r", 0, 10))[0].name == "Anna"


async def test_entering_again_is_success_and_updates_the_role(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r", "host")
    await process.enter(ben, "r")
    assert await process.members.enter(ann, "r", None, {}) == ("r", "host")
    assert await process.members.enter(ann, "r", "guest", {}) == ("r", "guest")
    assert await process.inside(ann, "r") == [ann.user_id, ben.user_id]
    room = await process.rooms.detail(ann, "r")
    assert (room.inside, room.joined) == (2, 2)


async def test_whoever_left_enters_as_a_new_one_at_the_end(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r", "host")
    await process.enter(ben, "r")
    await process.members.leave(ann, "r")
    assert await process.inside(ben, "r") == [ben.user_id]
    assert await process.members.enter(ann, "r", None, {}) == ("r", "")
    assert await process.inside(ben, "r") == [ben.user_id, ann.user_id]
    room = await process.rooms.detail(ann, "r")
    assert (room.inside, room.joined) == (2, 2)


async def test_leaving_is_success_wherever_one_is(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r")
    for room_id in ("r", "r", "never", ann.user_id):
        await process.members.leave(ben, room_id)
    assert await process.inside(ann, "r") == [ann.user_id]
    await refused(Code.RoomNotExists, process.members.page(ann, "never", 0, 10))


async def test_pages_of_members(process: Process, ann: Caller) -> None:
    users = [await process.sign_up(f"user {number}") for number in range(7)]
    for user in users:
        await process.enter(user, "r")
    pages = [await process.members.page(ann, "r", offset, 3) for offset in (0, 3, 6, 9)]
    assert [[profile.user_id for profile in page] for page in pages] == [
        [user.user_id for user in users[start : start + 3]] for start in (0, 3, 6, 9)
    ]


async def test_a_room_shows_while_its_owner_is_inside(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r", "audience")
    assert await state(process, ann, "r") == SHOWN
    await process.enter(ben, "r", "audience")
    await process.members.leave(ann, "r")
    assert await state(process, ann, "r") == HIDDEN
    await process.enter(ann, "r")
    assert await state(process, ann, "r") == SHOWN


async def test_an_anchor_counts_only_after_the_owner_has_entered(process: Process, ann: Caller, ben: Caller) -> None:
    """Anyone can say that it is an anchor."""
    for role in ("anchor", "host"):
        await process.enter(ben, ann.user_id, role)
        assert await state(process, ann, ann.user_id) == HIDDEN
        await process.enter(ann, ann.user_id)
        await process.members.leave(ann, ann.user_id)
        assert await state(process, ann, ann.user_id) == SHOWN
        await process.members.leave(ben, ann.user_id)
        assert await state(process, ann, ann.user_id) == HIDDEN
        await process.enter(ben, ann.user_id, role)
        assert await state(process, ann, ann.user_id) == SHOWN
        await process.rooms.destroy(ann, ann.user_id)


async def test_the_owner_has_to_enter_in_each_opening(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, ann.user_id)
    await process.rooms.destroy(ann, ann.user_id)
    await process.enter(ben, ann.user_id, "anchor")
    assert await state(process, ann, ann.user_id) == HIDDEN


async def test_a_room_hides_with_its_last_anchor(process: Process, ann: Caller, ben: Caller, cat: Caller) -> None:
    await process.enter(ann, "r", "anchor")
    for user in (ben, cat):
        await process.enter(user, "r", "anchor")
    await process.members.leave(ann, "r")
    await process.members.leave(ben, "r")
    assert await state(process, ann, "r") == SHOWN
    await process.accounts.delete(cat)
    assert await state(process, ann, "r") == HIDDEN


async def test_a_role_makes_an_anchor_and_unmakes_it(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r")
    await process.enter(ben, "r", "audience")
    await process.members.leave(ann, "r")
    for role, expected in (("host", SHOWN), ("Host", HIDDEN), ("anchor", SHOWN), ("", HIDDEN), ("anchor ", HIDDEN)):
        await process.update(ben, "r", role)
        assert await state(process, ann, "r") == expected, role
        await process.enter(ben, "r", role)
        assert await state(process, ann, "r") == expected, role


async def test_the_tenant_says_which_roles_are_anchors(process: Process, ann: Caller, ben: Caller) -> None:
    policy = {"anchor_roles": frozenset({"speaker"})}
    await process.enter(under(ann, **policy), "r")
    await process.enter(under(ben, **policy), "r", "speaker")
    await process.members.leave(under(ann, **policy), "r")
    assert await state(process, ann, "r") == SHOWN
    await process.update(under(ben, **policy), "r", "anchor")
    assert await state(process, ann, "r") == HIDDEN


async def test_a_policy_that_changes_does_not_make_the_count_drift(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r")
    await process.enter(under(ben, anchor_roles=frozenset({"speaker"})), "r", "speaker")
    assert (await process.rooms.detail(ann, "r")).anchors_online == 1
    await process.members.leave(ben, "r")
    assert (await process.rooms.detail(ann, "r")).anchors_online == 0
    await process.enter(under(ben, anchor_roles=frozenset()), "r", "anchor")
    await process.update(ben, "r", "anchor")
    assert (await process.rooms.detail(ann, "r")).anchors_online == 1


async def test_by_default_one_may_be_in_several_rooms(process: Process, ann: Caller) -> None:
    for room_id in ("r1", "r2"):
        await process.enter(ann, room_id)
    assert await process.inside(ann, "r1") == await process.inside(ann, "r2") == [ann.user_id]


async def test_exclusive_rooms_may_reject(process: Process, ann: Caller, ben: Caller) -> None:
    ann, ben = under(ann, exclusive_rooms="reject"), under(ben, exclusive_rooms="reject")
    await process.enter(ann, "r1", "guest")
    await process.enter(ben, "r2")
    before = await process.rooms.detail(ann, "r1")
    for room_id in ("r2", "new", None):
        await refused(Code.UserAlreadyInRooms, process.enter(ann, room_id))
    assert await process.rooms.detail(ann, "r1") == before
    await refused(Code.RoomNotExists, process.rooms.detail(ann, "new"))
    await process.enter(ann, "r1", "host")
    await process.members.leave(ann, "r1")
    await process.enter(ann, "r2")
    await process.rooms.destroy(ben, "r2")
    await process.enter(ann, "r1")
    assert await process.inside(ann, "r1") == [ann.user_id]


async def test_exclusive_rooms_may_move(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r1")
    await process.enter(ann, "r2")
    for room_id in ("r1", "r2"):
        await process.enter(ben, room_id, "anchor")
    await process.enter(under(ann, exclusive_rooms="move"), "r3", "host")
    assert await process.inside(ann, "r3") == [ann.user_id]
    for room_id in ("r1", "r2"):
        assert await process.inside(ann, room_id) == [ben.user_id]
        room = await process.rooms.detail(ann, room_id)
        assert (room.inside, room.joined, room.owner_online, room.open) == (1, 2, 0, True)
        assert await state(process, ann, room_id) == SHOWN
    await process.enter(under(ben, exclusive_rooms="move"), "r3")
    assert await state(process, ann, "r1") == HIDDEN
    assert await process.inside(ann, "r3") == [ann.user_id, ben.user_id]


async def test_a_refused_move_leaves_nothing(process: Process, ann: Caller, ben: Caller) -> None:
    await asyncio.gather(*(process.enter(ann, f"r{number}") for number in range(50)))
    await process.enter(ben, "bens")
    await refused(Code.RoomCreateParams, process.enter(under(ben, exclusive_rooms="move"), ann.user_id))
    assert await process.inside(ben, "bens") == [ben.user_id]


async def test_reentry_may_be_rejected(process: Process, ann: Caller, clock: Clock) -> None:
    ann = under(ann, reentry="reject")
    await process.enter(ann, "r", "guest", title="old")
    before = await process.rooms.detail(ann, "r")
    clock.pass_s(1)
    await refused(Code.RoomsUserExists, process.enter(ann, "r", "host", title="new"))
    assert await process.rooms.detail(ann, "r") == before
    assert (await process.members.page(ann, "r", 0, 10))[0].role == "guest"
    await process.members.leave(ann, "r")
    await process.enter(ann, "r", "host")
    await process.rooms.destroy(ann, "r")
    await process.enter(ann, "r", "host")


async def test_both_policies_together(process: Process, ann: Caller) -> None:
    strict = under(ann, reentry="reject", exclusive_rooms="move")
    await process.enter(strict, "r1")
    await refused(Code.RoomsUserExists, process.enter(strict, "r1"))
    await process.enter(strict, "r2")
    await process.enter(strict, "r1")
    assert await process.inside(ann, "r2") == []
    assert (await process.rooms.detail(ann, "r1")).joined == 1
    assert DEFAULT.exclusive_rooms == "off"
