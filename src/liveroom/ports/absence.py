"""Who of the members is offline, and what is due because of it: facts in SQL, told in bulk."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

User = tuple[str, str]


class Leaver(Struct, frozen=True):
    """A member whose time to leave has come."""

    tenant: str
    room_id: str
    opening: int
    user_id: str


class Sides(Struct, frozen=True):
    """As what a user counts in the open rooms that it is inside of; it may be both, or neither."""

    online: bool
    offline: bool


class AbsenceStore(Protocol):
    """Reads for the sweeps; each costs by what it answers, not by who is online."""

    async def inside(self, users: Sequence[User]) -> dict[User, list[tuple[str, bool]]]:
        """The open rooms that each user is inside of, as (room_id, whether it counts as online there).

        A user that is inside of none is not named.
        """

    async def due_to_leave(self, tenants: Sequence[str], at: int, most: int) -> list[Leaver]:
        """Members of these tenants' open rooms whose `leave_at` has come, the longest due first."""

    async def due_to_close(self, tenants: Sequence[str], at: int, most: int) -> list[tuple[str, str]]:
        """Rooms of these tenants, as (tenant, room_id), whose `close_at` has come, the longest due first."""

    async def inside_after(self, user: User, most: int) -> list[tuple[User, Sides]]:
        """Who is inside of any room, in order of (tenant, user_id), after this one."""

    async def entered_until(self, tenant: str, room_id: str, at: int, most: int, without: str) -> list[str]:
        """Members of an open room, but for `without`, who have entered not later than `at`."""

    async def open_after(self, room: tuple[str, str], most: int) -> list[tuple[str, str]]:
        """Open rooms, as (tenant, room_id), in that order, after this one."""
