"""The rules on the embedded back ends, as one process wires them; clock and ids in the tests' hands."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.state.memory import MemoryLimits
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.adapters.store.absence import SqlAbsence
from liveroom.adapters.store.accounts import SqlAccounts
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.errands import SqlErrands
from liveroom.adapters.store.outbox import Outbox
from liveroom.adapters.store.rooms import SqlRooms
from liveroom.adapters.store.sealing import Seal
from liveroom.adapters.store.sessions import SqlSessions
from liveroom.errors import Code, Refusal
from liveroom.model import Caller, Room, RoomQuery, Tenant
from liveroom.ports.accounts import Profile
from liveroom.ports.limits import LimitStore
from liveroom.ports.messaging import Messaging
from liveroom.ports.presence import PresenceStore
from liveroom.services.accounts import AccountService, Login, Signature, SignInPolicy
from liveroom.services.callbacks import CallbackService
from liveroom.services.limits import Limits
from liveroom.services.members import MemberService
from liveroom.services.messaging import MessagingService
from liveroom.services.presence import PresenceService
from liveroom.services.rooms import RoomService, RoomTexts
from liveroom.services.settling import SettleService, times_of
from liveroom.services.sweeps import SweepService
from liveroom.services.tenants import Tenants
from liveroom.services.tokens import TokenService

NOON = 1_700_000_000_000
SALT = "0123456789abcdef0123456789abcdef"
KEY = "the key that signs the tokens of these tests, long enough for SHA512 as well"
DEFAULT = Tenant(name="default", sdk_app_id=1400000000, secret="a TRTC secret")
ACME = Tenant(name="acme", sdk_app_id=1400000001, secret="another TRTC secret")


# The last token that was made for each session, for those who need to show it.
TOKENS: dict[str, str] = {}


class Clock:
    """It stands until a test moves it; milliseconds since the epoch."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class Setup(Struct, frozen=True):
    """What one process is configured with; the rest is as it comes."""

    keys: tuple[str, ...] = (KEY,)
    revocation: bool = True
    policy: SignInPolicy = SignInPolicy()
    limited: bool = True
    shared: LimitStore | None = None
    presence: PresenceStore | None = None
    messaging: Messaging | None = None
    tenants: tuple[Tenant, ...] = (DEFAULT, ACME)


class Process:
    """The services of one process. Two on one database are two processes."""

    def __init__(self, path: Path, clock: Clock, ids: Iterator[str], setup: Setup) -> None:
        self.clock = clock
        self.database = Database(f"sqlite:///{path}")
        self.outbox = Outbox(self.database.dialect)
        self.account_store = SqlAccounts(
            self.database, Seal(["a data key for these tests, long enough"]), self.outbox, clock
        )
        self.sessions = SqlSessions(self.database)
        self.room_store = SqlRooms(self.database, self.outbox, clock)
        self.absence = SqlAbsence(self.database)
        self.errands = SqlErrands(self.database)
        self.messaging = setup.messaging or EmbeddedMessaging()
        tenants = Tenants({tenant.name: tenant for tenant in setup.tenants}, unknown_is_default=False)
        own = MemoryLimits(clock.seconds)
        self.limits = Limits(setup.shared or MemoryLimits(clock.seconds), own, setup.limited)
        self.tokens = TokenService(list(setup.keys), self.sessions, clock, revocation=setup.revocation)
        self.presence_store = setup.presence or MemoryPresence()
        times, turns = times_of(tenants), MemoryLimits(clock.seconds)
        self.settling = SettleService(
            self.presence_store, self.sessions, self.absence, self.room_store, turns, times, clock
        )
        self.presence = PresenceService(self.presence_store, self.sessions, self.settling, times, clock)
        self.sweeps = SweepService(self.room_store, self.absence, self.settling, tenants, clock)
        self.carrier = MessagingService(
            self.messaging, self.errands, self.room_store, self.account_store, tenants, clock
        )
        self.callbacks = CallbackService(self.presence, self.room_store, self.absence, self.messaging, clock)
        self.rooms = RoomService(self.room_store, self.limits, ids.__next__, clock)
        self.members = MemberService(self.room_store, self.rooms, self.carrier, clock)
        self.accounts = AccountService(
            self.account_store,
            self.tokens,
            self.members,
            self.presence,
            self.limits,
            setup.policy,
            ids=ids.__next__,
            clock=clock,
        )

    async def sign_up(self, username: str, tenant: Tenant = DEFAULT) -> Caller:
        """Register and sign in."""
        await self.accounts.register(tenant, username, SALT)
        login = await self.accounts.sign_in(tenant, proof(username), Profile())
        return await self.caller(login)

    async def caller(self, login: Login) -> Caller:
        """Whoever holds the token of a login, as the envelope makes it out."""
        claims = await self.tokens.check(login.token, login.account.user_id, login.tenant)
        TOKENS[claims.sid] = login.token
        return Caller(login.tenant, claims.user_id, claims.sid)

    async def enter(self, caller: Caller, room_id: str | None, role: str | None = None, **texts: str) -> str:
        return (await self.members.enter(caller, room_id, role, texts))[0]

    async def update(self, caller: Caller, room_id: str, role: str | None = None, **texts: str) -> Room:
        return await self.rooms.update(caller, room_id, RoomTexts(**texts), role)

    async def inside(self, caller: Caller, room_id: str) -> list[str]:
        return [profile.user_id for profile in await self.members.page(caller, room_id, 0, 100)]

    async def listed(self, tenant: Tenant = DEFAULT, **given: Any) -> list[str]:
        """The ids of the rooms that the list shows."""
        wanted: dict[str, Any] = dict.fromkeys(("category", "room_ids", "since", "until"))
        wanted |= {"by_joined": False, "offset": 0, "limit": 100}
        return [room.room_id for room in await self.rooms.page(RoomQuery(tenant=tenant.name, **wanted | given))]


def counted_ids() -> Iterator[str]:
    """Ids that a test can tell in advance: 10000000, 10000001, …"""
    return (str(number) for number in count(10_000_000))


def proof(
    username: str, secret: str = SALT, tag: str = "", ts: str = "", nonce: str = "", algorithm: str = "md5"
) -> Signature:
    """A genuine signature, unless the secret is another."""
    text = f"{username}-{tag}-{ts}-{nonce}-{secret}"
    return Signature(username, hashlib.new(algorithm, text.encode()).hexdigest(), tag, ts, nonce, algorithm)


async def refused(code: Code, wish: Awaitable[Any]) -> Refusal:
    """The refusal that a wish is answered with."""
    with pytest.raises(Refusal) as caught:
        await wish
    assert caught.value.code == code, caught.value
    return caught.value
