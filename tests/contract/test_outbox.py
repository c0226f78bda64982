"""The logs of events: written with what made them true, numbered without a gap, kept until everybody has them."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import json
from sqlalchemy import func, insert, select, update

from contract.nodes import DEFAULT, Node, Ticks, new
from liveroom.adapters.store.outbox import SqlOutbox
from liveroom.adapters.store.tables import dead_letters, deliveries, events
from liveroom.errors import Refusal
from liveroom.events import About
from liveroom.model import Caller
from liveroom.ports.accounts import Profile
from liveroom.ports.outbox import Told, position_of
from liveroom.ports.rooms import RoomOrder
from liveroom.services.absence import came_online, went_offline

ROOM = ("default", About.ROOM, "r")


@pytest.fixture
def outbox(node: Node) -> SqlOutbox:
    return SqlOutbox(node.database)


async def log_of(outbox: SqlOutbox, room_id: str = "r", about: About = About.ROOM) -> list[Told]:
    return await outbox.after(("default", about, room_id), 0, 10_000)


def kinds(told: list[Told]) -> list[str]:
    return [one.kind for one in told]


def bodies(told: list[Told]) -> list[dict[str, Any]]:
    return [json.decode(one.body) for one in told]


async def flip(node: Node, user: Caller, rule: Any) -> None:
    wish = RoomOrder("default", user.user_id, "r", lambda rows: rule(rows, DEFAULT, user.user_id, "r", 1))
    await node.rooms.change(wish)


async def test_a_room_s_life_is_one_log(node: Node, outbox: SqlOutbox) -> None:
    """Over all its openings; with each event where it stands, and a body that says so."""
    ann, ben = await node.callers(2)
    heard: list[Told] = []
    node.outbox.hear = heard.extend
    for _ in range(2):
        await node.enter(ann, "r", "anchor", title="a show")
        await node.enter(ben, "r")
        await node.leave(ben, "r")
        await node.destroy(ann, "r")
    told = await log_of(outbox)
    assert kinds(told) == ["room.opened", "member.entered", "member.entered", "member.left", "room.closed"] * 2
    assert heard == told
    assert [one.position for one in told] == [position_of(version) for version in range(1, 11)]
    assert [body["version"] for body in bodies(told)] == list(range(1, 11))
    assert [body["opening"] for body in bodies(told)] == [1] * 5 + [2] * 5
    assert len({body["id"] for body in bodies(told)}) == 10
    assert {(body["roomId"], body["tenant"]) for body in bodies(told)} == {("r", "default")}
    assert all(one.at == body["at"] for one, body in zip(told, bodies(told), strict=True))
    assert await outbox.versions([("default", "r"), ("default", "never")]) == {("default", "r"): 10}


async def test_what_changes_nothing_is_not_told(node: Node, outbox: SqlOutbox) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, "r", "anchor", title="a show")
    before = await log_of(outbox)
    await node.enter(ann, "r", "anchor", title="a show")
    await node.update(ann, "r", title="a show")
    await node.leave(ben, "r")
    for refused in (node.destroy(ben, "r"), node.update(ben, "r", title="mine")):
        with pytest.raises(Refusal):
            await refused
    assert await log_of(outbox) == before


async def test_being_online_has_no_version_of_its_own(node: Node, outbox: SqlOutbox) -> None:
    ann, ben = await node.callers(2)
    await node.enter(ann, "r", "anchor")
    await node.enter(ben, "r")
    for rule in (went_offline, came_online, came_online):
        await flip(node, ben, rule)
    await node.leave(ben, "r")
    told = (await log_of(outbox))[3:]
    assert kinds(told) == ["user.offline", "user.online", "member.left"]
    assert [one.version for one in told] == [3, 3, 4]
    assert [one.numbered for one in told] == [False, False, True]
    assert [body["version"] for body in bodies(told)] == [3, 3, 4]
    assert await outbox.after(ROOM, position_of(4) - 1, 10) == told[2:]


async def test_a_user_has_a_log_too(node: Node, outbox: SqlOutbox) -> None:
    ann = await node.caller("ann")
    await node.accounts.update("default", ann.user_id, Profile(name="Ann", tag="t"))
    await node.accounts.update("default", ann.user_id, Profile(name="Ann"))
    await node.accounts.vouch(new("ann"), Profile(avatar="picture"))
    await node.depart(ann)
    told = await log_of(outbox, ann.user_id, About.USER)
    assert kinds(told) == ["user.updated", "user.updated", "user.deleted"]
    assert [one.version for one in told] == [1, 2, 3]
    assert [(body.get("name"), body.get("avatar"), body.get("tag")) for body in bodies(told)] == [
        ("Ann", "", "t"),
        ("Ann", "picture", "t"),
        (None, None, None),
    ]
    assert {body["roomId"] for body in bodies(told)} == {""}


async def test_a_page_of_a_log(node: Node, outbox: SqlOutbox) -> None:
    ann = (await node.callers(1))[0]
    for _ in range(3):
        await node.enter(ann, "r")
        await node.leave(ann, "r")
    everything = await log_of(outbox)
    assert await outbox.after(ROOM, 0, 3) == everything[:3]
    assert await outbox.after(ROOM, position_of(3), 2) == everything[3:5]
    assert await outbox.after(ROOM, everything[-1].position, 2) == []
    assert await outbox.after(("default", About.USER, "r"), 0, 2) == []
    assert await outbox.after(("acme", About.ROOM, "r"), 0, 2) == []


async def test_crowds_on_two_processes_leave_no_gap(node: Node, other: Node, outbox: SqlOutbox) -> None:
    """Whoever replays a log knows who is inside, and each event's counts are those of its moment."""
    users, rooms = await node.callers(30), ["r", "s", "t"]
    await asyncio.gather(*(node.enter(users[0], room) for room in rooms))
    heard: dict[Node, list[Told]] = {node: [], other: []}
    for process in (node, other):
        process.outbox.hear = heard[process].extend

    async def live(user: Caller, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(8):
            process, room = dice.choice((node, other)), dice.choice(rooms)
            await (process.enter(user, room) if dice.random() < 0.6 else process.leave(user, room))

    await asyncio.gather(*(live(user, seed) for seed, user in enumerate(users)))
    logged = {room: await log_of(outbox, room) for room in rooms}
    for room, told in logged.items():
        assert [one.version for one in told if one.numbered] == list(range(1, len(told) + 1))
        assert replayed(told) == await node.inside(room)
        assert (await node.room(room)).position == told[-1].position
    written = sorted((one.subject, one.position) for one in [*heard[node], *heard[other]])
    assert written == sorted((one.subject, one.position) for told in logged.values() for one in told[2:])


def replayed(told: list[Told]) -> list[str] | None:
    """Who is inside after these events, in order; checks the counts on the way."""
    inside: dict[str, None] = {}
    joined: set[str] = set()
    is_open = False
    for body in bodies(told):
        if body["kind"] == "room.opened":
            inside, joined, is_open = {}, set(), True
        elif body["kind"] == "room.closed":
            inside, is_open = {}, False
        elif body["kind"] == "member.entered":
            assert body["userId"] not in inside
            inside[body["userId"]] = None
            joined.add(body["userId"])
        elif body["kind"] == "member.left":
            del inside[body["userId"]]
        if "nnUsers" in body:
            assert (body["nnUsers"], body["totalJoined"]) == (len(inside), len(joined))
    return list(inside) if is_open else None


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["enter", "leave", "destroy", "update", "offline", "online"])),
    max_size=25,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_a_log_always_tells_what_there_is(node: Node, outbox: SqlOutbox, steps: list[tuple[int, str]]) -> None:
    users, room_id = await node.callers(4), f"room-{random.randrange(10**12)}"
    for number, verb in steps:
        await _act(node, users[number], room_id, verb)
    told = await log_of(outbox, room_id)
    numbered = [one.version for one in told if one.numbered]
    assert numbered == list(range(1, len(numbered) + 1))
    assert replayed(told) == await node.inside(room_id)


async def _act(node: Node, user: Caller, room_id: str, verb: str) -> None:
    rules: dict[str, Any] = {"offline": went_offline, "online": came_online}
    if verb in rules:
        order = RoomOrder(
            "default", user.user_id, room_id, lambda rows: rules[verb](rows, DEFAULT, user.user_id, room_id, 1)
        )
        await node.rooms.change(order)
        return
    title = f"title {random.random()}"
    wishes: dict[str, Callable[[], Any]] = {
        "enter": lambda: node.enter(user, room_id, "anchor", title=title),
        "leave": lambda: node.leave(user, room_id),
        "destroy": lambda: node.destroy(user, room_id),
        "update": lambda: node.update(user, room_id, title=title),
    }
    try:
        await wishes[verb]()
    except Refusal as refusal:
        if verb not in {"destroy", "update"}:
            raise AssertionError(verb) from refusal


async def test_prune_keeps_what_somebody_has_to_be_told(node: Node, outbox: SqlOutbox, clock: Ticks) -> None:
    ann = (await node.callers(1))[0]
    for room in ("done", "waiting", "dead"):
        await node.enter(ann, room)
    key = {"tenant": "default", "listener": "hook", "about": "room"}
    async with node.database.engine.begin() as connection:
        await connection.execute(insert(deliveries), key | {"subject": "waiting"})
        await connection.execute(insert(dead_letters), key | {"subject": "dead", "first": 0, "last": 9})
    old = clock.now + 1
    clock.now += 1_000
    await node.enter((await node.callers(1))[0], "done")
    assert await _pruned(outbox, old) == 2
    left: dict[str, int] = defaultdict(int)
    for (subject,) in await node.rows(select(events.c.subject)):
        left[subject] += 1
    assert left == {"done": 1, "waiting": 2, "dead": 2}
    async with node.database.engine.begin() as connection:
        await connection.execute(deliveries.delete())
    assert await _pruned(outbox, old) == 2
    async with node.database.engine.begin() as connection:
        await connection.execute(dead_letters.delete())
        # Many that happened in one moment are gone through as well.
        await connection.execute(update(events).values(at=1))
    assert await _pruned(outbox, old) == 3
    assert await node.rows(select(func.count()).select_from(events)) == [(0,)]


async def _pruned(outbox: SqlOutbox, before: int) -> int:
    """How many went until it answered 0."""
    gone = 0
    while step := await outbox.prune(before):
        gone += step
    return gone
