"""Whether a tenant's rooms are what their rows say, and who ever entered them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from sqlalchemy import select

from contract.nodes import Node, query
from liveroom.adapters.store.rooms import SqlRooms
from liveroom.adapters.store.tables import accounts, members, rooms
from liveroom.model import Member, Room, Tenant
from liveroom.ports.rooms import Change, RoomOrder, RoomRows

Entries = set[tuple[str, int, str]]


class Witness:
    """A room store that keeps, of every committed order, who entered which opening of which room."""

    def __init__(self, inner: SqlRooms, entries: Entries) -> None:
        self._inner = inner
        self._entries = entries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def change(self, order: RoomOrder) -> Any:
        def rule(rows: RoomRows) -> Change:
            change = order.rule(rows)
            return replace(change, outcome=(change.outcome, change.members))

        outcome, changed = await self._inner.change(replace(order, rule=rule))
        self._entries |= {_entry(member) for member in changed if member.place is not None}
        return outcome


def _entry(member: Member) -> tuple[str, int, str]:
    return member.room_id, member.opening, member.user_id


async def assert_exact(node: Node, tenant: Tenant, entries: Entries | None = None) -> None:
    """Every counter and every visibility of the tenant follows from the rows; `entries`, if given, too."""
    users = {row.user_id for row in await node.rows(select(accounts.c.user_id).where(accounts.c.tenant == tenant.name))}
    rows = await node.rows(select(members).where(members.c.tenant == tenant.name))
    assert {row.user_id for row in rows} <= users, "a deleted account left member rows"
    visible = {room.room_id for room in await node.rooms.page(query(tenant))}
    inside_of: dict[str, list[str]] = {}
    columns = [rooms.c[name] for name in Room.__struct_fields__]
    for row in await node.rows(select(*columns).where(rooms.c.tenant == tenant.name)):
        room = Room(*row)
        entered = [row for row in rows if (row.room_id, row.opening) == (room.room_id, room.opening)]
        inside = sorted((row for row in entered if row.place is not None), key=lambda row: row.place)
        assert await node.inside(room.room_id, tenant) == ([row.user_id for row in inside] if room.open else None)
        assert (room.room_id in visible) == _shows(room, inside, tenant)
        if not room.open:
            assert (room.inside, room.joined, room.anchors_online, room.owner_online) == (0, 0, 0, 0)
            continue
        assert room.owned_by in users, "a room outlived its owner's account"
        _assert_counted(room, inside, tenant)
        assert len({row.place for row in inside}) == len(inside), "two members share a place"
        assert room.joined >= len(entered)
        if entries is not None:
            ever = {user for room_id, opening, user in entries if (room_id, opening) == (room.room_id, room.opening)}
            assert room.joined == len(ever)
            assert room.owner_seen == (room.owned_by in ever)
            assert {row.user_id for row in entered} == ever & users
        for member in inside:
            inside_of.setdefault(member.user_id, []).append(room.room_id)
    if tenant.exclusive_rooms != "off":
        assert all(len(room_ids) == 1 for room_ids in inside_of.values()), f"in two rooms: {inside_of}"


def _assert_counted(room: Room, inside: list[Any], tenant: Tenant) -> None:
    anchors = [row for row in inside if row.role in tenant.anchor_roles and row.user_id != room.owned_by]
    assert all(row.anchor == (row.role in tenant.anchor_roles) for row in inside)
    assert room.inside == len(inside)
    assert room.anchors_online == len(anchors)
    assert room.owner_online == (room.owned_by in {row.user_id for row in inside})
    assert max((row.place for row in inside), default=0) <= room.places


def _shows(room: Room, inside: list[Any], tenant: Tenant) -> bool:
    """Visible while its owner is inside, or an anchor once the owner has been."""
    owner = any(row.user_id == room.owned_by for row in inside)
    anchor = any(row.role in tenant.anchor_roles and row.user_id != room.owned_by for row in inside)
    return room.open and bool(owner or (anchor and room.owner_seen))
