"""Whatever crowds do on two processes, every count equals the rows it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from contract.exact import Entries, Witness, assert_exact
from contract.nodes import Node, codes, drawn
from liveroom.errors import Code
from liveroom.model import Caller, Tenant

USERS, ROOMS, NODES = 6, 4, 2
REFUSALS = {
    0,
    Code.SystemVerifyError,
    Code.UserNotExists,
    Code.UserAlreadyInRooms,
    Code.RoomNotExists,
    Code.RoomsUserExists,
}


class Act(Struct, frozen=True):
    """One call; a user's calls mostly reach the same process, so that crowds meet at the rooms' rows."""

    verb: str
    user: int
    room: int
    role: str | None
    astray: int


VERBS = ["enter"] * 6 + ["leave"] * 3 + ["destroy"] * 2 + ["update"] * 2 + ["depart"]
ACTS = st.builds(
    Act,
    st.sampled_from(VERBS),
    st.integers(0, USERS - 1),
    st.integers(0, ROOMS - 1),
    st.sampled_from([None, "anchor", "host", "audience"]),
    st.sampled_from([0, 0, 0, 1]),
)
CROWDS = st.lists(st.lists(ACTS, min_size=2, max_size=12), min_size=1, max_size=5)
TENANTS = st.builds(
    Tenant,
    exclusive_rooms=st.sampled_from(["off", "off", "reject", "move"]),
    reentry=st.sampled_from(["refresh", "refresh", "reject"]),
)


async def call(act: Act, nodes: list[Node], users: list[Caller], room_ids: list[str]) -> Any:
    node, caller, room_id = nodes[(act.user + act.astray) % NODES], users[act.user], room_ids[act.room]
    if act.verb == "enter":
        return await node.enter(caller, room_id, act.role, title=f"title of {act.user}")
    if act.verb == "update":
        return await node.update(caller, room_id, act.role)
    if act.verb == "depart":
        return await node.depart(caller)
    return await getattr(node, act.verb)(caller, room_id)


tenant_numbers = count()


@pytest.fixture
def entries() -> Entries:
    """Who entered which opening, as the processes of the test committed it."""
    return set()


@pytest.fixture
def nodes(new_node: Callable[..., Node], entries: Entries) -> list[Node]:
    return [new_node(witness=lambda rooms: Witness(rooms, entries)) for _ in range(NODES)]


@settings(
    max_examples=45,
    deadline=None,
    database=None,
    # A race seldom shows twice: an example is told as it was found.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(policies=TENANTS, crowds=CROWDS)
async def test_counts_equal_the_lists(
    nodes: list[Node], entries: Entries, policies: Tenant, crowds: list[list[Act]]
) -> None:
    """Each example is a tenant of its own; its crowds act one after another, a crowd all at once."""
    entries.clear()
    tenant = replace(policies, name=f"t{next(tenant_numbers)}")
    users = await nodes[0].callers(USERS, tenant)
    generated = await nodes[0].rooms.generate(tenant.name, users[2].user_id, drawn("20000001"))
    room_ids = [users[0].user_id, users[1].user_id, generated, "chosen"]
    for crowd in crowds:
        wishes = [call(act, nodes, users, room_ids) for act in crowd]
        assert set(codes(await asyncio.gather(*wishes, return_exceptions=True))) <= REFUSALS
        await assert_exact(nodes[1], tenant, entries)
