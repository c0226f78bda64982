"""Callbacks: each may come late, twice, in any order or never, and what is true in the end is the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.model import Caller, CategoryPolicy, RoomState, Tenant
from liveroom.ports.messaging import MessagingTrouble, Remedy
from liveroom.services import callbacks
from services.days import TWO_HOURS_S, Day
from services.rig import ACME, DEFAULT, Clock, Process

VISIBLE, HIDDEN, CLOSED = RoomState
GRACE_S = 10
# Its rooms do not close, so that it can be seen who is left in them.
LASTING = Tenant(name="default", categories={"": CategoryPolicy(evict_after_s=60, close_after_s=0)})

Start = Callable[..., Process]


@pytest.fixture
async def day(start: Start, clock: Clock) -> Day:
    presence, im = MemoryPresence(), EmbeddedMessaging()
    setup = {"presence": presence, "messaging": im, "tenants": (LASTING, ACME)}
    day = Day(clock, start(**setup), start(**setup))
    await day.begin(TWO_HOURS_S)
    return day


@pytest.fixture
async def ann(day: Day) -> Caller:
    """The owner of the room "r", inside."""
    ann = await day.sign_up("ann")
    await day.enter(ann, "r", "anchor")
    return ann


@pytest.fixture
async def ben(day: Day, ann: Caller) -> Caller:
    """Audience."""
    ben = await day.sign_up("ben")
    await day.enter(ben, "r")
    return ben


async def exited(day: Day, *users: Caller, at: int | None = None, room: str = "r") -> None:
    moment = day.clock() if at is None else at
    await day.process.callbacks.exited(DEFAULT, room, [user.user_id for user in users], moment)


async def test_an_exit_is_a_leave(day: Day, ann: Caller, ben: Caller) -> None:
    """Whoever it is; told again it changes nothing."""
    await day.pass_s(5)
    for _ in range(2):
        await exited(day, ben, ben)
        assert await day.online("r") == {ann.user_id: True}
    await exited(day, ann)
    assert await day.online("r") == {}
    assert await day.state("r") == HIDDEN


async def test_an_exit_that_is_told_late_undoes_no_newer_entry(day: Day, ann: Caller, ben: Caller) -> None:
    """Neither that of one who left between, nor that of one who only entered again."""
    await day.pass_s(5)
    exited_at = day.clock()
    await day.pass_s(1)
    await day.call(ann).members.leave(ann, "r")
    for user in (ann, ben):
        await day.enter(user, "r")
    await exited(day, ann, ben, at=exited_at)
    assert await day.online("r") == {ann.user_id: True, ben.user_id: True}


async def test_an_exit_of_the_last_opening_says_nothing_about_this_one(day: Day, ann: Caller, ben: Caller) -> None:
    await day.pass_s(5)
    over_at = day.clock()
    await day.call(ann).rooms.destroy(ann, "r")
    await day.pass_s(1)
    for user in (ann, ben):
        await day.enter(user, "r")
    await exited(day, ann, ben, at=over_at)
    await day.process.callbacks.dismissed(DEFAULT, "r", over_at)
    await day.process.callbacks.group_destroyed(DEFAULT, "r", over_at)
    assert await day.online("r") == {ann.user_id: True, ben.user_id: True}


async def test_a_vendors_clock_that_runs_ahead(day: Day, ann: Caller, ben: Caller) -> None:
    """Its exit sends away whoever is inside, but nobody who enters in a moment; its signs last no longer."""
    await exited(day, ben, at=day.clock() + 60_000)
    await day.pass_s(1)
    await day.enter(ben, "r")
    assert ben.user_id in await day.online("r")
    await day.process.callbacks.connected(DEFAULT, [ann.user_id], day.clock() + 3_600_000)
    await day.pass_long(TWO_HOURS_S)
    assert await day.state("r") == HIDDEN


async def test_a_late_disconnect_after_a_new_login_changes_nothing(day: Day, ann: Caller) -> None:
    await day.pass_s(100)
    for process in day.processes:
        lost_at = day.clock()
        await day.pass_s(2)
        await process.callbacks.connected(DEFAULT, [ann.user_id], day.clock())
        await day.pass_s(3)
        await process.callbacks.disconnected(DEFAULT, [ann.user_id], lost_at)
        await day.pass_s(60)
        assert await day.state("r") == VISIBLE


async def test_events_of_strangers_are_ignored(day: Day, ann: Caller) -> None:
    acme = replace(DEFAULT, name="acme")
    told, now = day.process.callbacks, day.clock()
    for tenant, user_id in ((DEFAULT, "nobody"), (acme, ann.user_id), (DEFAULT, "")):
        await told.connected(tenant, [user_id], now)
        await told.disconnected(tenant, [user_id], now)
        await told.exited(tenant, "r", [user_id], now)
    for tenant, room in ((DEFAULT, "never"), (acme, "r"), (DEFAULT, "")):
        await told.exited(tenant, room, [ann.user_id], now)
        await told.dismissed(tenant, room, now)
        await told.group_destroyed(tenant, room, now)
    await told.connected(DEFAULT, [], now)
    await day.pass_s(60)
    assert await day.online("r") == {ann.user_id: True}


async def test_all_but_the_owner_leave_a_trtc_room_that_is_gone(
    day: Day, ann: Caller, ben: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anchors too, in more than one step; whoever has entered since stays."""
    monkeypatch.setattr(callbacks, "STEP", 2)
    for number in range(5):
        await day.enter(await day.sign_up(f"guest {number}"), "r", "anchor" if number % 2 else None)
    gone_at = day.clock()
    await day.pass_s(1)
    await day.enter(ben, "r")
    for _ in range(2):
        await day.process.callbacks.dismissed(DEFAULT, "r", gone_at)
        assert await day.online("r") == {ann.user_id: True, ben.user_id: True}


async def test_a_group_that_is_said_to_be_gone_is_looked_for(start: Start, clock: Clock) -> None:
    """Only if the vendor confirms it; while it is in trouble the reconciler has to find out."""

    class Vendor(EmbeddedMessaging):
        trouble = False

        async def groups(self, *given: object) -> dict[str, bool]:
            if self.trouble:
                raise MessagingTrouble(Remedy.RETRY, 0, "as the test wants it")
            return await super().groups(*given)  # type: ignore[arg-type]

    vendor = Vendor()
    day = Day(clock, start(messaging=vendor))
    await day.begin()
    ann, ben = await day.sign_up("ann"), await day.sign_up("ben")
    for user in (ann, ben):
        await day.enter(user, "r")
    await day.process.callbacks.group_destroyed(DEFAULT, "r", day.clock())
    assert len(await day.online("r")) == 2
    await vendor.destroy_group(DEFAULT, "r")
    vendor.trouble = True
    await day.process.callbacks.group_destroyed(DEFAULT, "r", day.clock())
    assert len(await day.online("r")) == 2
    vendor.trouble = False
    await day.process.callbacks.group_destroyed(DEFAULT, "r", day.clock())
    assert await day.online("r") == {ann.user_id: True}


OWNER, ANCHOR, ANN, BEN = range(4)
LAST_EVENT_S = 20


class Event(Struct, frozen=True):
    """What happens to a user, and after how many seconds each time it is told (entering tells itself)."""

    verb: str
    user: int
    told_after_s: tuple[int, ...]


def events(longest_s: int) -> st.SearchStrategy[dict[int, Event]]:
    """What happens at which second; no two things in the same one."""
    verbs = st.sampled_from(["enter", "connected", "disconnected", "exited", "dismissed"])
    told = st.lists(st.integers(0, longest_s), min_size=1, max_size=3).map(tuple)
    one = st.builds(Event, verbs, st.integers(OWNER, BEN), told)
    return st.dictionaries(st.integers(1, LAST_EVENT_S), one, max_size=12)


def in_the_end(happened: dict[int, Event]) -> dict[int, bool]:
    """Who is inside, and whether it is online: each thing told once, when it happens."""
    inside: dict[int, bool] = {}
    online = dict.fromkeys(range(4), True)
    inside |= online
    for _, event in sorted(happened.items()):
        if event.verb == "dismissed":
            inside = {user: True for user in inside if user == OWNER}
        elif event.verb == "exited":
            inside.pop(event.user, None)
        else:
            online[event.user] = event.verb != "disconnected"
        if event.verb == "enter":
            inside[event.user] = True
    return {user: online[user] for user in inside}


numbers = count()


def examples(number: int) -> settings:
    """Told as they were found: to shrink one takes minutes."""
    unsuited = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    phases = [Phase.generate]
    return settings(max_examples=number, phases=phases, deadline=None, database=None, suppress_health_check=unsuited)


async def play(day: Day, happened: dict[int, Event], users: list[Caller], shuffle: random.Random) -> None:
    """Everything happens, and is told as it is to be told; the last of it within the time given."""
    room, start = users[OWNER].user_id, day.clock()
    told: dict[int, list[tuple[int, Event]]] = {}
    for second, event in happened.items():
        for after_s in (0,) if event.verb == "enter" else event.told_after_s:
            told.setdefault(second + after_s, []).append((second, event))
    for second in range(1, max([LAST_EVENT_S, *told]) + 1):
        day.clock.pass_s(1)
        of_second = told.get(second, [])
        shuffle.shuffle(of_second)
        for at, event in of_second:
            user, callback, moment = users[event.user], day.process.callbacks, start + at * 1000
            if event.verb == "enter":
                await day.enter(user, room, "anchor" if event.user == ANCHOR else None)
            elif event.verb == "exited":
                await callback.exited(user.tenant, room, [user.user_id], moment)
            elif event.verb == "dismissed":
                await callback.dismissed(user.tenant, room, moment)
            else:
                await getattr(callback, event.verb)(user.tenant, [user.user_id], moment)
        await day.work()


async def arrive(day: Day, tenant: Tenant = DEFAULT) -> list[Caller]:
    """Four users in a room of the first one's; none of them beats."""
    example = next(numbers)
    users = [await day.sign_up(f"user {example} {number}", tenant) for number in range(4)]
    for number, user in enumerate(users):
        await day.enter(user, users[OWNER].user_id, "anchor" if number == ANCHOR else None)
    await day.work()
    return users


@examples(12)
@given(happened=events(longest_s=GRACE_S), shuffle=st.randoms(use_true_random=False))
async def test_late_doubled_and_reordered_they_come_to_the_same(
    day: Day, happened: dict[int, Event], shuffle: random.Random
) -> None:
    """Told at least once within the grace: once that is over, members and who is online are as if in order.

    A minute later the audience that is offline has left.
    """
    users = await arrive(day)
    room = users[OWNER].user_id
    await play(day, happened, users, shuffle)
    await day.pass_s(GRACE_S + 1)
    expected = in_the_end(happened)
    found = await day.online(room)
    assert found == {users[user].user_id: online for user, online in expected.items()}
    await day.pass_long(61)
    stay = {user: online for user, online in expected.items() if online or user in (OWNER, ANCHOR)}
    assert await day.online(room) == {users[user].user_id: online for user, online in stay.items()}
    await day.call(users[OWNER]).rooms.destroy(users[OWNER], room)


@examples(5)
@given(
    happened=events(longest_s=50), lost=st.sets(st.integers(1, LAST_EVENT_S)), shuffle=st.randoms(use_true_random=False)
)
async def test_lost_they_come_to_the_same_after_a_timeout(
    day: Day, happened: dict[int, Event], lost: set[int], shuffle: random.Random
) -> None:
    """However late the others are: two hours after the last sign nobody is online, and audience has left.

    Whoever's exit was told at all is no member, unless it entered later; nobody else is missing.
    """
    users = await arrive(day, LASTING)
    known = {at: event for at, event in happened.items() if at not in lost or event.verb == "enter"}
    await play(day, known, users, shuffle)
    await day.pass_long(TWO_HOURS_S + 62)
    stay = {users[user].user_id: False for user in in_the_end(known) if user in (OWNER, ANCHOR)}
    assert await day.online(users[OWNER].user_id) == stay
    await day.call(users[OWNER]).rooms.destroy(users[OWNER], users[OWNER].user_id)
