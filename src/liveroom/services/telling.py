"""Telling: what a change of rooms and members means, as events."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from liveroom.events import (
    ClosedReason,
    Event,
    LeftReason,
    MemberEntered,
    MemberLeft,
    MemberRoleChanged,
    RoomClosed,
    RoomHidden,
    RoomOpened,
    RoomShown,
    RoomUpdated,
    UserDeleted,
    UserOffline,
    UserOnline,
)
from liveroom.model import Member, Room, RoomState
from liveroom.ports.rooms import Change, RoomRows

_TEXTS = ("category", "title", "subject", "description", "cover")


class Cause(Struct, frozen=True):
    """Who made a change ("" is nobody), and why members left or a room closed by it."""

    by: str = ""
    left: LeftReason = LeftReason.LEFT
    closed: ClosedReason = ClosedReason.DESTROYED


def told(rows: RoomRows, change: Change, cause: Cause) -> Change:
    """The change with the events that follow from its rows; has to be asked before they are applied."""
    events: list[Event] = []
    for room in change.rooms:
        before = rows.room(room.tenant, room.room_id)
        if before.open and not room.open:
            events.append(_closed(before, cause))
            continue
        if not before.open:
            events.append(RoomOpened(**_texts(room, cause)))
        for member in change.members:
            if member.room_id == room.room_id:
                events += _of_member(rows, room, member, cause)
        if before.open:
            events += _of_room(before, room, cause)
    return replace(change, events=tuple(events))


def told_of_deletion(tenant: str, user_id: str) -> UserDeleted:
    """That an account is gone."""
    return UserDeleted(tenant=tenant, user_id=user_id)


def _closed(before: Room, cause: Cause) -> RoomClosed:
    return RoomClosed(
        tenant=before.tenant, room_id=before.room_id, opening=before.opening, by=cause.by, reason=cause.closed
    )


def _of_room(before: Room, room: Room, cause: Cause) -> list[Event]:
    events: list[Event] = []
    if any(getattr(before, name) != getattr(room, name) for name in _TEXTS):
        events.append(RoomUpdated(**_texts(room, cause)))
    if before.state != room.state:
        kind = RoomShown if room.state == RoomState.VISIBLE else RoomHidden
        events.append(kind(tenant=room.tenant, room_id=room.room_id, opening=room.opening))
    return events


def _texts(room: Room, cause: Cause) -> dict[str, Any]:
    return {
        "tenant": room.tenant,
        "room_id": room.room_id,
        "opening": room.opening,
        "by": cause.by,
        "own_by": room.owned_by,
        "status": room.state,
        **{name: getattr(room, name) for name in _TEXTS},
    }


def _of_member(rows: RoomRows, room: Room, member: Member, cause: Cause) -> list[Event]:
    before = rows.member(room, member.user_id)
    was_inside = before is not None and before.place is not None
    of_user: dict[str, Any] = {
        "tenant": room.tenant,
        "room_id": room.room_id,
        "opening": room.opening,
        "user_id": member.user_id,
    }
    counts: dict[str, Any] = {"nn_users": room.inside, "total_joined": room.joined}
    if not was_inside or before is None:
        name, avatar = rows.profile(member.tenant, member.user_id)
        return [MemberEntered(**of_user, **counts, name=name, avatar=avatar, role=member.role)]
    if member.place is None:
        return [MemberLeft(**of_user, **counts, reason=cause.left)]
    events: list[Event] = []
    if before.role != member.role:
        events.append(MemberRoleChanged(**of_user, role=member.role))
    if (before.offline_since is None) != (member.offline_since is None):
        events.append((UserOnline if member.offline_since is None else UserOffline)(**of_user))
    return events
