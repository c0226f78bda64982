"""The reconciler: what callbacks that were lost have left is compared with IM, and repaired."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

from liveroom.model import Tenant
from liveroom.ports.absence import AbsenceStore, User
from liveroom.ports.back_ends import Clock
from liveroom.ports.errands import ErrandKind, ErrandStore
from liveroom.ports.limits import LimitStore
from liveroom.ports.messaging import Messaging, MessagingTrouble
from liveroom.services.presence import PresenceService
from liveroom.services.tenants import Tenants
from liveroom.services.together import all_of

EVERY_S = 180
GROUPS = 50
ACCOUNTS = 500

log = logging.getLogger(__name__)


class ReconcileService:
    """Looks at every open room's group and at everybody inside, one process every few minutes."""

    def __init__(
        self,
        messaging: Messaging,
        errands: ErrandStore,
        absence: AbsenceStore,
        presence: PresenceService,
        turns: LimitStore,
        tenants: Tenants,
        clock: Clock,
    ) -> None:
        self._messaging = messaging
        self._errands = errands
        self._absence = absence
        self._presence = presence
        self._turns = turns
        self._tenants = tenants
        self._clock = clock

    async def reconcile(self) -> None:
        """One round, if it is this process's turn; off where the gateway knows nothing that we do not."""
        if not self._messaging.remote or await self._turns.hit("turn:reconcile", 1, EVERY_S):
            return
        troubled: set[str] = set()
        await self._groups(troubled)
        await self._users(troubled)

    async def _groups(self, troubled: set[str]) -> None:
        """An open room whose group is not there gets one."""
        room = ("", "")
        while page := await self._absence.open_after(room, GROUPS):
            room = page[-1]
            for tenant, keys in _by_tenant(self._tenants, page):
                there = await self._asked(tenant, troubled, self._messaging.groups, keys)
                now = self._clock()
                missing = [key for key in keys if there.get(key) is False]
                await all_of(self._errands.add(tenant.name, ErrandKind.GROUP, key, now) for key in missing)

    async def _users(self, troubled: set[str]) -> None:
        """Whom IM holds connected was heard; whom it does not has gone, as a lost callback would have said."""
        user: User = ("", "")
        while page := await self._absence.inside_after(user, ACCOUNTS):
            user = page[-1][0]
            for tenant, user_ids in _by_tenant(self._tenants, [user for user, _ in page]):
                asked_at = self._clock()
                connected = await self._asked(tenant, troubled, self._messaging.connected, user_ids)
                here = [user_id for user_id in user_ids if connected.get(user_id)]
                gone = [user_id for user_id in user_ids if connected.get(user_id) is False]
                await self._presence.connected(tenant, here, asked_at)
                await self._presence.not_connected(tenant, gone, asked_at)

    async def _asked(
        self,
        tenant: Tenant,
        troubled: set[str],
        verb: Callable[[Tenant, Sequence[str]], Awaitable[dict[str, bool]]],
        keys: Sequence[str],
    ) -> dict[str, bool]:
        """What IM says; a tenant in trouble is left alone until the next round, and stops no other."""
        if tenant.name in troubled:
            return {}
        try:
            return await verb(tenant, keys)
        except MessagingTrouble as trouble:
            log.warning("the reconciler leaves %s until its next round: %s (%d)", tenant.name, trouble, trouble.code)
            troubled.add(tenant.name)
            return {}


def _by_tenant(tenants: Tenants, keys: list[tuple[str, str]]) -> list[tuple[Tenant, list[str]]]:
    grouped = groupby(keys, key=lambda key: key[0])
    found = [(tenants.by_name(name), [key for _, key in of_tenant]) for name, of_tenant in grouped]
    return [(tenant, of_tenant) for tenant, of_tenant in found if tenant is not None]
