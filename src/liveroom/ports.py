"""What the rules need from outside; all that adapters owe is documented here, once.

Every verb may raise `Refusal`: ServiceDBFailed when the database is away or refuses, ServiceUnavailable
when another back end is away or a queue is full. Every verb answers within 5 s. A caller that gives up
never cancels work that others share. Moments are milliseconds since the Unix epoch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from liveroom.model import (
    Account,
    Credential,
    Member,
    MemberProfile,
    Room,
    RoomQuery,
    Session,
    SessionStanding,
)


class Clock(Protocol):
    def __call__(self) -> int:
        """Now, in milliseconds since the Unix epoch."""


class IdSource(Protocol):
    def __call__(self) -> str:
        """A fresh, unpredictable candidate for a userId or roomId, without tenant prefix."""


class Profile(Struct, frozen=True):
    """What to change of an account; None leaves a field as it is."""

    name: str | None = None
    avatar: str | None = None
    tag: str | None = None
    tag2: str | None = None


class NewAccount(Struct, frozen=True):
    """An account to be made. `ids` is drawn from until an id is free."""

    tenant: str
    username: str
    ids: IdSource
    avatar: str
    created_at: int


class AccountStore(Protocol):
    """Accounts and what proves them. Usernames and ids compare byte for byte."""

    async def register(self, new: NewAccount, salt: str) -> Account | None:
        """Make an account with a salt, encrypted at rest. None: the username is taken."""

    async def vouch(self, new: NewAccount, profile: Profile) -> tuple[Account, bool]:
        """The account of this username, made on first sight, with `profile` applied.

        A salt that it had is deleted, and its sessions end with it; the flag says whether that was so.
        """

    async def find(self, tenant: str, user_id: str) -> Account | None:
        """The account of this id."""

    async def find_by_phone(self, tenant: str, phone: str) -> Account | None:
        """The account of this phone number, in E.164 form."""

    async def credential(self, tenant: str, username: str) -> Credential | None:
        """What proves this username."""

    async def update(self, tenant: str, user_id: str, profile: Profile) -> bool:
        """Change an account. False: there is none."""


class SessionStore(Protocol):
    """Logins. SQL is the truth about them."""

    async def open(self, session: Session, now: int, most: int) -> bool:
        """Record a session; beyond `most` of its account the least recently used end. False: no account."""

    async def prolong(self, session: Session, now: int) -> SessionStanding:
        """Move a live session's `expires_at` and mark it used."""

    async def mark_used(self, sessions: Sequence[tuple[str, str]], now: int) -> None:
        """These sessions, as (tenant, sid), were used."""

    async def standing(self, tenant: str, user_id: str, sid: str) -> SessionStanding:
        """Whether the session is live, as of a read that began after this call."""

    async def end(self, tenant: str, user_id: str, sid: str) -> None:
        """End a session for good; repeated calls change nothing."""

    async def ended_since(self, cursor: int) -> tuple[list[tuple[str, str]], int]:
        """Sessions, as (tenant, sid), that ended at `cursor` or later, and the next cursor.

        Complete for whatever committed before the read began; the same one may be told again.
        Cursor 0 tells nothing and answers where to begin.
        """

    async def prune(self, now: int) -> int:
        """Delete expired sessions and old endings, in small steps. Answers how many rows went."""


class RoomRows(Protocol):
    """The locked rows a room rule decides upon. Looking up an unknown key answers None."""

    def room(self, tenant: str, room_id: str) -> Room:
        """The room as it stands; one that never opened is closed with opening 0."""

    def member(self, room: Room, user_id: str) -> Member | None:
        """Whoever entered this opening of the room, inside or not."""

    def account_exists(self, tenant: str, user_id: str) -> bool:
        """Whether the account is there; asked of an order's own user and of a room's heir."""

    def heir(self, tenant: str, room_id: str) -> str | None:
        """Who owns the room when it opens: the account of this id, or who generated it; None: whoever
        opens it. A deleted account is still named (and `account_exists` says False)."""

    def open_rooms(self, tenant: str, owner: str) -> int:
        """How many open rooms this account owns; asked on opening a room."""

    def elsewhere(self, tenant: str, user_id: str) -> list[Room]:
        """The open rooms that the order's `others` asked for, sorted by id."""


class Change(Struct, frozen=True):
    """What a room rule decided: the answer, and the rows as they are to be written."""

    outcome: Any = None
    rooms: tuple[Room, ...] = ()
    members: tuple[Member, ...] = ()
    account_deleted: bool = False


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

    async def generate(self, tenant: str, user_id: str, ids: IdSource) -> str:
        """Set aside an id that is and was no account and no room, owned by `user_id` once it opens."""

    async def prune(self) -> int:
        """Delete members of past openings, in small steps. Answers how many rows went."""


class LimitStore(Protocol):
    """Short-lived counters, shared by all processes; lost without harm."""

    async def hit(self, key: str, most: int, window_s: int) -> int:
        """Count one use of `key`. 0: allowed; else the seconds until the window of `most` uses ends."""

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        """When `key` was first shown within the last `keep_s` seconds; `now` if this is the first time."""


class BackEnd(Protocol):
    """Something the service leans on."""

    name: str

    async def ping(self) -> None:
        """Answer while it is reachable; raises `Refusal` when not."""
