"""Rooms and members in SQL: look-ups, pages, ids, and what is left of past openings."""

from typing import Any

from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from liveroom.adapters.batch import each
from liveroom.adapters.store.accounts import claim_id
from liveroom.adapters.store.changes import RoomChanges
from liveroom.adapters.store.dialect import among
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.locked import Key
from liveroom.adapters.store.outbox import Outbox
from liveroom.adapters.store.tables import accounts, finished, members, rooms
from liveroom.model import MemberProfile, Room, RoomQuery, RoomState
from liveroom.ports.back_ends import Clock, IdSource
from liveroom.ports.rooms import RoomOrder

# Few enough that MariaDB searches the index rather than reading the table.
PRUNE_STEP = 200

_ROOM = [rooms.c[name] for name in Room.__struct_fields__]
_BY_ID = select(*_ROOM).where(among(rooms.c.tenant, rooms.c.room_id))
_FINISHED = select(finished.c.tenant, finished.c.room_id, finished.c.opening).limit(1)
_OF_OPENING = (
    members.c.tenant == bindparam("tenant"),
    members.c.room_id == bindparam("room_id"),
    members.c.opening == bindparam("opening"),
)
_SOME_OF_OPENING = select(members.c.user_id).where(*_OF_OPENING).limit(PRUNE_STEP)
_DELETE_SOME = delete(members).where(*_OF_OPENING, members.c.user_id.in_(bindparam("keys", expanding=True)))
_DELETE_FINISHED = delete(finished).where(
    finished.c.tenant == bindparam("tenant"),
    finished.c.room_id == bindparam("room_id"),
    finished.c.opening == bindparam("opening"),
)
_PAGE_OF_MEMBERS = (
    select(members.c.user_id, accounts.c.name, accounts.c.avatar, members.c.role, members.c.offline_since)
    .join(
        accounts,
        (accounts.c.tenant == members.c.tenant) & (accounts.c.user_id == members.c.user_id),
        isouter=True,
    )
    .where(*_OF_OPENING, members.c.place.is_not(None))
    .order_by(members.c.place)
    .limit(bindparam("most"))
    .offset(bindparam("skip"))
)
_SNAPSHOT = (
    select(*_ROOM, members.c.user_id, accounts.c.name, accounts.c.avatar, members.c.role, members.c.offline_since)
    .join(
        members,
        (members.c.tenant == rooms.c.tenant)
        & (members.c.room_id == rooms.c.room_id)
        & (members.c.opening == rooms.c.opening)
        & members.c.place.is_not(None),
        isouter=True,
    )
    .join(
        accounts,
        (accounts.c.tenant == members.c.tenant) & (accounts.c.user_id == members.c.user_id),
        isouter=True,
    )
    .where(
        rooms.c.tenant == bindparam("tenant"),
        rooms.c.room_id == bindparam("room_id"),
        rooms.c.state != int(RoomState.CLOSED),
    )
    .order_by(members.c.place)
    .limit(bindparam("most"))
)


class SqlRooms:
    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._changes = RoomChanges(database, outbox, clock)
        self._generated = database.grouped(self._generate)
        self._found = database.looked_up(self._find)
        self._pages = database.looked_up(each(self._read_page))
        self._snapshots = database.looked_up(each(self._read_snapshot))
        self._members = database.looked_up(each(self._read_members), lanes=4)

    async def change(self, order: RoomOrder) -> Any:
        return await self._changes.commit(order)

    async def find(self, tenant: str, room_id: str) -> Room | None:
        return await self._found((tenant, room_id))

    async def page(self, query: RoomQuery) -> list[Room]:
        return await self._pages(query)

    async def members(self, tenant: str, room_id: str, offset: int, limit: int) -> list[MemberProfile] | None:
        room = await self.find(tenant, room_id)
        if room is None or not room.open:
            return None
        return await self._members((tenant, room_id, room.opening, offset, limit))

    async def snapshot(self, tenant: str, room_id: str, most: int) -> tuple[Room, list[MemberProfile]] | None:
        return await self._snapshots((tenant, room_id, most))

    async def generate(self, tenant: str, user_id: str, ids: IdSource) -> str:
        return await self._generated((tenant, user_id, ids))

    async def prune(self) -> int:
        over = await self._database.read(_FINISHED)
        if not over:
            return 0
        opening = dict(zip(("tenant", "room_id", "opening"), over[0], strict=True))
        users = [row.user_id for row in await self._database.read(_SOME_OF_OPENING, opening)]

        async def delete_step(connection: AsyncConnection) -> None:
            if users:
                await connection.execute(_DELETE_SOME, opening | {"keys": users})
            if len(users) < PRUNE_STEP:
                await connection.execute(_DELETE_FINISHED, opening)

        await self._database.write(delete_step)
        return len(users) + 1

    async def _generate(
        self, connection: AsyncConnection, orders: list[tuple[str, str, IdSource]]
    ) -> list[str | Exception]:
        return [await claim_id(connection, tenant, source, "generated", user_id) for tenant, user_id, source in orders]

    async def _find(self, keys: list[Key]) -> list[Room | Exception | None]:
        found = await self._database.read(_BY_ID, {"keys": list(set(keys))})
        by_key = {(row.tenant, row.room_id): Room(*row) for row in found}
        return [by_key.get(key) for key in keys]

    async def _read_page(self, query: RoomQuery) -> list[Room]:
        return [Room(*row) for row in await self._database.read(_page(query))]

    async def _read_members(self, page: tuple[str, str, int, int, int]) -> list[MemberProfile]:
        values = dict(zip(("tenant", "room_id", "opening", "skip", "most"), page, strict=True))
        return [_profile(row) for row in await self._database.read(_PAGE_OF_MEMBERS, values)]

    async def _read_snapshot(self, asked: tuple[str, str, int]) -> tuple[Room, list[MemberProfile]] | None:
        """One statement, since two would see two moments."""
        rows = await self._database.read(_SNAPSHOT, dict(zip(("tenant", "room_id", "most"), asked, strict=True)))
        if not rows:
            return None
        inside = [tuple(row)[len(_ROOM) :] for row in rows]
        return Room(*rows[0][: len(_ROOM)]), [_profile(member) for member in inside if member[0] is not None]


def _profile(row: Any) -> MemberProfile:
    user_id, name, avatar, role, offline_since = row
    return MemberProfile(user_id, name or "", avatar or "", role, offline_since is None)


def _page(query: RoomQuery) -> Select[Any]:
    room = rooms.c
    statement = select(*_ROOM).where(room.tenant == query.tenant, room.state == int(RoomState.VISIBLE))
    if query.category is not None:
        statement = statement.where(room.category == query.category)
    if query.room_ids is not None:
        statement = statement.where(room.room_id.in_(query.room_ids))
    if query.since is not None:
        statement = statement.where(room.opened_at >= query.since)
    if query.until is not None:
        statement = statement.where(room.opened_at < query.until)
    newest = (room.opened_at.desc(), room.room_id.desc())
    order = (room.joined.desc(), *newest) if query.by_joined else newest
    return statement.order_by(*order).limit(query.limit).offset(query.offset)
