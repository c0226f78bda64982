"""The live stream: what it is asked with, and how what happens looks on the wire."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from liveroom.endpoints.members import MemberRow, member_row
from liveroom.endpoints.rooms import RoomDetail, RoomRow, room_detail, room_row
from liveroom.endpoints.wire import Category, RoomId, Signed
from liveroom.model import Caller
from liveroom.services.feeds import version_of
from liveroom.services.readers import (
    Absent,
    Beat,
    Changed,
    Cursor,
    Ended,
    LobbyChanged,
    LobbySnapshot,
    Message,
    Reader,
    Resumed,
    Snapshot,
)
from liveroom.services.streams import StreamService

MOST_ROOMS = 20
_CURSOR = r"^(\d{1,9}\.)?\d{1,9}(_(\d{1,9}\.)?\d{1,9}){0,19}$(?![\s\S])"
_encode = msgspec.json.Encoder().encode


class FollowRooms(Signed, rename="camel", kw_only=True):
    """Follow a room, up to 20 rooms, or the lobby of a category: what there is, then each change."""

    room_id: RoomId | None = None
    room_ids: Annotated[list[RoomId], Meta(max_length=MOST_ROOMS, description="Up to 20 rooms at once")] | None = None
    category: Category | None = None
    since: (
        Annotated[
            str,
            Meta(
                pattern=_CURSOR,
                description="Go on after this version: the id of the last message, or a version alone. "
                "The header `Last-Event-ID` wins over it",
                examples=["3.17"],
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        if [self.room_id, self.room_ids, self.category].count(None) != 2:
            raise ValueError
        if self.room_ids is not None and len(set(self.room_ids)) < len(self.room_ids):
            raise ValueError

    def cursors(self) -> list[Cursor]:
        """One for each room, or none at all."""
        rooms = 0 if self.category is not None else len(self.room_ids or [self.room_id])
        texts = self.since.split("_") if self.since else []
        return [_cursor(text) for text in texts] if len(texts) == rooms else []


class SnapshotLine(Struct, rename="camel", tag_field="kind", tag="snapshot"):
    """A room as it is; `members` are the first hundred of those inside."""

    recovered: bool
    room_id: str
    opening: int
    version: int
    room: RoomDetail
    members: list[MemberRow]


class ResumedLine(Struct, rename="camel", tag_field="kind", tag="resumed"):
    """Every change after this version follows."""

    recovered: bool
    room_id: str
    opening: int
    version: int


class AbsentLine(Struct, rename="camel", tag_field="kind", tag="absent"):
    """One of several rooms is not open."""

    room_id: str


class LobbySnapshotLine(Struct, rename="camel", tag_field="kind", tag="snapshot"):
    """The visible rooms of a category, the newest hundred first."""

    recovered: bool
    category: str
    rooms: list[RoomRow]


class LobbyRoomLine(Struct, rename="camel", tag_field="kind", tag="lobby.room"):
    """A room of the lobby as it is now."""

    room_id: str
    version: int
    room: RoomRow


class LobbyGoneLine(Struct, rename="camel", tag_field="kind", tag="lobby.gone"):
    """A room is in the lobby no longer."""

    room_id: str
    version: int


class BeatLine(Struct, tag_field="kind", tag="beat"):
    """Nothing happened for a while."""


class EndLine(Struct, tag_field="kind", tag="end"):
    """The stream ends."""

    reason: str


class Line(Struct, frozen=True):
    """One message as it goes out: `id` resumes after it, "" where there is nothing to resume."""

    id: str
    body: bytes


class StreamEndpoints:
    """Lets readers in."""

    def __init__(self, streams: StreamService) -> None:
        self._streams = streams

    async def follow(self, caller: Caller, wish: FollowRooms) -> Reader:
        if wish.category is not None:
            return await self._streams.follow_lobby(caller, wish.token, wish.category)
        room_ids = wish.room_ids or [wish.room_id or ""]
        return await self._streams.follow_rooms(caller, wish.token, room_ids, wish.cursors())

    def leave(self, reader: Reader) -> None:
        self._streams.leave(reader)


def lines(reader: Reader, messages: list[Message]) -> list[Line]:
    """What has gathered, as few messages as possible: changes next to each other become one."""
    found: list[Line] = []
    changes: list[Changed | LobbyChanged] = []
    for message in messages:
        if isinstance(message, Changed | LobbyChanged):
            changes.append(message)
            continue
        found += _merged(reader, changes)
        changes = []
        found.append(_line(reader, message))
    return found + _merged(reader, changes)


def _merged(reader: Reader, changes: list[Changed | LobbyChanged]) -> list[Line]:
    if len(changes) < 2:
        return [_line(reader, change) for change in changes]
    parts = [_line(reader, change) for change in changes]
    # Hints have no id; whoever resumes goes on after the last that has one.
    last_id = next((part.id for part in reversed(parts) if part.id), "")
    head = b'{"kind":"changes","version":%d,"events":[' % _version(changes[-1])
    return [Line(last_id, head + b",".join(part.body for part in parts) + b"]}")]


def _line(reader: Reader, message: Message) -> Line:
    if message.text is None:
        message.text = message.told.body if isinstance(message, Changed) else _shaped(message)
    numbered = False
    if isinstance(message, Snapshot | Resumed | Changed):
        numbered = not isinstance(message, Changed) or message.told.numbered
        reader.pass_by(message.room_id, message.cursor)
    return Line(reader.cursors if numbered else "", message.text)


def _version(change: Changed | LobbyChanged) -> int:
    return change.told.version if isinstance(change, Changed) else version_of(change.room)


def _shaped(message: Message) -> bytes:
    return _encode(_SHAPES[type(message)](message))


def _snapshot(message: Snapshot) -> SnapshotLine:
    at, members = message.cursor, [member_row(member) for member in message.members]
    return SnapshotLine(False, message.room_id, at.opening, at.version, room_detail(message.room), members)


def _lobby_room(message: LobbyChanged) -> LobbyRoomLine | LobbyGoneLine:
    room_id, version = message.room.room_id, version_of(message.room)
    if not message.listed:
        return LobbyGoneLine(room_id, version)
    return LobbyRoomLine(room_id, version, room_row(message.room))


def _lobby(message: LobbySnapshot) -> LobbySnapshotLine:
    return LobbySnapshotLine(False, message.category, [room_row(room) for room in message.rooms])


def _resumed(message: Resumed) -> ResumedLine:
    return ResumedLine(True, message.room_id, message.cursor.opening, message.cursor.version)


_SHAPES: dict[type[Message], Callable[[Any], Struct]] = {
    Snapshot: _snapshot,
    Resumed: _resumed,
    Absent: lambda message: AbsentLine(message.room_id),
    LobbySnapshot: _lobby,
    LobbyChanged: _lobby_room,
    Beat: lambda _: BeatLine(),
    Ended: lambda message: EndLine(message.reason.value),
}


def _cursor(text: str) -> Cursor:
    opening, _, version = text.rpartition(".")
    return Cursor(int(opening or 0), int(version))
