"""Listeners for the tests of delivery: what happens, who is told of it, and what they made of it."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.store.deliveries import SqlDeliveries
from liveroom.adapters.store.outbox import Outbox, SqlOutbox, written
from liveroom.adapters.store.tables import deliveries
from liveroom.back_ends import _listeners
from liveroom.events import Event, MemberRoleChanged, RoomUpdated, UserUpdated
from liveroom.model import Tenant, Webhook
from liveroom.ports.deliveries import DeliveryStore
from liveroom.ports.messaging import Messaging
from liveroom.ports.outbox import Told, position_of
from liveroom.ports.webhooks import WebhookTrouble
from liveroom.services.delivery import DeliveryService
from liveroom.services.tenants import Tenants
from receivers import SECRET
from services.rig import Clock, Process


def tenant(*names: str, im_events: bool = False, **given: Any) -> Tenant:
    """The default tenant with these webhooks."""
    webhooks = {name: Webhook(url=f"https://{name}.example/", secret=SECRET, **given) for name in names}
    return Tenant(name="default", webhooks=webhooks, im_events=im_events)


class Ears:
    """Whoever is posted to: it notes what it takes; what it is asked before may raise trouble, or wait."""

    def __init__(self) -> None:
        self.heard: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        self.tried: dict[str, int] = defaultdict(int)
        self.at_it: dict[str, int] = defaultdict(int)
        self.most_at_it: dict[str, int] = defaultdict(int)
        self.mood: Callable[[str, Any], bool] = lambda name, body: True
        self.hanging: set[str] = set()
        self.free = asyncio.Event()

    async def post(self, listener: str, webhook: Webhook, message_id: str, at_s: int, body: bytes, /) -> int:
        name, event = listener.partition("/")[2], json.loads(body)
        self.tried[name] += 1
        self.at_it[name] += 1
        self.most_at_it[name] = max(self.most_at_it[name], self.at_it[name])
        try:
            await asyncio.sleep(0)
            if name in self.hanging:
                await self.free.wait()
        finally:
            self.at_it[name] -= 1
        if not self.mood(name, event):
            raise WebhookTrouble("HTTP status 500", 500)
        self.heard[name].append((message_id, event))
        return 200

    async def close(self) -> None:
        return

    def versions(self, name: str, subject: str = "room") -> list[int]:
        """Of the events of one room or user, in the order of their arrival."""
        events = [event for _, body in self.heard[name] for event in body.get("events", [body])]
        return [event["version"] for event in events if subject in (event["roomId"], event.get("userId"))]


class Telling:
    """What a process needs to write events and to tell them, on a process of the rig."""

    def __init__(
        self,
        process: Process,
        clock: Clock,
        ears: Ears,
        of: Tenant,
        messaging: Messaging | None = None,
        store: DeliveryStore | None = None,
    ) -> None:
        self.database = process.database
        self.clock = clock
        self.outbox = Outbox(self.database.dialect, {of.name: _listeners(of)})
        self.read = SqlOutbox(self.database)
        self.store = SqlDeliveries(self.database)
        self.messaging = messaging or EmbeddedMessaging()
        tenants = Tenants({of.name: of}, unknown_is_default=False)
        self.service = DeliveryService(
            store or self.store, self.read, ears, self.messaging, tenants, clock, jitter=lambda: 1.0
        )
        self._ends: dict[str, int] = {}

    async def happen(self, subject: str = "room", *, times: int = 1, kind: type[Event] = MemberRoleChanged) -> None:
        """Write so many more events of a room, or of a user."""
        told = [self._event(subject, kind) for _ in range(times)]
        await self.database.write(lambda connection: self.outbox.write(connection, told))

    async def turn(self) -> None:
        """One round, until every listener is left alone again."""
        await self.service.run()
        while tasks := self._tasks():
            await asyncio.wait(tasks)

    async def rows(self) -> list[Any]:
        return await self.database.read(select(deliveries).order_by(deliveries.c.listener, deliveries.c.subject))

    def _tasks(self) -> set[asyncio.Task[None]]:
        lanes = self.service._lanes.values()
        tasks = {task for lane in lanes for task in (lane._taking, *lane._going) if task is not None}
        return {task for task in tasks if not task.done()}

    def _event(self, subject: str, kind: type[Event]) -> Told:
        version = self._ends[subject] = self._ends.get(subject, 0) + 1
        common: dict[str, Any] = {"tenant": "default"}
        if kind is UserUpdated:
            event: Event = UserUpdated(user_id=subject, name="n", avatar="", tag="", tag2="", **common)
        elif kind is RoomUpdated:
            texts = dict.fromkeys(("by", "own_by", "category", "title", "subject", "cover"), "")
            event = RoomUpdated(room_id=subject, opening=1, status=0, description="语" * 1_000, **texts, **common)
        else:
            event = MemberRoleChanged(room_id=subject, opening=1, user_id="u", role="anchor", **common)
        return written(event, subject, position_of(version), self.clock())
