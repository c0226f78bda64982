"""RoomStore with the real rules: owners, openings, members, visibility."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from contract.exact import assert_exact
from contract.nodes import DEFAULT, Node, query
from liveroom.adapters.store.tables import finished, members
from liveroom.errors import Code, Refusal
from liveroom.model import RoomState


async def test_forty_users_enter_one_new_room_at_once(node: Node, other: Node) -> None:
    users = await node.callers(40)
    roles = await asyncio.gather(
        *((node, other)[turn % 2].enter(user, "new", f"role {turn}") for turn, user in enumerate(users))
    )
    assert roles == [f"role {turn}" for turn in range(40)]
    room = await other.room("new")
    assert (room.inside, room.joined, room.opening, room.owner_online) == (40, 40, 1, 1)
    assert room.owned_by == room.created_by
    assert room.owned_by in {user.user_id for user in users}
    listed = await node.inside("new")
    assert listed is not None
    assert (len(listed), set(listed)) == (40, {user.user_id for user in users})
    inside = select(func.count()).where(members.c.room_id == "new", members.c.place.is_not(None))
    assert (await node.rows(inside))[0][0] == 40
    await assert_exact(node, DEFAULT)


async def test_the_room_of_an_accounts_id_is_that_accounts(node: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ben, ann.user_id, "anchor", title="stale list")
    room = await node.room(ann.user_id)
    assert (room.owned_by, room.created_by, room.title) == (ann.user_id, ben.user_id, "")
    assert room.state == RoomState.HIDDEN
    await node.enter(ann, ann.user_id, title="mine")
    room = await node.room(ann.user_id)
    assert (room.owned_by, room.title, room.state) == (ann.user_id, "mine", RoomState.VISIBLE)


async def test_a_generated_room_is_its_generators(node: Node, other: Node) -> None:
    ann, ben = await node.callers(2)
    room_id = await node.room_service.generate(ann)
    await other.enter(ben, room_id)
    room = await node.room(room_id)
    assert (room.owned_by, room.created_by) == (ann.user_id, ben.user_id)


async def test_any_other_room_is_its_openers(node: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, "chosen")
    await node.enter(ben, "chosen")
    assert (await node.room("chosen")).owned_by == ann.user_id


async def test_the_room_of_a_deleted_account_never_opens_again(node: Node, other: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, ann.user_id)
    await node.enter(ben, ann.user_id)
    assert await other.depart(ann)
    assert await node.inside(ann.user_id) is None
    for process in (node, other):
        with pytest.raises(Refusal) as refused:
            await process.enter(ben, ann.user_id)
        assert refused.value.code == Code.RoomNotExists
    assert not (await node.room(ann.user_id)).open


async def test_a_generated_room_whose_generator_is_gone_is_its_openers(node: Node, other: Node) -> None:
    ann, ben = await node.callers(2)
    room_id = await node.room_service.generate(ann)
    assert await node.depart(ann)
    await other.enter(ben, room_id)
    assert (await node.room(room_id)).owned_by == ben.user_id


async def test_nobody_enters_without_an_account(node: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ben, "open")
    assert await node.depart(ann)
    for room_id in ("open", "closed", ben.user_id):
        with pytest.raises(Refusal) as refused:
            await node.enter(ann, room_id)
        assert refused.value.code == Code.UserNotExists
    assert await node.inside("closed") is None
    assert await node.inside("open") == [ben.user_id]


async def test_a_room_that_opens_again_begins_anew(node: Node, other: Node) -> None:
    ann, ben, cat = await node.callers(3)
    await node.enter(ann, "r", "anchor", title="first", category="c")
    await node.update(ann, "r", cover="cover", subject="subject", description="description")
    await node.enter(ben, "r", "anchor")
    await node.destroy(ann, "r")
    over = await other.room("r")
    assert not over.open
    assert await other.inside("r") is None

    await other.enter(cat, "r", "guest")
    room = await node.room("r")
    assert (room.opening, room.owned_by, room.created_by, room.updated_by) == (2, cat.user_id, cat.user_id, "")
    assert (room.title, room.category, room.cover, room.subject, room.description) == ("", "", "", "", "")
    assert (room.inside, room.joined, room.anchors_online, room.places, room.owner_online) == (1, 1, 0, 1, 1)
    assert room.opened_at > over.opened_at
    assert await node.inside("r") == [cat.user_id]
    await node.enter(ben, "r")
    assert await node.inside("r") == [cat.user_id, ben.user_id]
    assert (await node.room("r")).joined == 2
    await assert_exact(node, DEFAULT)


async def test_total_joined_counts_accounts_not_entries(node: Node) -> None:
    ann, ben, cat = await node.callers(3)
    for user in (ann, ben, cat):
        await node.enter(user, "r")
    for _ in range(3):
        await node.leave(ben, "r")
        await node.enter(ben, "r")
        await node.enter(ben, "r")
    await node.leave(ben, "r")
    assert (await node.room("r")).joined == 3
    assert await node.depart(cat)
    room = await node.room("r")
    assert (room.joined, room.inside) == (3, 1), "a deleted account still counts as joined"
    assert await node.inside("r") == [ann.user_id]
    await assert_exact(node, DEFAULT)


async def test_members_are_listed_in_order_of_entering(node: Node, other: Node) -> None:
    ann, ben, cat, dan = await node.callers(4)
    for user in (ann, ben, cat, dan):
        await node.enter(user, "r")
    await other.enter(ann, "r", "again")
    assert await node.inside("r") == [user.user_id for user in (ann, ben, cat, dan)]
    await node.leave(ben, "r")
    await other.enter(ben, "r")
    assert await node.inside("r") == [user.user_id for user in (ann, cat, dan, ben)]
    await other.leave(ann, "r")
    assert await node.inside("r") == [user.user_id for user in (cat, dan, ben)]


async def test_every_page_of_members_is_reachable(node: Node) -> None:
    users = await node.callers(11)
    for user in users:
        await node.enter(user, "r", f"role of {user.user_id}")
    pages = [await node.rooms.members("default", "r", offset, 4) for offset in (0, 4, 8, 12, 1_000_000)]
    assert [len(page or []) for page in pages] == [4, 4, 3, 0, 0]
    listed = [(profile.user_id, profile.role) for page in pages for profile in page or []]
    assert listed == [(user.user_id, f"role of {user.user_id}") for user in users]
    assert await node.rooms.members("default", "unknown", 0, 4) is None
    assert await node.rooms.members("acme", "r", 0, 4) is None


async def test_a_role_stays_unless_a_new_one_is_given(node: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, "r")
    assert await node.enter(ben, "r") == ""
    assert await node.enter(ben, "r", "guest") == "guest"
    assert await node.enter(ben, "r") == "guest"
    await node.leave(ben, "r")
    assert await node.enter(ben, "r") == "", "a first entry again"


async def test_leaving_is_success_whatever_the_room_is(node: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, "r")
    await node.leave(ben, "r")
    await node.leave(ben, "unknown")
    await node.leave(ann, "r")
    await node.leave(ann, "r")
    room = await node.room("r")
    assert (room.open, room.inside, room.joined) == (True, 0, 1), "an empty room stays open"
    await node.destroy(ann, "r")
    await node.leave(ann, "r")
    assert await node.rooms.find("default", "unknown") is None


async def test_a_room_shows_while_its_owner_or_an_anchor_is_inside(node: Node) -> None:
    ann, ben, cat = await node.callers(3)
    await node.enter(ben, ann.user_id, "anchor")
    assert await node.rooms.page(query()) == [], "an anchor counts only after the owner"
    await node.enter(ann, ann.user_id, "anchor")
    await node.leave(ann, ann.user_id)
    [room] = await node.rooms.page(query())
    assert (room.room_id, room.state, room.inside) == (ann.user_id, RoomState.VISIBLE, 1)
    await node.enter(cat, ann.user_id, "audience")
    await node.update(ben, ann.user_id, role="audience")
    assert await node.rooms.page(query()) == []
    assert (await node.room(ann.user_id)).state == RoomState.HIDDEN, "hidden, but found"
    await node.enter(cat, ann.user_id, "host")
    assert len(await node.rooms.page(query())) == 1
    await node.leave(cat, ann.user_id)
    assert await node.rooms.page(query()) == []
    await node.enter(ann, ann.user_id)
    assert len(await node.rooms.page(query())) == 1
    await assert_exact(node, DEFAULT)


async def test_closing_leaves_the_rows_to_prune(node: Node, other: Node) -> None:
    users = await node.callers(4)
    for _ in range(2):
        for user in users:
            await node.enter(user, users[0].user_id)
        await node.destroy(users[0], users[0].user_id)
    await node.enter(users[1], users[0].user_id)
    await node.enter(users[2], "another")
    went = 0
    while step := await other.rooms.prune():
        went += step
    assert went >= 8
    room, another = await node.room(users[0].user_id), await node.room("another")
    left = {(row.room_id, row.opening, row.user_id) for row in await node.rows(select(members))}
    assert left == {(room.room_id, 3, users[1].user_id), (another.room_id, 1, users[2].user_id)}
    assert await node.rows(select(finished)) == []
    assert await other.rooms.prune() == 0
    await assert_exact(node, DEFAULT)


async def test_prune_goes_in_small_steps(node: Node) -> None:
    [ann] = await node.callers(1)
    await node.enter(ann, "r")
    room = await node.room("r")
    row = {"tenant": "default", "room_id": "r", "opening": room.opening, "role": "", "place": 2, "entered_at": 0}
    rows = [row | {"user_id": f"u{number}"} for number in range(2_500)]
    async with node.database.engine.begin() as connection:
        await connection.execute(members.insert(), rows)
    await node.destroy(ann, "r")
    before, steps = 2_501, 0
    while await node.rooms.prune():
        left = (await node.rows(select(func.count()).select_from(members)))[0][0]
        assert 0 <= before - left <= 1_000
        before, steps = left, steps + 1
    assert before == 0
    assert steps >= 3


async def test_tenants_have_rooms_of_their_own(node: Node) -> None:
    acme = replace(DEFAULT, name="acme")
    ann, ben = await node.caller("ann"), await node.caller("ben", acme)
    await node.enter(ann, "r", title="here")
    await node.enter(ben, "r", title="there")
    assert ((await node.room("r")).title, (await node.room("r", acme)).title) == ("here", "there")
    assert await node.inside("r") == [ann.user_id]
    assert await node.inside("r", acme) == [ben.user_id]
    await node.destroy(ann, "r")
    assert await node.inside("r", acme) == [ben.user_id]
    assert [room.tenant for room in await node.rooms.page(query(acme))] == ["acme"]
