"""PresenceStore: after a gap nobody is missed before everybody had the time to be heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from contract.conftest import StateServer
from contract.ears import (
    ANN,
    BEAT,
    BEN,
    CALL,
    CONNECTED,
    DISCONNECTED,
    LOGGED_OUT,
    NOT_CONNECTED,
    TIMES,
    Ear,
    people,
    sign,
)
from contract.nodes import NOON
from liveroom.ports.presence import NEVER, PresenceStore, Timeouts
from servers import RedisCluster

LONG = Timeouts(beat_ms=1_000, silent_ms=3_000, grace_ms=2_000)
# Of a tenant that waits for two minutes, beside one that waits longer.
PATIENT = Timeouts(beat_ms=1_000, silent_ms=120_000, grace_ms=100)
LONGEST = Timeouts(beat_ms=1_000, silent_ms=150_000, grace_ms=2_000)


async def test_an_empty_store_is_a_gap(new_ear: Ear) -> None:
    """All are told when it ended."""
    first = await new_ear.watch(0)
    assert (first.unsettled, first.more, first.since) == ([], False, NOON)
    for at in (0, 1, 5_001, 10_001):
        assert (await new_ear.watch(at)).since == NOON


async def test_five_seconds_without_a_watch_are_a_gap(ear: Ear, other_ear: Ear) -> None:
    await ear.hear(sign(BEAT, 0))
    await ear.settle(ANN)
    assert (await ear.watch(5_000)).unsettled == [ANN]
    assert not (await ear.watch(10_000)).gap
    await ear.hear(sign(BEAT, 10_000), sign(CALL, 10_000, BEN))
    await ear.settle(ANN, BEN)
    gap = await ear.watch(15_001)
    assert (gap.unsettled, gap.more, gap.since) == ([], False, NOON + 15_001)
    then = await other_ear.watch(15_300)
    assert (then.unsettled, then.more, then.since) == ([], False, NOON + 15_001)


async def test_looks_tell_who_is_held(new_ear: Ear) -> None:
    """Before any watch, after a gap for a full timeout, and once nobody has watched for 5 s."""
    assert await new_ear.held(0)
    assert (await new_ear.watch(0)).gap, "to look is not to watch"
    assert await new_ear.held(0)
    assert await new_ear.held(299)
    assert not await new_ear.held(300)
    assert await new_ear.held(300, longest=LONG)
    await new_ear.hear(sign(BEAT, 4_900))
    assert not await new_ear.held(5_000)
    assert await new_ear.held(5_001)
    assert await new_ear.online()
    assert (await new_ear.watch(5_001)).gap
    assert await new_ear.held(5_300)
    assert not await new_ear.held(5_301)
    assert await new_ear.held(5_301, longest=Timeouts(beat_ms=NEVER))


async def test_each_that_is_looked_at_is_held(ear: Ear) -> None:
    """In every part; and a watch that takes nothing is a watch."""
    users = people(60)
    assert {standing.held for standing in (await ear.look(*users, at=5_000)).values()} == {False}
    await ear.watch(5_000, most=0)
    assert {standing.held for standing in (await ear.look(*users, at=10_000)).values()} == {False}
    assert {standing.held for standing in (await ear.look(*users, at=10_001)).values()} == {True}
    await ear.watch(10_001, most=0)
    assert {standing.held for standing in (await ear.look(*users, at=10_300)).values()} == {True}
    assert {standing.held for standing in (await ear.look(*users, at=10_301)).values()} == {False}


async def test_one_who_watches_is_enough(ear: Ear, other_ear: Ear) -> None:
    """A clock that is behind does not turn back what others did."""
    for at in range(0, 20_000, 4_000):
        assert not (await ear.watch(at)).gap
    assert not (await other_ear.watch(15_000)).gap
    assert not (await ear.watch(21_000)).gap


async def overdue_before_a_gap(ear: Ear) -> list[tuple[str, str]]:
    """Users overdue in every way, and a gap that ends at 10 000."""
    beats, quiet, connected, gone, left = users = people(5)
    await ear.hear(sign(BEAT, 0, beats), sign(CALL, 0, quiet), sign(CONNECTED, 0, connected))
    await ear.hear(sign(CALL, 0, gone), sign(DISCONNECTED, 0, gone), sign(CALL, 0, left), sign(LOGGED_OUT, 0, left))
    await ear.settle(*users)
    assert (await ear.watch(10_000, LONG)).gap
    return users


async def test_nobody_is_overdue_before_a_full_timeout(ear: Ear) -> None:
    """The longest of any tenant; for who never beat that of the quiet."""
    beats, quiet, connected, gone, left = await overdue_before_a_gap(ear)
    assert await ear.found(10_999, LONG) == []
    assert await ear.found(11_000, LONG) == sorted([beats, gone, left])
    assert await ear.online(quiet)
    assert await ear.found(12_999, LONG) == []
    assert await ear.found(13_000, LONG) == sorted([quiet, connected])
    assert not await ear.online(connected)


async def test_whoever_is_heard_after_a_gap_has_its_own_timeout(ear: Ear) -> None:
    beats, quiet, connected, gone, left = await overdue_before_a_gap(ear)
    await ear.hear(sign(BEAT, 10_900, beats), sign(CALL, 10_900, quiet), sign(BEAT, 10_900, connected))
    assert await ear.found(11_199, LONG) == sorted([gone, left])
    assert await ear.found(11_200, LONG) == sorted([beats, connected])
    assert await ear.found(12_899, LONG) == []
    assert await ear.found(13_000, LONG) == [quiet]


async def test_who_is_spared_stays_what_it_was(ear: Ear) -> None:
    """Of two who are no longer connected only the one that was is missed."""
    _, quiet, connected, _, _ = await overdue_before_a_gap(ear)
    await ear.found(11_000, LONG)
    await ear.hear(sign(NOT_CONNECTED, 11_100, quiet), sign(NOT_CONNECTED, 11_100, connected))
    assert await ear.found(11_199, LONG) == []
    assert await ear.found(11_200, LONG) == [connected]
    await ear.hear(sign(DISCONNECTED, 11_300, quiet))
    assert await ear.found(11_400, LONG) == [quiet]


async def test_who_waits_to_be_settled_is_told_during_a_hold(ear: Ear) -> None:
    await ear.hear(sign(CALL, 0))
    assert (await ear.watch(10_000, LONG)).gap
    assert await ear.found(10_001, LONG) == [ANN]


async def test_a_hold_without_end(ear: Ear) -> None:
    """A longest timeout that is off holds for ever; each of the two on its own."""
    await ear.hear(sign(BEAT, 0), sign(CALL, 0, BEN))
    await ear.settle(ANN, BEN)
    assert (await ear.watch(10_000)).gap
    assert await ear.found(14_000, Timeouts(NEVER, NEVER, NEVER)) == []
    assert await ear.found(14_000, Timeouts(1_000, NEVER, 1_000)) == [ANN]
    await ear.settle(ANN)
    assert (await ear.watch(1_000_000)).gap
    assert await ear.found(1_004_000, Timeouts(1_000, NEVER, 1_000)) == []
    assert await ear.online(BEN)


async def watch_until(ear: Ear, at: int, until: int) -> None:
    """Nobody is missed on the way."""
    for moment in range(at, until, 4_000):
        assert await ear.found(moment, LONGEST) == []
    assert await ear.found(until, LONGEST) == []


async def test_who_is_spared_is_spared_until_everybody_had_a_full_timeout(ear: Ear) -> None:
    """However often it has to be; it is not made to be heard in the future by it."""
    stays, goes, comes = people(3)
    times = {"times": PATIENT}
    await ear.hear(*(sign(CONNECTED, 0, user, **times) for user in (stays, goes, comes)))
    await ear.settle(stays, goes, comes)
    assert (await ear.watch(200_000)).gap
    await watch_until(ear, 204_000, 206_000)
    await ear.hear(sign(DISCONNECTED, 206_001, goes, **times), sign(CALL, 206_001, comes, **times))
    assert await ear.found(206_101, LONGEST) == [goes]
    await ear.settle(goes)
    await watch_until(ear, 210_000, 326_000)
    assert await ear.online(comes)
    assert await ear.found(326_001, LONGEST) == []
    await watch_until(ear, 330_000, 349_999)
    assert await ear.found(350_000, LONGEST) == sorted([stays, comes])


async def test_a_backlog_of_the_spared_delays_nobody(ear: Ear) -> None:
    """Of one user, so of one part: those who are spared have been overdue for longer."""
    quiet = [f"quiet-{turn}" for turn in range(30)]
    await ear.hear(*(sign(CALL, 0, sid=sid) for sid in quiet), sign(BEAT, 5_000))
    await ear.settle(ANN)
    assert (await ear.watch(10_000)).gap
    seen = await ear.watch(11_000, LONG, most=10)
    assert (seen.unsettled, seen.more) == ([ANN], False)
    assert await ear.online(sids=quiet[-1:])
    assert await ear.found(12_999, LONG) == []
    assert await ear.found(13_000, LONG) == [ANN]
    assert not await ear.online(sids=quiet)


async def test_a_watch_spares_only_so_many(ear: Ear) -> None:
    """A script must come to its end; whoever asks is told that there is more."""
    await ear.hear(*(sign(CALL, 0, sid=f"quiet-{turn}") for turn in range(300)), sign(BEAT, 5_000))
    await ear.settle(ANN)
    assert (await ear.watch(10_000)).gap
    watches = 1
    while (seen := await ear.watch(11_000, LONG, most=2)).more:
        assert seen.unsettled == []
        watches += 1
    assert seen.unsettled == [ANN]
    assert 10 <= watches <= 150


async def test_a_redis_that_lost_everything(
    state_server: StateServer, connect_presence: Callable[[str], PresenceStore]
) -> None:
    """It is restored by whoever is told of the gap."""
    ear = Ear(connect_presence(state_server.url))
    users = people(50)
    await ear.watch(-4_000)
    assert not (await ear.watch(0)).gap
    await ear.hear(*(sign(BEAT, 0, user) for user in users))
    state_server.flush()
    watched = await ear.watch(100)
    assert (watched.unsettled, watched.since) == ([], NOON + 100)
    standings = (await ear.look(*users, at=399)).values()
    assert {(standing.online, standing.held) for standing in standings} == {(False, True)}
    await ear.restore(*(sign(BEAT, 100, user) for user in users))
    assert await ear.found(399) == []
    assert await ear.found(400) == sorted(users)


async def test_a_node_of_a_cluster_that_came_back_empty(
    redis_cluster: RedisCluster, connect_presence: Callable[[str], PresenceStore]
) -> None:
    """Its part of the users is held, whoever lived elsewhere is judged as ever; a late part is told of."""
    redis_cluster.heal()
    redis_cluster.flush()
    ear = Ear(connect_presence(redis_cluster.url))
    users = people(60)
    await ear.watch(-4_000)
    assert not (await ear.watch(0)).gap
    await ear.hear(*(sign(BEAT, 0, user) for user in users))
    await ear.settle(*users)
    await asyncio.to_thread(redis_cluster.nodes[2].kill)
    await asyncio.to_thread(redis_cluster.start)
    standings = await ear.look(*users)
    lost = sorted(user for user, standing in standings.items() if not standing.online)
    assert 0 < len(lost) < len(users)
    assert sorted(user for user, standing in standings.items() if standing.held) == lost
    watched = await ear.watch(100)
    assert (watched.unsettled, watched.since) == ([], NOON + 100)
    standings = await ear.look(*users, at=399)
    assert sorted(user for user, standing in standings.items() if standing.held) == lost
    await ear.restore(*(sign(BEAT, 50, user) for user in lost))
    assert await ear.found(399, TIMES) == sorted(set(users) - set(lost))
    assert await ear.found(400, TIMES) == lost
