"""Which back end stands behind which port: settings → adapters."""

from typing import Any

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.im.tencent import TencentMessaging
from liveroom.adapters.state import memory, redis
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.adapters.state.memory_wakeups import MemoryWakeups
from liveroom.adapters.state.redis_presence import RedisPresence
from liveroom.adapters.state.redis_wakeups import RedisWakeups
from liveroom.adapters.store.absence import SqlAbsence
from liveroom.adapters.store.accounts import SqlAccounts
from liveroom.adapters.store.deliveries import Listener, SqlDeliveries
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.errands import SqlErrands
from liveroom.adapters.store.outbox import Outbox, SqlOutbox
from liveroom.adapters.store.rooms import SqlRooms
from liveroom.adapters.store.sealing import Seal
from liveroom.adapters.store.sessions import SqlSessions
from liveroom.adapters.webhooks.counted import CountedWebhooks
from liveroom.adapters.webhooks.http import HttpWebhooks
from liveroom.config import Settings
from liveroom.events import KINDS, About
from liveroom.model import Tenant
from liveroom.ports.back_ends import Clock
from liveroom.ports.deliveries import IM_GROUP
from liveroom.ports.limits import LimitStore
from liveroom.ports.messaging import Messaging
from liveroom.ports.presence import PresenceStore
from liveroom.ports.wakeups import Wakeups
from liveroom.services import usersig
from liveroom.services.tellers import GROUP_PAUSE_MS

ROOM_KINDS = frozenset(name for name, kind in KINDS.items() if kind.about is About.ROOM)


class BackEnds:
    """What one process holds open."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.seal = Seal(settings.data_keys)
        self.database = Database(settings.database)
        self.state, self.limits, self.presence, self.wakeups = _state(settings)
        # Changes of rooms and accounts write what happened; whoever tells it reads `outbox`.
        listeners = {name: _listeners(tenant) for name, tenant in settings.tenants.items()}
        self.written = Outbox(self.database.dialect, listeners)
        self.outbox = SqlOutbox(self.database)
        self.deliveries = SqlDeliveries(self.database)
        self.webhooks = CountedWebhooks(HttpWebhooks())
        self.sessions = SqlSessions(self.database)
        self.rooms = SqlRooms(self.database, self.written, clock)
        self.accounts = SqlAccounts(self.database, self.seal, self.written, clock)
        self.absence = SqlAbsence(self.database)
        self.errands = SqlErrands(self.database)
        self.im = _messaging(settings, clock)

    async def close(self) -> None:
        await self.webhooks.close()
        await self.im.close()
        await self.database.close()
        await self.state.close()


def _state(settings: Settings) -> tuple[Any, LimitStore, PresenceStore, Wakeups]:
    if settings.state.startswith("memory"):
        return memory.MemoryState(), memory.MemoryLimits(), MemoryPresence(), MemoryWakeups()
    client = redis.connect(settings.state, settings.redis_password or None)
    state = redis.RedisState(client)
    return state, redis.RedisLimits(state), RedisPresence(state), RedisWakeups(state, client)


def _listeners(tenant: Tenant) -> list[Listener]:
    """Who is told what happens in this tenant's rooms."""
    webhooks = [Listener(name, frozenset(webhook.kinds)) for name, webhook in tenant.webhooks.items()]
    return webhooks + ([Listener(IM_GROUP, ROOM_KINDS, GROUP_PAUSE_MS)] if tenant.im_events else [])


def _messaging(settings: Settings, clock: Clock) -> Messaging:
    if settings.messages_remotely:
        return TencentMessaging(settings.tim_domain, usersig.sign, clock)
    return EmbeddedMessaging()
