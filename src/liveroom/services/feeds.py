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
        self._version: int | None = None
        self._wanted = 0
        self._closed = 0
        self._reading: asyncio.Task[None] | None = None

    async def begin(self, reader: Reader, place: Place, since: Cursor | None) -> bool:
        """Let a reader in: from where it was, or with a snapshot. False: there is nothing to follow."""
        self.readers[reader] = place
        began = await self._resume(reader, place, since) if since is not None else None
        if began is None:
            began = await self._show(reader, place)
        if began is None:
            self.readers.pop(reader, None)
            return False
        # What the reader has been told is the least that this feed knows.
        self._version = max(self._version or 0, began)
        if self._wanted > self._version:
            self._read_on()
        if self._closed > began and reader in self.readers:
            self._leave(reader)
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
        """Nobody follows any more."""
        if self._reading is not None:
            self._reading.cancel()

    def _pass_on(self, told: Told) -> None:
        self._version = told.version
        cursor = Cursor(_opening_of(told.body).opening, told.version)
        change = Changed(told=told, cursor=cursor)
        if told.kind == CLOSED:
            self._closed = told.version
        for reader, place in list(self.readers.items()):
            reader.put_change(place, change)
            if told.kind == CLOSED and place.floor is not None:
                self._leave(reader)

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
        """Read some of what is missing; False: there is no more than that."""
        told = await self._outbox.after(self._log, position_of(version + 1) - 1, STEP)
        if self._version != version:
            return True
        if told and told[0].version > version + 1:
            await self._start_over()
            return True
        for one in told:
            if one.version == (self._version or 0) + one.numbered:
                self._pass_on(one)
        return bool(told)

    async def _start_over(self) -> None:
        """Events are gone: everybody is shown the room as it is."""
        readers = list(self.readers.items())
        for reader, place in readers:
            reader.restart(place)
        self._version, versions = None, []
        for reader, place in readers:
            version = await self._show(reader, place)
            if version is None:
                self._leave(reader)
            else:
                versions.append(version)
        self._version = max(versions, default=None)

    async def _show(self, reader: Reader, place: Place) -> int | None:
        found = await self._rooms.snapshot(*self.key, FIRST_MEMBERS)
        if found is None:
            return None
        room, members = found
        cursor = Cursor(room.opening, version_of(room))
        reader.begin(place, [Snapshot(room=room, members=members, cursor=cursor)], cursor)
        return cursor.version

    async def _resume(self, reader: Reader, place: Place, since: Cursor) -> int | None:
        """Let the reader go on where it was, if everything since is still there, and of the same opening."""
        room = await self._rooms.find(*self.key)
        if room is None or since.opening not in {0, room.opening} or not self._within(room, since):
            return None
        told = await self._outbox.after(self._log, position_of(since.version + 1) - 1, 2 * MOST_RESUMED)
        versions = [one.version for one in told if one.numbered]
        complete = versions == list(range(since.version + 1, since.version + 1 + len(versions)))
        if not complete or since.version + len(versions) < version_of(room) or any(one.kind == OPENED for one in told):
            return None
        changes: list[Message] = [Changed(told=one, cursor=Cursor(room.opening, one.version)) for one in told]
        at = Cursor(room.opening, since.version + len(versions))
        first = Resumed(room_id=room.room_id, cursor=Cursor(room.opening, since.version))
        reader.begin(place, [first, *changes], at)
        if told and told[-1].kind == CLOSED:
            self._leave(reader)
        return at.version

    def _within(self, room: Room, since: Cursor) -> bool:
        """Whether there can be something between the cursor and now that is worth reading."""
        behind = version_of(room) - since.version
        return 0 <= behind <= MOST_RESUMED and (room.open or behind > 0)


def version_of(room: Room) -> int:
    """How many events its log numbers."""
    return room.position >> HINT_BITS
