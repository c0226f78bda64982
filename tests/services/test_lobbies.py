"""Lobbies: the visible rooms of a category as they come, change and go."""

from __future__ import annotations

import asyncio

from liveroom.model import Caller
from services.following import Air, Site
from services.rig import Clock


async def test_a_lobby(site: Site, ann: Caller, ben: Caller, clock: Clock) -> None:
    await site.process.enter(ann, "r", category="live", title="one")
    client = await site.lobby(ben, "live")
    (snapshot,) = await client.read()
    assert [room["roomId"] for room in snapshot["rooms"]] == ["r"]
    await site.process.enter(ben, "s", category="live")
    await site.process.update(ann, "r", title="two")
    await site.process.enter(ben, "other", category="dark")
    await site.settle()
    told = {body["roomId"]: body for body in await client.read()}
    assert told.keys() == {"r", "s"}
    assert told["r"]["room"]["title"] == "two"
    await site.process.update(ann, "r", category="dark")
    await site.process.rooms.destroy(ben, "s")
    await site.settle()
    assert sorted((body["kind"], body["roomId"]) for body in await client.read()) == [
        ("lobby.gone", "r"),
        ("lobby.gone", "s"),
    ]
    await site.process.update(ann, "r", category="live")
    await site.settle()
    assert await client.kinds() == ["lobby.room"]


async def test_counts_in_a_lobby(site: Site, ann: Caller, ben: Caller, clock: Clock) -> None:
    """At most once a second for each room, and the last ones do arrive."""
    await site.process.enter(ann, "r", category="live")
    client = await site.lobby(ann, "live")
    await client.read()
    counts: list[int] = []
    for _ in range(40):
        await site.process.enter(ben, "r")
        await site.settle()
        await site.process.members.leave(ben, "r")
        await site.settle()
        counts += [body["room"]["nnUsers"] for body in await client.read()]
        clock.pass_s(0)
        clock.now += 100
    assert 3 <= len(counts) <= 5
    await site.process.enter(ben, "r")
    clock.now += 1_000
    await site.settle()
    assert (await client.read())[-1]["room"]["nnUsers"] == 2


async def test_a_lobby_of_another_process_and_after_a_gap(
    site: Site, far: Site, air: Air, ann: Caller, clock: Clock
) -> None:
    client = await far.lobby(ann, "live")
    assert await client.kinds() == ["snapshot"]
    await site.process.enter(ann, "r", category="live")
    await far.settle()
    assert await client.kinds() == ["lobby.room"]
    await site.process.rooms.destroy(ann, "r")
    await asyncio.sleep(0.01)
    air.boxes[1].clear()
    far.streams._checked_at = 0  # as after a gap
    await far.streams.check()
    (snapshot,) = await client.read()
    assert (snapshot["kind"], snapshot["rooms"]) == ("snapshot", [])
