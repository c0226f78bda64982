"""PresenceStore: what each sign makes of a session."""

from __future__ import annotations

from itertools import permutations

from contract.ears import ANN, BEAT, BEN, CALL, CONNECTED, DISCONNECTED, LOGGED_OUT, NOT_CONNECTED, Ear, people, sign
from contract.nodes import NOON
from liveroom.ports.presence import NEVER, SignKind, Timeouts, User

Signs = list[tuple[SignKind, int]]
GOING = (DISCONNECTED, NOT_CONNECTED)

# Signs in the order they become known, and when the session is overdue (None: it has no entry).
CASES: list[tuple[Signs, int | None]] = [
    ([(CALL, 0)], 2_000),
    ([(CALL, 0), (CALL, 500)], 2_500),
    ([(CALL, 500), (CALL, 0)], 2_500),
    ([(CONNECTED, 0), (CALL, 500)], 2_500),
    ([(CONNECTED, 500), (CALL, 0)], 2_500),
    ([(BEAT, 0), (CALL, 100)], 400),
    ([(BEAT, 200), (CALL, 100)], 500),
    ([(CALL, 0), (DISCONNECTED, 100), (CALL, 101)], 2_101),
    ([(CALL, 0), (DISCONNECTED, 100), (CALL, 100)], 200),
    ([(CALL, 0), (DISCONNECTED, 100), (CALL, 50)], 200),
    ([(CALL, 0), (LOGGED_OUT, 100), (CALL, 150)], 200),
    ([(BEAT, 0)], 300),
    ([(BEAT, 0), (BEAT, 100)], 400),
    ([(BEAT, 100), (BEAT, 0)], 400),
    ([(CALL, 0), (BEAT, 100)], 400),
    ([(CONNECTED, 0), (BEAT, 100)], 400),
    ([(CALL, 500), (BEAT, 100)], 800),
    ([(CONNECTED, 500), (BEAT, 100)], 800),
    ([(CALL, 0), (DISCONNECTED, 100), (BEAT, 150)], 450),
    ([(CALL, 0), (DISCONNECTED, 100), (BEAT, 50)], 350),
    ([(CALL, 0), (LOGGED_OUT, 100), (BEAT, 150)], 200),
    ([(CONNECTED, 0)], 2_000),
    ([(CALL, 0), (CONNECTED, 500)], 2_500),
    ([(CALL, 500), (CONNECTED, 0)], 2_500),
    ([(CONNECTED, 0), (CONNECTED, 500)], 2_500),
    ([(CONNECTED, 500), (CONNECTED, 0)], 2_500),
    ([(BEAT, 0), (CONNECTED, 100)], 400),
    ([(BEAT, 100), (CONNECTED, 0)], 400),
    ([(CALL, 0), (DISCONNECTED, 100), (CONNECTED, 101)], 2_101),
    ([(CALL, 0), (DISCONNECTED, 100), (CONNECTED, 100)], 200),
    ([(CALL, 0), (LOGGED_OUT, 100), (CONNECTED, 150)], 200),
    ([(DISCONNECTED, 0)], None),
    ([(CALL, 0), (DISCONNECTED, 100)], 200),
    ([(CALL, 100), (DISCONNECTED, 100)], 200),
    ([(CALL, 101), (DISCONNECTED, 100)], 2_101),
    ([(CONNECTED, 0), (DISCONNECTED, 50)], 150),
    ([(CONNECTED, 51), (DISCONNECTED, 50)], 2_051),
    ([(CALL, 0), (DISCONNECTED, 100), (DISCONNECTED, 150)], 250),
    ([(CALL, 0), (DISCONNECTED, 150), (DISCONNECTED, 100)], 250),
    ([(BEAT, 0), (DISCONNECTED, 100)], 300),
    ([(CALL, 0), (BEAT, 100), (DISCONNECTED, 150)], 400),
    ([(CALL, 0), (DISCONNECTED, 100), (BEAT, 150), (DISCONNECTED, 160)], 450),
    ([(CALL, 0), (LOGGED_OUT, 100), (DISCONNECTED, 150)], 200),
    ([(NOT_CONNECTED, 0)], None),
    ([(CALL, 0), (NOT_CONNECTED, 100)], 2_000),
    ([(CONNECTED, 0), (NOT_CONNECTED, 100)], 200),
    ([(CONNECTED, 100), (NOT_CONNECTED, 99)], 2_100),
    ([(CALL, 0), (CONNECTED, 100), (CALL, 200), (NOT_CONNECTED, 300)], 400),
    ([(CONNECTED, 0), (NOT_CONNECTED, 100), (NOT_CONNECTED, 150)], 200),
    ([(CONNECTED, 0), (NOT_CONNECTED, 100), (CALL, 150), (NOT_CONNECTED, 200)], 2_150),
    ([(CONNECTED, 0), (BEAT, 100), (NOT_CONNECTED, 150)], 400),
    ([(CONNECTED, 0), (LOGGED_OUT, 100), (NOT_CONNECTED, 150)], 200),
    ([(LOGGED_OUT, 0)], 100),
    ([(LOGGED_OUT, 0), (CALL, 10), (BEAT, 20), (CONNECTED, 30)], 100),
    ([(CALL, 0), (LOGGED_OUT, 100)], 200),
    ([(CONNECTED, 0), (LOGGED_OUT, 100)], 200),
    ([(BEAT, 0), (LOGGED_OUT, 50)], 150),
    ([(BEAT, 0), (LOGGED_OUT, 250)], 350),
    ([(CALL, 0), (DISCONNECTED, 50), (LOGGED_OUT, 100)], 200),
    ([(CALL, 0), (LOGGED_OUT, 100), (LOGGED_OUT, 150)], 200),
]


def told(signs: Signs) -> str:
    return " ".join(f"{kind.name}-{at}" for kind, at in signs)


def users_of(cases: list[tuple[Signs, int | None]]) -> dict[User, tuple[Signs, int | None]]:
    """A user for each case, with its name."""
    return {("acme", told(signs)): (signs, overdue_at) for signs, overdue_at in cases}


async def assert_overdue(ear: Ear, moments: dict[User, int | None]) -> None:
    """Each is online until its moment, whoever asks; then it is taken, once."""
    for moment in sorted({moment for moment in moments.values() if moment is not None}):
        due = sorted(user for user in moments if moments[user] == moment)
        assert await ear.found(moment - 1) == []
        assert {user for user, standing in (await ear.look(*due)).items() if not standing.online} == set()
        assert await ear.found(moment) == due
        assert {user for user, standing in (await ear.look(*due)).items() if standing.online} == set()
    assert {user for user, standing in (await ear.look(*moments)).items() if standing.online} == set()


async def test_deadlines(ear: Ear) -> None:
    """Of signs that become known one after another."""
    cases = users_of(CASES)
    for user, (signs, _) in cases.items():
        ear.now = NOON
        for turn, (kind, at) in enumerate(signs):
            heard = await ear.hear(sign(kind, at, user))
            assert heard.unsettled == ([user] if turn == 0 and kind not in GOING else []), user
            ended = any(before is LOGGED_OUT for before, _ in signs[:turn])
            begins = kind is BEAT and not ended and BEAT not in dict(signs[:turn])
            assert heard.began_to_beat == ([("acme", "s")] if begins else []), user
    await assert_overdue(ear, {user: overdue_at for user, (_, overdue_at) in cases.items()})


async def test_deadlines_of_signs_that_are_told_at_once(ear: Ear) -> None:
    cases = users_of(CASES)
    signs = [sign(*one, user) for user, (of_user, _) in cases.items() for one in of_user]
    heard = await ear.hear(*signs, now=100)
    assert sorted(heard.unsettled) == sorted(user for user, (of_user, _) in cases.items() if of_user[0][0] not in GOING)
    late = ("acme", told([(CALL, 500), (BEAT, 100)])), ("acme", told([(CONNECTED, 500), (BEAT, 100)]))
    ahead = dict.fromkeys(late, 400)
    await assert_overdue(ear, {user: overdue_at for user, (_, overdue_at) in cases.items()} | ahead)


async def test_a_sign_told_twice_counts_once(ear: Ear) -> None:
    before: list[Signs] = [[(CALL, 0)], [(BEAT, 0)], [(CONNECTED, 0)]]
    before += [[(CALL, 0), (DISCONNECTED, 10)], [(CALL, 0), (LOGGED_OUT, 10)]]
    twice = users_of([([*signs, (kind, 50)], None) for signs in before for kind in SignKind])
    await ear.hear(*(sign(*one, user) for user, (signs, _) in twice.items() for one in signs))
    again = await ear.hear(*(sign(*signs[-1], user) for user, (signs, _) in twice.items()))
    assert (again.unsettled, again.began_to_beat) == ([], [])


# Signs of a session that is there, and when it is overdue in whichever order they become known.
ORDERLESS: list[tuple[Signs, int]] = [
    ([(CALL, 300), (CONNECTED, 100), (BEAT, 200)], 600),
    ([(BEAT, 100), (BEAT, 200), (CALL, 50)], 500),
    ([(CALL, 100), (DISCONNECTED, 200), (CONNECTED, 150)], 300),
    ([(DISCONNECTED, 100), (CALL, 200), (DISCONNECTED, 150)], 2_200),
    ([(LOGGED_OUT, 100), (CALL, 50), (BEAT, 60), (DISCONNECTED, 150)], 200),
]


async def test_the_order_in_which_signs_become_known_makes_no_difference(ear: Ear) -> None:
    """Each order is a user's, and each sign comes twice."""
    orders = {
        ("acme", told(list(order))): (order, overdue_at)
        for signs, overdue_at in ORDERLESS
        for order in permutations(signs)
    }
    for user, (order, _) in orders.items():
        await ear.hear(sign(CALL, 0, user), *(sign(*one, user) for one in order for _ in (1, 2)), now=300)
    await assert_overdue(ear, {user: overdue_at for user, (_, overdue_at) in orders.items()})


async def test_a_session_that_begins_to_beat_is_named(ear: Ear) -> None:
    """Once, however it was known before."""
    heard = await ear.hear(sign(BEAT, 0, ANN, "a"), sign(CALL, 0, ANN, "b"), sign(BEAT, 1, ANN, "a"))
    assert heard.began_to_beat == [("acme", "a")]
    both = await ear.hear(sign(BEAT, 10, ANN, "a"), sign(BEAT, 10, ANN, "b"), sign(BEAT, 10, BEN, "c"))
    assert sorted(both.began_to_beat) == [("acme", "b"), ("acme", "c")]
    assert (await ear.hear(sign(BEAT, 20, ANN, "a"), sign(BEAT, 20, ANN, "b"))).began_to_beat == []


async def test_an_old_connect_does_not_bring_anybody_back(ear: Ear) -> None:
    """One that is older than a grace is of a session that may be gone by now."""
    assert (await ear.hear(sign(CONNECTED, 99), now=200)).unsettled == []
    assert not await ear.online()
    assert (await ear.hear(sign(CONNECTED, 100), now=200)).unsettled == [ANN]
    await assert_overdue(ear, {ANN: 2_100})


async def test_who_logged_out_stays_for_a_grace(ear: Ear) -> None:
    """Though SQL names the session no more; for the last of its logouts."""
    await ear.hear(sign(CALL, 0, sid="a"), sign(CALL, 0, sid="b"))
    await ear.hear(sign(LOGGED_OUT, 150, sid="a"), sign(LOGGED_OUT, 100, sid="b"))
    await ear.settle(ANN)
    assert await ear.found(249) == [ANN], "of the earlier logout"
    assert await ear.online(sids=[])
    assert await ear.found(250) == [ANN]
    assert not await ear.online(sids=["a", "b"])


async def test_a_logout_of_a_session_that_is_not_there(ear: Ear) -> None:
    """Another process may have heard it, and not told yet: the grace is its user's all the same."""
    assert (await ear.hear(sign(LOGGED_OUT, 0, sid="x"))).unsettled == [ANN]
    assert await ear.mark() > 0
    assert await ear.online(sids=[])
    await ear.hear(sign(CALL, 0, sid="s"), sign(LOGGED_OUT, 0, sid="x"))
    assert await ear.found(250) == [ANN]
    assert not await ear.online(sids=["x"])
    assert await ear.online(sids=["s"])


NO_END = Timeouts(NEVER, NEVER, NEVER)


async def test_what_is_switched_off_never_ends(ear: Ear) -> None:
    """A year later, too."""
    year = 365 * 86_400_000
    ways = [[CALL], [BEAT], [CONNECTED], [CALL, BEAT], [CALL, DISCONNECTED], [BEAT, LOGGED_OUT], [CALL, CONNECTED]]
    users = {("acme", " ".join(kind.name for kind in kinds)): kinds for kinds in ways}
    for user, kinds in users.items():
        await ear.hear(*(sign(kind, turn, user, times=NO_END) for turn, kind in enumerate(kinds)))
    await ear.hear(sign(CALL, 0, BEN))
    await ear.settle(*users, BEN)
    assert (await ear.watch(year)).gap
    assert await ear.found(year + 4_000) == [BEN]
    assert {standing.online for standing in (await ear.look(*users)).values()} == {True}


NO_GRACE = Timeouts(beat_ms=300, silent_ms=2_000, grace_ms=NEVER)
# As CASES, where nobody is offline the sooner for having gone.
WITHOUT_GRACE: list[tuple[Signs, int | None]] = [
    ([(CALL, 0), (LOGGED_OUT, 100)], 2_000),
    ([(CALL, 0), (LOGGED_OUT, 100), (CALL, 150)], 2_000),
    ([(CALL, 0), (LOGGED_OUT, 100), (BEAT, 150)], 2_000),
    ([(CONNECTED, 0), (LOGGED_OUT, 100), (CONNECTED, 150)], 2_000),
    ([(BEAT, 0), (LOGGED_OUT, 100)], 300),
    ([(CALL, 0), (BEAT, 100), (LOGGED_OUT, 150), (LOGGED_OUT, 200)], 400),
    ([(LOGGED_OUT, 0)], None),
    ([(CALL, 0), (DISCONNECTED, 100)], 2_000),
    ([(CONNECTED, 0), (DISCONNECTED, 100), (NOT_CONNECTED, 150)], 2_000),
    ([(CONNECTED, 0), (NOT_CONNECTED, 100), (CALL, 150)], 2_150),
    ([(BEAT, 0), (DISCONNECTED, 100), (NOT_CONNECTED, 150)], 300),
    ([(DISCONNECTED, 0)], None),
]


async def test_deadlines_without_a_grace(ear: Ear) -> None:
    cases = users_of(WITHOUT_GRACE)
    await ear.hear(*(sign(*one, user, times=NO_GRACE) for user, (signs, _) in cases.items() for one in signs))
    await ear.settle(*cases)
    await assert_overdue(ear, {user: overdue_at for user, (_, overdue_at) in cases.items()})


async def test_who_logged_out_without_a_grace_stays_as_long_as_the_sessions_had_left(ear: Ear) -> None:
    """Though SQL names them no more."""
    await ear.hear(*(sign(CALL, at, sid=sid, times=NO_GRACE) for at, sid in ((0, "a"), (50, "b"), (30, "c"))))
    await ear.hear(*(sign(LOGGED_OUT, 100, sid=sid, times=NO_GRACE) for sid in "abc"))
    await ear.settle(ANN)
    for at in (2_000, 2_030):
        assert await ear.found(at) == [ANN]
        assert await ear.online(sids=[])
    assert await ear.found(2_050) == [ANN]
    assert not await ear.online(sids=["a", "b", "c"])


async def test_who_had_been_disconnected_has_that_grace(ear: Ear) -> None:
    """Under an earlier policy; without a grace the logout makes it no shorter, and no longer."""
    await ear.hear(sign(CALL, 0), sign(DISCONNECTED, 50), sign(LOGGED_OUT, 60, times=NO_GRACE))
    await assert_overdue(ear, {ANN: 150})


async def test_a_silence_of_days(ear: Ear) -> None:
    month = 30 * 86_400_000
    days = Timeouts(beat_ms=300, silent_ms=month, grace_ms=100)
    gone, beats, left = people(3)
    await ear.hear(*(sign(CALL, 0, user, times=days) for user in (ANN, gone, beats, left)))
    await ear.hear(sign(DISCONNECTED, 1, gone, times=days), sign(BEAT, 50, beats, times=days))
    await ear.hear(sign(LOGGED_OUT, 100, left, times=days))
    await ear.settle(ANN, gone, beats, left)
    for at, user in ((101, gone), (200, left), (350, beats)):
        assert await ear.found(at - 1, days) == []
        assert await ear.found(at, days) == [user]
        await ear.settle(user)
    await ear.watch(month - 4_000)
    assert await ear.found(month - 1) == []
    assert await ear.found(month) == [ANN]


async def test_a_timeout_that_is_off_beside_one_that_is_on(ear: Ear) -> None:
    quiet = Timeouts(beat_ms=300, silent_ms=NEVER, grace_ms=100)
    beating = Timeouts(beat_ms=NEVER, silent_ms=2_000, grace_ms=100)
    await ear.hear(sign(CALL, 0, times=quiet), sign(DISCONNECTED, 100, times=quiet))
    assert await ear.found(199) == []
    assert await ear.found(200) == [ANN]
    await ear.hear(sign(CALL, 300, times=quiet), sign(BEAT, 200, times=quiet))
    await ear.hear(sign(CALL, 300, BEN, times=beating), sign(BEAT, 310, BEN, times=beating))
    assert await ear.found(500) == [ANN]
    assert await ear.found(4_000) == []
    assert await ear.online(BEN)
