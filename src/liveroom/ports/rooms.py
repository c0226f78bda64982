"""Rooms and their members, and how a rule changes them."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

from msgspec import Struct

from liveroom.events import Event
from liveroom.model import Member, MemberProfile, Room, RoomQuery
from liveroom.ports.back_ends import IdSource


class RoomRows(Protocol):
    """The locked rows a room rule decides upon. Looking up an unknown key answers None."""

    def room(self, tenant: str, room_id: str) -> Room:
        """The room as it stands; one that never opened is closed with opening 0."""

    def member(self, room: Room, user_id: str) -> Member | None:
        """Whoever entered this opening of the room, inside or not."""

    def account_exists(self, tenant: str, user_id: str) -> bool:
        """Whether the account is there; asked of an order's own user and of a room's heir."""

    def profile(self, tenant: str, user_id: str) -> tuple[str, str]:
        """Name and avatar of the account of an order that enters."""

    def heir(self, tenant: str, room_id: str) -> str | None:
        """Who owns the room when it opens: the account of this id, or who generated it; None: whoever
        opens it. A deleted account is still named (and `account_exists` says False)."""

    def open_rooms(self, tenant: str, owner: str) -> int:
        """How many open rooms this account owns; asked on opening a room."""

    def elsewhere(self, tenant: str, user_id: str) -> list[Room]:
        """The open rooms that the order's `others` asked for, sorted by id."""


class Change(Struct, frozen=True):
    """What a room rule decided: the answer, the rows as they are to be written, and what that tells.

    The store numbers the events and writes them in the same transaction.
    """

    outcome: Any = None
    rooms: tuple[Room, ...] = ()
    members: tuple[Member, ...] = ()
    account_deleted: bool = False
    events: tuple[Event, ...] = ()


class RoomOrder(Struct, frozen=True):
    """A wish to change rooms, with the rule that decides it inside the transaction.

    `rule` is pure: it may be asked again, and raises `Refusal` to change nothing. `user_id` is the
    account the order speaks for, `room_id` the room ("" for none). `enters` locks the account, so that
    it cannot vanish meanwhile, and prepares the room to be opened. `others` locks more open rooms:
    those the user is inside of, or these and those it owns.
    """

    tenant: str
    user_id: str
    room_id: str
    rule: Callable[[RoomRows], Change]
    enters: bool = False
    others: Literal["none", "inside", "owned too"] = "none"


class RoomStore(Protocol):
    """Rooms and their members."""

    async def change(self, order: RoomOrder) -> Any:
        """Decide one order and write its change as one atomic fact; answers the rule's outcome.

        Orders about the same room or user are decided one after another, in order of arrival, on every
        process; a refused order touches no other. Committed when this returns. After a refusal with
        ServiceDBFailed the change is there whole or not at all.
        """

    async def find(self, tenant: str, room_id: str) -> Room | None:
        """The room as it stands, open or closed; None: never opened."""

    async def page(self, query: RoomQuery) -> list[Room]:
        """Visible rooms: newest first (or most joined first), a total order."""

    async def members(self, tenant: str, room_id: str, offset: int, limit: int) -> list[MemberProfile] | None:
        """Who is inside, in order of entering. None: the room is not open."""

    async def snapshot(self, tenant: str, room_id: str, most: int) -> tuple[Room, list[MemberProfile]] | None:
        """An open room and the first of those inside, as of one moment. None: the room is not open."""

    async def generate(self, tenant: str, user_id: str, ids: IdSource) -> str:
        """Set aside an id that is and was no account and no room, owned by `user_id` once it opens."""

    async def prune(self) -> int:
        """Delete members of past openings, in small steps. Answers how many rows went."""
