"""Rooms: how they open, show, change and close."""

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from liveroom.errors import Code, Refusal, room_gone
from liveroom.model import Caller, Member, Room, RoomQuery, RoomState, Tenant
from liveroom.ports.back_ends import Clock, IdSource
from liveroom.ports.rooms import Change, RoomOrder, RoomRows, RoomStore
from liveroom.services.limits import Limits
from liveroom.services.telling import Cause, told

OPEN_ROOMS_PER_OWNER = 50
Text = str | UnsetType


class RoomTexts(Struct, frozen=True):
    """The texts of a room that an update names; an unnamed one stays."""

    category: Text = UNSET
    title: Text = UNSET
    cover: Text = UNSET
    subject: Text = UNSET
    description: Text = UNSET

    def named(self) -> dict[str, str]:
        pairs = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in pairs if value is not UNSET}


def opened(rows: RoomRows, room: Room, user_id: str, at: int) -> Room:
    """The next opening of a closed room: no members, no texts, owned by its heir."""
    owner = rows.heir(room.tenant, room.room_id)
    if owner is None or not rows.account_exists(room.tenant, owner):
        if owner == room.room_id:
            raise room_gone()
        owner = user_id
    if rows.open_rooms(room.tenant, owner) >= OPEN_ROOMS_PER_OWNER:
        raise Refusal(Code.RoomCreateParams, "This account has too many open rooms.")
    return Room(
        tenant=room.tenant,
        room_id=room.room_id,
        opening=room.opening + 1,
        state=RoomState.HIDDEN,
        owned_by=owner,
        created_by=user_id,
        opened_at=at,
        updated_at=at,
    )


def closed(room: Room) -> Room:
    """The room after its end: its members belong to an opening that is over."""
    counters = dict.fromkeys(("inside", "joined", "anchors_online", "owner_online", "owner_seen"), 0)
    return replace(room, state=RoomState.CLOSED, hidden_since=None, close_at=None, **counters)


def seated(room: Room, before: Member | None, after: Member, tenant: Tenant, at: int) -> Room:
    """The room with its counters moved, and its visibility decided, after one member changed."""
    was, now = _inside(before), _inside(after)
    owner_online, anchors_online, owner_seen = room.owner_online, room.anchors_online, room.owner_seen
    if after.user_id == room.owned_by:
        owner_online = _online(after)
        owner_seen |= now
    else:
        anchors_online += _anchor(after) - _anchor(before)
    room = replace(
        room,
        inside=room.inside + now - was,
        joined=room.joined + (before is None),
        anchors_online=anchors_online,
        owner_online=owner_online,
        owner_seen=owner_seen,
    )
    return shown(room, tenant, at)


def shown(room: Room, tenant: Tenant, at: int) -> Room:
    """The room visible, or hidden and with a time to close, as its owner and anchors have it."""
    if room.owner_online or (room.owner_seen and room.anchors_online):
        return replace(room, state=RoomState.VISIBLE, hidden_since=None, close_at=None)
    since = at if room.hidden_since is None else room.hidden_since
    close_at = moment_after(since, tenant.policy_of(room.category).close_after_s)
    return replace(room, state=RoomState.HIDDEN, hidden_since=since, close_at=close_at)


def moment_after(at: int, seconds: int) -> int | None:
    """`seconds` later; 0 is never."""
    return at + seconds * 1000 if seconds else None


def rewritten(room: Room, texts: dict[str, str], user_id: str, at: int) -> Room:
    """The room with new texts; the same texts again are no change."""
    if all(getattr(room, name) == value for name, value in texts.items()):
        return room
    return replace(room, updated_by=user_id, updated_at=at, **texts)


def _inside(member: Member | None) -> int:
    return int(member is not None and member.place is not None)


def _online(member: Member | None) -> int:
    return int(member is not None and member.place is not None and member.offline_since is None)


def _anchor(member: Member | None) -> int:
    return member.anchor if member is not None and _online(member) else 0


def destroy(rows: RoomRows, caller: Caller, room_id: str) -> Change:
    """Only the owner ends a room; a room that is not open has ended already."""
    room = rows.room(caller.tenant.name, room_id)
    if not room.open:
        return Change()
    if room.owned_by != caller.user_id:
        raise Refusal(Code.SystemVerifyError, "Only the owner may close this room.")
    return told(rows, Change(rooms=(closed(room),)), Cause(by=caller.user_id))


class Update(Struct, frozen=True):
    """A wish to change a room's texts (its owner's) and one's own role."""

    caller: Caller
    room_id: str
    texts: RoomTexts
    role: str | None
    at: int


def update(rows: RoomRows, wish: Update) -> Change:
    """Texts are the owner's to change, a role each member's own."""
    tenant, user_id = wish.caller.tenant, wish.caller.user_id
    room = rows.room(tenant.name, wish.room_id)
    if not room.open:
        raise room_gone()
    texts = wish.texts.named()
    if texts and room.owned_by != user_id:
        raise Refusal(Code.SystemVerifyError, "Only the owner may change this room.")
    # A hidden room of another category may close at another time.
    room = shown(rewritten(room, texts, user_id, wish.at), tenant, wish.at)
    before = rows.member(room, user_id)
    if wish.role is None or before is None or before.place is None:
        return told(rows, Change(outcome=room, rooms=(room,)), Cause(by=user_id))
    after = replace(before, role=wish.role, anchor=int(wish.role in tenant.anchor_roles))
    room = seated(room, before, after, tenant, wish.at)
    return told(rows, Change(outcome=room, rooms=(room,), members=(after,)), Cause(by=user_id))


class RoomService:
    """What one may do with rooms."""

    def __init__(self, rooms: RoomStore, limits: Limits, ids: IdSource, clock: Clock) -> None:
        self._rooms = rooms
        self._limits = limits
        self._ids = ids
        self._clock = clock

    async def generate(self, caller: Caller) -> str:
        """Set aside a room id for the caller; not a room until somebody enters."""
        await self._limits.spend("generate", caller.tenant.name, caller.user_id, most=60, window_s=3600)
        prefix = caller.tenant.id_prefix
        return await self._rooms.generate(caller.tenant.name, caller.user_id, lambda: prefix + self._ids())

    async def destroy(self, caller: Caller, room_id: str) -> None:
        """Close the room, as its owner; no such room is success."""
        await self._rooms.change(
            RoomOrder(caller.tenant.name, caller.user_id, room_id, lambda rows: destroy(rows, caller, room_id))
        )

    async def update(self, caller: Caller, room_id: str, texts: RoomTexts, role: str | None) -> Room:
        """Change the room's texts, as its owner, and the caller's own role."""
        wish = Update(caller, room_id, texts, role, self._clock())
        order = RoomOrder(caller.tenant.name, caller.user_id, room_id, lambda rows: update(rows, wish))
        room: Room = await self._rooms.change(order)
        return room

    async def detail(self, caller: Caller, room_id: str) -> Room:
        """An open room, visible or hidden."""
        room = await self._rooms.find(caller.tenant.name, room_id)
        if room is None or not room.open:
            raise room_gone()
        return room

    async def page(self, query: RoomQuery) -> list[Room]:
        """One page of the visible rooms."""
        return await self._rooms.page(query)
