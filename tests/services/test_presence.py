"""Who is online: what counts as evidence, for how long, and what offline members may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.errors import Code
from liveroom.model import Caller, PresencePolicy, RoomState, Tenant
from services.days import TWO_HOURS_S, Day
from services.rig import DEFAULT, Clock, Process, refused

VISIBLE, HIDDEN, CLOSED = RoomState

Start = Callable[..., Process]


@pytest.fixture
async def day(start: Start, clock: Clock) -> Day:
    """Two processes; calls and beats reach one and the other in turn."""
    presence = MemoryPresence()
    day = Day(clock, start(presence=presence), start(presence=presence))
    # A session that never beat is spared for a full timeout after the store was empty.
    await day.begin(TWO_HOURS_S)
    return day


@pytest.fixture
async def ann(day: Day) -> Caller:
    """The owner of the room "r", inside and with one session; all that is heard of her shows in it."""
    ann = await day.sign_up("ann")
    await day.enter(ann, "r", "anchor")
    return ann


async def assert_hidden_after(day: Day, seconds: int) -> None:
    """Visible until then, whatever the processes do."""
    await (day.pass_long if seconds > 60 else day.pass_s)(seconds - 1)
    assert await day.state("r") == VISIBLE
    await day.pass_s(1)
    assert await day.state("r") == HIDDEN


async def test_a_session_that_never_beats_is_missed_after_two_hours(day: Day, ann: Caller) -> None:
    """Android sends no keepalives after its first logout."""
    await assert_hidden_after(day, TWO_HOURS_S)


async def test_any_call_is_evidence(day: Day, ann: Caller) -> None:
    await day.pass_long(7_000)
    await day.call(ann).rooms.detail(ann, "r")
    await assert_hidden_after(day, TWO_HOURS_S)


async def test_a_first_beat_makes_a_session_one_that_beats(day: Day, ann: Caller) -> None:
    await day.pass_long(1_000)
    day.beat(ann)
    day.fall_silent(ann)
    await assert_hidden_after(day, 30)


async def test_a_session_that_beat_once_beats_for_ever(day: Day, ann: Caller) -> None:
    """Offline and back by a call: it has 30 s again, on every process."""
    day.beat(ann)
    await day.pass_s(5)
    day.fall_silent(ann)
    await day.pass_s(100)
    for _ in day.processes:
        day.call(ann)
        await day.pass_s(1)
        assert await day.state("r") == VISIBLE
        await day.pass_s(30)
        assert await day.state("r") == HIDDEN


async def test_an_im_login_and_a_trtc_enter_are_evidence(day: Day, ann: Caller) -> None:
    """Of a session that is silent; also of one that is offline already."""
    await day.pass_long(7_000)
    await day.process.callbacks.connected(DEFAULT, [ann.user_id], day.clock())
    await assert_hidden_after(day, TWO_HOURS_S)
    await day.process.callbacks.connected(DEFAULT, [ann.user_id], day.clock())
    await day.pass_s(1)
    assert await day.state("r") == VISIBLE


async def test_an_im_disconnect_counts_after_the_grace(day: Day, ann: Caller) -> None:
    await day.pass_s(100)
    await day.process.callbacks.disconnected(DEFAULT, [ann.user_id], day.clock())
    await assert_hidden_after(day, 10)


async def test_an_im_disconnect_of_one_who_beats_says_nothing(day: Day, ann: Caller) -> None:
    day.beat(ann)
    await day.pass_s(15)
    await day.process.callbacks.disconnected(DEFAULT, [ann.user_id], day.clock())
    await day.pass_s(100)
    assert await day.state("r") == VISIBLE


@pytest.mark.parametrize("beats", [False, True])
async def test_who_logs_out_for_good_is_missed_after_the_grace(day: Day, beats: bool) -> None:
    await day.sign_up("ann")
    ann = await day.sign_in("ann")
    other = [caller for caller in [ann] if beats]
    await day.enter(ann, "r")
    # The session of the sign-up has run out meanwhile.
    await day.pass_long(TWO_HOURS_S - 20)
    await day.call(ann).rooms.detail(ann, "r")
    day.beat(*other)
    await day.pass_s(20)
    await day.log_out(ann)
    await assert_hidden_after(day, 10)


@pytest.mark.parametrize("beats", [False, True])
async def test_a_login_within_the_grace_changes_nothing(day: Day, beats: bool) -> None:
    """The audience stays in its place, too, and whoever enters again is no new member."""
    await day.sign_up("ann")
    ann = await day.sign_in("ann")
    await day.enter(ann, "r")
    await day.pass_long(TWO_HOURS_S - 4)
    day.beat(*[ann] * beats)
    await day.log_out(ann)
    await day.pass_s(8)
    again = await day.sign_in("ann")
    day.beat(*[again] * beats)
    await day.pass_s(100)
    assert await day.state("r") == VISIBLE
    assert (await day.room("r")).joined == 1


async def test_a_call_that_another_process_tells_late_does_not_undo_a_logout(day: Day) -> None:
    await day.sign_up("ann")
    ann = await day.sign_in("ann")
    await day.enter(ann, "r")
    await day.pass_long(TWO_HOURS_S - 4)
    first, second = day.processes
    second.presence.called(ann)
    second.presence.beat(ann)
    await day.log_out(ann)
    await second.presence.flush()
    await first.presence.flush()
    await assert_hidden_after(day, 10)


async def test_a_user_is_online_while_one_of_its_sessions_is(day: Day, ann: Caller) -> None:
    phone, web = [await day.sign_in("ann") for _ in range(2)]
    await day.pass_long(TWO_HOURS_S - 4)
    day.beat(phone, web)
    await day.pass_long(100)
    day.fall_silent(phone)
    await day.pass_long(100)
    assert await day.state("r") == VISIBLE
    day.beat(phone)
    await day.log_out(web)
    await day.pass_s(60)
    assert await day.state("r") == VISIBLE
    day.fall_silent(phone)
    await day.pass_s(31)
    assert await day.state("r") == HIDDEN


async def test_a_silent_session_keeps_its_user_online_beside_one_that_beat(day: Day, ann: Caller) -> None:
    phone = await day.sign_in("ann")
    day.beat(phone)
    day.fall_silent(phone)
    await day.pass_long(TWO_HOURS_S - 1)
    assert await day.state("r") == VISIBLE
    await day.pass_s(1)
    assert await day.state("r") == HIDDEN


async def test_times_that_are_off_last_for_ever(start: Start, clock: Clock) -> None:
    never = Tenant(name="default", presence=PresencePolicy(beat_timeout_s=0, silent_timeout_s=0))
    usual = Tenant(name="acme")
    day = Day(clock, start(tenants=(never, usual)))
    await day.begin()
    for tenant, beats, state in ((never, True, VISIBLE), (never, False, VISIBLE), (usual, True, HIDDEN)):
        user = await day.sign_up(f"user {tenant.name} {beats}", tenant)
        await day.enter(user, "r" if beats else "r2")
        day.beat(*[user] * beats)
        await day.pass_s(1)
        day.fall_silent(user)
        await day.pass_long(900)
        assert await day.state("r" if beats else "r2", tenant) == state
    await day.pass_long(8_000)
    assert [await day.state(room, never) for room in ("r", "r2")] == [VISIBLE, VISIBLE]


async def test_each_tenant_has_its_own_times(start: Start, clock: Clock) -> None:
    quick = Tenant(name="default", presence=PresencePolicy(beat_timeout_s=12, silent_timeout_s=50, grace_s=3))
    slow = Tenant(name="acme", presence=PresencePolicy(beat_timeout_s=90))
    day = Day(clock, start(tenants=(quick, slow)))
    await day.begin(TWO_HOURS_S)
    for tenant, beat_s, silent_s in ((quick, 12, 50), (slow, 90, TWO_HOURS_S)):
        for beats, timeout_s in ((True, beat_s), (False, silent_s)):
            user = await day.sign_up(f"user {tenant.name} {beats}", tenant)
            await day.enter(user, f"r {beats}")
            day.beat(*[user] * beats)
            day.fall_silent(user)
            await day.pass_long(timeout_s - 1)
            assert await day.state(f"r {beats}", tenant) == VISIBLE
            await day.pass_s(1)
            assert await day.state(f"r {beats}", tenant) == HIDDEN


async def away(day: Day, room: str, *names: str) -> list[Caller]:
    """They are inside, and have been offline for a while."""
    users = [await day.sign_up(name) for name in names]
    for user in users:
        await day.enter(user, room)
    day.beat(*users)
    day.fall_silent(*users)
    await day.pass_s(40)
    assert [(await day.online(room))[user.user_id] for user in users] == [False] * len(users)
    return users


@pytest.mark.parametrize("policy", ["off", "move", "reject"])
async def test_an_offline_member_enters_another_room(day: Day, ann: Caller, policy: str) -> None:
    """Where one is inside is a question of rows, online or not."""
    (ben,) = await away(day, "r", "ben")
    moving = replace(ben, tenant=replace(DEFAULT, exclusive_rooms=policy))
    await day.enter(ann, "r2")
    if policy == "reject":
        await refused(Code.UserAlreadyInRooms, day.enter(moving, "r2"))
    else:
        await day.enter(moving, "r2")
    await day.pass_s(1)
    inside = {"off": (True, True), "move": (False, True), "reject": (True, False)}[policy]
    of_rooms = [await day.online(room) for room in ("r", "r2")]
    assert tuple(ben.user_id in online for online in of_rooms) == inside
    assert all(online.get(ben.user_id, True) for online in of_rooms)


@pytest.mark.parametrize("reentry", ["refresh", "reject"])
async def test_an_offline_member_enters_again(day: Day, ann: Caller, reentry: str) -> None:
    """Refused or not, it was heard, and is no longer about to leave."""
    (ben,) = await away(day, "r", "ben")
    again = replace(ben, tenant=replace(DEFAULT, reentry=reentry))
    if reentry == "reject":
        await refused(Code.RoomsUserExists, day.enter(again, "r"))
        await day.pass_s(1)
    else:
        await day.enter(again, "r", "host")
    assert await day.online("r") == {ann.user_id: True, ben.user_id: True}
    assert (await day.room("r")).joined == 2
    day.beat(ben)
    await day.pass_s(100)
    assert ben.user_id in await day.online("r")


async def test_an_offline_owner_changes_its_room(day: Day) -> None:
    """The texts are changed at once; that she was heard shows with the next flush."""
    (ann,) = await away(day, "r", "ann")
    assert (await day.call(ann).update(ann, "r", "audience", title="back")).title == "back"
    assert await day.state("r") == HIDDEN
    await day.pass_s(1)
    assert await day.state("r") == VISIBLE


async def test_an_offline_anchor_becomes_audience(day: Day, ann: Caller) -> None:
    (ben,) = await away(day, "r", "ben")
    for role in ("anchor", "audience", "host"):
        await day.process.update(ben, "r", role)
        assert (await day.online("r"))[ben.user_id] is False


async def test_offline_members_leave_and_delete_their_accounts(day: Day, ann: Caller) -> None:
    ben, cat, dan = await away(day, "r", "ben", "cat", "dan")
    await day.enter(dan, dan.user_id)
    await day.call(ben).members.leave(ben, "r")
    await asyncio.gather(*(day.call(user).accounts.delete(user) for user in (cat, dan)))
    assert await day.online("r") == {ann.user_id: True}
    assert await day.state(dan.user_id) == CLOSED
    await day.pass_s(200)
    room = await day.room("r")
    assert (room.inside, room.joined) == (1, 4)
    assert await day.state("r") == VISIBLE


async def test_an_owner_deletes_its_account_while_it_is_offline(day: Day) -> None:
    (ann,) = await away(day, "r", "ann")
    await day.call(ann).accounts.delete(ann)
    await day.pass_s(40)
    assert await day.state("r") == CLOSED
