"""From a call to the address that is told of it: the whole app, and a receiver beside it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator

import pytest

from liveroom.app import Liveroom
from liveroom.config import load
from receivers import SECRET, Answer, Receiver

from .sites import SETTINGS, Site, Start

HOUR_MS = 3_600_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def table(receiver: Receiver, more: str = "") -> str:
    url = f"http://127.0.0.1:{receiver.port}/hooks"
    return f'[tenants.default.webhooks.one]\nurl = "{url}"\nsecret = "{SECRET}"\nallow_private = true\n{more}\n'


async def until(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        await asyncio.sleep(0.05)


async def live(site: Site, room_id: str) -> None:
    """A room's whole life."""
    me = await site.sign_up()
    await site.data("rooms/enter_room", appId="1400000000", roomId=room_id, role="anchor", **me.ids)
    await site.data("rooms/update_room", roomId=room_id, title="Live", **me.ids)
    assert await site.code("rooms/destroy_room", roomId=room_id, **me.ids) == 0


LIFE = ["room.opened", "member.entered", "room.updated", "room.closed"]


async def test_what_calls_do_is_told(start: Start, receiver: Receiver) -> None:
    site = await start(table(receiver))
    await live(site, "4711")
    await until(lambda: len(receiver.messages) == 4)
    bodies = [message.body for message in receiver.messages]
    assert [body["kind"] for body in bodies] == LIFE
    assert [body["version"] for body in bodies] == [1, 2, 3, 4]
    assert [body["id"] for body in bodies] == [message.id for message in receiver.messages]
    assert receiver.faults == []
    metrics = (await site.http.get("/metrics")).text
    assert 'liveroom_webhooks_total{listener="default/one",outcome="taken"}' in metrics


async def test_only_what_is_wanted_in_batches(start: Start, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(503)
    site = await start(table(receiver, 'kinds = ["room.opened", "room.closed"]\nmax_batch = 5'))
    await live(site, "4711")
    receiver.answer = lambda _: Answer()
    await until(lambda: "room.closed" in str(receiver.messages))
    told = receiver.messages[-1].body["events"]
    assert told[-1]["kind"] == "room.closed"
    assert {event["kind"] for message in receiver.messages for event in message.body["events"]} <= {LIFE[0], LIFE[3]}


async def test_what_was_not_told_before_a_stop_is_told_after_it(start: Start, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(500)
    site = await start(table(receiver))
    await live(site, "4711")
    await until(lambda: len(receiver.messages) > 0)
    receiver.answer = lambda _: Answer()
    seen = len(receiver.messages)
    again = await start(table(receiver))
    await live(again, "4712")
    await until(lambda: len({message.id for message in receiver.messages[seen:]}) == 8, 10)


async def test_events_are_kept_for_as_long_as_is_set(start: Start, receiver: Receiver) -> None:
    site = await start(table(receiver))
    await live(site, "4711")
    await until(lambda: len(receiver.messages) == 4)
    await until(lambda: rows(site, "deliveries") == 0)
    for hours, left in ((71, 4), (73, 0)):
        moment = int(time.time() * 1000) + hours * HOUR_MS
        url = {"LIVEROOM_DATABASE_URL": f"sqlite:///{site.database}"}
        later = Liveroom(load(SETTINGS | url), clock=lambda moment=moment: moment)  # type: ignore[misc]
        await later._prune()
        await later.back.close()
        assert rows(site, "events") == left


def rows(site: Site, name: str) -> int:
    with contextlib.closing(sqlite3.connect(site.database)) as connection:
        return int(connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0])
