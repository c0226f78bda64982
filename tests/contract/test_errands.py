"""ErrandStore: at most one errand a subject, at most one process at it, and none is lost."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from contract.nodes import NOON, Node
from liveroom.adapters.store.tables import errands
from liveroom.model import Tenant
from liveroom.ports.accounts import Profile
from liveroom.ports.errands import Errand, ErrandKind

ACCOUNT, GROUP = ErrandKind.ACCOUNT, ErrandKind.GROUP
NOW, UNTIL = NOON, NOON + 30_000


async def add(node: Node, *subjects: str, tenant: str = "default", due_at: int = 0) -> None:
    for subject in subjects:
        await node.errands.add(tenant, GROUP, subject, due_at)


async def left(node: Node) -> int:
    """How many errands there are."""
    return len(await node.rows(select(errands.c.subject)))


async def subjects(node: Node, now: int = NOW, most: int = 100) -> list[str]:
    return [errand.subject for errand in await node.errands.take(now, now + 30_000, most)]


async def take_one(node: Node, subject: str, now: int = NOW) -> Errand | None:
    return await node.errands.take_one("default", GROUP, subject, now, now + 30_000)


async def taken(node: Node, subject: str, now: int = NOW) -> Errand:
    errand = await take_one(node, subject, now)
    assert errand is not None
    return errand


async def test_an_errand_is_given_once(node: Node, other: Node) -> None:
    await add(node, "r")
    assert await node.errands.take(NOW, UNTIL, 10) == [Errand("default", GROUP, "r", 1, 0, UNTIL)]
    assert await other.errands.take(NOW, UNTIL, 10) == []
    assert await take_one(other, "r") is None
    assert await other.errands.waiting("default", GROUP, "r")
    assert await subjects(other, UNTIL - 1) == []
    assert await subjects(other, UNTIL) == ["r"]


async def test_an_errand_that_is_done_is_gone(node: Node, other: Node) -> None:
    await add(node, "r")
    errand = await taken(node, "r")
    assert await other.errands.done(errand)
    assert not await node.errands.waiting("default", GROUP, "r")
    assert await left(node) == 0
    # Told twice, as after an answer that was lost.
    assert await other.errands.done(errand) is False
    assert await left(node) == 0


async def test_what_is_not_there_is_not_taken(node: Node) -> None:
    await add(node, "r")
    for key in (("default", GROUP, "r2"), ("default", ACCOUNT, "r"), ("acme", GROUP, "r")):
        assert await node.errands.take_one(*key, NOW, UNTIL) is None
        assert not await node.errands.waiting(*key)
    assert await subjects(node) == ["r"]


async def test_one_subject_of_each_kind_and_tenant(node: Node) -> None:
    keys = [(tenant, kind, name) for tenant in ("a", "a-b", "ab") for kind in ErrandKind for name in ("r", "r-", "R")]
    for key in keys * 2:
        await node.errands.add(*key, 0)
    found = await node.errands.take(NOW, UNTIL, 100)
    assert sorted((errand.tenant, errand.kind, errand.subject) for errand in found) == sorted(keys)
    assert await node.errands.done(next(one for one in found if (one.tenant, one.subject) == ("a", "r")))
    assert await left(node) == len(keys) - 1


async def test_the_longest_due_come_first(node: Node, other: Node) -> None:
    for due_at, subject in ((30, "c"), (10, "a"), (40, "d"), (20, "b")):
        await add(node, subject, due_at=NOW + due_at)
    assert await subjects(other, NOW + 9) == []
    assert sorted(await subjects(other, NOW + 35, 2)) == ["a", "b"]
    assert await subjects(other, NOW + 35) == ["c"]
    assert await taken(other, "d", NOW + 35), "due or not"


async def test_adding_what_is_there_leaves_it_as_it_is(node: Node, other: Node) -> None:
    await add(node, "r", due_at=NOW + 10)
    await add(other, "r", due_at=NOW)
    assert await subjects(node, NOW) == []
    errand = await taken(node, "r")
    await add(other, "r", due_at=NOW)
    assert await take_one(other, "r") is None
    assert await node.errands.done(errand), "nothing of ours has changed"


async def test_what_is_put_off_waits(node: Node, other: Node) -> None:
    await add(node, "r")
    for tries in range(3):
        errand = await taken(node, "r")
        assert errand.tries == tries
        await node.errands.put_off(errand, NOW + 50)
        assert await subjects(other, NOW + 49) == []
    assert await subjects(other, NOW + 50) == ["r"]


async def test_a_change_of_ours_meanwhile_keeps_the_errand(node: Node, other: Node) -> None:
    """Due at once, with a mark of its own and no tries; whoever is at it stays alone at it."""
    ann = await node.caller("ann")
    await node.enter(ann, "r")
    await node.destroy(ann, "r")
    await node.errands.put_off(await taken(node, "r"), NOW + 50_000)
    errand = await taken(node, "r")
    assert errand.tries == 1
    await other.enter(replace(ann, tenant=Tenant(name="default")), "r2")
    await other.rooms.find("default", "r")
    entering = asyncio.create_task(other.enter(ann, "r"))
    while (room := await node.rooms.find("default", "r")) is None or not room.open:
        await asyncio.sleep(0.01)
    assert await take_one(other, "r") is None
    assert await node.errands.done(errand) is False
    await entering
    # Whoever entered has done it now; else it would be due.
    assert not await node.errands.waiting("default", GROUP, "r")


@pytest.mark.parametrize("verb", ["done", "put_off"])
async def test_a_mark_that_was_raised_makes_it_due_at_once(node: Node, other: Node, verb: str) -> None:
    ann = await node.register("ann")
    errand = await node.errands.take_one("default", ACCOUNT, ann.user_id, NOW, UNTIL)
    assert errand is not None
    await other.accounts.update("default", ann.user_id, Profile(name="Ann"))
    assert await other.errands.take(NOW, UNTIL, 10) == [], "somebody is at it"
    if verb == "done":
        assert await node.errands.done(errand) is False
    else:
        await node.errands.put_off(errand, NOW + 50_000)
    (again,) = await other.errands.take(NOW, UNTIL, 10)
    assert (again.mark > errand.mark, again.tries) == (True, 0)
    assert await other.errands.done(again)


async def test_accounts_and_rooms_leave_errands_with_their_changes(node: Node) -> None:
    ann = await node.caller("ann")
    assert await node.errands.waiting("default", ACCOUNT, ann.user_id)
    while found := await node.errands.take(NOW, UNTIL, 100):
        for errand in found:
            await node.errands.done(errand)
    await node.enter(ann, "r")
    await node.update(ann, "r", title="a show")
    await node.leave(ann, "r")
    assert await left(node) == 0, "no turn of the room is open"
    await node.destroy(ann, "r")
    assert await node.errands.waiting("default", GROUP, "r")
    assert await left(node) == 1
    await node.enter(ann, "r")
    await node.depart(ann)
    assert await node.errands.waiting("default", GROUP, "r")
    assert await node.errands.waiting("default", ACCOUNT, ann.user_id)


async def test_two_processes_share_the_work(node: Node, other: Node) -> None:
    """However they meet, no errand is given to both, and none is forgotten."""
    names = [f"r{number}" for number in range(120)]
    await asyncio.gather(*(node.errands.add("default", GROUP, name, number) for number, name in enumerate(names)))
    found: list[str] = []

    async def work(process: Node) -> None:
        while page := await process.errands.take(NOW, UNTIL, 7):
            found.extend(errand.subject for errand in page)

    await asyncio.gather(*(work(process) for process in (node, other) * 3))
    # Whoever met another one at the same rows may have come away with nothing.
    await work(node)
    assert sorted(found) == sorted(names)


async def test_a_crowd_at_one_errand(node: Node, other: Node) -> None:
    await add(node, "r")
    verbs = [take_one(process, "r") for process in (node, other) * 4]
    alone = [errand for errand in await asyncio.gather(*verbs) if errand is not None]
    assert len(alone) == 1


async def test_a_change_and_a_done_that_meet(node: Node, other: Node) -> None:
    """Whichever is first: an errand is left if, and only if, it was not done after the change."""
    ann = await node.register("ann")
    for turn in range(20):
        errand = await node.errands.take_one("default", ACCOUNT, ann.user_id, NOW, UNTIL)
        if errand is None:
            await other.errands.add("default", ACCOUNT, ann.user_id, 0)
            continue
        await asyncio.gather(
            other.accounts.update("default", ann.user_id, Profile(name=f"name {turn}")), node.errands.done(errand)
        )
        assert await node.errands.waiting("default", ACCOUNT, ann.user_id)
        assert len(await other.errands.take(NOW, NOW, 10)) == 1, "free again, and due at once"


async def test_rooms_that_turn_in_one_batch_leave_an_errand_each(node: Node) -> None:
    """Two that open at once, and two that close with their owner's account."""
    users = await node.callers(2)
    await asyncio.gather(*(node.enter(user, f"r{number}") for number, user in enumerate(users)))
    await node.enter(users[0], "r2")
    await node.depart(users[0])
    found = {errand.subject for errand in await node.errands.take(NOW, UNTIL, 100) if errand.kind is GROUP}
    assert {"r0", "r2"} <= found


async def test_who_had_it_to_itself_too_long_ends_nobody_elses(node: Node, other: Node) -> None:
    """It was taken over, done, and there is a new one, which nobody may take for the old."""
    await add(node, "r")
    late = await taken(node, "r")
    over = NOW + 30_001
    again = await other.errands.take_one("default", GROUP, "r", over, over + 30_000)
    assert again is not None
    assert await other.errands.done(again)
    await add(node, "r")
    newer = await taken(node, "r", over + 1)
    assert newer.mark == late.mark
    assert await node.errands.done(late) is False
    await node.errands.put_off(late, NOW * 2)
    assert await node.errands.waiting("default", GROUP, "r")
    assert await node.errands.done(newer)
