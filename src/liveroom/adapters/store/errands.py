"""Errands in SQL: what may differ outside from what the tables say."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from liveroom.adapters.store.dialect import among, upsert
from liveroom.adapters.store.engine import Database, in_steps
from liveroom.adapters.store.tables import errands
from liveroom.ports.errands import Errand, ErrandKind

_ERRAND = [errands.c[name] for name in Errand.__struct_fields__]
_KEY = (errands.c.tenant, errands.c.kind, errands.c.subject)
_DUE = (
    select(*_ERRAND)
    .where(errands.c.due_at <= bindparam("now"), errands.c.taken_until <= bindparam("now"))
    .order_by(errands.c.due_at)
    .limit(bindparam("most"))
)
_ONE = select(*_ERRAND).where(among(*_KEY))
_TAKE = update(errands).where(among(*_KEY)).values(taken_until=bindparam("until"))
_LOCKED = select(*_ERRAND).where(among(*_KEY)).order_by(*_KEY).with_for_update()
_DELETE = delete(errands).where(among(*_KEY))
_RELEASE = (
    update(errands)
    .where(among(*_KEY))
    .values(taken_until=0, due_at=bindparam("due"), tries=errands.c.tries + bindparam("tried"))
)

Key = tuple[str, str, str]


async def leave_errands(
    connection: AsyncConnection, dialect: str, kind: ErrandKind, subjects: Sequence[tuple[str, str]]
) -> None:
    """Within a change's transaction: these subjects, as (tenant, id), are to be carried over, at once."""
    if subjects:
        statement = upsert(dialect, errands, ("due_at", "tries"), counted=("mark",))
        rows = [
            {"tenant": tenant, "kind": kind.value, "subject": subject, "due_at": 0, "tries": 0}
            for tenant, subject in sorted(set(subjects))
        ]
        await connection.execute(statement, rows)


class SqlErrands:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._taken = database.grouped(self._take_each)
        self._done = database.grouped(self._finish)

    async def take(self, now: int, until: int, most: int) -> list[Errand]:
        # Most of the time there is nothing, and nothing to lock.
        if not await self._database.read(_DUE, {"now": now, "most": 1}):
            return []

        async def take(connection: AsyncConnection) -> list[Errand]:
            due = (await connection.execute(_DUE.with_for_update(), {"now": now, "most": most})).all()
            await in_steps(connection, _TAKE, [tuple(row)[:3] for row in due], {"until": until})
            return [_errand(row, until) for row in due]

        return await self._database.write(take)

    async def take_one(self, tenant: str, kind: ErrandKind, subject: str, now: int, until: int) -> Errand | None:
        return await self._taken(((tenant, kind.value, subject), now, until))

    async def waiting(self, tenant: str, kind: ErrandKind, subject: str) -> bool:
        return bool(await self._database.read(_ONE, {"keys": [(tenant, kind.value, subject)]}))

    async def done(self, errand: Errand) -> bool:
        return await self._done(errand)

    async def put_off(self, errand: Errand, due_at: int) -> None:
        async def release(connection: AsyncConnection) -> None:
            row = (await in_steps(connection, _LOCKED, [_key(errand)]) or [None])[0]
            if row is not None and row.taken_until == errand.taken_until:
                # A change of ours meanwhile made it due at once; that stays so.
                same = row.mark == errand.mark
                values = {"due": due_at if same else 0, "tried": int(same)}
                await in_steps(connection, _RELEASE, [_key(errand)], values)

        await self._database.write(release)

    async def add(self, tenant: str, kind: ErrandKind, subject: str, due_at: int) -> None:
        row = {"tenant": tenant, "kind": kind.value, "subject": subject, "due_at": due_at}
        statement = upsert(self._database.dialect, errands, [])
        await self._database.write(lambda connection: connection.execute(statement, row))

    async def _take_each(
        self, connection: AsyncConnection, orders: list[tuple[Key, int, int]]
    ) -> list[Errand | Exception | None]:
        rows = await in_steps(connection, _LOCKED, sorted({key for key, _, _ in orders}))
        free = {tuple(row)[:3]: row for row in rows}
        until = max(until for _, _, until in orders)
        taken = [free.pop(key, None) for key, _, _ in orders]
        mine = [
            row if row is not None and row.taken_until <= now else None
            for row, (_, now, _) in zip(taken, orders, strict=True)
        ]
        await in_steps(connection, _TAKE, [tuple(row)[:3] for row in mine if row is not None], {"until": until})
        return [None if row is None else _errand(row, until) for row in mine]

    async def _finish(self, connection: AsyncConnection, orders: list[Errand]) -> list[bool | Exception]:
        rows = await in_steps(connection, _LOCKED, sorted(map(_key, orders)))
        found = {tuple(row)[:3]: row for row in rows}
        ours = [errand for errand in orders if _still_taken(found.get(_key(errand)), errand)]
        done = {_key(errand) for errand in ours if found[_key(errand)].mark == errand.mark}
        changed = {_key(errand) for errand in ours} - done
        await in_steps(connection, _DELETE, sorted(done))
        await in_steps(connection, _RELEASE, sorted(changed), {"due": 0, "tried": 0})
        return [_key(errand) in done for errand in orders]


def _key(errand: Errand) -> Key:
    return (errand.tenant, errand.kind.value, errand.subject)


def _still_taken(row: Any, errand: Errand) -> bool:
    """Whoever was away for longer than it had the errand to itself has it no more."""
    return row is not None and row.taken_until == errand.taken_until


def _errand(row: Any, taken_until: int) -> Errand:
    tenant, kind, subject, mark, tries, _ = row
    return Errand(tenant, ErrandKind(kind), subject, mark, tries, taken_until)
