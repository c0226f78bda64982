"""Members: how they enter and leave rooms, and who is inside."""

from msgspec import Struct
from msgspec.structs import replace

from liveroom.errors import Code, Refusal, account_gone, room_gone
from liveroom.model import Caller, Member, MemberProfile, Room
from liveroom.ports.back_ends import Clock
from liveroom.ports.rooms import Change, RoomOrder, RoomRows, RoomStore
from liveroom.services.rooms import RoomService, closed, opened, rewritten, seated


class Entry(Struct, frozen=True):
    """A wish to be inside a room; an absent role is unchanged on re-entry."""

    caller: Caller
    room_id: str
    role: str | None
    texts: dict[str, str]
    at: int


def enter(rows: RoomRows, entry: Entry) -> Change:
    """Open the room if it is not open, then put the user inside."""
    tenant, user_id = entry.caller.tenant, entry.caller.user_id
    if not rows.account_exists(tenant.name, user_id):
        raise account_gone()
    room = rows.room(tenant.name, entry.room_id)
    if not room.open:
        room = opened(rows, room, user_id, entry.at)
    before = rows.member(room, user_id)
    if before is not None and before.place is not None and tenant.reentry == "reject":
        raise Refusal(Code.RoomsUserExists, "You are already in this room.")
    rooms, members = _move_out(rows, entry)
    room, after = _sit_down(room, before, entry)
    if user_id == room.owned_by:
        room = rewritten(room, entry.texts, user_id, entry.at)
    return Change(outcome=after.role, rooms=(*rooms, room), members=(*members, after))


def _sit_down(room: Room, before: Member | None, entry: Entry) -> tuple[Room, Member]:
    anchor_roles = entry.caller.tenant.anchor_roles
    if before is not None and before.place is not None:
        role = before.role if entry.role is None else entry.role
        after = replace(before, role=role, anchor=int(role in anchor_roles))
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
    return seated(room, before, after), after


def _move_out(rows: RoomRows, entry: Entry) -> tuple[list[Room], list[Member]]:
    """What the tenant's `exclusive_rooms` does about the other rooms the user is inside of."""
    tenant, user_id = entry.caller.tenant, entry.caller.user_id
    others = rows.elsewhere(tenant.name, user_id) if tenant.exclusive_rooms != "off" else []
    moves = [_left(rows, room, user_id) for room in others if room.room_id != entry.room_id]
    left = [(room, members) for room, members in moves if members]
    if left and tenant.exclusive_rooms == "reject":
        raise Refusal(Code.UserAlreadyInRooms, "You are in another room already.")
    return [room for room, _ in left], [member for _, members in left for member in members]


def _left(rows: RoomRows, room: Room, user_id: str) -> tuple[Room, list[Member]]:
    before = rows.member(room, user_id)
    if before is None or before.place is None:
        return room, []
    after = replace(before, place=None)
    return seated(room, before, after), [after]


def leave(rows: RoomRows, caller: Caller, room_id: str) -> Change:
    """Whoever is not inside, or whose room is gone, has left already."""
    room = rows.room(caller.tenant.name, room_id)
    if not room.open:
        return Change()
    room, members = _left(rows, room, caller.user_id)
    return Change(rooms=(room,), members=tuple(members)) if members else Change()


def depart(rows: RoomRows, caller: Caller) -> Change:
    """An account goes for good: its rooms close, it leaves the others. Outcome: whether it was there."""
    tenant, user_id = caller.tenant, caller.user_id
    if not rows.account_exists(tenant.name, user_id):
        return Change(outcome=False)
    rooms, members = [], []
    for room in rows.elsewhere(tenant.name, user_id):
        if room.owned_by == user_id:
            rooms.append(closed(room))
            continue
        after, left = _left(rows, room, user_id)
        rooms.append(after)
        members += left
    return Change(outcome=True, rooms=tuple(rooms), members=tuple(members), account_deleted=True)


class MemberService:
    """What one may do as a member."""

    def __init__(self, rooms: RoomStore, room_service: RoomService, clock: Clock) -> None:
        self._rooms = rooms
        self._room_service = room_service
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
        return room_id, await self._rooms.change(order)

    async def leave(self, caller: Caller, room_id: str) -> None:
        """Leave a room; not being inside is success."""
        await self._rooms.change(
            RoomOrder(caller.tenant.name, caller.user_id, room_id, lambda rows: leave(rows, caller, room_id))
        )

    async def depart(self, caller: Caller) -> bool:
        """Delete the caller's account with its credentials, sessions and memberships; its rooms close."""
        order = RoomOrder(
            caller.tenant.name,
            caller.user_id,
            "",
            lambda rows: depart(rows, caller),
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
