"""The outbox in SQL: what happened, written with what made it so."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from liveroom.adapters.store.deliveries import Listeners, mark_due
from liveroom.adapters.store.dialect import among
from liveroom.adapters.store.engine import Database, in_steps
from liveroom.adapters.store.tables import dead_letters, deliveries, events, rooms
from liveroom.events import About, Event, encoded, kind_of
from liveroom.ports.outbox import HINT_BITS, Ear, Log, Told, position_of

PRUNE_STEP = 200
STEP = 100

_TOLD = [events.c[name] for name in Told.__struct_fields__]
_KEY = (events.c.tenant, events.c.about, events.c.subject, events.c.position)
_LOG = (
    events.c.tenant == bindparam("tenant"),
    events.c.about == bindparam("about"),
    events.c.subject == bindparam("subject"),
)
_AFTER = (
    select(*_TOLD)
    .where(*_LOG, events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("most"))
)
_VERSIONS = select(rooms.c.tenant, rooms.c.room_id, rooms.c.position).where(among(rooms.c.tenant, rooms.c.room_id))
_AGED = (
    select(*_KEY, events.c.at)
    .where(events.c.at >= bindparam("since"), events.c.at < bindparam("before"))
    .order_by(events.c.at)
    .limit(bindparam("most"))
)
_DELETE = delete(events).where(among(*_KEY))
_HELD = [
    select(table.c.tenant, table.c.about, table.c.subject).where(among(table.c.tenant, table.c.about, table.c.subject))
    for table in (deliveries, dead_letters)
]


def nobody(_: Sequence[Told]) -> None:
    """An ear that hears nothing."""


class Outbox:
    """Writes events into the logs within a change's transaction; `hear` is told what has committed."""

    def __init__(self, dialect: str, listeners: Mapping[str, Listeners] | None = None, hear: Ear = nobody) -> None:
        self._dialect = dialect
        self._listeners = listeners or {}
        self.hear = hear

    async def write(self, connection: AsyncConnection, told: Sequence[Told]) -> None:
        """These happened; whoever listens will be told."""
        if not told:
            return
        await connection.execute(events.insert(), [_row(one) for one in told])
        await mark_due(connection, self._dialect, self._listeners, told)


def next_position(before: int, event: Event) -> int:
    """Where this event stands in a log that ends at `before`."""
    if event.numbered:
        return position_of((before >> HINT_BITS) + 1)
    return before + 1


def written(event: Event, subject: str, position: int, at: int) -> Told:
    """The event as it goes into the log, with everything in it."""
    about = event.about
    key = f"{event.tenant}/{about}/{subject}/{position}/{at}"
    # Standard Webhooks signs `id.timestamp.body`, so an id has no full stop.
    event_id = "evt_" + hashlib.sha256(key.encode()).hexdigest()[:32]
    facts = {name: getattr(event, name) for name in event.__struct_fields__}
    facts |= {"id": event_id, "version": position >> HINT_BITS, "at": at}
    return Told(event.tenant, about, subject, position, kind_of(event), at, encoded(type(event)(**facts)))


class SqlOutbox:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = 0

    async def after(self, log: Log, position: int, most: int) -> list[Told]:
        tenant, about, subject = log
        values = {"tenant": tenant, "about": about.value, "subject": subject, "after": position, "most": most}
        return [_told(row) for row in await self._database.read(_AFTER, values)]

    async def versions(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for at in range(0, len(keys), STEP):
            for tenant, room_id, position in await self._database.read(_VERSIONS, {"keys": keys[at : at + STEP]}):
                found[tenant, room_id] = position >> HINT_BITS
        return found

    async def prune(self, before: int) -> int:
        """From where the last step ended, so that what is held back is not read again and again."""
        while True:
            values = {"since": self._seen, "before": before, "most": PRUNE_STEP}
            page = await self._database.read(_AGED, values)
            if not page:
                self._seen = 0
                return 0
            held = await self._held(sorted({tuple(row)[:3] for row in page}))
            free = sorted(tuple(row)[:4] for row in page if tuple(row)[:3] not in held)
            if free:
                await self._database.write(lambda connection: in_steps(connection, _DELETE, free))  # noqa: B023
                return len(free)
            self._seen = max(page[-1].at, self._seen + 1)

    async def _held(self, logs: list[Any]) -> set[Any]:
        held: set[Any] = set()
        for statement in _HELD:
            for at in range(0, len(logs), STEP):
                rows = await self._database.read(statement, {"keys": logs[at : at + STEP]})
                held |= {tuple(row) for row in rows}
        return held


def _row(told: Told) -> dict[str, Any]:
    row = {name: getattr(told, name) for name in Told.__struct_fields__}
    return row | {"about": told.about.value}


def _told(row: Any) -> Told:
    tenant, about, subject, position, kind, at, body = row
    return Told(tenant, About(about), subject, position, kind, at, bytes(body))
