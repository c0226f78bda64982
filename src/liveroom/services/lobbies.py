"""Lobbies: the visible rooms of a category, and how they change, for those who look at the list."""

from collections import OrderedDict
from collections.abc import Iterable

from liveroom.model import Room, RoomQuery, RoomState
from liveroom.ports.rooms import RoomStore
from liveroom.services.feeds import version_of
from liveroom.services.readers import LobbyChanged, LobbySnapshot, Reader

FIRST_ROOMS = 100
MOST_REMEMBERED = 10_000
COUNTS_EVERY_MS = 1_000
_SHOWN = ("category", "title", "subject", "description", "cover", "owned_by", "opening")


class Lobby:
    """One category that somebody here looks at. Counts of a room are told at most once a second."""

    def __init__(self, tenant: str, category: str, rooms: RoomStore) -> None:
        self.tenant = tenant
        self.category = category
        self.readers: dict[Reader, None] = {}
        self._rooms = rooms
        self._joining: dict[Reader, list[LobbyChanged]] = {}
        self._told: OrderedDict[str, tuple[Room, int]] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether nobody looks, nor is about to."""
        return not self.readers and not self._joining

    async def begin(self, reader: Reader) -> None:
        """Show a reader the rooms as they are; what changes meanwhile follows."""
        self._joining[reader] = []
        try:
            page = await self._page()
        finally:
            meanwhile = self._joining.pop(reader)
        self.readers[reader] = None
        self._show([reader], page)
        shown = {room.room_id: version_of(room) for room in page}
        for change in meanwhile:
            if version_of(change.room) > shown.get(change.room.room_id, -1):
                reader.put(change)

    async def refresh(self) -> None:
        """Something may have been missed: everybody is shown the rooms anew."""
        self._show(self.readers, await self._page())

    def consider(self, room: Room, now: int) -> bool:
        """Tell what is new about a room. False: it has to be considered again later."""
        listed = room.state == RoomState.VISIBLE and room.category == self.category
        before, told_at = self._told.get(room.room_id, (None, 0))
        if not listed:
            if before is not None or room.category == self.category:
                self._told.pop(room.room_id, None)
                self._tell(LobbyChanged(room=room, listed=False))
            return True
        if before is not None and version_of(before) >= version_of(room):
            return True
        if before is not None and not _differs(before, room) and now - told_at < COUNTS_EVERY_MS:
            return _same_counts(before, room)
        self._remember(room, now)
        self._tell(LobbyChanged(room=room, listed=True))
        return True

    async def _page(self) -> list[Room]:
        query = RoomQuery(
            tenant=self.tenant,
            category=self.category,
            room_ids=None,
            since=None,
            until=None,
            by_joined=False,
            offset=0,
            limit=FIRST_ROOMS,
        )
        return await self._rooms.page(query)

    def _show(self, readers: Iterable[Reader], page: list[Room]) -> None:
        for room in page:
            known, _ = self._told.get(room.room_id, (None, 0))
            if known is None or version_of(known) < version_of(room):
                self._remember(room, 0)
        snapshot = LobbySnapshot(category=self.category, rooms=page)
        for reader in readers:
            reader.put(snapshot)

    def _tell(self, change: LobbyChanged) -> None:
        for reader in self.readers:
            reader.put(change)
        for waiting in self._joining.values():
            waiting.append(change)

    def _remember(self, room: Room, now: int) -> None:
        self._told[room.room_id] = (room, now)
        self._told.move_to_end(room.room_id)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)


def _differs(before: Room, room: Room) -> bool:
    return any(getattr(before, name) != getattr(room, name) for name in _SHOWN)


def _same_counts(before: Room, room: Room) -> bool:
    return (before.inside, before.joined) == (room.inside, room.joined)
