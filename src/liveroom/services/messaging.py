"""Messaging: rooms have groups and accounts have IM accounts, by state, until it is so."""

import asyncio
import logging
import random

from liveroom.errors import Refusal
from liveroom.model import Tenant
from liveroom.ports.accounts import AccountStore
from liveroom.ports.back_ends import Clock
from liveroom.ports.errands import Errand, ErrandKind, ErrandStore
from liveroom.ports.messaging import Messaging, MessagingTrouble, Remedy
from liveroom.ports.rooms import RoomStore
from liveroom.services.tenants import Tenants
from liveroom.services.together import all_of

STEP = 100
LEASE_MS = 30_000
WAIT_S = 1.5
ASK_AGAIN_S = 0.05
RETRY_MS = 1_000
CONFIGURE_MS = 60_000
LONGEST_MS = 300_000

log = logging.getLogger(__name__)


class MessagingService:
    """Carries over what the tables say. Trouble delays it, and never fails a call.

    At most one process is at a subject, and it reads the state as it is then: a destroy_group that is
    tried again never dismisses the group of the next opening.
    """

    def __init__(
        self,
        messaging: Messaging,
        errands: ErrandStore,
        rooms: RoomStore,
        accounts: AccountStore,
        tenants: Tenants,
        clock: Clock,
    ) -> None:
        self._messaging = messaging
        self._errands = errands
        self._rooms = rooms
        self._accounts = accounts
        self._tenants = tenants
        self._clock = clock
        self._making: set[asyncio.Task[None]] = set()

    async def opened(self, tenant: Tenant, room_id: str) -> None:
        """A room has just opened: its group is made now, if that can be done quickly."""
        # Whoever waits for it may give up; it is done all the same.
        making = asyncio.create_task(self._make_group(tenant, room_id))
        self._making.add(making)
        making.add_done_callback(self._making.discard)
        done, _ = await asyncio.wait([making], timeout=WAIT_S)
        if not done:
            log.warning("a room opened without its group, which follows")

    async def finish(self) -> None:
        """Wait for the groups that are being made; not for long."""
        if self._making:
            await asyncio.wait(self._making, timeout=WAIT_S)

    async def run(self) -> None:
        """Do what is due; called every second by every process."""
        while True:
            now = self._clock()
            taken = await self._errands.take(now, now + LEASE_MS, STEP)
            await all_of(self._do(errand) for errand in taken)
            if len(taken) < STEP:
                return

    async def _make_group(self, tenant: Tenant, room_id: str) -> None:
        key = (tenant.name, ErrandKind.GROUP, room_id)
        try:
            # Somebody may be at it; whoever is, nobody waits here for longer than that.
            for _ in range(int(WAIT_S / ASK_AGAIN_S)):
                now = self._clock()
                errand = await self._errands.take_one(*key, now, now + LEASE_MS)
                if errand is not None:
                    await self._do(errand)
                if errand is not None or not await self._errands.waiting(*key):
                    return
                await asyncio.sleep(ASK_AGAIN_S)
        except Refusal as refusal:
            log.warning("a group is made later: %s", refusal.message)
        except Exception:
            log.exception("a fault in making a group")

    async def _do(self, errand: Errand) -> None:
        tenant = self._tenants.by_name(errand.tenant)
        if tenant is None:
            # Another process may know it, or this one after its next start.
            await self._errands.put_off(errand, self._clock() + LONGEST_MS)
            return
        try:
            if errand.kind is ErrandKind.GROUP:
                await self._carry_room(tenant, errand.subject)
            else:
                await self._carry_account(tenant, errand.subject)
        except MessagingTrouble as trouble:
            log.warning("IM: %s of %s: %s (%d)", errand.kind, errand.subject, trouble, trouble.code)
            if trouble.remedy is not Remedy.GIVE_UP:
                await self._errands.put_off(errand, self._clock() + _pause_ms(trouble, errand.tries))
                return
        await self._errands.done(errand)

    async def _carry_room(self, tenant: Tenant, room_id: str) -> None:
        room = await self._rooms.find(tenant.name, room_id)
        if room is not None and room.open:
            await self._messaging.create_group(tenant, room_id)
        else:
            await self._messaging.destroy_group(tenant, room_id)

    async def _carry_account(self, tenant: Tenant, user_id: str) -> None:
        account = await self._accounts.find(tenant.name, user_id)
        if account is not None:
            await self._messaging.import_account(tenant, user_id, account.name, account.avatar)
        else:
            await self._messaging.delete_account(tenant, user_id)


def _pause_ms(trouble: MessagingTrouble, tries: int) -> int:
    """Exponential, with jitter; a fault of configuration waits for somebody to mend it."""
    first = CONFIGURE_MS if trouble.remedy is Remedy.CONFIGURE else RETRY_MS
    pause = min(first * 2 ** min(tries, 16), LONGEST_MS)
    return int(pause * random.uniform(0.5, 1))  # noqa: S311
