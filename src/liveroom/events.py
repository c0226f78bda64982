"""What happened, as frozen structs: what is written with each change, and the bodies of webhooks and streams."""

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

Moment = Annotated[int, Meta(description="Milliseconds since the Unix epoch")]


class About(StrEnum):
    """Whose log an event stands in: a room's, or that of a user."""

    ROOM = "room"
    USER = "user"


class LeftReason(StrEnum):
    """Why somebody is inside no longer; `KICKED` is an administrator's doing."""

    LEFT = "left"
    OFFLINE = "offline"
    KICKED = "kicked"
    MOVED = "moved"


class ClosedReason(StrEnum):
    """Why a room closed: its owner destroyed it, it was hidden for too long, its owner's account went."""

    DESTROYED = "destroyed"
    HIDDEN_TOO_LONG = "hidden too long"
    OWNER_DELETED = "owner deleted"


class Event(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind"):
    """What every event has. The store fills in `id`, `version` and `at` when it writes it.

    `version` numbers the events of a room without a gap, for as long as the room id exists; those of
    `numbered = False` carry the version of the event before them. `roomId` is "" for what concerns
    no room; such events are numbered for each user.
    """

    numbered: ClassVar[bool] = True
    about: ClassVar[About] = About.ROOM

    tenant: str
    room_id: str = ""
    id: str = ""
    version: int = 0
    at: Moment = 0


class RoomEvent(Event, frozen=True, kw_only=True, rename="camel"):
    """Something in one opening of a room."""

    opening: int


class RoomTold(RoomEvent, frozen=True, kw_only=True, rename="camel"):
    """A room as it is after the event; `status` is 0 visible, 1 hidden."""

    by: str
    own_by: str
    category: str
    title: str
    subject: str
    description: str
    cover: str
    status: int


class RoomOpened(RoomTold, frozen=True, kw_only=True, rename="camel", tag="room.opened"):
    """A room opened; `by` is who entered first."""


class RoomUpdated(RoomTold, frozen=True, kw_only=True, rename="camel", tag="room.updated"):
    """A room has other texts."""


class RoomHidden(RoomEvent, frozen=True, kw_only=True, rename="camel", tag="room.hidden"):
    """Neither its owner nor an anchor is there any more."""


class RoomShown(RoomEvent, frozen=True, kw_only=True, rename="camel", tag="room.shown"):
    """Its owner or an anchor is there (again)."""


class RoomClosed(RoomEvent, frozen=True, kw_only=True, rename="camel", tag="room.closed"):
    """A room closed, and nobody is inside any more; `by` is "" when nobody did it."""

    by: str
    reason: ClosedReason


class MemberEvent(RoomEvent, frozen=True, kw_only=True, rename="camel"):
    """Something about a member; the counts are the room's after it."""

    user_id: str
    nn_users: int
    total_joined: int


class MemberEntered(MemberEvent, frozen=True, kw_only=True, rename="camel", tag="member.entered"):
    """Somebody is inside."""

    name: str
    avatar: str
    role: str


class MemberLeft(MemberEvent, frozen=True, kw_only=True, rename="camel", tag="member.left"):
    """Somebody is inside no longer."""

    reason: LeftReason


class MemberRoleChanged(RoomEvent, frozen=True, kw_only=True, rename="camel", tag="member.role_changed"):
    """A member has another role."""

    user_id: str
    role: str


class UserOnline(RoomEvent, frozen=True, kw_only=True, rename="camel", tag="user.online"):
    """A member of this room is online again."""

    numbered: ClassVar[bool] = False
    user_id: str


class UserOffline(RoomEvent, frozen=True, kw_only=True, rename="camel", tag="user.offline"):
    """A member of this room is offline."""

    numbered: ClassVar[bool] = False
    user_id: str


class UserEvent(Event, frozen=True, kw_only=True, rename="camel"):
    """Something about an account, whichever rooms it is inside of."""

    about: ClassVar[About] = About.USER
    user_id: str


class UserUpdated(UserEvent, frozen=True, kw_only=True, rename="camel", tag="user.updated"):
    """An account says something else of itself; all of it, as it is now."""

    name: str
    avatar: str
    tag: str
    tag2: str


class UserDeleted(UserEvent, frozen=True, kw_only=True, rename="camel", tag="user.deleted"):
    """An account is gone, and with it its memberships and rooms."""


KINDS: dict[str, type[Event]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        RoomOpened,
        RoomUpdated,
        RoomHidden,
        RoomShown,
        RoomClosed,
        MemberEntered,
        MemberLeft,
        MemberRoleChanged,
        UserOnline,
        UserOffline,
        UserUpdated,
        UserDeleted,
    )
}

encoded = msgspec.json.Encoder().encode


def kind_of(event: Event) -> str:
    """What the wire calls this kind of event."""
    return str(event.__struct_config__.tag)
