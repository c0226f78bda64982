"""One process of the service, as far as the store's contract goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Executable, insert, select

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.state.memory import MemoryLimits
from liveroom.adapters.store.absence import SqlAbsence
from liveroom.adapters.store.accounts import SqlAccounts
from liveroom.adapters.store.deliveries import Listener
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.errands import SqlErrands
from liveroom.adapters.store.outbox import Outbox
from liveroom.adapters.store.rooms import SqlRooms
from liveroom.adapters.store.sealing import Seal
from liveroom.adapters.store.sessions import SqlSessions
from liveroom.adapters.store.tables import accounts, ids, members
from liveroom.app import random_id
from liveroom.errors import Refusal
from liveroom.model import Account, Caller, Room, RoomQuery, Tenant
from liveroom.ports.accounts import NewAccount
from liveroom.ports.back_ends import IdSource
from liveroom.services.limits import Limits
from liveroom.services.members import MemberService
from liveroom.services.messaging import MessagingService
from liveroom.services.rooms import RoomService, RoomTexts
from liveroom.services.tenants import Tenants

DATA_KEY = "a data key for the contract suite, long enough"
SALT = "0123456789abcdef0123456789abcdef"
NOON = 1_700_000_000_000
DEFAULT = Tenant(name="default")


class Ticks:
    """A clock that is one millisecond later each time it is read."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Node:
    """A process: its own connections, its own batches; two nodes on one URL share nothing else."""

    def __init__(
        self,
        url: str,
        clock: Callable[[], int],
        witness: Callable[[SqlRooms], Any] | None = None,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.database = Database(url)
        self.outbox = Outbox(self.database.dialect, {"default": listeners})
        self.accounts = SqlAccounts(self.database, Seal([DATA_KEY]), self.outbox, clock)
        self.sessions = SqlSessions(self.database)
        self.rooms = SqlRooms(self.database, self.outbox, clock)
        limits = Limits(MemoryLimits(), MemoryLimits(), on=False)
        rooms: Any = witness(self.rooms) if witness else self.rooms
        self.errands = SqlErrands(self.database)
        self.absence = SqlAbsence(self.database)
        tenants = Tenants({"default": DEFAULT}, unknown_is_default=False)
        messaging = MessagingService(EmbeddedMessaging(), self.errands, rooms, self.accounts, tenants, clock)
        self.room_service = RoomService(rooms, limits, random_id, clock)
        self.member_service = MemberService(rooms, self.room_service, messaging, clock)

    async def register(self, username: str, tenant: Tenant = DEFAULT, ids: IdSource = random_id) -> Account:
        account = await self.accounts.register(new(username, tenant, ids), SALT)
        assert account is not None, f"{username!r} is taken"
        return account

    async def caller(self, username: str, tenant: Tenant = DEFAULT) -> Caller:
        """A new account, ready to make calls."""
        account = await self.register(username, tenant)
        return Caller(tenant, account.user_id, f"session of {username}")

    async def callers(self, number: int, tenant: Tenant = DEFAULT) -> list[Caller]:
        """New accounts, quicker than any verb makes them."""
        user_ids = [random_id() for _ in range(number)]
        of_tenant = {"tenant": tenant.name}
        named = [of_tenant | {"user_id": user_id, "username": f"user {user_id}"} for user_id in user_ids]
        taken = [of_tenant | {"id": user_id, "kind": "account", "user_id": user_id} for user_id in user_ids]
        async with self.database.engine.begin() as connection:
            await connection.execute(insert(accounts), named)
            await connection.execute(insert(ids), taken)
        return [Caller(tenant, user_id, f"session of {user_id}") for user_id in user_ids]

    async def enter(self, caller: Caller, room_id: str, role: str | None = None, **texts: str) -> str:
        return (await self.member_service.enter(caller, room_id, role, texts))[1]

    async def leave(self, caller: Caller, room_id: str) -> None:
        await self.member_service.leave(caller, room_id)

    async def depart(self, caller: Caller) -> bool:
        return await self.member_service.depart(caller)

    async def destroy(self, caller: Caller, room_id: str) -> None:
        await self.room_service.destroy(caller, room_id)

    async def update(self, caller: Caller, room_id: str, role: str | None = None, **texts: str) -> Room:
        return await self.room_service.update(caller, room_id, RoomTexts(**texts), role)

    async def room(self, room_id: str, tenant: Tenant = DEFAULT) -> Room:
        room = await self.rooms.find(tenant.name, room_id)
        assert room is not None, f"{room_id} never opened"
        return room

    async def inside(self, room_id: str, tenant: Tenant = DEFAULT) -> list[str] | None:
        """Who the list of users names."""
        profiles = await self.rooms.members(tenant.name, room_id, 0, 1_000)
        return None if profiles is None else [profile.user_id for profile in profiles]

    async def rows(self, statement: Executable, **values: Any) -> list[Any]:
        """What is really in the tables."""
        return await self.database.read(statement, values)

    async def member_rows(self, room: Room) -> list[Any]:
        """The rows of those who entered this opening, inside or not."""
        of_opening = (
            (members.c.tenant, room.tenant),
            (members.c.room_id, room.room_id),
            (members.c.opening, room.opening),
        )
        return await self.rows(select(members).where(*(column == value for column, value in of_opening)))


def new(username: str, tenant: Tenant = DEFAULT, ids: IdSource = random_id) -> NewAccount:
    return NewAccount(tenant.name, username, ids, "", NOON)


def drawn(*candidates: str) -> IdSource:
    """An id source that offers these, and is an error once they are used up."""
    return iter(candidates).__next__


def query(tenant: Tenant = DEFAULT, **given: Any) -> RoomQuery:
    """All visible rooms, unless told otherwise."""
    wanted: dict[str, Any] = dict.fromkeys(("category", "room_ids", "since", "until"))
    return RoomQuery(tenant=tenant.name, **wanted | {"by_joined": False, "offset": 0, "limit": 100} | given)


def codes(outcomes: Iterable[Any]) -> list[int]:
    """The codes of gathered outcomes, 0 for success; whatever is no refusal is raised."""
    found = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Refusal):
            raise outcome
        found.append(int(outcome.code) if isinstance(outcome, Refusal) else 0)
    return found
