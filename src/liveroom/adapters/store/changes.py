"""Changes of rooms and members: group commit, decided by rules under lock."""

from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from liveroom.adapters.batch import Batch
from liveroom.adapters.store.accounts import delete_accounts, lock_accounts
from liveroom.adapters.store.dialect import among, upsert
from liveroom.adapters.store.engine import Database, in_steps
from liveroom.adapters.store.errands import leave_errands
from liveroom.adapters.store.locked import Key, LockedAccount, LockedRows, member_key
from liveroom.adapters.store.outbox import Outbox
from liveroom.adapters.store.tables import finished, ids, members, rooms
from liveroom.model import Member, Room, RoomState
from liveroom.ports.back_ends import Clock
from liveroom.ports.errands import ErrandKind
from liveroom.ports.outbox import Told
from liveroom.ports.rooms import RoomOrder

_ROOM = [rooms.c[name] for name in Room.__struct_fields__]
_MEMBER = [members.c[name] for name in Member.__struct_fields__]
_ROOM_KEY = ("tenant", "room_id")
_OF_MEMBER = tuple(column.name for column in _MEMBER if not column.primary_key)
_LOCKED = (
    select(*_ROOM)
    .where(among(rooms.c.tenant, rooms.c.room_id))
    .order_by(rooms.c.tenant, rooms.c.room_id)
    .with_for_update()
)
_MEMBERS = select(*_MEMBER).where(among(members.c.tenant, members.c.room_id, members.c.opening, members.c.user_id))
_DELETE_OF_USERS = delete(members).where(among(members.c.tenant, members.c.user_id))
_HEIRS = select(ids.c.tenant, ids.c.id, ids.c.kind, ids.c.user_id).where(among(ids.c.tenant, ids.c.id))
_OPEN = rooms.c.state != int(RoomState.CLOSED)
_OPEN_OF_OWNER = (
    select(rooms.c.tenant, rooms.c.owned_by, func.count())
    .where(among(rooms.c.tenant, rooms.c.owned_by), _OPEN)
    .group_by(rooms.c.tenant, rooms.c.owned_by)
)
_INSIDE = (
    select(members.c.user_id, members.c.tenant, members.c.room_id)
    .join(
        rooms,
        (rooms.c.tenant == members.c.tenant)
        & (rooms.c.room_id == members.c.room_id)
        & (rooms.c.opening == members.c.opening),
    )
    .where(among(members.c.tenant, members.c.user_id), members.c.place.is_not(None), _OPEN)
)
_OWNED = select(rooms.c.owned_by, rooms.c.tenant, rooms.c.room_id).where(among(rooms.c.tenant, rooms.c.owned_by), _OPEN)


class _Heir(Struct, frozen=True):
    """Who owns a room whenever it opens; None is whoever opens it."""

    owner: str | None


class _NotPrepared(Exception):  # noqa: N818 - a detour, not a fault
    """Rooms are to be opened whose heirs have not been read; that has to come before any lock."""

    def __init__(self, keys: set[Key]) -> None:
        super().__init__()
        self.keys = keys


_Order = tuple[RoomOrder, _Heir | None]


class _Decided(Struct, frozen=True):
    """An order's outcome, and what is told of it."""

    outcome: Any
    told: list[Told]


class RoomChanges:
    """One batch of orders in flight, in one transaction."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._dialect = database.dialect
        self._batch: Batch[RoomOrder, Any] = database.batch(self._run)

    async def commit(self, order: RoomOrder) -> Any:
        """Decide the order and write its change; answers the rule's outcome."""
        return await self._batch(order)

    async def _run(self, orders: list[RoomOrder]) -> list[Any]:
        """One batch; again, once it is known who inherits the rooms that it opens."""
        heirs: dict[Key, _Heir] = {}
        while True:
            known = [(order, heirs.get((order.tenant, order.room_id))) for order in orders]
            try:
                decided = await self._database.together(self._commit, known)
            except _NotPrepared as detour:
                wanted = sorted(detour.keys)
                heirs |= await self._database.write(lambda connection: self._prepare(connection, wanted))  # noqa: B023
            else:
                self._outbox.hear(_told(decided))
                return [one.outcome if isinstance(one, _Decided) else one for one in decided]

    async def _prepare(self, connection: AsyncConnection, wanted: list[Key]) -> dict[Key, _Heir]:
        """Make sure that the rooms' rows are there to be locked, and read who inherits them."""
        chosen = [{"tenant": tenant, "id": room_id, "kind": "room"} for tenant, room_id in wanted]
        await connection.execute(upsert(self._dialect, ids, []), chosen)
        blank = [{"tenant": tenant, "room_id": room_id} for tenant, room_id in wanted]
        await connection.execute(upsert(self._dialect, rooms, []), blank)
        rows = await in_steps(connection, _HEIRS, wanted)
        return {(row.tenant, row.id): _Heir(None if row.kind == "room" else row.user_id) for row in rows}

    async def _commit(self, connection: AsyncConnection, orders: list[_Order]) -> list[Any]:
        rows = await self._lock(connection, orders)
        at = self._clock()
        decided = [self._decide(rows, order, at) for order, _ in orders]
        await self._write(connection, rows)
        await self._outbox.write(connection, _told(decided))
        return decided

    def _decide(self, rows: LockedRows, order: RoomOrder, at: int) -> _Decided | Exception:
        """One order's outcome. A refusal, or a fault in a rule, is that order's alone."""
        key = (order.tenant, order.room_id)
        if order.enters and order.room_id and key not in rows.heirs and not rows.room(*key).open:
            raise _NotPrepared({key})
        try:
            change = order.rule(rows)
        except Exception as error:
            return error
        return _Decided(change.outcome, rows.apply(order, change, at))

    async def _lock(self, connection: AsyncConnection, orders: list[_Order]) -> LockedRows:
        """Lock users, then rooms, each in order of their keys; read what the rules may ask for."""
        rows = LockedRows()
        entering = {(order.tenant, order.user_id) for order, _ in orders if order.enters}
        heirs = {(order.tenant, order.room_id): heir.owner for order, heir in orders if heir is not None}
        owners = {(tenant, owner) for (tenant, _), owner in heirs.items() if owner is not None}
        rows.heirs = heirs
        locked = await lock_accounts(connection, entering | owners)
        rows.accounts = {(row.tenant, row.user_id): LockedAccount(*row[2:]) for row in locked}
        rows.others = await self._others(connection, [order for order, _ in orders])
        keys = {(order.tenant, order.room_id) for order, _ in orders if order.room_id}
        keys.update(*rows.others.values())
        found = await in_steps(connection, _LOCKED, sorted(keys))
        rows.rooms = {(row.tenant, row.room_id): Room(*row) for row in found}
        if heirs:
            counted = await in_steps(connection, _OPEN_OF_OWNER, sorted(entering | owners))
            rows.owned = dict.fromkeys(entering | owners, 0)
            rows.owned |= {(tenant, owner): number for tenant, owner, number in counted}
        await self._read_concerned(connection, rows, [order for order, _ in orders])
        unknown = {(order.tenant, order.room_id) for order, _ in orders if order.enters and order.room_id} - set(heirs)
        if closed := {key for key in unknown if not rows.room(*key).open}:
            raise _NotPrepared(closed)
        return rows

    async def _others(self, connection: AsyncConnection, orders: list[RoomOrder]) -> dict[Key, set[Key]]:
        others: dict[Key, set[Key]] = {}
        inside = sorted({(order.tenant, order.user_id) for order in orders if order.others != "none"})
        owned = sorted({(order.tenant, order.user_id) for order in orders if order.others == "owned too"})
        for statement, users in ((_INSIDE, inside), (_OWNED, owned)):
            for user_id, tenant, room_id in await in_steps(connection, statement, users):
                others.setdefault((tenant, user_id), set()).add((tenant, room_id))
        return others

    async def _read_concerned(self, connection: AsyncConnection, rows: LockedRows, orders: list[RoomOrder]) -> None:
        keys = set()
        for order in orders:
            concerned = rows.others.get((order.tenant, order.user_id), set()) | {(order.tenant, order.room_id)}
            for key in concerned:
                room = rows.rooms.get(key)
                if room is not None and room.open:
                    keys.add(member_key(room, order.user_id))
        found = await in_steps(connection, _MEMBERS, sorted(keys))
        rows.members = {tuple(row)[:4]: Member(*row) for row in found}

    async def _write(self, connection: AsyncConnection, rows: LockedRows) -> None:
        changed = rows.changed_rooms()
        if changed:
            columns = _differing(changed)
            values = [{name: getattr(after, name) for name in (*_ROOM_KEY, *columns)} for _, after in changed]
            await connection.execute(_upsert_rooms(self._dialect, columns), values)
        if over := _finished(changed):
            await connection.execute(upsert(self._dialect, finished, []), over)
        await leave_errands(connection, self._dialect, ErrandKind.GROUP, _turned(changed))
        if entered := rows.changed_members():
            values = [{column.name: getattr(member, column.name) for column in _MEMBER} for member in entered]
            await connection.execute(upsert(self._dialect, members, _OF_MEMBER), values)
        if rows.deleted:
            await delete_accounts(connection, self._dialect, rows.deleted)
            await in_steps(connection, _DELETE_OF_USERS, rows.deleted)


def _told(decided: list[Any]) -> list[Told]:
    return [told for one in decided if isinstance(one, _Decided) for told in one.told]


@cache
def _upsert_rooms(dialect: str, columns: tuple[str, ...]) -> Insert:
    return upsert(dialect, rooms, columns)


def _differing(pairs: list[tuple[Room, Room]]) -> tuple[str, ...]:
    """The columns in which any of the rooms changed; the others need not travel."""
    return tuple(
        name
        for name in Room.__struct_fields__
        if any(getattr(before, name) != getattr(after, name) for before, after in pairs)
    )


def _turned(pairs: list[tuple[Room, Room]]) -> list[Key]:
    """The rooms that opened or closed; one that did both has a group to be made, of another opening."""
    return [
        (after.tenant, after.room_id)
        for before, after in pairs
        if (before.open, before.opening) != (after.open, after.opening)
    ]


def _finished(pairs: list[tuple[Room, Room]]) -> list[dict[str, Any]]:
    """The openings that ended; within one batch a room may have closed and opened several times."""
    return [
        {"tenant": after.tenant, "room_id": after.room_id, "opening": opening}
        for before, after in pairs
        for opening in range(before.opening + (not before.open), after.opening + (not after.open))
    ]
