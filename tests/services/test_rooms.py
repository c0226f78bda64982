"""Rooms: whose they are, what they say of themselves, and how they end."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from liveroom.errors import Code
from liveroom.model import Caller, Room
from services.rig import ACME, NOON, Clock, Process, refused

NO, MISSING, FULL = Code.SystemVerifyError, Code.RoomNotExists, Code.RoomCreateParams


@pytest.fixture
async def ann(process: Process) -> Caller:
    return await process.sign_up("ann")


@pytest.fixture
async def ben(process: Process) -> Caller:
    return await process.sign_up("ben")


def texts(room: Room) -> tuple[str, ...]:
    return room.category, room.title, room.cover, room.subject, room.description


async def test_a_generated_id_is_not_a_room_yet(process: Process, ann: Caller, ben: Caller) -> None:
    room_id = await process.rooms.generate(ann)
    assert 10_000_000 <= int(room_id) < 2**31
    await refused(MISSING, process.rooms.detail(ann, room_id))
    await refused(MISSING, process.members.page(ann, room_id, 0, 10))
    await refused(MISSING, process.update(ann, room_id, title="x"))
    assert await process.listed() == []
    await process.enter(ben, room_id)
    assert (await process.rooms.detail(ann, room_id)).owned_by == ann.user_id


async def test_a_generated_id_of_another_tenant_is_prefixed(process: Process) -> None:
    cat = await process.sign_up("cat", ACME)
    assert (await process.rooms.generate(cat)).startswith("acme-1000")
    assert (await process.enter(cat, None)).startswith("acme-1000")


async def test_entering_without_a_room_makes_one(process: Process, ann: Caller) -> None:
    room_id = await process.enter(ann, None, "anchor", title="mine")
    room = await process.rooms.detail(ann, room_id)
    assert (room.owned_by, room.created_by, room.title, room.inside) == (ann.user_id, ann.user_id, "mine", 1)
    assert await process.enter(ann, None) != room_id


async def test_an_opened_room(process: Process, ann: Caller, clock: Clock) -> None:
    await process.enter(ann, "r", title="title", category="c")
    room = await process.rooms.detail(ann, "r")
    assert (room.opened_at, room.updated_at, room.opening) == (NOON, NOON, 1)
    assert texts(room) == ("c", "title", "", "", "")
    clock.pass_s(5)
    await process.enter(ann, "r", title="title", category="c")
    assert await process.rooms.detail(ann, "r") == room, "nothing new was said"


async def test_title_and_category_are_taken_from_the_owner_only(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ben, ann.user_id, title="ben's", category="ben's")
    assert texts(await process.rooms.detail(ann, ann.user_id)) == ("", "", "", "", "")
    await process.enter(ann, ann.user_id, title="ann's", category="ann's")
    await process.enter(ben, ann.user_id, title="ben's again")
    assert texts(await process.rooms.detail(ann, ann.user_id))[:2] == ("ann's", "ann's")
    await process.enter(ann, ann.user_id, title="new")
    assert texts(await process.rooms.detail(ann, ann.user_id))[:2] == ("ann's", "new"), "an absent one stays"


async def test_the_owner_changes_the_texts(process: Process, ann: Caller, clock: Clock) -> None:
    await process.enter(ann, "r", title="old", category="c")
    clock.pass_s(2)
    room = await process.update(ann, "r", title="new", cover="cover", subject="subject", description="description")
    assert texts(room) == ("c", "new", "cover", "subject", "description")
    assert (room.updated_by, room.updated_at, room.opened_at) == (ann.user_id, NOON + 2_000, NOON)
    clock.pass_s(2)
    room = await process.update(ann, "r", title="", description="")
    assert texts(room) == ("c", "", "cover", "subject", "")
    assert replace(await process.rooms.detail(ann, "r"), position=room.position) == room


async def test_the_same_texts_again_change_nothing(process: Process, ann: Caller, clock: Clock) -> None:
    await process.enter(ann, "r", title="title")
    before = await process.rooms.detail(ann, "r")
    clock.pass_s(2)
    assert await process.update(ann, "r", title="title") == before
    assert await process.update(ann, "r") == before


async def test_nobody_else_changes_the_texts(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r", title="title")
    await process.enter(ben, "r", "anchor")
    before = await process.rooms.detail(ann, "r")
    for wish in ({"title": "x"}, {"title": "title"}, {"cover": ""}, {"title": "x", "role": "guest"}):
        await refused(NO, process.update(ben, "r", **wish))
    assert await process.rooms.detail(ann, "r") == before
    [_, profile] = await process.members.page(ann, "r", 0, 10)
    assert profile.role == "anchor", "a refused update changes no role"


async def test_an_owner_who_is_not_inside_still_owns(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ben, ann.user_id)
    assert (await process.update(ann, ann.user_id, title="from afar")).title == "from afar"
    await refused(NO, process.rooms.destroy(ben, ann.user_id))
    await process.rooms.destroy(ann, ann.user_id)
    await refused(MISSING, process.rooms.detail(ben, ann.user_id))


async def test_an_update_of_no_room(process: Process, ann: Caller) -> None:
    await refused(MISSING, process.update(ann, "never", title="x"))
    await process.enter(ann, "r")
    await process.rooms.destroy(ann, "r")
    await refused(MISSING, process.update(ann, "r", title="x"))
    await refused(MISSING, process.update(ann, "r", "anchor"))
    await refused(MISSING, process.update(ann, ann.user_id))


async def test_a_role_is_ones_own_and_only_inside(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r", "host")
    await process.update(ben, "r", "anchor")
    assert await process.inside(ann, "r") == [ann.user_id]
    await process.enter(ben, "r", "guest")
    await process.update(ben, "r", "speaker")
    roles = {profile.user_id: profile.role for profile in await process.members.page(ann, "r", 0, 10)}
    assert roles == {ann.user_id: "host", ben.user_id: "speaker"}
    await process.members.leave(ben, "r")
    room = await process.update(ben, "r", "anchor")
    assert (room.inside, room.anchors_online) == (1, 0)


async def test_only_the_owner_destroys(process: Process, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r")
    await process.enter(ben, "r", "anchor")
    await refused(NO, process.rooms.destroy(ben, "r"))
    await process.rooms.destroy(ann, "r")
    await refused(MISSING, process.rooms.detail(ann, "r"))
    await refused(MISSING, process.members.page(ann, "r", 0, 10))
    for caller in (ann, ben):
        for room_id in ("r", "never"):
            await process.rooms.destroy(caller, room_id)


async def test_the_same_id_is_opened_again_and_again(process: Process, ann: Caller, ben: Caller, clock: Clock) -> None:
    for opening in range(1, 4):
        clock.pass_s(10)
        await process.enter(ann, ann.user_id, title=f"show {opening}" if opening < 3 else "")
        await process.enter(ben, ann.user_id)
        room = await process.rooms.detail(ann, ann.user_id)
        assert (room.opening, room.inside, room.joined, room.opened_at) == (opening, 2, 2, clock.now)
        assert (room.subject, room.updated_by) == ("", ann.user_id if opening < 3 else "")
        await process.update(ann, ann.user_id, subject="subject")
        await process.rooms.destroy(ann, ann.user_id)


async def test_fifty_open_rooms_are_enough(process: Process, ann: Caller, ben: Caller) -> None:
    await asyncio.gather(*(process.enter(ann, f"r{number}") for number in range(50)))
    await refused(FULL, process.enter(ann, "one-more"))
    await refused(FULL, process.enter(ben, ann.user_id))
    await process.enter(ann, "r0")
    await process.enter(ben, "bens")
    await process.rooms.destroy(ann, "r49")
    await process.enter(ben, ann.user_id)
    await refused(FULL, process.enter(ann, "r49"))


async def test_tenants_see_nothing_of_each_other(process: Process, ann: Caller) -> None:
    cat = await process.sign_up("cat", ACME)
    await process.enter(ann, "r", title="default's")
    await refused(MISSING, process.rooms.detail(cat, "r"))
    await process.members.leave(cat, "r")
    await process.rooms.destroy(cat, "r")
    await process.enter(cat, "r", title="acme's")
    assert (await process.rooms.detail(ann, "r")).title == "default's"
    assert (await process.listed(), await process.listed(ACME)) == (["r"], ["r"])
    assert await process.inside(cat, "r") == [cat.user_id]
    await process.enter(cat, ann.user_id)
    assert (await process.rooms.detail(cat, ann.user_id)).owned_by == cat.user_id, "no account of this tenant"
