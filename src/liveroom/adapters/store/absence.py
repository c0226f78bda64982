"""Who is offline, and what is due because of it, read from SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select

from liveroom.adapters.store.dialect import among, beyond
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.tables import members, rooms
from liveroom.model import RoomState
from liveroom.ports.absence import Leaver, Sides, User

# What MariaDB searches an index for at a cost that grows with the number, not with its square.
STEP = 100

_OPEN = rooms.c.state != int(RoomState.CLOSED)
_OF_ROOM = (
    (rooms.c.tenant == members.c.tenant)
    & (rooms.c.room_id == members.c.room_id)
    & (rooms.c.opening == members.c.opening)
)
_INSIDE = members.c.place.is_not(None)
# How many of a user's rows say so.
_ONLINE = func.count() - func.count(members.c.offline_since)
_OFFLINE = func.count(members.c.offline_since)
_USER = (members.c.tenant, members.c.user_id)
_TENANTS: BindParameter[Any] = bindparam("tenants", expanding=True)
_MEMBERSHIPS = (
    select(*_USER, members.c.room_id, members.c.offline_since)
    .join(rooms, _OF_ROOM)
    .where(among(*_USER), _INSIDE, _OPEN)
)
_DUE_TO_LEAVE = (
    select(members.c.tenant, members.c.room_id, members.c.opening, members.c.user_id)
    .join(rooms, _OF_ROOM)
    .where(members.c.leave_at <= bindparam("at"), members.c.tenant.in_(_TENANTS), _OPEN)
    .order_by(members.c.leave_at)
    .limit(bindparam("most"))
)
_DUE_TO_CLOSE = (
    select(rooms.c.tenant, rooms.c.room_id)
    .where(rooms.c.close_at <= bindparam("at"), rooms.c.tenant.in_(_TENANTS))
    .order_by(rooms.c.close_at)
    .limit(bindparam("most"))
)


_INSIDE_AFTER = (
    select(*_USER, _ONLINE, _OFFLINE)
    .where(beyond(*_USER), _INSIDE)
    .group_by(*_USER)
    .order_by(*_USER)
    .limit(bindparam("most"))
)
_OPEN_AFTER = (
    select(rooms.c.tenant, rooms.c.room_id)
    .where(beyond(rooms.c.tenant, rooms.c.room_id), _OPEN)
    .order_by(rooms.c.tenant, rooms.c.room_id)
    .limit(bindparam("most"))
)
_ENTERED_UNTIL = (
    select(members.c.user_id)
    .join(rooms, _OF_ROOM)
    .where(
        members.c.tenant == bindparam("tenant"),
        members.c.room_id == bindparam("room_id"),
        _INSIDE,
        _OPEN,
        members.c.entered_at <= bindparam("at"),
        members.c.user_id != bindparam("without"),
    )
    .limit(bindparam("most"))
)


class SqlAbsence:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def inside(self, users: Sequence[User]) -> dict[User, list[tuple[str, bool]]]:
        found: dict[User, list[tuple[str, bool]]] = {}
        for at in range(0, len(users), STEP):
            rows = await self._database.read(_MEMBERSHIPS, {"keys": list(users[at : at + STEP])})
            for tenant, user_id, room_id, offline_since in rows:
                found.setdefault((tenant, user_id), []).append((room_id, offline_since is None))
        return found

    async def due_to_leave(self, tenants: Sequence[str], at: int, most: int) -> list[Leaver]:
        values = {"tenants": list(tenants), "at": at, "most": most}
        return [Leaver(*row) for row in await self._database.read(_DUE_TO_LEAVE, values)]

    async def due_to_close(self, tenants: Sequence[str], at: int, most: int) -> list[tuple[str, str]]:
        rows = await self._database.read(_DUE_TO_CLOSE, {"tenants": list(tenants), "at": at, "most": most})
        return [(tenant, room_id) for tenant, room_id in rows]

    async def inside_after(self, user: User, most: int) -> list[tuple[User, Sides]]:
        rows = await self._database.read(_INSIDE_AFTER, {"first_after": user[0], "second_after": user[1], "most": most})
        return list(map(_sides, rows))

    async def entered_until(self, tenant: str, room_id: str, at: int, most: int, without: str) -> list[str]:
        values = {"tenant": tenant, "room_id": room_id, "at": at, "most": most, "without": without}
        return [user_id for (user_id,) in await self._database.read(_ENTERED_UNTIL, values)]

    async def open_after(self, room: tuple[str, str], most: int) -> list[tuple[str, str]]:
        rows = await self._database.read(_OPEN_AFTER, {"first_after": room[0], "second_after": room[1], "most": most})
        return [(tenant, room_id) for tenant, room_id in rows]


def _sides(row: Any) -> tuple[User, Sides]:
    tenant, user_id, online, offline = row
    return (tenant, user_id), Sides(online > 0, offline > 0)
