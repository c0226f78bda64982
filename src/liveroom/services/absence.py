"""What absence does to rooms: rules for members who went offline, came back, or have to leave."""

from msgspec.structs import replace

from liveroom.events import ClosedReason, LeftReason
from liveroom.model import Member, Room, Tenant
from liveroom.ports.absence import Leaver
from liveroom.ports.rooms import Change, RoomRows
from liveroom.services.members import left
from liveroom.services.rooms import closed, moment_after, seated
from liveroom.services.telling import Cause, told


def went_offline(rows: RoomRows, tenant: Tenant, user_id: str, room_id: str, at: int) -> Change:
    """A member is offline; without owner and anchors online its room is hidden."""
    room = rows.room(tenant.name, room_id)
    before = rows.member(room, user_id) if room.open else None
    if before is None or before.place is None or before.offline_since is not None:
        return Change()
    after = replace(before, offline_since=at, leave_at=_leave_at(room, before, tenant, at))
    return told(rows, Change(rooms=(seated(room, before, after, tenant, at),), members=(after,)), Cause())


def came_online(rows: RoomRows, tenant: Tenant, user_id: str, room_id: str, at: int) -> Change:
    """A member is back; what its absence hid is visible again."""
    room = rows.room(tenant.name, room_id)
    before = rows.member(room, user_id) if room.open else None
    if before is None or before.place is None or before.offline_since is None:
        return Change()
    after = replace(before, offline_since=None, leave_at=None)
    return told(rows, Change(rooms=(seated(room, before, after, tenant, at),), members=(after,)), Cause())


def evicted(rows: RoomRows, tenant: Tenant, leaver: Leaver, at: int) -> Change:
    """Whoever has been offline for too long leaves; outcome: whether it did."""
    room = rows.room(leaver.tenant, leaver.room_id)
    before = rows.member(room, leaver.user_id) if room.open and room.opening == leaver.opening else None
    if before is None or before.leave_at is None or before.leave_at > at:
        return Change(outcome=False)
    room, members = left(rows, room, leaver.user_id, tenant, at)
    return told(rows, Change(outcome=True, rooms=(room,), members=tuple(members)), Cause(left=LeftReason.OFFLINE))


def expired(rows: RoomRows, tenant: Tenant, room_id: str, at: int) -> Change:
    """A room that has been hidden for too long closes; outcome: whether it did."""
    room = rows.room(tenant.name, room_id)
    if not room.open or room.close_at is None or room.close_at > at:
        return Change(outcome=False)
    return told(rows, Change(outcome=True, rooms=(closed(room),)), Cause(closed=ClosedReason.HIDDEN_TOO_LONG))


def exited(rows: RoomRows, tenant: Tenant, room_id: str, user_id: str, at: int) -> Change:
    """Whoever the vendor saw leave at `at` leaves, unless it has entered since."""
    room = rows.room(tenant.name, room_id)
    before = rows.member(room, user_id) if room.open else None
    if before is None or before.entered_at > at:
        return Change(outcome=False)
    room, members = left(rows, room, user_id, tenant, at)
    if not members:
        return Change(outcome=False)
    return told(rows, Change(outcome=True, rooms=(room,), members=tuple(members)), Cause())


def _leave_at(room: Room, member: Member, tenant: Tenant, at: int) -> int | None:
    """The owner stays as long as its room; an anchor as long as a hidden room would; others less."""
    policy = tenant.policy_of(room.category)
    if member.user_id == room.owned_by:
        return None
    return moment_after(at, policy.close_after_s if member.anchor else policy.evict_after_s)
