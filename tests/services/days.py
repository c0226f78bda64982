"""Time for the processes of a test: whoever beats, whoever is silent, and all that goes on by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from sqlalchemy import select

from liveroom.adapters.state.memory import MemoryLimits
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.adapters.store.tables import members, rooms
from liveroom.errors import Refusal, state_away
from liveroom.model import Caller, Room, RoomState, Tenant
from liveroom.ports.accounts import Profile
from liveroom.services.presence import PresenceService
from liveroom.services.settling import SettleService, times_of
from liveroom.services.tenants import Tenants
from services.rig import ACME, DEFAULT, Clock, Process, proof

# What the apps do; a longer step must be shorter than the gap after which nobody is missed.
BEAT_EVERY_S = 10
TWO_HOURS_S = 7_200
LONG_STEP_S = 4
SLOW_JOBS_EVERY_S = 5
# In long times only the state store is watched as closely; asking SQL is what takes the test's time.
LONG_SWEEPS_EVERY_S = 200

Meddle = Callable[[str], Awaitable[None]]


class Day:
    """One or two processes on one database and one state store, and the time that passes for them."""

    def __init__(self, clock: Clock, *processes: Process) -> None:
        self.clock = clock
        self.processes = list(processes)
        self._beats_due: dict[str, tuple[Caller, int]] = {}
        self._tokens: dict[str, str] = {}
        self._turn = 0
        self._slow_due = 0
        self._sweeps_due = 0

    @property
    def process(self) -> Process:
        """Whichever process a balancer gives the next call to."""
        self._turn += 1
        return self.processes[self._turn % len(self.processes)]

    async def begin(self, seconds: int = 40) -> None:
        """The first timeout of a new state store, in which nobody is missed, is over."""
        for _ in range(0, seconds + 1, LONG_STEP_S):
            self.clock.pass_s(LONG_STEP_S)
            for process in self.processes:
                await process.settling.watch()
        for process in self.processes:
            await process.settling.audit()

    async def pass_s(self, seconds: int) -> None:
        """Let time pass, second by second."""
        for _ in range(seconds):
            self.clock.pass_s(1)
            await self.work()

    async def pass_long(self, seconds: int) -> None:
        """Let much time pass, in larger steps; whatever is due at its end is done."""
        end = self.clock.now + seconds * 1000
        while self.clock.now < end:
            self.clock.now = min(self.clock.now + LONG_STEP_S * 1000, end)
            sweeps = self.clock.now >= min(self._sweeps_due, end)
            if sweeps:
                self._sweeps_due = self.clock.now + LONG_SWEEPS_EVERY_S * 1000
            await self.work(sweeps=sweeps)

    async def work(self, *, sweeps: bool = True) -> None:
        """The beats that are due, and one round of what each process does by itself."""
        for sid, (caller, due_at) in list(self._beats_due.items()):
            if self.clock.now >= due_at:
                # An app that is refused tries again the next time.
                with contextlib.suppress(Refusal):
                    self.process.presence.beat(caller)
                self._beats_due[sid] = (caller, self.clock.now + BEAT_EVERY_S * 1000)
        slow = self.clock.now >= self._slow_due
        if slow:
            self._slow_due = self.clock.now + SLOW_JOBS_EVERY_S * 1000
        # Signs are told ten times as often as anything else is done.
        for process in self.processes:
            with contextlib.suppress(Refusal):
                await process.presence.flush()
        # One process sweeps each second, the other one the next.
        sweeper = self.process if sweeps else None
        for process in self.processes:
            for job in jobs(process, sweeps=process is sweeper, slow=slow):
                # As the loops do: a back end that is away is waited for.
                with contextlib.suppress(Refusal):
                    await job()

    async def sign_up(self, username: str, tenant: Tenant = DEFAULT) -> Caller:
        return await self.process.sign_up(username, tenant)

    async def sign_in(self, username: str, tenant: Tenant = DEFAULT) -> Caller:
        """One more session; it can log out."""
        process = self.process
        login = await process.accounts.sign_in(tenant, proof(username), Profile())
        caller = await process.caller(login)
        self._tokens[caller.sid] = login.token
        return caller

    async def log_out(self, caller: Caller) -> None:
        self.fall_silent(caller)
        await self.process.accounts.logout(self._tokens[caller.sid], caller.user_id, None)

    def beat(self, *callers: Caller) -> None:
        """They beat from now on, beginning at once."""
        for caller in callers:
            self.process.presence.beat(caller)
            self._beats_due[caller.sid] = (caller, self.clock.now + BEAT_EVERY_S * 1000)

    def fall_silent(self, *callers: Caller) -> None:
        for caller in callers:
            self._beats_due.pop(caller.sid, None)

    def call(self, caller: Caller) -> Process:
        """Any authenticated call: whoever makes it is heard, before it is answered."""
        process = self.process
        process.presence.called(caller)
        return process

    async def enter(self, caller: Caller, room_id: str, role: str | None = None, **texts: str) -> None:
        await self.call(caller).enter(caller, room_id, role, **texts)

    async def room(self, room_id: str, tenant: Tenant = DEFAULT) -> Room:
        room = await self.process.room_store.find(tenant.name, room_id)
        assert room is not None, f"{room_id} never opened"
        return room

    async def state(self, room_id: str, tenant: Tenant = DEFAULT) -> RoomState:
        """The room as the store has it, after a check that every count is right."""
        await assert_exact(self.process)
        return RoomState((await self.room(room_id, tenant)).state)

    async def online(self, room_id: str, tenant: Tenant = DEFAULT) -> dict[str, bool]:
        """Who is inside, and whether it is shown to be online; nobody, if the room is closed."""
        await assert_exact(self.process)
        found = await self.process.room_store.members(tenant.name, room_id, 0, 100) or []
        return {profile.user_id: profile.online for profile in found}


def jobs(process: Process, *, sweeps: bool = True, slow: bool = True) -> list[Callable[[], Awaitable[None]]]:
    """What a process does by itself, in the order in which a round may take it."""
    presence, settling = process.presence, process.settling
    often = [settling.watch, settling.settle_returned, settling.settle_missed]
    if sweeps:
        often += [process.sweeps.evict, process.sweeps.close, process.carrier.run]
    return [*often, presence.note_beating, settling.audit] if slow else often


class Meddled:
    """A port with somebody at either side of each verb, who may wait, do something, or raise."""

    def __init__(self, inner: Any, meddle: Meddle) -> None:
        self._inner = inner
        self._meddle = meddle

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)

        async def call(*given: Any, **named: Any) -> Any:
            await self._meddle(f"before {name}")
            outcome = await verb(*given, **named)
            await self._meddle(f"after {name}")
            return outcome

        return call


class Soft:
    """The state store of a test: it may be away, and come back with less than it had."""

    def __init__(self) -> None:
        self._inner = MemoryPresence()
        self.away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(Meddled(self._inner, self._answer), name)

    async def _answer(self, _: str) -> None:
        if self.away:
            raise state_away()

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        self.away = True
        yield
        self.away = False

    def lose_all(self) -> None:
        self._inner = MemoryPresence()

    def lose_entries(self, *callers: Caller) -> None:
        """Of these sessions; that it was watched it still knows."""
        for caller in callers:
            del self._inner._entries[f"{caller.tenant.name}/{caller.user_id}/{caller.sid}"]


class Cast:
    """A room with its owner and a crowd: some beat, some never do, one has just stopped."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.there: list[Caller] = []
        self.gone: list[Caller] = []

    async def arrive(self) -> None:
        self.owner, self.anchor, self.viewer, self.android, self.leaver, self.quiet = [
            await self.day.sign_up(name) for name in ("owner", "anchor", "viewer", "android", "leaver", "quiet")
        ]
        for user in (self.owner, self.viewer, self.android, self.leaver, self.quiet):
            await self.day.enter(user, "r")
        await self.day.enter(self.anchor, "of anchor", "anchor")
        self.there = [self.owner, self.viewer, self.android]
        self.day.beat(self.owner, self.anchor, self.viewer, self.leaver)
        await self.day.pass_s(15)

    def drop(self) -> None:
        """The one who leaves, and the one with a room of its own, die without a word."""
        self.day.fall_silent(self.leaver, self.anchor)

    async def assert_nobody_missed(self) -> None:
        online = await self.day.online("r")
        everybody = (self.owner, self.viewer, self.android, self.leaver, self.quiet)
        assert online == {user.user_id: True for user in everybody}
        assert [await self.day.state(room) for room in ("r", "of anchor")] == [RoomState.VISIBLE, RoomState.VISIBLE]

    async def assert_only_the_dead_missed(self) -> None:
        """The silent ones have their two hours."""
        online = await self.day.online("r")
        everybody = (self.owner, self.viewer, self.android, self.quiet)
        assert online == {user.user_id: True for user in everybody}
        assert [await self.day.state(room) for room in ("r", "of anchor")] == [RoomState.VISIBLE, RoomState.HIDDEN]

    async def assert_right_after_two_hours(self) -> None:
        """The Android app calls now and then; the one that fell silent does not."""
        for _ in range(4):
            await self.day.pass_long(TWO_HOURS_S // 4)
            await self.day.call(self.android).rooms.detail(self.android, "r")
        await self.day.pass_s(70)
        assert await self.day.online("r") == {user.user_id: True for user in self.there}
        assert [await self.day.state(room) for room in ("r", "of anchor")] == [RoomState.VISIBLE, RoomState.CLOSED]


def meddled_presence(process: Process, clock: Clock, meddle: Meddle) -> tuple[PresenceService, SettleService]:
    """Presence of another process on the same back ends, with somebody at each of its awaits."""
    ports = (process.presence_store, process.sessions, process.absence, process.room_store)
    presence, sessions, absence, room_store = (Meddled(port, meddle) for port in ports)
    turns = MemoryLimits(clock.seconds)
    times = times_of(tenants())
    settling = SettleService(presence, sessions, absence, room_store, turns, times, clock)
    return PresenceService(presence, sessions, settling, times, clock), settling


def tenants(*given: Tenant) -> Tenants:
    return Tenants({tenant.name: tenant for tenant in given or (DEFAULT, ACME)}, unknown_is_default=False)


async def assert_exact(process: Process) -> None:
    """Every counter, and every visibility, follows from the member rows; deadlines are where they belong."""
    of_rooms = await process.database.read(select(*(rooms.c[name] for name in Room.__struct_fields__)))
    everybody = await process.database.read(select(members))
    for row in of_rooms:
        room = Room(*row)
        of_room = [member for member in everybody if (member.tenant, member.room_id) == (room.tenant, room.room_id)]
        entered = [member for member in of_room if member.opening == room.opening]
        if not room.open:
            assert (room.inside, room.joined, room.anchors_online, room.owner_online) == (0, 0, 0, 0)
            assert (room.hidden_since, room.close_at) == (None, None)
            continue
        inside = sorted((member for member in entered if member.place is not None), key=lambda row: row.place)
        listed = await process.room_store.members(room.tenant, room.room_id, 0, 100) or []
        assert [profile.user_id for profile in listed] == [member.user_id for member in inside]
        assert [profile.online for profile in listed] == [member.offline_since is None for member in inside]
        _assert_counted(room, inside)
        assert room.joined >= len(entered)
        for member in entered:
            assert member.place is not None or (member.offline_since, member.leave_at) == (None, None)
            assert member.leave_at is None or member.offline_since is not None
            assert member.leave_at is None or member.user_id != room.owned_by, "the owner stays"


def _assert_counted(room: Room, inside: list[Any]) -> None:
    online = [member for member in inside if member.offline_since is None]
    anchors = [member for member in online if member.anchor and member.user_id != room.owned_by]
    owner = room.owned_by in {member.user_id for member in online}
    assert (room.inside, room.anchors_online, room.owner_online) == (len(inside), len(anchors), int(owner))
    shown = owner or bool(anchors and room.owner_seen)
    assert (room.state == RoomState.VISIBLE) == shown
    assert (room.hidden_since is None) == shown
    assert room.close_at is None or room.hidden_since is not None
