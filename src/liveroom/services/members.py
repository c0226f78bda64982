"""Members: how they enter and leave rooms, and who is inside."""

from msgspec import Struct
from msgspec.structs import replace

from liveroom.errors import Code, Refusal, account_gone, room_gone
from liveroom.events import ClosedReason, LeftReason
from liveroom.model import Caller, Member, MemberProfile, Room, Tenant
from liveroom.ports.back_ends import Clock
from liveroom.ports.rooms import Change, RoomOrder, RoomRows, RoomStore
from liveroom.services.messaging import MessagingService
from liveroom.services.rooms import RoomService, closed, opened, rewritten, seated
from liveroom.services.telling import Cause, told, told_of_deletion


class Entry(Struct, frozen=True):
    """A wish to be inside a room; an absent role is unchanged on re-entry."""

    caller: Caller
    room_id: str
    role: str | None
    texts: dict[str, str]
    at: int


def enter(rows: RoomRows, entry: Entry) -> Change:
    """Open the room if it is not open, then put the user inside. Outcome: its role, and whether it opened."""
    tenant, user_id = entry.caller.tenant, entry.caller.user_id
    if not rows.account_exists(tenant.name, user_id):
        raise account_gone()
    room = rows.room(tenant.name, entry.room_id)
    opens = not room.open
    if opens:
        room = opened(rows, room, user_id, entry.at)
    before = rows.member(room, user_id)
    if before is not None and before.place is not None and tenant.reentry == "reject":
        raise Refusal(Code.RoomsUserExists, "You are already in this room.")
    rooms, members = _move_out(rows, entry)
    room, after = _sit_down(room, before, entry)
    if user_id == room.owned_by:
        room = rewritten(room, entry.texts, user_id, entry.at)
    change = Change(outcome=(after.role, opens), rooms=(*rooms, room), members=(*members, after))
    return told(rows, change, Cause(by=user_id, left=LeftReason.MOVED))


def _sit_down(room: Room, before: Member | None, entry: Entry) -> tuple[Room, Member]:
    anchor_roles = entry.caller.tenant.anchor_roles
    if before is not None and before.place is not None:
        role = before.role if entry.role is None else entry.role
        anchor = int(role in anchor_roles)
        # Entering again is a sign of life, and newer than any exit that is told late.
        after = replace(before, role=role, anchor=anchor, entered_at=entry.at, offline_since=None, leave_at=None)
    else:
        room = replace(room, places=room.places + 1)
        after = Member(
            room.tenant,
            room.room_id,
            room.opening,
            entry.caller.user_id,
            role=entry.role or "",
            place=room.places,
            entered_at=entry.at,
            anchor=int((entry.role or "") in anchor_roles),
        )
    return seated(room, before, after, entry.caller.tenant, entry.at), after


def _move_out(rows: RoomRows, entry: Entry) -> tuple[list[Room], list[Member]]:
    """What the tenant's `exclusive_rooms` does about the other rooms the user is inside of."""
    tenant, user_id = entry.caller.tenant, entry.caller.user_id
    others = rows.elsewhere(tenant.name, user_id) if tenant.exclusive_rooms != "off" else []
    moves = [left(rows, room, user_id, tenant, entry.at) for room in others if room.room_id != entry.room_id]
    moved = [(room, members) for room, members in moves if members]
    if moved and tenant.exclusive_rooms == "reject":
        raise Refusal(Code.UserAlreadyInRooms, "You are in another room already.")
    return [room for room, _ in moved], [member for _, members in moved for member in members]


def left(rows: RoomRows, room: Room, user_id: str, tenant: Tenant, at: int) -> tuple[Room, list[Member]]:
    """The room without this user, and its row as it is to be written; none if it is not inside."""
    before = rows.member(room, user_id)
    if before is None or before.place is None:
        return room, []
    after = replace(before, place=None, offline_since=None, leave_at=None)
    return seated(room, before, after, tenant, at), [after]


def leave(rows: RoomRows, caller: Caller, room_id: str, at: int) -> Change:
    """Whoever is not inside, or whose room is gone, has left already."""
    room = rows.room(caller.tenant.name, room_id)
    if not room.open:
        return Change()
    room, members = left(rows, room, caller.user_id, caller.tenant, at)
    return told(rows, Change(rooms=(room,), members=tuple(members)), Cause()) if members else Change()


def depart(rows: RoomRows, caller: Caller, at: int) -> Change:
    """An account goes for good: its rooms close, it leaves the others. Outcome: whether it was there."""
    tenant, user_id = caller.tenant, caller.user_id
    if not rows.account_exists(tenant.name, user_id):
        return Change(outcome=False)
    rooms, members = [], []
    for room in rows.elsewhere(tenant.name, user_id):
        if room.owned_by == user_id:
            rooms.append(closed(room))
            continue
        after, gone = left(rows, room, user_id, tenant, at)
        rooms.append(after)
        members += gone
    change = Change(outcome=True, rooms=tuple(rooms), members=tuple(members), account_deleted=True)
    change = told(rows, change, Cause(by=user_id, closed=ClosedReason.OWNER_DELETED))
    return replace(change, events=(*change.events, told_of_deletion(tenant.name, user_id)))


class MemberService:
    """What one may do as a member."""

    def __init__(self, rooms: RoomStore, room_service: RoomService, messaging: MessagingService, clock: Clock) -> None:
        self._rooms = rooms
        self._room_service = room_service
        self._messaging = messaging
        self._clock = clock

    async def enter(
        self, caller: Caller, room_id: str | None, role: str | None, texts: dict[str, str]
    ) -> tuple[str, str]:
        """Enter a room, a fresh one without `room_id`; answers the room's id and the role."""
        if room_id is None:
            room_id = await self._room_service.generate(caller)
        entry = Entry(caller, room_id, role, texts, self._clock())
        order = RoomOrder(
            caller.tenant.name,
            caller.user_id,
            room_id,
            lambda rows: enter(rows, entry),
            enters=True,
            others="none" if caller.tenant.exclusive_rooms == "off" else "inside",
        )
        role, opens = await self._rooms.change(order)
        if opens:
            await self._messaging.opened(caller.tenant, room_id)
        return room_id, role

    async def leave(self, caller: Caller, room_id: str) -> None:
        """Leave a room; not being inside is success."""
        at = self._clock()
        await self._rooms.change(
            RoomOrder(caller.tenant.name, caller.user_id, room_id, lambda rows: leave(rows, caller, room_id, at))
        )

    async def depart(self, caller: Caller) -> bool:
        """Delete the caller's account with its credentials, sessions and memberships; its rooms close."""
        at = self._clock()
        order = RoomOrder(
            caller.tenant.name,
            caller.user_id,
            "",
            lambda rows: depart(rows, caller, at),
            enters=True,
            others="owned too",
        )
        deleted: bool = await self._rooms.change(order)
        return deleted

    async def page(self, caller: Caller, room_id: str, offset: int, limit: int) -> list[MemberProfile]:
        """Who is inside an open room, in order of entering."""
        members = await self._rooms.members(caller.tenant.name, room_id, offset, limit)
        if members is None:
            raise room_gone()
        return members
