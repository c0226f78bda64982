"""Lobbies: the visible rooms of a category, and how they change, for those who look at the list."""

from collections import OrderedDict
from collections.abc import Iterable

from liveroom.errors import Refusal
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
        # Something may have been missed, and it has not been refreshed yet.
        self.stale = False
        self._rooms = rooms
        # What is told while the rooms are read, for each who reads them.
        self._looking: dict[object, list[LobbyChanged]] = {}
        self._told: OrderedDict[str, tuple[Room, int]] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether nobody looks, nor is about to."""
        return not self.readers and not self._looking

    async def begin(self, reader: Reader) -> None:
        """Show a reader the rooms as they are; what changes meanwhile follows."""
        page, later = await self._look()
        self._show([reader], page, later)
        changed = {change.room.room_id for change in later}
        for room in page:
            if room.room_id not in changed:
                self._notice(room)
        self.readers[reader] = None

    async def refresh(self) -> None:
        """Everybody is shown the rooms anew, and has no others."""
        self.stale = False
        try:
            page, later = await self._look()
        except Refusal:
            self.stale = True
            raise
        before, self._told = self._told, OrderedDict()
        self._show(self.readers, page, later)
        for room in page:
            self._remember(room, before.get(room.room_id, (room, 0))[1])
            for waiting in self._looking.values():
                waiting.append(LobbyChanged(room=room, listed=True))
        for change in later:
            self._told.pop(change.room.room_id, None)
            if change.listed:
                self._remember(change.room, before.get(change.room.room_id, (change.room, 0))[1])

    def consider(self, room: Room, now: int) -> bool:
        """Tell what is new about a room. False: it has to be considered again later."""
        listed = room.state == RoomState.VISIBLE and room.category == self.category
        before, told_at = self._told.get(room.room_id, (None, 0))
        if not listed:
            self._forget(room)
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

    async def _look(self) -> tuple[list[Room], list[LobbyChanged]]:
        """The rooms, and what was told while they were read and is newer."""
        me, meanwhile = object(), list[LobbyChanged]()
        self._looking[me] = meanwhile
        try:
            page = await self._page()
        finally:
            del self._looking[me]
        read = {room.room_id: version_of(room) for room in page}
        return page, [change for change in meanwhile if version_of(change.room) > read.get(change.room.room_id, -1)]

    def _show(self, readers: Iterable[Reader], page: list[Room], later: list[LobbyChanged]) -> None:
        snapshot = LobbySnapshot(category=self.category, rooms=page)
        for reader in readers:
            reader.put(snapshot)
            for change in later:
                reader.put(change)

    def _notice(self, room: Room) -> None:
        """A newcomer was shown it; whoever was here before may not know it so."""
        before, _ = self._told.get(room.room_id, (None, 0))
        if before is None or (version_of(before) < version_of(room) and _differs(before, room)):
            self._remember(room, 0)
            self._tell(LobbyChanged(room=room, listed=True))

    def _forget(self, room: Room) -> None:
        """It is not of this lobby (any more). Whoever reads the rooms right now may still find it."""
        gone = LobbyChanged(room=room, listed=False)
        full = len(self._told) >= MOST_REMEMBERED
        if self._told.pop(room.room_id, None) is not None or (full and room.category == self.category):
            self._tell(gone)
        else:
            for waiting in self._looking.values():
                waiting.append(gone)

    def _tell(self, change: LobbyChanged) -> None:
        for reader in self.readers:
            reader.put(change)
        for waiting in self._looking.values():
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
