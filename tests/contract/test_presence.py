"""PresenceStore: who is overdue, who has to be settled, and who may not be missed yet."""

from __future__ import annotations

import asyncio

from contract.ears import ANN, BEAT, BEN, CALL, CONNECTED, DISCONNECTED, LOGGED_OUT, TIMES, Ear, people, sign
from contract.nodes import NOON
from liveroom.ports.presence import NEVER, SignKind, Timeouts


async def test_nobody_is_there(ear: Ear) -> None:
    nothing = await ear.hear()
    assert (nothing.unsettled, nothing.began_to_beat) == ([], [])
    assert await ear.look() == {}
    assert await ear.clear({}) == []
    await ear.restore()
    assert await ear.found(100) == []
    [standing] = (await ear.look(ANN)).values()
    assert (standing.online, standing.mark) == (False, 0)


async def test_users_are_told_apart(ear: Ear) -> None:
    """By tenant, too; and whatever characters their ids have."""
    users = [("acme", "1"), ("default", "1"), ("acme", "1 "), ("acme", "Ж:{03}"), ("a", "cme-1"), ("acme", "%d")]
    for turn, user in enumerate(users):
        assert (await ear.hear(sign(CALL, turn, user))).unsettled == [user]
    for turn, user in enumerate(users):
        assert {found for found, standing in (await ear.look(*users)).items() if standing.online} == set(users[turn:])
        assert await ear.found(2_000 + turn) == [user]


async def test_a_user_is_online_while_a_session_is(ear: Ear) -> None:
    """Each that ends is told, since settling asks anyway who is left."""
    await ear.hear(sign(BEAT, 0, sid="a"), sign(BEAT, 100, sid="b"), sign(CALL, 0, sid="c"))
    for at, rest in ((300, True), (400, True), (2_000, False)):
        assert await ear.found(at - 1) == []
        assert await ear.found(at) == [ANN]
        assert await ear.online(sids=["a", "b", "c"]) == rest


async def test_only_sessions_that_sql_knows_count(ear: Ear) -> None:
    await ear.hear(sign(CALL, 0, sid="gone"))
    assert not await ear.online(sids=["s", "other"])
    assert not await ear.online(sids=[])
    assert await ear.online(sids=["s", "gone"])


async def test_whoever_is_overdue_but_was_not_taken_is_online(ear: Ear) -> None:
    await ear.hear(sign(BEAT, 0))
    assert (await ear.look(ANN, at=1_000))[ANN].online


async def test_a_comeback_after_being_taken(ear: Ear) -> None:
    await ear.hear(sign(BEAT, 0))
    assert await ear.found(300) == [ANN]
    back = await ear.hear(sign(BEAT, 350))
    assert (back.unsettled, back.began_to_beat) == ([ANN], [("acme", "s")])
    assert await ear.found(649) == []
    assert await ear.found(650) == [ANN]


async def test_one_of_all_who_watch_is_told(ear: Ear, other_ear: Ear) -> None:
    users = people(200)
    await ear.hear(*(sign(BEAT, 0, user) for user in users))
    crowd = [(ear, other_ear)[turn % 2].watch(300, most=3) for turn in range(40)]
    told = [user for watched in await asyncio.gather(*crowd) for user in watched.unsettled]
    told += await ear.found(300)
    assert sorted(told) == sorted(users)


async def test_no_more_are_taken_than_asked_for(ear: Ear) -> None:
    """The earliest of each part first; what is left comes with the next watches."""
    users = people(100)
    await ear.hear(*(sign(BEAT, turn, user) for turn, user in enumerate(users)), now=200)
    first = await ear.found(500, most=1)
    assert users[0] in first
    assert len(first) <= 16
    told = list(first)
    while found := await ear.found(500, most=5):
        assert len(found) <= 5 * 16
        told += found
    assert sorted(told) == sorted(users)


async def test_a_crowd_larger_than_any_call(ear: Ear) -> None:
    users, sids = people(9_000), [f"s{turn}" for turn in range(1_200)]
    await ear.restore(*(sign(CALL, 0, user) for user in users))
    assert (await ear.hear(*(sign(BEAT, 0, BEN, sid) for sid in sids))).unsettled == [BEN]
    standings = await ear.look(*users)
    assert {standing.online for standing in standings.values()} == {True}
    assert len(standings) == len(users)
    assert await ear.clear(dict.fromkeys(users, 1)) != []
    assert sorted(await ear.clear(dict.fromkeys(users, 1))) == sorted(users)
    assert await ear.online(BEN, sids[-1:])
    assert (await ear.look(BEN, sids=sids))[BEN].online


async def test_many_verbs_at_once(ear: Ear, other_ear: Ear) -> None:
    """More than there are connections."""
    users = people(100)
    heard = await asyncio.gather(*((ear, other_ear)[turn % 2].hear(sign(BEAT, 0, users[turn])) for turn in range(100)))
    assert sorted(user for one in heard for user in one.unsettled) == sorted(users)
    looks = await asyncio.gather(*(ear.look(*users) for _ in range(30)))
    assert {standing.online for look in looks for standing in look.values()} == {True}


async def test_more_is_told_where_as_many_were_taken_as_asked_for(ear: Ear) -> None:
    """There may be more, and perhaps there is not."""
    await ear.hear(*(sign(BEAT, 0, sid=sid) for sid in "abcde"))
    await ear.settle(ANN)
    watched = [await ear.watch(300, most=2) for _ in range(4)]
    assert [(seen.unsettled, seen.more) for seen in watched] == [
        ([ANN], True),
        ([ANN], True),
        ([ANN], False),
        ([], False),
    ]
    await ear.hear(sign(BEAT, 300))
    assert not (await ear.watch(600)).more


async def test_more_is_told_where_as_many_were_taken_over_as_asked_for(ear: Ear) -> None:
    await ear.hear(*(sign(CALL, 4_000, user) for user in people(60)), now=0)
    told = []
    while (seen := await ear.watch(5_000, most=2)).more:
        assert seen.unsettled
        told += seen.unsettled
    told += seen.unsettled
    assert sorted(told) == sorted(people(60))


async def test_a_watch_that_takes_nothing(ear: Ear, other_ear: Ear) -> None:
    """It neither takes nor takes over; but somebody has watched, and finds the gaps."""
    await ear.hear(sign(BEAT, 0), sign(CALL, 8_000, BEN), now=0)
    for at in (4_000, 9_000):
        nothing = await ear.watch(at, most=0)
        assert (nothing.unsettled, nothing.more, nothing.gap) == ([], False, False)
    assert await ear.online()
    assert await other_ear.found(9_000) == [ANN, BEN]
    assert (await ear.online(ANN), await ear.online(BEN)) == (False, True)
    assert not (await other_ear.watch(14_000, most=0)).gap
    gap = await ear.watch(19_001, most=0)
    assert (gap.unsettled, gap.more, gap.since) == ([], False, NOON + 19_001)


async def test_what_is_not_settled_is_told_again(ear: Ear, other_ear: Ear) -> None:
    """After 5 s, to one; whoever was to settle it may be gone."""
    await ear.hear(sign(CALL, 0, BEN), sign(BEAT, 0))
    await ear.settle(BEN)
    assert await ear.found(400) == [ANN]
    assert await ear.found(3_000) == [BEN]
    await ear.settle(BEN)
    assert await other_ear.found(5_399) == []
    assert sorted(await ear.found(5_400) + await other_ear.found(5_400)) == [ANN]
    assert await other_ear.found(10_399) == []
    assert await other_ear.found(10_400) == [ANN]
    await other_ear.settle(ANN)
    assert await ear.found(15_400) == []


async def test_what_is_not_settled_is_told_as_many_at_once_as_asked_for(ear: Ear) -> None:
    users = people(60)
    await ear.hear(*(sign(CALL, 0, user) for user in users))
    assert await ear.found(1_000) == []
    for user in users:
        await ear.restore(sign(CALL, 4_000, user))
    told = []
    await ear.hear(*(sign(CALL, 4_000, user) for user in users))
    while found := await ear.found(5_000, most=1):
        told += found
    assert sorted(told) == sorted(users)


async def test_a_mark_is_cleared_by_whoever_saw_it(ear: Ear, other_ear: Ear) -> None:
    await ear.hear(sign(BEAT, 0))
    mark = await ear.mark()
    assert mark > 0
    assert await other_ear.clear({ANN: mark, BEN: 0}) == []
    assert await ear.mark() == 0
    assert await ear.clear({ANN: 0}) == []
    assert await ear.clear({ANN: mark}) == [ANN], "somebody else settled it, perhaps on an older look"


async def test_a_mark_made_anew_is_not_cleared(ear: Ear) -> None:
    """Not even one that was made in the same millisecond."""
    await ear.hear(sign(BEAT, 0))
    first = await ear.mark()
    await ear.hear(sign(BEAT, 0, sid="other"))
    assert await ear.clear({ANN: first}) == [ANN]
    second = await ear.mark()
    assert second not in (first, 0)
    assert await ear.clear({ANN: 0}) == [ANN]
    assert await ear.found(300) == [ANN]
    assert await ear.clear({ANN: second}) == [ANN]
    assert await ear.clear({ANN: await ear.mark()}) == []


async def test_a_user_that_ends_twice_in_one_watch_has_one_mark(ear: Ear) -> None:
    await ear.hear(sign(BEAT, 0, sid="a"), sign(BEAT, 0, sid="b"))
    await ear.settle(ANN)
    assert await ear.found(300) == [ANN]
    assert await ear.mark() == NOON + 300


async def test_sql_knows_that_a_session_beats(ear: Ear) -> None:
    """It beats from then on; it does not get more time than it had."""
    late, quiet, gone, left = people(4)
    await ear.hear(sign(CALL, 0), sign(CONNECTED, 0, BEN), sign(CALL, 0, late), sign(CALL, 0, quiet))
    await ear.hear(sign(CALL, 0, gone), sign(DISCONNECTED, 0, gone), sign(CALL, 0, left), sign(LOGGED_OUT, 0, left))
    assert await ear.found(100) == sorted([gone, left])
    await ear.look(ANN, BEN, at=200, beats=True)
    await ear.look(quiet, at=200)
    assert await ear.found(499) == []
    assert await ear.found(500) == [ANN, BEN]
    await ear.look(late, at=1_900, beats=True)
    assert await ear.found(1_999) == []
    assert await ear.found(2_000) == sorted([late, quiet])


async def test_a_session_that_is_not_quiet_is_left_alone_by_looks(ear: Ear) -> None:
    gone, left = people(2)
    await ear.hear(sign(CALL, 0, gone), sign(DISCONNECTED, 50, gone), sign(CALL, 0, left), sign(LOGGED_OUT, 50, left))
    await ear.hear(sign(BEAT, 0), sign(CALL, 0, BEN))
    await ear.look(ANN, gone, left, at=20, beats=True)
    assert await ear.found(149) == []
    assert await ear.found(150) == sorted([gone, left])
    assert await ear.found(299) == []
    assert await ear.found(300) == [ANN]
    beats = Timeouts(beat_ms=NEVER, silent_ms=2_000, grace_ms=100)
    await ear.look(BEN, at=300, beats=True, times=beats)
    assert await ear.found(2_000) == [BEN]


async def test_restoring_is_for_who_is_absent(ear: Ear) -> None:
    calls, beats = people(2)
    await ear.hear(sign(BEAT, 0), sign(CALL, 0, BEN), sign(LOGGED_OUT, 0, BEN))
    await ear.settle(ANN, BEN)
    await ear.restore(*(sign(BEAT, 50, user) for user in (ANN, BEN)), sign(CALL, 50, calls), sign(BEAT, 50, beats))
    assert {standing.mark for standing in (await ear.look(ANN, calls, beats)).values()} == {0}
    for at, user in ((100, BEN), (300, ANN), (350, beats), (2_050, calls)):
        assert await ear.found(at - 1) == []
        assert await ear.found(at) == [user]


async def test_what_is_restored_is_as_if_it_had_been_heard(ear: Ear) -> None:
    """Nobody is told of it; but a session that beats is not told of as one that begins to."""
    await ear.restore(sign(BEAT, 0), sign(CALL, 0, BEN))
    heard = await ear.hear(sign(BEAT, 100), sign(BEAT, 100, BEN, "s"))
    assert (heard.unsettled, heard.began_to_beat) == ([], [("acme", "s")])
    assert await ear.found(400) == [ANN, BEN]


async def test_nobody_is_restored_by_other_signs(ear: Ear) -> None:
    others = [kind for kind in SignKind if kind not in (CALL, BEAT)]
    await ear.restore(*(sign(kind, 0) for kind in others))
    assert not await ear.online()


async def test_times_are_the_tenants(ear: Ear) -> None:
    slow = Timeouts(beat_ms=900, silent_ms=3_000, grace_ms=400)
    await ear.hear(sign(BEAT, 0), sign(BEAT, 0, BEN, times=slow))
    assert await ear.found(300, slow) == [ANN]
    assert await ear.found(899, slow) == []
    assert await ear.found(900, TIMES) == [BEN]
