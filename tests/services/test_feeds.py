"""Feeds: whoever begins, goes on or is shown a room anew at an awkward moment misses nothing, and nobody else does."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete

from liveroom.adapters.store.tables import events
from liveroom.errors import Code, Refusal, database_away
from liveroom.events import About
from liveroom.model import Caller
from liveroom.services import feeds, readers
from liveroom.services.readers import EndReason
from services.following import Air, Client, Site
from services.rig import Clock


async def titles(client: Client) -> list[str]:
    """Of the changes that it was told since it was asked last."""
    return [told["title"] for told in await client.read() if told["kind"] == "room.updated"]


async def forget(site: Site, version: int) -> None:
    """The log loses everything up to this version."""
    async with site.process.database.engine.begin() as connection:
        await connection.execute(delete(events).where(events.c.position < (version + 1) << 32))


async def test_a_newcomer_knows_more_than_those_who_are_there(site: Site, far: Site, ann: Caller) -> None:
    """Its snapshot is newer than what this process has heard; the others are told nevertheless."""
    await site.process.enter(ann, "r")
    first = await far.follow(ann, "r")
    await site.process.update(ann, "r", title="a")
    second = await far.follow(ann, "r")
    await far.settle()
    assert await titles(first) == ["a"]
    assert await titles(second) == []
    await site.process.update(ann, "r", title="b")
    await far.settle()
    assert [await titles(client) for client in (first, second)] == [["b"], ["b"]]


async def test_one_that_resumes_knows_more_than_those_who_are_there(site: Site, far: Site, ann: Caller) -> None:
    await site.process.enter(ann, "r")
    first = await far.follow(ann, "r")
    await site.process.update(ann, "r", title="a")
    second = await far.follow(ann, "r", since="1.1")
    await far.settle()
    assert [await titles(client) for client in (first, second)] == [["a"], ["a"]]


async def test_two_begin_and_the_older_picture_comes_later(site: Site, far: Site, ann: Caller) -> None:
    await site.process.enter(ann, "r")
    held, free = asyncio.Event(), asyncio.Event()

    async def hold(moment: str) -> None:
        if moment == "after snapshot" and not held.is_set():
            held.set()
            await free.wait()

    far.meddle = hold
    late = asyncio.create_task(far.follow(ann, "r"))
    await held.wait()
    await site.process.update(ann, "r", title="a")
    early = await far.follow(ann, "r")
    await site.process.update(ann, "r", title="b")
    await far.settle()
    free.set()
    slow = await late
    await far.settle()
    assert await titles(slow) == ["a", "b"]
    assert await titles(early) == ["b"]


async def test_a_closing_that_a_newcomer_does_not_see(site: Site, far: Site, ann: Caller) -> None:
    """It follows the next opening; those who followed the one before hear of its end."""
    await site.process.enter(ann, "r")
    first = await far.follow(ann, "r")
    await site.process.rooms.destroy(ann, "r")
    await site.process.enter(ann, "r")
    second = await far.follow(ann, "r")
    await far.settle()
    assert (await first.kinds())[-2:] == ["room.closed", "end"]
    assert (await second.kinds()) == ["snapshot"]
    assert second.reader.ended is None
    await site.process.update(ann, "r", title="b")
    await far.settle()
    assert await titles(second) == ["b"]


async def test_nothing_comes_after_the_closing(site: Site, far: Site, ann: Caller) -> None:
    """Not even what happened in the next opening while the snapshot was on its way."""
    await site.process.enter(ann, "r")
    watching = await far.follow(ann, "r")
    held, free = asyncio.Event(), asyncio.Event()

    async def hold(moment: str) -> None:
        if moment == "after snapshot":
            held.set()
            await free.wait()

    far.meddle = hold
    late = asyncio.create_task(far.follow(ann, "r"))
    await held.wait()
    await site.process.rooms.destroy(ann, "r")
    await site.process.enter(ann, "r")
    await far.settle()
    free.set()
    assert await (await late).kinds() == ["snapshot", "room.closed", "end"]
    assert await watching.kinds() == ["snapshot", "room.closed", "end"]


async def test_the_last_one_leaves_while_another_comes(site: Site, ann: Caller) -> None:
    await site.process.enter(ann, "r")
    # A remembered token is checked without waiting.
    await site.process.tokens.follow_endings()
    last = await site.follow(ann, "r")
    for turns in range(12):
        coming = asyncio.create_task(site.follow(ann, "r"))
        for _ in range(turns):
            await asyncio.sleep(0)
        site.streams.leave(last.reader)
        last = await coming
        await site.process.update(ann, "r", title=str(turns))
        assert await titles(last) == [str(turns)]


async def test_everything_missed_is_gone(site: Site, far: Site, air: Air, ann: Caller, clock: Clock) -> None:
    """Not only the beginning of it."""
    await site.process.enter(ann, "r")
    client = await far.follow(ann, "r")
    await client.read()
    await site.process.update(ann, "r", title="a")
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    await forget(site, 3)
    clock.pass_s(6)
    await far.streams.check()
    await asyncio.sleep(0.05)
    (snapshot,) = await client.read()
    assert (snapshot["kind"], snapshot["version"]) == ("snapshot", 3)
    await site.process.update(ann, "r", title="b")
    await far.settle()
    assert await titles(client) == ["b"]


async def test_a_store_that_is_away_when_all_have_to_be_shown_the_room(
    site: Site, far: Site, air: Air, ann: Caller, clock: Clock
) -> None:
    """They are shown it once it is back."""
    await site.process.enter(ann, "r")
    clients = [await far.follow(ann, "r") for _ in range(3)]
    for client in clients:
        await client.read()
    await site.process.update(ann, "r", title="a")
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    await forget(site, 3)

    async def away(moment: str) -> None:
        if moment == "before snapshot":
            raise database_away()

    far.meddle = away
    clock.pass_s(6)
    await far.streams.check()
    await asyncio.sleep(0.05)
    assert [await client.kinds() for client in clients] == [[], [], []]
    far.meddle = _fine
    clock.pass_s(6)
    await far.streams.check()
    await asyncio.sleep(0.05)
    assert [await client.kinds() for client in clients] == [["snapshot"]] * 3
    await site.process.update(ann, "r", title="b")
    await far.settle()
    assert [await titles(client) for client in clients] == [["b"]] * 3


async def _fine(_: str) -> None:
    return


async def test_the_room_closed_and_its_log_is_gone(site: Site, far: Site, air: Air, ann: Caller, clock: Clock) -> None:
    for room in ("r", "s"):
        await site.process.enter(ann, room)
    one, both = await far.follow(ann, "r"), await far.follow(ann, "r", "s")
    for client in (one, both):
        await client.read()
    await site.process.rooms.destroy(ann, "r")
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    await forget(site, 3)
    clock.pass_s(6)
    await far.streams.check()
    await asyncio.sleep(0.05)
    assert await both.read() == [{"kind": "absent", "roomId": "r"}]
    assert (await one.read())[-1] == {"kind": "end", "reason": "room closed"}
    assert both.reader.ended is None


@pytest.mark.parametrize("rooms", [1, 4])
async def test_as_much_as_can_be_resumed(site: Site, ann: Caller, monkeypatch: pytest.MonkeyPatch, rooms: int) -> None:
    """Whoever missed that much is told all of it, and is not taken for one that does not read."""
    monkeypatch.setattr(readers, "MOST_WAITING", 20)
    monkeypatch.setattr(feeds, "MOST_RESUMED", 20)
    names = [f"r{number}" for number in range(rooms)]
    for room in names:
        await site.process.enter(ann, room)
        for number in range(20 // rooms):
            await site.process.update(ann, room, title=str(number))
    client = await site.follow(ann, *names, since="_".join(["1.2"] * rooms))
    await site.process.update(ann, "r0", title="then")
    told = await client.read()
    assert client.reader.ended is None
    assert [body["kind"] for body in told].count("resumed") == rooms
    assert len(told) == rooms + 20 + 1
    more = await site.follow(ann, *names, since="_".join(["1.1"] * rooms))
    assert "resumed" not in await more.kinds()


async def test_a_resumed_reader_is_bounded_too(site: Site, ann: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MOST_WAITING", 5)
    await site.process.enter(ann, "r")
    for number in range(8):
        await site.process.update(ann, "r", title=str(number))
    client = await site.follow(ann, "r", since="1.2")
    for number in range(5):
        await site.process.update(ann, "r", title=str(number))
    assert client.reader.ended is None
    await site.process.update(ann, "r", title="one too many")
    assert client.reader.ended is EndReason.SLOW
    assert len(client.reader._queue) == 1


async def test_where_a_merged_message_leads_that_ends_with_a_hint(site: Site, ann: Caller) -> None:
    """Online and offline have no id; what came with them has."""
    await site.process.enter(ann, "r")
    client = await site.follow(ann, "r")
    await client.read()
    await site.process.update(ann, "r", title="a")
    log = ("default", About.ROOM, "r")
    (update,) = await site.streams._outbox.after(log, (3 << 32) - 1, 10)
    hint = type(update)(
        "default", About.ROOM, "r", update.position + 1, "user.offline", update.at, b'{"kind":"user.offline"}'
    )
    site.streams.hear([hint])
    assert await client.kinds() == ["room.updated", "user.offline"]
    assert client.id == "1.3"
    again = await site.follow(ann, "r", since=client.id)
    assert await again.kinds() == ["resumed"]


async def test_a_store_that_is_away_when_somebody_comes(site: Site, ann: Caller) -> None:
    async def away(moment: str) -> None:
        if moment.startswith("before"):
            raise database_away()

    await site.process.enter(ann, "r")
    site.meddle = away
    for wish in (site.follow(ann, "r"), site.follow(ann, "r", since="1.2"), site.lobby(ann, "")):
        with pytest.raises(Refusal) as caught:
            await wish
        assert caught.value.code == Code.ServiceDBFailed
    assert site.streams.readers == 0
    assert (site.streams._feeds, site.streams._lobbies) == ({}, {})
