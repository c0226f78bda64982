"""Deliveries in SQL: how far each listener has got in each log."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import bindparam, case, delete, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from liveroom.adapters.store.dialect import among, several, upsert
from liveroom.adapters.store.engine import Database, in_steps
from liveroom.adapters.store.tables import dead_letters, deliveries
from liveroom.events import About
from liveroom.ports.deliveries import Backlog, DeadLetter, Delivery
from liveroom.ports.outbox import Told

PRUNE_STEP = 200

_DELIVERY = [deliveries.c[name] for name in Delivery.__struct_fields__]
_KEY = (deliveries.c.tenant, deliveries.c.listener, deliveries.c.about, deliveries.c.subject)
_LETTER = [dead_letters.c[name] for name in DeadLetter.__struct_fields__]
_LETTER_KEY = tuple(column for column in _LETTER if column.primary_key)
_OF_LISTENER = (deliveries.c.tenant == bindparam("tenant"), deliveries.c.listener == bindparam("listener"))
_DUE = (
    select(*_KEY)
    .where(*_OF_LISTENER, deliveries.c.due_at <= bindparam("now"), deliveries.c.taken_until <= bindparam("now"))
    .order_by(deliveries.c.due_at)
    .limit(bindparam("most"))
)
_LOCKED = select(*_DELIVERY).where(among(*_KEY)).order_by(*_KEY).with_for_update()
_TAKE = update(deliveries).where(among(*_KEY)).values(taken_until=bindparam("until"))
_DELETE = delete(deliveries).where(among(*_KEY))
_RELEASE = update(deliveries).where(among(*_KEY))
_TOLD = _RELEASE.values(position=bindparam("upto"), due_at=bindparam("due"), tries=0, failing_since=0, taken_until=0)
_PUT_OFF = _RELEASE.values(
    due_at=bindparam("due"),
    tries=deliveries.c.tries + literal_column("1"),
    failing_since=bindparam("since"),
    taken_until=0,
)
_HURRY = (
    update(deliveries)
    .where(
        deliveries.c.tenant == bindparam("of_tenant"),
        deliveries.c.listener == bindparam("of_listener"),
        deliveries.c.due_at > bindparam("now"),
    )
    .values(due_at=bindparam("now"))
)
_DEAD = (
    select(*_LETTER)
    .where(dead_letters.c.tenant == bindparam("tenant"), dead_letters.c.listener == bindparam("listener"))
    .order_by(dead_letters.c.died_at)
    .limit(bindparam("most"))
)
_DELETE_LETTERS = delete(dead_letters).where(among(*_LETTER_KEY))
_OLD_LETTERS = select(*_LETTER_KEY).where(dead_letters.c.died_at < bindparam("before")).limit(PRUNE_STEP)
_BACKLOGS = select(
    deliveries.c.tenant,
    deliveries.c.listener,
    func.count(),
    func.count(case((deliveries.c.failing_since > 0, 1))),
    func.min(case((deliveries.c.failing_since > 0, deliveries.c.failing_since))),
).group_by(deliveries.c.tenant, deliveries.c.listener)
_DEAD_COUNTS = select(dead_letters.c.tenant, dead_letters.c.listener, func.count()).group_by(
    dead_letters.c.tenant, dead_letters.c.listener
)


Key = tuple[str, str, str, str]
_FRESH = {"tries": 0, "failing_since": 0, "taken_until": 0}


class Listener(Struct, frozen=True):
    """Somebody who is told of events, `delay_ms` after the first that waits; `kinds` empty: of all."""

    name: str
    kinds: frozenset[str] = frozenset()
    delay_ms: int = 0


Listeners = Sequence[Listener]


async def mark_due(
    connection: AsyncConnection, dialect: str, listeners: Mapping[str, Listeners], told: Sequence[Told]
) -> None:
    """Within a change's transaction: whoever wants to be told of this is owed it."""
    owed: dict[Key, dict[str, Any]] = {}
    for one in told:
        for listener in listeners.get(one.tenant, ()):
            if listener.kinds and one.kind not in listener.kinds:
                continue
            key = (one.tenant, listener.name, one.about.value, one.subject)
            # Of a log that waits already, what has been told stays as it is.
            due_at = one.at + listener.delay_ms
            row = owed.setdefault(key, _row(key) | {"position": one.position - 1, "due_at": due_at})
            row["mark"] = one.position
    if owed:
        rows = [owed[key] for key in sorted(owed)]
        await connection.execute(upsert(dialect, deliveries, ("mark",)), rows)


class SqlDeliveries:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._told = database.grouped(self._note_told)

    async def take(self, tenant: str, listener: str, now: int, until: int, most: int) -> list[Delivery]:
        values = {"tenant": tenant, "listener": listener, "now": now, "most": most}
        # Read without a lock, then locked in order of the keys: as whoever owes them does.
        keys = sorted(tuple(row) for row in await self._database.read(_DUE, values))
        if not keys:
            return []

        async def take(connection: AsyncConnection) -> list[Delivery]:
            rows = [row for row in await in_steps(connection, _LOCKED, keys) if row.taken_until <= now]
            await in_steps(connection, _TAKE, [tuple(row)[:4] for row in rows], {"until": until})
            return [_delivery(row, until) for row in rows]

        return await self._database.write(take)

    async def told(self, delivery: Delivery, position: int, due_at: int) -> None:
        await self._told((delivery, position, due_at))

    async def put_off(self, delivery: Delivery, now: int, due_at: int) -> None:
        async def release(connection: AsyncConnection) -> None:
            if await self._still_taken(connection, delivery):
                values = {"due": due_at, "since": delivery.failing_since or now}
                await in_steps(connection, _PUT_OFF, [_key(delivery)], values)

        await self._database.write(release)

    async def bury(self, delivery: Delivery, now: int, reason: str) -> None:
        letter = _row(_key(delivery)) | {"first": delivery.position, "last": delivery.mark}
        letter |= {"died_at": now, "reason": reason[:200]}

        async def bury(connection: AsyncConnection) -> None:
            row = await self._still_taken(connection, delivery)
            if row is None:
                return
            await connection.execute(
                upsert(self._database.dialect, dead_letters, ("last", "died_at", "reason")), [letter]
            )
            await self._go_on(connection, delivery, row, delivery.mark, now)

        await self._database.write(bury)

    async def hurry(self, tenant: str, listener: str, now: int) -> None:
        values = {"of_tenant": tenant, "of_listener": listener, "now": now}
        await self._database.write(lambda connection: connection.execute(_HURRY, values))

    async def dead(self, tenant: str, listener: str, most: int) -> list[DeadLetter]:
        rows = await self._database.read(_DEAD, {"tenant": tenant, "listener": listener, "most": most})
        return [_letter(row) for row in rows]

    async def revive(self, letters: Sequence[DeadLetter], now: int) -> None:
        wanted: dict[Key, tuple[int, int]] = {}
        for one in letters:
            first, last = wanted.get(_key(one), (one.first, one.last))
            wanted[_key(one)] = (min(first, one.first), max(last, one.last))

        async def revive(connection: AsyncConnection) -> None:
            waiting = {tuple(row)[:4]: row for row in await in_steps(connection, _LOCKED, sorted(wanted))}
            rows = [_revived(key, *wanted[key], waiting.get(key)) | {"due_at": now} for key in sorted(wanted)]
            columns = ("position", "mark", "due_at", *_FRESH)
            await connection.execute(upsert(self._database.dialect, deliveries, columns), rows)
            await in_steps(connection, _DELETE_LETTERS, sorted((*_key(one), one.first) for one in letters))

        if wanted:
            await self._database.write(revive)

    async def backlogs(self) -> Mapping[tuple[str, str], Backlog]:
        dead = {(tenant, name): number for tenant, name, number in await self._database.read(_DEAD_COUNTS)}
        waiting = {(tenant, name): counts for tenant, name, *counts in await self._database.read(_BACKLOGS)}
        found = {}
        for key in sorted(dead.keys() | waiting.keys()):
            number, failing, since = waiting.get(key, (0, 0, None))
            found[key] = Backlog(number, failing, since or 0, dead.get(key, 0))
        return found

    async def prune(self, before: int) -> int:
        keys = [tuple(row) for row in await self._database.read(_OLD_LETTERS, {"before": before})]
        if keys:
            await self._database.write(lambda connection: in_steps(connection, _DELETE_LETTERS, sorted(keys)))
        return len(keys)

    async def _note_told(self, connection: AsyncConnection, orders: list[tuple[Delivery, int, int]]) -> list[Any]:
        rows = await in_steps(connection, _LOCKED, sorted(_key(delivery) for delivery, _, _ in orders))
        found = {tuple(row)[:4]: row for row in rows}
        for delivery, position, due_at in orders:
            row = found.get(_key(delivery))
            if row is not None and row.taken_until == delivery.taken_until:
                await self._go_on(connection, delivery, row, position, due_at)
        return [None] * len(orders)

    async def _go_on(
        self, connection: AsyncConnection, delivery: Delivery, row: Any, position: int, due_at: int
    ) -> None:
        if row.mark <= position:
            await connection.execute(_DELETE, {"keys": several([_key(delivery)])})
        else:
            values = {"keys": several([_key(delivery)]), "upto": position, "due": due_at}
            await connection.execute(_TOLD, values)

    async def _still_taken(self, connection: AsyncConnection, delivery: Delivery) -> Any:
        """The row, unless whoever had it was away for longer than it had it to itself."""
        row = (await in_steps(connection, _LOCKED, [_key(delivery)]) or [None])[0]
        return row if row is not None and row.taken_until == delivery.taken_until else None


def _revived(key: Key, first: int, last: int, waiting: Any) -> dict[str, Any]:
    """What is owed again, together with what is owed anyway."""
    if waiting is not None:
        first, last = min(first, waiting.position), max(last, waiting.mark)
    return _row(key) | {"position": first, "mark": last} | _FRESH


def _key(delivery: Delivery | DeadLetter) -> Key:
    return (delivery.tenant, delivery.listener, delivery.about.value, delivery.subject)


def _row(key: Key) -> dict[str, Any]:
    return dict(zip(("tenant", "listener", "about", "subject"), key, strict=True))


def _delivery(row: Any, taken_until: int) -> Delivery:
    tenant, listener, about, subject, position, mark, tries, failing_since, _ = row
    return Delivery(tenant, listener, About(about), subject, position, mark, tries, failing_since, taken_until)


def _letter(row: Any) -> DeadLetter:
    tenant, listener, about, *rest = row
    return DeadLetter(tenant, listener, About(about), *rest)
