"""The rows that a batch of room orders holds locked, as the rules see them and change them."""

from msgspec import Struct
from msgspec.structs import replace

from liveroom.adapters.store.outbox import next_position, written
from liveroom.events import About, Event
from liveroom.model import Member, Room
from liveroom.ports.outbox import Told
from liveroom.ports.rooms import Change, RoomOrder

Key = tuple[str, str]
MemberKey = tuple[str, str, int, str]


def member_key(room: Room, user_id: str) -> MemberKey:
    return (room.tenant, room.room_id, room.opening, user_id)


class LockedAccount(Struct):
    """What a batch needs of an account that it holds."""

    name: str
    avatar: str
    position: int


class LockedRows:
    """One batch's rows; a later order sees what an earlier one changed."""

    def __init__(self) -> None:
        self.accounts: dict[Key, LockedAccount] = {}
        self.heirs: dict[Key, str | None] = {}
        self.rooms: dict[Key, Room] = {}
        self.members: dict[MemberKey, Member] = {}
        self.others: dict[Key, set[Key]] = {}
        self.owned: dict[Key, int] = {}
        self._rooms_before: dict[Key, Room] = {}
        self._members_before: dict[MemberKey, Member | None] = {}
        self.deleted: list[Key] = []

    def room(self, tenant: str, room_id: str) -> Room:
        return self.rooms.get((tenant, room_id)) or Room(tenant, room_id)

    def member(self, room: Room, user_id: str) -> Member | None:
        return self.members.get(member_key(room, user_id))

    def account_exists(self, tenant: str, user_id: str) -> bool:
        return (tenant, user_id) in self.accounts

    def profile(self, tenant: str, user_id: str) -> tuple[str, str]:
        account = self.accounts[tenant, user_id]
        return account.name, account.avatar

    def heir(self, tenant: str, room_id: str) -> str | None:
        return self.heirs[tenant, room_id]

    def open_rooms(self, tenant: str, owner: str) -> int:
        return self.owned.get((tenant, owner), 0)

    def elsewhere(self, tenant: str, user_id: str) -> list[Room]:
        keys = sorted(self.others.get((tenant, user_id), set()))
        return [room for room in (self.room(*key) for key in keys) if room.open]

    def apply(self, order: RoomOrder, change: Change, at: int) -> list[Told]:
        """Take over what a rule decided; answers what is to be told of it."""
        for room in change.rooms:
            self._put_room(room)
        for member in change.members:
            key = (member.tenant, member.room_id, member.opening, member.user_id)
            self._members_before.setdefault(key, self.members.get(key))
            self.members[key] = member
            # A later order of the same user must see the room it has just entered.
            self.others.setdefault((member.tenant, member.user_id), set()).add(key[:2])
        told = [self._number(order, event, at) for event in change.events]
        if change.account_deleted:
            del self.accounts[order.tenant, order.user_id]
            self.deleted.append((order.tenant, order.user_id))
        return told

    def changed_rooms(self) -> list[tuple[Room, Room]]:
        """Rooms that differ now, as (before, after)."""
        pairs = ((before, self.rooms[key]) for key, before in self._rooms_before.items())
        return [(before, after) for before, after in pairs if before != after]

    def changed_members(self) -> list[Member]:
        pairs = ((before, self.members[key]) for key, before in self._members_before.items())
        return [after for before, after in pairs if before != after]

    def _number(self, order: RoomOrder, event: Event, at: int) -> Told:
        """The event at the end of its log; this moves the end."""
        if event.about is About.USER:
            account = self.accounts[order.tenant, order.user_id]
            account.position = next_position(account.position, event)
            return written(event, order.user_id, account.position, at)
        key = (event.tenant, event.room_id)
        room = self.rooms[key]
        position = next_position(room.position, event)
        self._rooms_before.setdefault(key, room)
        self.rooms[key] = replace(room, position=position)
        return written(event, event.room_id, position, at)

    def _put_room(self, room: Room) -> None:
        key = (room.tenant, room.room_id)
        before = self.rooms[key]
        # A rule decides from the room as it was read, and does not know its log.
        room = replace(room, position=before.position)
        self._rooms_before.setdefault(key, before)
        self.rooms[key] = room
        if before.open:
            self._count(before, -1)
        if room.open:
            self._count(room, 1)
            # Whoever owns the room may, later in this batch, go and take it along.
            self.others.setdefault((room.tenant, room.owned_by), set()).add(key)

    def _count(self, room: Room, step: int) -> None:
        owner = (room.tenant, room.owned_by)
        if owner in self.owned:
            self.owned[owner] += step
