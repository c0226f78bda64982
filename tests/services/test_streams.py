"""Streams: a snapshot, then every change once, whatever became of the wake-ups."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from liveroom.adapters.store.tables import events
from liveroom.errors import Code, Refusal
from liveroom.model import Caller, PresencePolicy, Tenant
from liveroom.services import readers
from liveroom.services.readers import EndReason, Reader
from services.days import Day
from services.following import Air, Client, Site
from services.rig import DEFAULT, TOKENS, Clock, Process, refused

Start = Callable[..., Process]


async def test_what_there_is_then_what_changes(site: Site, ann: Caller, ben: Caller) -> None:
    await site.process.enter(ann, "r", "anchor", title="a show")
    client = await site.follow(ben, "r")
    (snapshot,) = await client.read()
    assert (snapshot["kind"], snapshot["recovered"], snapshot["version"]) == ("snapshot", False, 2)
    assert snapshot["room"]["title"] == "a show"
    assert [member["userId"] for member in snapshot["members"]] == [ann.user_id]
    assert client.id == "1.2"
    await site.process.enter(ben, "r")
    await site.process.members.leave(ben, "r")
    assert [(told["kind"], told["version"]) for told in await client.read()] == [
        ("member.entered", 3),
        ("member.left", 4),
    ]
    assert client.id == "1.4"
    await site.process.rooms.destroy(ann, "r")
    closed, end = await client.read()
    assert (closed["kind"], end) == ("room.closed", {"kind": "end", "reason": "room closed"})
    assert client.id == "1.5"


async def test_what_another_process_does(site: Site, far: Site, ann: Caller, ben: Caller) -> None:
    await site.process.enter(ann, "r")
    client = await far.follow(ben, "r")
    await site.process.enter(ben, "r")
    assert await client.kinds() == ["snapshot"]
    await far.settle()
    assert await client.kinds() == ["member.entered"]


async def test_a_wake_up_that_was_lost(site: Site, far: Site, air: Air, ann: Caller, clock: Clock) -> None:
    """The next one shows that something is missing; without one the comparison with SQL does."""
    await site.process.enter(ann, "r")
    client = await far.follow(ann, "r")
    await site.process.update(ann, "r", title="1")
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    await site.process.update(ann, "r", title="2")
    await far.settle()
    assert [told.get("title") for told in (await client.read())[1:]] == ["1", "2"]
    await site.process.update(ann, "r", title="3")
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    clock.pass_s(6)
    await far.streams.check()
    await asyncio.sleep(0.05)
    assert [told["title"] for told in await client.read()] == ["3"]


async def test_resuming(site: Site, ann: Caller) -> None:
    await site.process.enter(ann, "r")
    for title in "abc":
        await site.process.update(ann, "r", title=title)
    client = await site.follow(ann, "r", since="1.3")
    resumed, *missed = await client.read()
    assert (resumed["kind"], resumed["recovered"], resumed["version"]) == ("resumed", True, 3)
    assert [told["title"] for told in missed] == ["b", "c"]
    for since in ("1.99", "2.3"):
        again = await site.follow(ann, "r", since=since)
        assert await again.kinds() == ["snapshot"]


async def test_resuming_in_another_opening_or_without_the_events(site: Site, ann: Caller) -> None:
    """A snapshot that says so."""
    await site.process.enter(ann, "r")
    await site.process.rooms.destroy(ann, "r")
    last_words = await site.follow(ann, "r", since="1.2")
    assert await last_words.kinds() == ["resumed", "room.closed", "end"]
    await refused(Code.RoomNotExists, site.follow(ann, "r", since="1.3"))
    await site.process.enter(ann, "r")
    for since in ("1.2", "1.3", "0.2"):
        (snapshot,) = await (await site.follow(ann, "r", since=since)).read()
        assert (snapshot["kind"], snapshot["recovered"], snapshot["opening"]) == ("snapshot", False, 2)
    await site.process.update(ann, "r", title="t")
    async with site.process.database.engine.begin() as connection:
        await connection.execute(delete(events))
    (snapshot,) = await (await site.follow(ann, "r", since="2.4")).read()
    assert (snapshot["kind"], snapshot["version"]) == ("snapshot", 6)


async def test_events_that_are_gone_before_they_were_passed_on(
    site: Site, far: Site, air: Air, ann: Caller, clock: Clock
) -> None:
    await site.process.enter(ann, "r")
    client = await far.follow(ann, "r")
    await client.read()
    for title in "ab":
        await site.process.update(ann, "r", title=title)
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    async with site.process.database.engine.begin() as connection:
        await connection.execute(delete(events).where(events.c.position <= 3 << 32))
    clock.pass_s(6)
    await far.streams.check()
    await asyncio.sleep(0.05)
    (snapshot,) = await client.read()
    assert (snapshot["kind"], snapshot["room"]["title"], snapshot["version"]) == ("snapshot", "b", 4)


async def test_several_rooms(site: Site, ann: Caller) -> None:
    for room in ("r", "s"):
        await site.process.enter(ann, room)
    client = await site.follow(ann, "r", "none", "s")
    assert sorted(await client.kinds()) == ["absent", "snapshot", "snapshot"]
    assert client.id == "1.2_0.0_1.2"
    await site.process.update(ann, "s", title="t")
    await client.read()
    assert client.id == "1.2_0.0_1.3"
    await site.process.rooms.destroy(ann, "r")
    assert await client.kinds() == ["room.closed"]
    await site.process.rooms.destroy(ann, "s")
    assert await client.kinds() == ["room.closed", "end"]
    await refused(Code.RoomNotExists, site.follow(ann, "r", "none", "s"))


async def test_nothing_is_kept_for_readers_that_are_gone(site: Site, ann: Caller) -> None:
    await site.process.enter(ann, "r", category="c")
    clients = [await site.follow(ann, "r"), await site.lobby(ann, "c")]
    for client in clients:
        site.streams.leave(client.reader)
    await refused(Code.RoomNotExists, site.follow(ann, "none"))
    assert site.streams.readers == 0
    assert (site.streams._feeds, site.streams._lobbies) == ({}, {})


async def test_logging_out_ends_a_stream(site: Site, ann: Caller, ben: Caller) -> None:
    await site.process.enter(ann, "r")
    mine, theirs = await site.follow(ann, "r"), await site.follow(ben, "r")
    await site.process.accounts.logout(TOKENS[ann.sid], ann.user_id, None)
    await site.streams.tend()
    assert (await mine.read())[-1] == {"kind": "end", "reason": "logged out"}
    assert theirs.reader.ended is None


async def test_a_token_expires(site: Site, ann: Caller, clock: Clock) -> None:
    await site.process.enter(ann, "r")
    client = await site.follow(ann, "r")
    clock.pass_s(30 * 86_400 + 1)
    await site.streams.tend()
    assert (await client.read())[-1] == {"kind": "end", "reason": "token expired"}


async def test_a_session_that_ended_unheard(site: Site, ann: Caller, clock: Clock) -> None:
    """Every minute the token is looked at as if it came with a call."""
    await site.process.enter(ann, "r")
    client = await site.follow(ann, "r")
    await site.process.sessions.end("default", ann.user_id, ann.sid)
    clock.pass_s(61)
    await site.streams.tend()
    assert (await client.read())[-1] == {"kind": "end", "reason": "logged out"}


async def test_whoever_does_not_read_is_cut_off(
    site: Site, ann: Caller, ben: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MOST_WAITING", 5)
    await site.process.enter(ann, "r")
    slow, quick = await site.follow(ann, "r"), await site.follow(ben, "r")
    for number in range(10):
        await site.process.update(ann, "r", title=str(number))
        await quick.read()
        assert len(slow.reader._queue) <= 6
    assert slow.reader.ended is EndReason.SLOW
    assert quick.reader.ended is None
    assert [told["title"] for told in quick.told[1:]] == list(map(str, range(10)))


async def test_a_reader_that_is_stuck_in_sending_is_stopped() -> None:
    reader = Reader(Caller(DEFAULT, "1", "s"), "", 0, [("default", "r")], 1)
    stuck = asyncio.Event()

    async def stream() -> None:
        await reader.read()
        await stuck.wait()

    reader.put(readers.Beat())
    task = asyncio.create_task(stream())
    await asyncio.sleep(0.01)
    for _ in range(readers.MOST_WAITING + 1):
        reader.put(readers.Beat())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_end_of_the_process(site: Site, ann: Caller) -> None:
    await site.process.enter(ann, "r")
    client = await site.follow(ann, "r")
    site.streams.end_all()
    assert (await client.read())[-1] == {"kind": "end", "reason": "service stopping"}
    await refused(Code.ServiceUnavailable, site.follow(ann, "r"))


async def test_a_stream_keeps_its_user_online(start: Start, air: Air, clock: Clock) -> None:
    tenant = Tenant(name="default", sdk_app_id=1, secret="s", presence=PresencePolicy(30, 60, 10))
    process = start(tenants=(tenant,))
    day, site = Day(clock, process), Site(process, air)
    await day.begin()
    ann, ben = await site.sign_up("ann", tenant), await site.sign_up("ben", tenant)
    for user in (ann, ben):
        await process.enter(user, "r")
    client = await site.follow(ann, "r")
    for _ in range(130):
        await site.streams.tend()
        await day.pass_s(1)
    assert await day.online("r") == {ann.user_id: True}, "ben has been silent, and has left"
    assert "user.offline" in await client.kinds()
    beats = [told for told in client.told if told["kind"] == "beat"]
    assert len(beats) == 8
    site.streams.leave(client.reader)
    await day.pass_s(62)
    assert await day.online("r") == {ann.user_id: False}, "an owner stays, and is offline"
    await site.streams.close()


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["enter", "leave", "update", "destroy", "follow", "drop", "hear", "read", "resume"]),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 10**6))
async def test_a_reader_always_ends_with_what_there_is(
    site: Site, far: Site, air: Air, ann: Caller, ben: Caller, clock: Clock, steps: Any, seed: int
) -> None:
    """Wake-ups are lost, come twice and in any order; readers come, go, and come back where they were."""
    air.lossy = random.Random(seed)
    users, room_id, sites = [ann, ben, ann], f"r{seed}-{random.randrange(10**9)}", [site, far]
    clients: list[Client] = []
    for number, verb in steps:
        here, user = sites[number % 2], users[number]
        try:
            await _act(here, user, room_id, verb, clients)
        except Refusal as refusal:
            if refusal.code not in {Code.RoomNotExists, Code.SystemVerifyError}:
                raise
    clock.pass_s(6)
    for process in sites:
        await process.settle()
        await process.streams.check()
    await asyncio.sleep(0.05)
    room = await site.process.room_store.find("default", room_id)
    profiles = await site.process.room_store.members("default", room_id, 0, 100)
    for client in clients:
        await client.read()
        _check(client, room, profiles)
        for process in sites:
            process.streams.leave(client.reader)


async def _act(here: Site, user: Caller, room_id: str, verb: str, clients: list[Client]) -> None:
    process = here.process
    if verb == "enter":
        await process.enter(user, room_id)
    elif verb == "leave":
        await process.members.leave(user, room_id)
    elif verb == "update":
        await process.update(user, room_id, title=str(random.random()))
    elif verb == "destroy":
        await process.rooms.destroy(user, room_id)
    elif verb == "follow":
        clients.append(await here.follow(user, room_id))
    elif verb == "hear":
        await here.settle()
    elif clients and verb == "read":
        await clients[-1].read()
    elif clients and verb in {"drop", "resume"}:
        client = clients.pop(random.randrange(len(clients)))
        await client.read()
        client.reader.end(EndReason.GONE)
        if verb == "resume" and client.id:
            clients.append(await here.follow(user, room_id, since=client.id))


def _check(client: Client, room: Any, profiles: Any) -> None:
    """Versions without a gap from where it began, and the state that they lead to."""
    version = -1
    members: dict[str, None] | None = None
    for told in client.told:
        if told["kind"] in {"snapshot", "resumed"}:
            version = told["version"]
            members = {member["userId"]: None for member in told["members"]} if told["kind"] == "snapshot" else members
        elif told["kind"].startswith(("room.", "member.")):
            assert told["version"] == version + 1
            version += 1
            if members is not None and told["kind"] == "member.entered":
                members[told["userId"]] = None
            elif members is not None and told["kind"] == "member.left":
                del members[told["userId"]]
    if client.reader.ended is EndReason.ROOM_CLOSED:
        assert client.told[-2]["kind"] == "room.closed"
        return
    assert room.position >> 32 == version
    if members is not None:
        assert list(members) == [profile.user_id for profile in profiles]
