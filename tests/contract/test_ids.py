"""The id allocator: what is or ever was an account, a generated id or a room is given to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from contract.nodes import DEFAULT, SALT, Node, drawn, new
from liveroom.model import Caller, Tenant
from liveroom.ports.accounts import Profile
from liveroom.ports.back_ends import IdSource

FRESH = "10000099"


async def an_account(node: Node, _: Caller, taken: str) -> None:
    await node.register("registered", ids=drawn(taken))


async def a_vouched_account(node: Node, _: Caller, taken: str) -> None:
    await node.accounts.vouch(new("vouched for", ids=drawn(taken)), Profile())


async def a_deleted_account(node: Node, _: Caller, taken: str) -> None:
    await node.register("deleted", ids=drawn(taken))
    assert await node.depart(Caller(DEFAULT, taken, "s"))


async def a_generated_id(node: Node, owner: Caller, taken: str) -> None:
    assert await node.rooms.generate("default", owner.user_id, drawn(taken)) == taken


async def a_room(node: Node, owner: Caller, taken: str) -> None:
    await node.enter(owner, taken)


async def a_closed_room(node: Node, owner: Caller, taken: str) -> None:
    await node.enter(owner, taken)
    await node.destroy(owner, taken)


async def registering(node: Node, ids: IdSource) -> str:
    account = await node.accounts.register(new("new", ids=ids), SALT)
    assert account is not None
    return account.user_id


async def vouching(node: Node, ids: IdSource) -> str:
    return (await node.accounts.vouch(new("new", ids=ids), Profile()))[0].user_id


async def generating(node: Node, ids: IdSource) -> str:
    return await node.rooms.generate("default", "10000099", ids)


HOLDERS = [an_account, a_vouched_account, a_deleted_account, a_generated_id, a_room, a_closed_room]
TAKERS = [registering, vouching, generating]
Taker = Callable[[Node, IdSource], Awaitable[str]]


@pytest.mark.parametrize("take", TAKERS)
async def test_a_free_id_is_taken_as_it_is_drawn(node: Node, take: Taker) -> None:
    assert await take(node, drawn(FRESH)) == FRESH


@pytest.mark.parametrize("take", TAKERS)
async def test_an_id_that_is_or_was_something_is_drawn_again(node: Node, other: Node, take: Taker) -> None:
    owner = await node.caller("owner")
    taken = []
    for number, hold in enumerate(HOLDERS):
        taken.append(f"1000000{number}")
        await hold(node, owner, taken[-1])
    assert await take(other, drawn(owner.user_id, *taken, *taken, FRESH)) == FRESH


@pytest.mark.parametrize("take", TAKERS)
async def test_the_same_draw_on_two_processes_at_once_gives_two_ids(node: Node, other: Node, take: Taker) -> None:
    """Unlikely with two thousand million ids, and yet nobody may be told that the database is away."""
    for turn in range(5):
        candidates = [f"1000{turn}{number:03}" for number in range(4)]
        sources = [drawn(*candidates), drawn(*candidates)]
        names = iter((f"left {turn}", f"right {turn}"))

        async def one(process: Node, ids: IdSource) -> str:
            if take is generating:
                return await generating(process, ids)
            made = new(next(names), ids=ids)  # noqa: B023 - awaited within the turn
            if take is vouching:
                return (await process.accounts.vouch(made, Profile()))[0].user_id
            account = await process.accounts.register(made, SALT)
            assert account is not None
            return account.user_id

        taken = await asyncio.gather(one(node, sources[0]), one(other, sources[1]))
        assert sorted(taken) == candidates[:2]


async def test_many_ids_at_once_are_all_different(node: Node, other: Node) -> None:
    pool = [str(20_000_000 + number) for number in range(100)]
    ids = drawn(*pool)
    drawing = [(node, other)[turn % 2].rooms.generate("default", "10000001", ids) for turn in range(80)]
    assert len(set(await asyncio.gather(*drawing))) == 80


async def test_tenants_draw_from_ids_of_their_own(node: Node) -> None:
    await node.register("ann", ids=drawn("10000001"))
    assert await node.rooms.generate("acme", "acme-10000001", drawn("10000001")) == "10000001"
    assert (await node.register("ann", Tenant(name="beta"), drawn("10000001"))).user_id == "10000001"


async def test_a_generated_id_is_no_room_until_it_opens(node: Node, other: Node) -> None:
    ann, ben = await node.caller("ann"), await node.caller("ben")
    room_id = await node.rooms.generate("default", ann.user_id, drawn("20000001"))
    assert await node.rooms.find("default", room_id) is None
    assert await node.inside(room_id) is None
    await other.enter(ben, room_id)
    room = await node.room(room_id)
    assert (room.owned_by, room.created_by) == (ann.user_id, ben.user_id)
