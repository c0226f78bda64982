"""Callbacks: what the vendor saw, believed as far as it deserves."""

from collections.abc import Iterable, Sequence

from liveroom.model import Tenant
from liveroom.ports.absence import AbsenceStore
from liveroom.ports.back_ends import Clock
from liveroom.ports.messaging import Messaging, MessagingTrouble
from liveroom.ports.rooms import RoomOrder, RoomStore
from liveroom.services.absence import exited
from liveroom.services.presence import PresenceService
from liveroom.services.together import all_of

STEP = 200


class CallbackService:
    """Effects of the vendor's events. Each may come late, twice or never; the time of the event decides."""

    def __init__(
        self, presence: PresenceService, rooms: RoomStore, absence: AbsenceStore, messaging: Messaging, clock: Clock
    ) -> None:
        self._presence = presence
        self._rooms = rooms
        self._absence = absence
        self._messaging = messaging
        self._clock = clock

    async def connected(self, tenant: Tenant, user_ids: Sequence[str], at: int) -> None:
        """These users logged in to IM, joined a group, or entered a TRTC room."""
        await self._presence.connected(tenant, user_ids, at)

    async def disconnected(self, tenant: Tenant, user_ids: Sequence[str], at: int) -> None:
        """These users logged out of IM, or lost their connection."""
        await self._presence.disconnected(tenant, user_ids, at)

    async def exited(self, tenant: Tenant, room_id: str, user_ids: Iterable[str], at: int) -> None:
        """These users left the TRTC room or the group; whoever entered again since stays a member."""
        # A vendor's clock that runs ahead must not send away who enters again in a moment.
        at, users = min(at, self._clock()), list(dict.fromkeys(user_ids))
        for first in range(0, len(users), STEP):
            chosen = users[first : first + STEP]
            await all_of(self._rooms.change(_exit(tenant, room_id, user_id, at)) for user_id in chosen)

    async def dismissed(self, tenant: Tenant, room_id: str, at: int) -> None:
        """The TRTC room is gone: all but the owner leave, unless they have entered since."""
        at = min(at, self._clock())
        room = await self._rooms.find(tenant.name, room_id)
        if room is None or not room.open or room.opened_at > at:
            return
        while True:
            users = await self._absence.entered_until(tenant.name, room_id, at, STEP, room.owned_by)
            await self.exited(tenant, room_id, users, at)
            if len(users) < STEP:
                return

    async def group_destroyed(self, tenant: Tenant, group_id: str, at: int) -> None:
        """The group is gone, if the vendor confirms it: as a TRTC room that is."""
        room = await self._rooms.find(tenant.name, group_id)
        if room is None or not room.open or room.opened_at > at:
            return
        try:
            there = await self._messaging.groups(tenant, [group_id])
        except MessagingTrouble:
            # Unconfirmed; the reconciler finds what is true.
            there = {}
        if there.get(group_id) is False:
            await self.dismissed(tenant, group_id, at)


def _exit(tenant: Tenant, room_id: str, user_id: str, at: int) -> RoomOrder:
    return RoomOrder(tenant.name, user_id, room_id, lambda rows: exited(rows, tenant, room_id, user_id, at))
