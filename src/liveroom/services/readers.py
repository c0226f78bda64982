"""Readers: those who follow rooms or a lobby live, and what waits to be sent to each of them."""

import asyncio
from enum import StrEnum

from msgspec import Struct

from liveroom.events import RoomClosed
from liveroom.model import Caller, MemberProfile, Room
from liveroom.ports.outbox import Told

MOST_WAITING = 1_000
SEEN_MS = 5_000
CLOSED = str(RoomClosed.__struct_config__.tag)


class EndReason(StrEnum):
    """Why a stream ends."""

    ROOM_CLOSED = "room closed"
    TOKEN_EXPIRED = "token expired"
    LOGGED_OUT = "logged out"
    SLOW = "too slow"
    STOPPING = "service stopping"
    GONE = "gone"


class Cursor(Struct, frozen=True):
    """How far somebody has followed a room; an `opening` of 0 is one that it does not know."""

    opening: int
    version: int

    def __str__(self) -> str:
        return f"{self.opening}.{self.version}"


class Message(Struct, eq=False):
    """Something to be sent, to however many.

    `text` is how it looks on the wire once somebody has asked, `frame` the same for whoever follows
    but one room: each is made once, not for every reader.
    """

    text: bytes | None = None
    frame: bytes | None = None


class Changed(Message, eq=False, kw_only=True):
    """An event of a room."""

    told: Told
    cursor: Cursor

    @property
    def room_id(self) -> str:
        return self.told.subject


class Snapshot(Message, eq=False, kw_only=True):
    """A room as it is, with the first of those inside."""

    room: Room
    members: list[MemberProfile]
    cursor: Cursor

    @property
    def room_id(self) -> str:
        return self.room.room_id


class Resumed(Message, eq=False, kw_only=True):
    """Everything since `cursor` follows."""

    room_id: str
    cursor: Cursor


class Absent(Message, eq=False, kw_only=True):
    """This one of several rooms is not open, and nothing will be told of it."""

    room_id: str


class LobbySnapshot(Message, eq=False, kw_only=True):
    """The visible rooms of a category, the newest first."""

    category: str
    rooms: list[Room]


class LobbyChanged(Message, eq=False, kw_only=True):
    """A room of the lobby as it is now; `listed`: it is visible, and of the category."""

    room: Room
    listed: bool


class Beat(Message, eq=False):
    """Nothing happened for a while."""


class Ended(Message, eq=False, kw_only=True):
    """The stream ends."""

    reason: EndReason


class Place:
    """How far a reader is in one room. Until it has begun, what happens waits."""

    def __init__(self, index: int) -> None:
        self.index = index
        # The version of what was put last.
        self.floor: int | None = None
        # How far what was sent goes.
        self.cursor = Cursor(0, 0)
        self.waiting: list[Changed] = []


class Reader:
    """One stream. Whoever sends to it never waits; a reader that does not keep up is ended."""

    def __init__(
        self, caller: Caller, token: str, expires_at: int, follows: list[tuple[str, str]], places: int
    ) -> None:
        self.caller = caller
        # The keys of what it follows: rooms, as many as it has places, or one lobby.
        self.follows = follows
        self.token = token
        self.expires_at = expires_at
        self.places = [Place(index) for index in range(places)]
        self.open_places = places
        self.ended: EndReason | None = None
        self._queue: list[Message] = []
        self._most = MOST_WAITING
        self._awaited: asyncio.Future[None] | None = None
        self._sending: asyncio.Task[None] | None = None

    @property
    def cursors(self) -> str:
        """Where it is, as the id of a message."""
        return "_".join(str(place.cursor) for place in self.places)

    @property
    def seen_every_ms(self) -> int:
        """How often it counts as a sign of life: often enough for the shortest silence."""
        shortest_ms = self.caller.tenant.presence.beat_timeout_s * 1_000 or SEEN_MS
        return min(SEEN_MS, shortest_ms // 3)

    def pass_by(self, room_id: str, cursor: Cursor) -> None:
        """What goes out now brings it so far in this room."""
        index = 0 if len(self.places) == 1 else [followed for _, followed in self.follows].index(room_id)
        self.places[index].cursor = cursor

    def put(self, message: Message) -> None:
        """To be sent, in order."""
        if self.ended is not None:
            return
        if len(self._queue) >= self._most:
            self.end(EndReason.SLOW)
            return
        self._queue.append(message)
        self._wake()

    def put_change(self, place: Place, change: Changed) -> bool:
        """An event of one of its rooms, if it is the next that it has to be told; whether it was."""
        if place.floor is None:
            place.waiting.append(change)
            if len(place.waiting) > MOST_WAITING:
                self.end(EndReason.SLOW)
        elif change.told.version == place.floor + change.told.numbered:
            place.floor = change.told.version
            self.put(change)
            return True
        return False

    def begin(self, place: Place, first: Message, cursor: Cursor, missed: int) -> list[Changed]:
        """Tell where it begins in one of its rooms; what it missed comes at once. Answers what happened meanwhile."""
        place.floor = cursor.version
        # Nobody is slow for what was never sent before.
        self._most += 1 + missed
        self.put(first)
        waiting, place.waiting = place.waiting, []
        return waiting

    def end(self, reason: EndReason) -> None:
        """Send nothing more but why; whoever does not take what is sent is cut off."""
        if self.ended is not None:
            return
        self.ended = reason
        if reason in {EndReason.SLOW, EndReason.GONE}:
            self._queue.clear()
        self._queue.append(Ended(reason=reason))
        self._wake()
        if reason is EndReason.SLOW and self._awaited is None and self._sending is not None:
            self._sending.cancel()

    async def read(self) -> list[Message]:
        """What has come since the last call, in order; waits for the first. The last one is `Ended`."""
        self._sending = asyncio.current_task()
        while not self._queue:
            self._awaited = asyncio.get_running_loop().create_future()
            try:
                await self._awaited
            finally:
                self._awaited = None
        messages, self._queue = self._queue, []
        self._most = MOST_WAITING
        return messages

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)
