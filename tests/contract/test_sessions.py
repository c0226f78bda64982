"""SessionStore: logins, of which SQL is the truth."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, insert, select, update

from contract.nodes import NOON, Node
from liveroom.adapters.store.tables import endings, sessions
from liveroom.model import Session, SessionStanding

LIVE, ENDED, NO_ACCOUNT = SessionStanding.LIVE, SessionStanding.ENDED, SessionStanding.NO_ACCOUNT
MONTH_MS = 30 * 86_400_000


def session(user_id: str, sid: str, expires_at: int = NOON + MONTH_MS, tenant: str = "default") -> Session:
    return Session(tenant, user_id, sid, expires_at)


async def standings(node: Node, user_id: str, sids: list[str]) -> list[SessionStanding]:
    return await asyncio.gather(*(node.sessions.standing("default", user_id, sid) for sid in sids))


async def test_an_opened_session_is_live_on_every_process(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    assert await node.sessions.open(session(ann.user_id, "s"), NOON, 20)
    assert await node.sessions.standing("default", ann.user_id, "s") is LIVE
    assert await other.sessions.standing("default", ann.user_id, "s") is LIVE


async def test_no_session_without_an_account(node: Node) -> None:
    ann = await node.register("ann")
    opened = await asyncio.gather(
        node.sessions.open(session("99999999", "s1"), NOON, 20),
        node.sessions.open(session(ann.user_id, "s2"), NOON, 20),
        node.sessions.open(session(ann.user_id, "s3", tenant="acme"), NOON, 20),
    )
    assert opened == [False, True, False]
    assert await node.sessions.standing("default", "99999999", "s1") is NO_ACCOUNT
    assert await node.sessions.standing("acme", ann.user_id, "s3") is NO_ACCOUNT


async def test_a_session_is_of_one_account_and_tenant(node: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    assert await node.sessions.open(session(ann.user_id, "s"), NOON, 20)
    assert await node.sessions.standing("default", ben.user_id, "s") is ENDED
    assert await node.sessions.standing("default", ann.user_id, "S") is ENDED
    assert await node.sessions.standing("acme", ann.user_id, "s") is NO_ACCOUNT


async def test_beyond_twenty_the_least_recently_used_ends(node: Node, other: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    assert await node.sessions.open(session(ben.user_id, "ben"), NOON - 1_000, 20)
    sids = [f"s{number:02}" for number in range(22)]
    for number, sid in enumerate(sids[:20]):
        assert await node.sessions.open(session(ann.user_id, sid), NOON + number, 20)
    assert await standings(node, ann.user_id, sids[:20]) == [LIVE] * 20
    assert await node.sessions.prolong(session(ann.user_id, "s00"), NOON + 100) is LIVE
    _, cursor = await other.sessions.ended_since(0)
    for number, sid in enumerate(sids[20:]):
        assert await node.sessions.open(session(ann.user_id, sid), NOON + 200 + number, 20)
    expected = [ENDED if sid in {"s01", "s02"} else LIVE for sid in sids]
    assert await standings(other, ann.user_id, sids) == expected
    assert {("default", "s01"), ("default", "s02")} <= set((await other.sessions.ended_since(cursor))[0])
    assert await node.sessions.standing("default", ben.user_id, "ben") is LIVE


async def test_the_session_just_opened_is_not_the_least_recently_used(node: Node) -> None:
    """Also when all were opened within one millisecond."""
    ann = await node.register("ann")
    for number in range(20):
        assert await node.sessions.open(session(ann.user_id, f"s{number:02}"), NOON, 20)
    assert await node.sessions.open(session(ann.user_id, "z"), NOON, 20)
    assert await node.sessions.standing("default", ann.user_id, "z") is LIVE


async def test_however_many_open_at_once_twenty_stay(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    sids = [f"s{number:02}" for number in range(40)]
    opening = [
        (node, other)[number % 2].sessions.open(session(ann.user_id, sid), NOON + number, 20)
        for number, sid in enumerate(sids)
    ]
    assert await asyncio.gather(*opening) == [True] * 40
    assert (await standings(node, ann.user_id, sids)).count(LIVE) == 20
    assert (await node.rows(select(func.count()).select_from(sessions)))[0][0] == 20


async def test_each_login_brings_its_own_bound(node: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    for number in range(3):
        for user in (ann, ben):
            assert await node.sessions.open(session(user.user_id, f"{user.username}{number}"), NOON + number, 20)
    await asyncio.gather(
        node.sessions.open(session(ann.user_id, "ann3"), NOON + 3, 1),
        node.sessions.open(session(ben.user_id, "ben3"), NOON + 3, 20),
    )
    assert await standings(node, ann.user_id, ["ann0", "ann1", "ann2", "ann3"]) == [ENDED] * 3 + [LIVE]
    assert await standings(node, ben.user_id, ["ben0", "ben1", "ben2", "ben3"]) == [LIVE] * 4


async def test_prolong_moves_each_session_to_its_own_end(node: Node) -> None:
    ann = await node.register("ann")
    for sid in ("s1", "s2", "s3"):
        assert await node.sessions.open(session(ann.user_id, sid, NOON + 10_000), NOON, 20)
    moved = await asyncio.gather(
        node.sessions.prolong(session(ann.user_id, "s1", NOON + 20_000), NOON + 1),
        node.sessions.prolong(session(ann.user_id, "s2", NOON + 30_000), NOON + 2),
    )
    assert moved == [LIVE, LIVE]
    rows = await node.rows(select(sessions.c.sid, sessions.c.expires_at, sessions.c.used_at))
    expected = {("s1", NOON + 20_000, NOON + 1), ("s2", NOON + 30_000, NOON + 2), ("s3", NOON + 10_000, NOON)}
    assert {tuple(row) for row in rows} == expected


async def test_prolong_says_what_is_gone_and_leaves_it(node: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    assert await node.sessions.open(session(ann.user_id, "s", NOON + 10_000), NOON, 20)
    assert await node.sessions.open(session(ann.user_id, "over", NOON + 10_000), NOON, 20)
    await node.sessions.end("default", ann.user_id, "over")
    assert await node.sessions.prolong(session(ann.user_id, "over"), NOON) is ENDED
    assert await node.sessions.prolong(session(ann.user_id, "never"), NOON) is ENDED
    assert await node.sessions.prolong(session("99999999", "s"), NOON) is NO_ACCOUNT
    assert await node.sessions.prolong(session(ben.user_id, "s"), NOON) is ENDED
    rows = await node.rows(select(sessions.c.sid, sessions.c.expires_at))
    assert rows == [("s", NOON + 10_000)], "another account's wish moved this session"


async def test_a_session_past_its_end_cannot_be_prolonged(node: Node) -> None:
    ann = await node.register("ann")
    assert await node.sessions.open(session(ann.user_id, "s", NOON + 10_000), NOON, 20)
    assert await node.sessions.prolong(session(ann.user_id, "s"), NOON + 10_001) is ENDED


async def test_a_used_session_is_not_the_least_recently_used(node: Node, other: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    for number in range(20):
        assert await node.sessions.open(session(ann.user_id, f"s{number:02}"), NOON + number, 20)
    assert await node.sessions.open(session(ben.user_id, "ben"), NOON, 20)
    await other.sessions.mark_used(
        [("default", "s00"), ("default", "s02"), ("acme", "s01"), ("default", "x")], NOON + 50
    )
    await other.sessions.mark_used([], NOON + 50)
    rows = await node.rows(select(sessions.c.sid, sessions.c.used_at).where(sessions.c.used_at == NOON + 50))
    assert sorted(row.sid for row in rows) == ["s00", "s02"]
    for number in range(2):
        assert await node.sessions.open(session(ann.user_id, f"t{number}"), NOON + 100 + number, 20)
    assert await standings(node, ann.user_id, ["s00", "s01", "s02", "s03", "s04"]) == [LIVE, ENDED, LIVE, ENDED, LIVE]


async def test_a_use_that_is_not_marked_yet_counts_too(node: Node, other: Node) -> None:
    """Each of several that sign in at once, for its own account."""
    ann, ben = await node.register("ann"), await node.register("ben")
    for number in range(20):
        for user in (ann, ben):
            assert await node.sessions.open(session(user.user_id, f"{user.username}{number:02}"), NOON + number, 20)
    used = {("default", "ann00"): NOON + 50, ("default", "ann02"): NOON + 1, ("acme", "ann01"): NOON + 50}
    await asyncio.gather(
        node.sessions.open(session(ann.user_id, "ann20"), NOON + 100, 20, used),
        node.sessions.open(session(ann.user_id, "ann21"), NOON + 100, 20, used),
        node.sessions.open(session(ben.user_id, "ben20"), NOON + 100, 20),
    )
    sids = ["ann00", "ann01", "ann02", "ann03", "ann20", "ann21"]
    assert await standings(other, ann.user_id, sids) == [LIVE, ENDED, ENDED, LIVE, LIVE, LIVE]
    assert await standings(other, ben.user_id, ["ben00", "ben01", "ben20"]) == [ENDED, LIVE, LIVE]


async def test_of_sessions_of_the_same_moment_the_one_in_use_stays(node: Node) -> None:
    ann = await node.register("ann")
    for number in range(20):
        assert await node.sessions.open(session(ann.user_id, f"s{number:02}"), NOON, 20)
    for number in range(20):
        used = {("default", "s19"): NOON, ("default", "s07"): NOON}
        assert await node.sessions.open(session(ann.user_id, f"t{number:02}"), NOON, 20, used)
        assert await standings(node, ann.user_id, ["s07", "s19", f"t{number:02}"]) == [LIVE] * 3


async def test_a_great_many_sessions_may_have_been_used(node: Node) -> None:
    row = {"tenant": "default", "user_id": "1", "expires_at": NOON * 2, "used_at": 1}
    rows = [row | {"sid": f"s{number}"} for number in range(1_200)]
    async with node.database.engine.begin() as connection:
        await connection.execute(insert(sessions), rows)
    await node.sessions.mark_used([("default", f"s{number}") for number in range(1_199)], NOON)
    assert [row.sid for row in await node.rows(select(sessions.c.sid).where(sessions.c.used_at == 1))] == ["s1199"]


async def test_an_ended_session_stays_ended(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    for sid in ("s1", "s2"):
        assert await node.sessions.open(session(ann.user_id, sid), NOON, 20)
    await node.sessions.end("default", ann.user_id, "s1")
    assert await standings(other, ann.user_id, ["s1", "s2"]) == [ENDED, LIVE]
    logged = await node.rows(select(endings))
    await other.sessions.end("default", ann.user_id, "s1")
    await node.sessions.end("default", ann.user_id, "s1")
    assert await node.rows(select(endings)) == logged


async def test_nobody_ends_the_session_of_another(node: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    assert await node.sessions.open(session(ann.user_id, "s"), NOON, 20)
    await node.sessions.end("default", ben.user_id, "s")
    await node.sessions.end("acme", ann.user_id, "s")
    await node.sessions.end("default", ann.user_id, "unknown")
    assert await node.sessions.standing("default", ann.user_id, "s") is LIVE
    assert await node.rows(select(endings)) == []


async def test_another_process_reads_what_ended(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    for number in range(6):
        assert await node.sessions.open(session(ann.user_id, f"s{number}"), NOON, 20)
    await node.sessions.end("default", ann.user_id, "s0")
    told, cursor = await other.sessions.ended_since(0)
    assert told == []
    assert cursor > 0
    await asyncio.gather(*(node.sessions.end("default", ann.user_id, f"s{number}") for number in range(1, 4)))
    told, later = await other.sessions.ended_since(cursor)
    assert {("default", f"s{number}") for number in range(1, 4)} <= set(told)
    assert later >= cursor
    await node.sessions.end("default", ann.user_id, "s4")
    assert ("default", "s4") in (await other.sessions.ended_since(later))[0]
    assert ("default", "s5") not in (await other.sessions.ended_since(0))[0]


async def test_no_ending_is_missed_however_the_reads_fall(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    for number in range(20):
        assert await node.sessions.open(session(ann.user_id, f"s{number}"), NOON, 20)
    heard: set[tuple[str, str]] = set()
    _, cursor = await other.sessions.ended_since(0)

    async def follow() -> None:
        nonlocal cursor
        told, cursor = await other.sessions.ended_since(cursor)
        heard.update(told)

    for number in range(20):
        await asyncio.gather(follow(), node.sessions.end("default", ann.user_id, f"s{number}"))
    await follow()
    assert heard == {("default", f"s{number}") for number in range(20)}


async def test_prune_deletes_what_expired_and_old_endings(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    for sid, expires_at in (("old", NOON - 1), ("new", NOON + 1), ("ended", NOON + 1), ("aged", NOON + 1)):
        assert await node.sessions.open(session(ann.user_id, sid, expires_at), NOON - 10, 20)
    for sid in ("ended", "aged"):
        await node.sessions.end("default", ann.user_id, sid)
    two_hours_ago = endings.c.ended_at - 7_200_000
    age = update(endings).where(endings.c.sid == "aged").values(ended_at=two_hours_ago)
    await node.database.write(lambda connection: connection.execute(age))
    assert await other.sessions.prune(NOON) == 2
    assert [row.sid for row in await node.rows(select(sessions.c.sid))] == ["new"]
    assert [row.sid for row in await node.rows(select(endings.c.sid))] == ["ended"]
    assert await other.sessions.prune(NOON) == 0
    assert await node.sessions.standing("default", ann.user_id, "old") is ENDED


async def test_prune_goes_in_small_steps(node: Node) -> None:
    rows = [{"tenant": "default", "sid": f"s{number}", "user_id": "1", "expires_at": 1} for number in range(2_500)]
    async with node.database.engine.begin() as connection:
        await connection.execute(insert(sessions), rows)
    steps = []
    while step := await node.sessions.prune(NOON):
        steps.append(step)
    assert sum(steps) == 2_500
    assert max(steps) <= 1_000
    assert await node.rows(select(sessions)) == []
