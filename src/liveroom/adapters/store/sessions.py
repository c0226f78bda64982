"""Sessions in SQL, and the log of those that ended."""

import asyncio
from collections.abc import Container, Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from liveroom.adapters.batch import Batch
from liveroom.adapters.store.dialect import among, now_ms, several, upsert
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.tables import accounts, endings, sessions
from liveroom.errors import database_away
from liveroom.model import Session, SessionStanding

# A transaction that ends a session may commit this long after it read the clock.
OVERLAP_MS = 5_000
ENDINGS_KEPT_MS = 3_600_000
# Few enough that MariaDB searches the index rather than reading the table.
PRUNE_STEP = 200
MARK_STEP = 100

_ACCOUNTS = select(accounts.c.tenant, accounts.c.user_id).where(among(accounts.c.tenant, accounts.c.user_id))
_LOCKED_ACCOUNTS = _ACCOUNTS.order_by(accounts.c.tenant, accounts.c.user_id).with_for_update()
_BY_SID = select(sessions.c.tenant, sessions.c.user_id, sessions.c.sid, sessions.c.expires_at).where(
    among(sessions.c.tenant, sessions.c.sid)
)
_LOCKED_BY_SID = _BY_SID.order_by(sessions.c.tenant, sessions.c.sid).with_for_update()
_BY_USER = (
    select(sessions.c.tenant, sessions.c.user_id, sessions.c.sid, sessions.c.used_at)
    .where(among(sessions.c.tenant, sessions.c.user_id))
    .order_by(sessions.c.tenant, sessions.c.user_id)
)
_DELETE = delete(sessions).where(among(sessions.c.tenant, sessions.c.sid))
_OF_USERS = select(sessions.c.tenant, sessions.c.user_id, sessions.c.sid, sessions.c.beats).where(
    among(sessions.c.tenant, sessions.c.user_id)
)
_BEATS = update(sessions).where(among(sessions.c.tenant, sessions.c.sid), sessions.c.beats == 0).values(beats=1)
_USED = update(sessions).where(among(sessions.c.tenant, sessions.c.sid)).values(used_at=bindparam("now"))

Key = tuple[str, str]
Opening = tuple[Session, int, int, Mapping[Key, int]]


async def end_sessions(connection: AsyncConnection, dialect: str, keys: list[Key]) -> None:
    """End these sessions, as (tenant, sid), and log it."""
    if not keys:
        return
    await connection.execute(_DELETE, {"keys": several(keys)})
    log = upsert(dialect, endings, []).values(ended_at=now_ms(dialect))
    await connection.execute(log, [{"tenant": tenant, "sid": sid} for tenant, sid in keys])


async def end_sessions_of(connection: AsyncConnection, dialect: str, users: list[Key]) -> None:
    """End all sessions of these accounts."""
    rows = await connection.execute(_BY_USER, {"keys": users})
    await end_sessions(connection, dialect, [(row.tenant, row.sid) for row in rows])


class SqlSessions:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened = database.grouped(self._open)
        self._prolonged = database.grouped(self._prolong)
        self._ended = database.grouped(self._end)
        self._standings = database.looked_up(self._read_standings)
        self._of_user = Batch(self._read_of_users, most=MARK_STEP, in_flight=2, away=database_away)

    async def open(self, session: Session, now: int, most: int, used: Mapping[Key, int] | None = None) -> bool:
        return await self._opened((session, now, most, {} if used is None else used))

    async def prolong(self, session: Session, now: int) -> SessionStanding:
        return await self._prolonged((session, now))

    async def mark_used(self, keys: Sequence[Key], now: int) -> None:
        for at in range(0, len(keys), MARK_STEP):
            await self._mark({"keys": several(keys[at : at + MARK_STEP]), "now": now})

    async def standing(self, tenant: str, user_id: str, sid: str) -> SessionStanding:
        return await self._standings((tenant, user_id, sid))

    async def end(self, tenant: str, user_id: str, sid: str) -> None:
        await self._ended((tenant, user_id, sid))

    async def ended_since(self, cursor: int) -> tuple[list[Key], int]:
        now = now_ms(self._database.dialect)
        if cursor == 0:
            return [], (await self._database.read(select(now)))[0][0]
        rows = await self._database.read(
            select(endings.c.tenant, endings.c.sid).where(endings.c.ended_at >= cursor - OVERLAP_MS)
        )
        after = await self._database.read(select(now))
        return [(row.tenant, row.sid) for row in rows], after[0][0]

    async def prune(self, now: int) -> int:
        aged = select(func.min(endings.c.ended_at))
        oldest = (await self._database.read(aged))[0][0]
        gone = await self._prune(sessions, sessions.c.expires_at < now)
        if oldest is not None:
            clock = (await self._database.read(select(now_ms(self._database.dialect))))[0][0]
            gone += await self._prune(endings, endings.c.ended_at < clock - ENDINGS_KEPT_MS)
        return gone

    async def of_users(self, users: Sequence[Key]) -> dict[Key, list[tuple[str, bool]]]:
        found = await asyncio.gather(*(self._of_user(user) for user in users))
        return dict(zip(users, found, strict=True))

    async def mark_beating(self, keys: Sequence[Key]) -> None:
        for at in range(0, len(keys), MARK_STEP):
            chosen = {"keys": several(keys[at : at + MARK_STEP])}
            await self._database.write(lambda connection: connection.execute(_BEATS, chosen))  # noqa: B023

    async def _mark(self, values: dict[str, Any]) -> None:
        await self._database.write(lambda connection: connection.execute(_USED, values))

    async def _prune(self, table: Any, aged: Any) -> int:
        keys = [
            tuple(row)
            for row in await self._database.read(select(table.c.tenant, table.c.sid).where(aged).limit(PRUNE_STEP))
        ]
        if keys:
            statement = delete(table).where(among(table.c.tenant, table.c.sid))
            await self._database.write(lambda connection: connection.execute(statement, {"keys": several(keys)}))
        return len(keys)

    async def _open(self, connection: AsyncConnection, orders: list[Opening]) -> list[bool | Exception]:
        users = sorted({(session.tenant, session.user_id) for session, *_ in orders})
        there = {tuple(row) for row in await connection.execute(_LOCKED_ACCOUNTS, {"keys": users})}
        admitted = [order for order in orders if (order[0].tenant, order[0].user_id) in there]
        if admitted:
            await connection.execute(
                sessions.insert(),
                [
                    {
                        "tenant": session.tenant,
                        "user_id": session.user_id,
                        "sid": session.sid,
                        "expires_at": session.expires_at,
                        "used_at": now,
                    }
                    for session, now, *_ in admitted
                ],
            )
            await self._end_excess(connection, admitted)
        return [(session.tenant, session.user_id) in there for session, *_ in orders]

    async def _end_excess(self, connection: AsyncConnection, opened: list[Opening]) -> None:
        """The least recently used go; never one that has just been opened for another one's sake."""
        users = {(session.tenant, session.user_id): (most, used) for session, _, most, used in opened}
        fresh = {session.sid for session, *_ in opened}
        excess: list[Key] = []
        rows = (await connection.execute(_BY_USER, {"keys": sorted(users)})).all()
        for user, of_user in groupby(rows, key=lambda row: (row.tenant, row.user_id)):
            most, used = users[user]
            ranked = sorted(of_user, key=lambda row: _recency(row, fresh, used), reverse=True)
            excess += [(row.tenant, row.sid) for row in ranked[most:]]
        await end_sessions(connection, self._database.dialect, excess)

    async def _prolong(
        self, connection: AsyncConnection, orders: list[tuple[Session, int]]
    ) -> list[SessionStanding | Exception]:
        wanted = {(session.tenant, session.user_id, session.sid): (session, now) for session, now in orders}
        keys = sorted({(tenant, sid) for tenant, _, sid in wanted})
        rows = (await connection.execute(_LOCKED_BY_SID, {"keys": keys})).all()
        found = {(row.tenant, row.user_id, row.sid): row.expires_at for row in rows}
        live = {key: wanted[key] for key, until in found.items() if key in wanted and until > wanted[key][1]}
        if live:
            values = [
                {"tenant": tenant, "user_id": user_id, "sid": sid, "expires_at": session.expires_at, "used_at": now}
                for (tenant, user_id, sid), (session, now) in live.items()
            ]
            columns = ("expires_at", "used_at")
            await connection.execute(upsert(self._database.dialect, sessions, columns), values)
        gone = [(tenant, user_id) for tenant, user_id, sid in wanted if (tenant, user_id, sid) not in live]
        there = set()
        if gone:
            there = {tuple(row) for row in await connection.execute(_ACCOUNTS, {"keys": gone})}
        return [_standing((session.tenant, session.user_id, session.sid), live, there) for session, _ in orders]

    async def _end(self, connection: AsyncConnection, orders: list[tuple[str, str, str]]) -> list[Exception | None]:
        keys = sorted({(tenant, sid) for tenant, _, sid in orders})
        rows = (await connection.execute(_LOCKED_BY_SID, {"keys": keys})).all()
        asked = set(orders)
        ended = [(row.tenant, row.sid) for row in rows if (row.tenant, row.user_id, row.sid) in asked]
        await end_sessions(connection, self._database.dialect, ended)
        return [None] * len(orders)

    async def _read_of_users(self, users: list[Key]) -> list[list[tuple[str, bool]] | Exception]:
        found: dict[Key, list[tuple[str, bool]]] = {user: [] for user in users}
        for tenant, user_id, sid, beats in await self._database.read(_OF_USERS, {"keys": list(found)}):
            found[tenant, user_id].append((sid, bool(beats)))
        return [found[user] for user in users]

    async def _read_standings(self, orders: list[tuple[str, str, str]]) -> list[SessionStanding | Exception]:
        keys = list({(tenant, sid) for tenant, _, sid in orders})
        live = {tuple(row)[:3] for row in await self._database.read(_BY_SID, {"keys": keys})}
        gone = [(tenant, user_id) for tenant, user_id, sid in orders if (tenant, user_id, sid) not in live]
        there = set()
        if gone:
            there = {tuple(row) for row in await self._database.read(_ACCOUNTS, {"keys": gone})}
        return [_standing(order, live, there) for order in orders]


def _recency(row: Any, fresh: Container[str], used: Mapping[Key, int]) -> tuple[bool, int, bool, str]:
    """What sorts sessions by their last use; one that is known to be in use wins a tie."""
    key = (row.tenant, row.sid)
    return row.sid in fresh, max(row.used_at, used.get(key, 0)), key in used, row.sid


def _standing(
    session: tuple[str, str, str], live: Container[tuple[Any, ...]], there: set[tuple[Any, ...]]
) -> SessionStanding:
    if session in live:
        return SessionStanding.LIVE
    return SessionStanding.ENDED if session[:2] in there else SessionStanding.NO_ACCOUNT
