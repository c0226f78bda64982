"""Feeds: what happens in a room, passed on to its readers without a gap."""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from liveroom.errors import Refusal
from liveroom.events import About, RoomOpened
from liveroom.model import Room
from liveroom.ports.outbox import HINT_BITS, OutboxStore, Told, position_of
from liveroom.ports.rooms import RoomStore
from liveroom.services.readers import (
    CLOSED,
    Absent,
    Changed,
    Cursor,
    EndReason,
    Message,
    Place,
    Reader,
    Resumed,
    Snapshot,
)

FIRST_MEMBERS = 100
MOST_RESUMED = 1_000
STEP = 500
OPENED = str(RoomOpened.__struct_config__.tag)

log = logging.getLogger(__name__)


class _OfOpening(msgspec.Struct, gc=False):
    """What of an event's body says which opening it is of."""

    opening: int = 0


_opening_of = msgspec.json.Decoder(_OfOpening).decode


class RoomFeed:
    """One room that somebody here follows. Events come from this process, others, or the log; each counts once."""

    def __init__(self, key: tuple[str, str], rooms: RoomStore, outbox: OutboxStore) -> None:
        self.key = key
        self.readers: dict[Reader, Place] = {}
        self._log = (key[0], About.ROOM, key[1])
        self._rooms = rooms
        self._outbox = outbox
        # Every reader that has begun has been told at least as much; some began further on.
        self._version: int | None = None
        self._wanted = 0
        self._reading: asyncio.Task[None] | None = None

    async def begin(self, reader: Reader, place: Place, since: Cursor | None) -> bool:
        """Let one of `readers` begin: where it was, or with a snapshot. False: there is nothing to follow."""
        began = await self._resume(reader, place, since) if since is not None else None
        if began is None:
            began = await self._show(reader, place)
        if began is None:
            self.readers.pop(reader, None)
            return False
        known = began if self._version is None else self._version
        self._version = min(known, began)
        self._wanted = max(self._wanted, known, began)
        if self._wanted > self._version:
            self._read_on()
        return True

    def hear(self, told: Sequence[Told]) -> None:
        """Events of this room, from whichever source, in order."""
        for one in told:
            if self._version is None or one.version > self._version + one.numbered:
                self.behind(one.version)
            elif one.version == self._version + one.numbered:
                self._pass_on(one)

    def behind(self, version: int) -> None:
        """The room is at this version; what is missing is read from the log."""
        self._wanted = max(self._wanted, version)
        if self._version is not None and version > self._version:
            self._read_on()

    def finish(self) -> None:
        """Nobody follows any more; a read that is under way comes to its end."""
        self._version = None

    def _pass_on(self, told: Told) -> None:
        self._version = told.version
        cursor = Cursor(_opening_of(told.body).opening, told.version)
        change = Changed(told=told, cursor=cursor)
        for reader, place in list(self.readers.items()):
            self._give(reader, place, change)

    def _give(self, reader: Reader, place: Place, change: Changed) -> None:
        """An event for one reader; the closing is its last."""
        if reader.put_change(place, change) and change.told.kind == CLOSED:
            self._leave(reader)

    def _begin(
        self, reader: Reader, place: Place, first: Message, cursor: Cursor, missed: Sequence[Changed] = ()
    ) -> None:
        waiting = reader.begin(place, first, cursor, len(missed))
        for change in [*missed, *waiting]:
            if reader in self.readers:
                self._give(reader, place, change)

    def _leave(self, reader: Reader) -> None:
        """This room is over for a reader; without another one its stream is, too."""
        self.readers.pop(reader, None)
        reader.open_places -= 1
        if not reader.open_places:
            reader.end(EndReason.ROOM_CLOSED)

    def _read_on(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._catch_up())

    async def _catch_up(self) -> None:
        try:
            while self._version is not None and self._version < self._wanted:
                if not await self._step(self._version):
                    return
        except Refusal as refusal:
            log.warning("a room's log is read later: %s", refusal.message)
        except Exception:
            log.exception("a fault in reading a room's log")

    async def _step(self, version: int) -> bool:
        """Read some of what is missing; False: it led nowhere."""
        told = await self._outbox.after(self._log, position_of(version + 1) - 1, STEP)
        if self._version != version:
            return True
        if not told or told[0].position != position_of(version + 1):
            await self._start_over()
        for one in told:
            if one.version == (self._version or 0) + one.numbered:
                self._pass_on(one)
        return self._version != version

    async def _start_over(self) -> None:
        """Events are gone: whoever has not been told of them is shown the room as it is."""
        snapshot = await self._snapshot()
        begun = [(reader, place) for reader, place in self.readers.items() if place.floor is not None]
        if snapshot is None:
            for reader, _ in begun:
                if len(reader.places) > 1:
                    reader.put(Absent(room_id=self.key[1]))
                self._leave(reader)
            self._version = None
            return
        for reader, place in begun:
            if (place.floor or 0) < snapshot.cursor.version:
                self._begin(reader, place, snapshot, snapshot.cursor)
        self._version = max(self._version or 0, snapshot.cursor.version)

    async def _show(self, reader: Reader, place: Place) -> int | None:
        snapshot = await self._snapshot()
        if snapshot is None:
            return None
        self._begin(reader, place, snapshot, snapshot.cursor)
        return snapshot.cursor.version

    async def _snapshot(self) -> Snapshot | None:
        found = await self._rooms.snapshot(*self.key, FIRST_MEMBERS)
        if found is None:
            return None
        room, members = found
        return Snapshot(room=room, members=members, cursor=Cursor(room.opening, version_of(room)))

    async def _resume(self, reader: Reader, place: Place, since: Cursor) -> int | None:
        """Let the reader go on where it was, if everything since is still there, and of the same opening."""
        room, most = await self._rooms.find(*self.key), MOST_RESUMED // len(reader.places)
        if room is None or since.opening not in {0, room.opening} or not self._within(room, since, most):
            return None
        told = await self._outbox.after(self._log, position_of(since.version + 1) - 1, 2 * most)
        versions = [one.version for one in told if one.numbered]
        complete = versions == list(range(since.version + 1, since.version + 1 + len(versions)))
        if not complete or since.version + len(versions) < version_of(room) or any(one.kind == OPENED for one in told):
            return None
        at = Cursor(room.opening, since.version)
        missed = [Changed(told=one, cursor=Cursor(room.opening, one.version)) for one in told]
        self._begin(reader, place, Resumed(room_id=room.room_id, cursor=at), at, missed)
        return since.version + len(versions)

    def _within(self, room: Room, since: Cursor, most: int) -> bool:
        """Whether there can be something between the cursor and now that is worth reading."""
        behind = version_of(room) - since.version
        return 0 <= behind <= most and (room.open or behind > 0)


def version_of(room: Room) -> int:
    """How many events its log numbers."""
    return room.position >> HINT_BITS
