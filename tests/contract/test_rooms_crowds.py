"""RoomStore under a crowd on two processes: counts stay exact, policies and limits hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from contract.exact import assert_exact
from contract.nodes import DEFAULT, Node, codes
from liveroom.errors import Code, Refusal

REJECT = replace(DEFAULT, exclusive_rooms="reject")
MOVE = replace(DEFAULT, exclusive_rooms="move")


async def at_once(wishes: list[Awaitable[Any]]) -> list[int]:
    return codes(await asyncio.gather(*wishes, return_exceptions=True))


async def test_entering_and_leaving_at_once(node: Node, other: Node) -> None:
    nodes, chance = (node, other), random.Random(1)
    users = await node.callers(16)
    for _ in range(4):
        wishes = [
            getattr(chance.choice(nodes), chance.choice(["enter", "enter", "leave"]))(user, chance.choice("ab"))
            for user in users * 2
        ]
        assert set(await at_once(wishes)) == {0}
        await assert_exact(node, DEFAULT)


async def test_processes_that_share_nobody_but_the_room(new_node: Callable[[], Node]) -> None:
    """Only the room's row is between them: each user calls one process."""
    nodes = [new_node() for _ in range(3)]
    users = await nodes[0].callers(18)
    calls = [(nodes[turn % 3], user, turn) for turn, user in enumerate(users)]
    for room_id in ("a", "b", "c"):
        for verb in ("enter", "leave", "enter", "update", "leave", "enter"):
            role = {"role": "anchor"} if verb == "update" else {}
            wishes = [
                getattr(node, verb)(user, room_id, **role) for node, user, turn in calls if verb != "leave" or turn % 4
            ]
            assert set(await at_once(wishes)) == {0}
            await assert_exact(nodes[0], DEFAULT)
        room = await nodes[0].room(room_id)
        assert (room.inside, room.joined) == (18, 18)


async def test_entering_while_the_room_closes(node: Node, other: Node) -> None:
    ann, *users = await node.callers(12)
    for turn in range(4):
        await node.enter(ann, ann.user_id)
        wishes = [(node, other)[number % 2].enter(user, ann.user_id) for number, user in enumerate(users)]
        wishes.insert(turn * 3, other.destroy(ann, ann.user_id))
        assert set(await at_once(wishes)) == {0}
        await assert_exact(node, DEFAULT)
        room = await node.room(ann.user_id)
        assert room.owned_by == ann.user_id
        await node.destroy(ann, ann.user_id)


async def test_entering_while_the_owner_is_deleted(node: Node, other: Node) -> None:
    *owners, ben, cat, dan = await node.callers(7)
    for turn, owner in enumerate(owners):
        room_ids = [owner.user_id, f"chosen by {turn}".replace(" ", "-")]
        for room_id in room_ids:
            await node.enter(owner, room_id)
        wishes: list[Awaitable[Any]] = [node.enter(user, room_id) for user in (ben, cat) for room_id in room_ids]
        wishes += [other.enter(dan, room_id) for room_id in room_ids]
        wishes.insert(turn, other.depart(owner))
        assert set(await at_once(wishes)) <= {0, Code.RoomNotExists}
        await assert_exact(node, DEFAULT)
        assert await node.inside(owner.user_id) is None
        assert (await node.room(room_ids[1])).owned_by != owner.user_id or not (await node.room(room_ids[1])).open


async def test_entering_and_being_deleted_at_once(node: Node, other: Node) -> None:
    host, *users = await node.callers(13)
    await node.enter(host, "r")
    wishes: list[Awaitable[Any]] = []
    for turn, user in enumerate(users):
        first, second = (node, other) if turn % 2 else (other, node)
        pair = [first.enter(user, "r"), second.depart(user), first.enter(user, f"own-{turn}")]
        wishes += pair if turn % 3 else pair[::-1]
    assert set(await at_once(wishes)) <= {0, Code.UserNotExists}
    assert await node.inside("r") == [host.user_id]
    await assert_exact(node, DEFAULT)


async def test_an_account_goes_once(node: Node, other: Node) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, "a")
    await node.enter(ann, ben.user_id)
    gone = await asyncio.gather(*((node, other)[turn % 2].depart(ann) for turn in range(6)))
    assert sorted(gone) == [False] * 5 + [True]
    await assert_exact(node, DEFAULT)


@pytest.mark.parametrize("processes", [1, 2])
async def test_reject_lets_one_of_many_entries_pass(node: Node, other: Node, processes: int) -> None:
    users = await node.callers(4, REJECT)
    for user in users:
        wishes = [(node, other)[turn % processes].enter(user, f"r{turn}") for turn in range(6)]
        assert sorted(await at_once(wishes)) == [0] + [Code.UserAlreadyInRooms] * 5
        await assert_exact(node, REJECT)


@pytest.mark.parametrize("processes", [1, 2])
async def test_move_leaves_every_other_room(node: Node, other: Node, processes: int) -> None:
    users = await node.callers(6, MOVE)
    wishes = [
        (node, other)[(turn + number) % processes].enter(user, f"r{turn}")
        for turn in range(5)
        for number, user in enumerate(users)
    ]
    assert set(await at_once(wishes)) == {0}
    await assert_exact(node, MOVE)
    inside = [user_id for turn in range(5) for user_id in await node.inside(f"r{turn}") or []]
    assert sorted(inside) == sorted(user.user_id for user in users)


async def test_users_who_swap_rooms_do_not_lock_each_other_out(node: Node, other: Node) -> None:
    """Each moves into the room that the others are leaving."""
    users = await node.callers(8, MOVE)
    for turn in range(6):
        wishes = [
            (node, other)[number % 2].enter(user, f"r{(turn + number) % 3}", "anchor")
            for number, user in enumerate(users)
        ]
        assert set(await at_once(wishes)) == {0}
        await assert_exact(node, MOVE)


async def test_reject_and_move_see_what_the_same_crowd_closes(node: Node, other: Node) -> None:
    ann, ben = await node.callers(2, REJECT)
    for _ in range(5):
        await node.enter(ann, "a")
        await node.enter(ben, "a")
        found = await at_once([other.destroy(ann, "a"), node.enter(ben, "b"), other.enter(ann, "c")])
        assert found[0] == 0
        assert set(found) <= {0, Code.UserAlreadyInRooms}
        await assert_exact(node, REJECT)
        for room_id in ("a", "b", "c"):
            for user in (ann, ben):
                await node.leave(user, room_id)
                if await node.inside(room_id) is not None and (await node.room(room_id)).owned_by == user.user_id:
                    await node.destroy(user, room_id)


async def test_fifty_rooms_of_one_owner_may_be_open(node: Node, other: Node) -> None:
    ann, ben = await node.callers(2)
    found = await at_once([(node, other)[turn % 2].enter(ann, f"r{turn}") for turn in range(60)])
    assert (found.count(0), found.count(Code.RoomCreateParams)) == (50, 10)
    opened = [f"r{turn}" for turn, code in enumerate(found) if code == 0]
    refused = [f"r{turn}" for turn, code in enumerate(found) if code]
    assert await node.enter(ann, opened[0]) == "", "one that is open already may be entered"
    await node.enter(ben, "another owner's")

    with pytest.raises(Refusal) as full:
        await node.enter(ben, ann.user_id)
    assert full.value.code == Code.RoomCreateParams, "whoever opens it, it would be the owner's fifty-first"
    await other.destroy(ann, opened[0])
    wishes = [(node, other)[turn % 2].enter(ben, room_id) for turn, room_id in enumerate([ann.user_id, opened[0]])]
    assert await at_once(wishes) == [0, 0], "the second is not ann's any more"
    assert await at_once([node.enter(ann, refused[0])]) == [Code.RoomCreateParams]
    await node.leave(ann, opened[1])
    assert await at_once([node.enter(ann, refused[0])]) == [Code.RoomCreateParams], "an empty room is open too"
    await assert_exact(node, DEFAULT)


async def test_a_batch_that_closes_one_room_may_open_another(node: Node) -> None:
    [ann] = await node.callers(1)
    assert set(await at_once([node.enter(ann, f"r{turn}") for turn in range(50)])) == {0}
    for turn in range(3):
        found = await at_once([node.destroy(ann, f"r{turn}"), node.enter(ann, f"new{turn}")])
        assert found == [0, 0]
    assert await at_once([node.enter(ann, "one more")]) == [Code.RoomCreateParams]


async def test_ids_are_set_aside_while_rooms_open(node: Node, other: Node) -> None:
    users = await node.callers(4)
    wishes: list[Awaitable[Any]] = []
    for turn in range(10):
        process, user = (node, other)[turn % 2], users[turn % 4]
        wishes += [process.room_service.generate(user), process.member_service.enter(user, None, "host", {})]
    answers = await asyncio.gather(*wishes)
    given = [answer if isinstance(answer, str) else answer[0] for answer in answers]
    assert len(set(given)) == 20
    for turn, room_id in enumerate(given):
        room = await node.rooms.find("default", room_id)
        assert (room is not None) == bool(turn % 2)
        if room is not None:
            assert room.owned_by == users[turn // 2 % 4].user_id
    await assert_exact(node, DEFAULT)
