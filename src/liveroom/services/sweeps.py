"""Sweeps: who has been offline for too long leaves, what has been hidden for too long closes."""

from liveroom.ports.absence import AbsenceStore, Leaver
from liveroom.ports.back_ends import Clock
from liveroom.ports.rooms import RoomOrder, RoomStore
from liveroom.services.absence import evicted, expired
from liveroom.services.settling import SettleService
from liveroom.services.tenants import Tenants
from liveroom.services.together import all_of

STEP = 200


class SweepService:
    """Acts on facts in SQL, so that it does not matter which process, nor what became of the state store.

    While that store has been away, or empty, nobody is sent away: see `SettleService.held`.
    """

    def __init__(
        self, rooms: RoomStore, absence: AbsenceStore, settling: SettleService, tenants: Tenants, clock: Clock
    ) -> None:
        self._rooms = rooms
        self._absence = absence
        self._settling = settling
        # Rooms of a tenant that only other processes know are theirs.
        self._tenants = {tenant.name: tenant for tenant in tenants.all()}
        self._clock = clock

    async def evict(self) -> None:
        """Members whose time has come leave; called every second."""
        while not self._settling.held():
            due = await self._absence.due_to_leave(list(self._tenants), self._clock(), STEP)
            back = await self._settling.online([(leaver.tenant, leaver.user_id) for leaver in due])
            await self._settling.settle(sorted(back))
            gone = [leaver for leaver in due if (leaver.tenant, leaver.user_id) not in back]
            await all_of(self._rooms.change(self._eviction(leaver)) for leaver in gone)
            if len(due) < STEP:
                return

    async def close(self) -> None:
        """Hidden rooms whose time has come close; called every second."""
        while not self._settling.held():
            due = await self._absence.due_to_close(list(self._tenants), self._clock(), STEP)
            found = await all_of(self._rooms.find(*key) for key in due)
            await self._settling.settle([(room.tenant, room.owned_by) for room in found if room is not None])
            await all_of(self._rooms.change(self._closing(*key)) for key in due)
            if len(due) < STEP:
                return

    def _eviction(self, leaver: Leaver) -> RoomOrder:
        tenant, now = self._tenants[leaver.tenant], self._clock()
        return RoomOrder(tenant.name, leaver.user_id, leaver.room_id, lambda rows: evicted(rows, tenant, leaver, now))

    def _closing(self, name: str, room_id: str) -> RoomOrder:
        tenant, now = self._tenants[name], self._clock()
        return RoomOrder(name, "", room_id, lambda rows: expired(rows, tenant, room_id, now))
