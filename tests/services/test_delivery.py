"""Delivery: everybody who listens hears everything, in order, and delays nobody else."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.store.deliveries import SqlDeliveries
from liveroom.errors import database_away
from liveroom.events import RoomUpdated, UserUpdated
from liveroom.model import Tenant
from liveroom.ports.deliveries import Delivery
from liveroom.ports.messaging import MessagingTrouble, Remedy
from liveroom.services import lanes
from services.listeners import Ears, Telling, tenant
from services.rig import Clock, Process

Start = Callable[..., Process]
DAY_S = 86_400


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A lane goes on after a fault in it; here there is none."""
    yield
    faults = [record for record in caplog.get_records("call") if record.exc_info]
    assert faults == []


@pytest.fixture
def telling(process: Process, clock: Clock, ears: Ears) -> Telling:
    """One tenant with two webhooks."""
    return Telling(process, clock, ears, tenant("one", "two"))


async def test_everybody_hears_everything_in_order(telling: Telling, ears: Ears) -> None:
    await telling.happen(times=45)
    await telling.happen("other", times=3)
    await telling.happen("ann", times=2, kind=UserUpdated)
    for _ in range(3):
        await telling.turn()
    for name in ("one", "two"):
        assert ears.versions(name) == list(range(1, 46))
        assert ears.versions(name, "other") == [1, 2, 3]
        assert ears.versions(name, "ann") == [1, 2]
    assert await telling.rows() == []


async def test_a_message_has_the_id_of_its_event(telling: Telling, ears: Ears) -> None:
    await telling.happen(times=2)
    await telling.turn()
    assert [message_id for message_id, _ in ears.heard["one"]] == [body["id"] for _, body in ears.heard["one"]]
    assert all(message_id.startswith("evt_") for message_id, _ in ears.heard["one"])


async def test_several_events_of_a_room_in_one_message(process: Process, clock: Clock, ears: Ears) -> None:
    telling = Telling(process, clock, ears, tenant("one", max_batch=10))
    await telling.happen(times=25)
    await telling.happen("other", times=1)
    ears.mood = lambda name, body: len(ears.heard["one"]) != 1
    await telling.turn()
    ears.mood = lambda name, body: True
    clock.pass_s(60)
    await telling.turn()
    assert ears.versions("one") == list(range(1, 26))
    sizes = sorted(len(body["events"]) for _, body in ears.heard["one"])
    assert sizes == [1, 5, 10, 10]
    assert len({message_id for message_id, _ in ears.heard["one"]}) == 4


async def test_only_the_wanted_kinds(process: Process, clock: Clock, ears: Ears) -> None:
    telling = Telling(process, clock, ears, tenant("one", kinds=("room.updated",)))
    for _ in range(3):
        await telling.happen(times=30)
        await telling.happen(kind=RoomUpdated)
    await telling.happen(times=30)
    for _ in range(10):
        await telling.turn()
    assert ears.versions("one") == [31, 62, 93]
    assert await telling.rows() == []


async def test_what_fails_comes_again_with_growing_pauses(telling: Telling, ears: Ears, clock: Clock) -> None:
    await telling.happen(times=3)
    ears.mood = lambda name, body: name != "one"
    began, tries = clock(), []
    while clock() - began < 1_200_000:
        before = ears.tried["one"]
        await telling.turn()
        if ears.tried["one"] > before:
            tries.append((clock() - began) // 1000)
        clock.pass_s(1)
    assert tries[:9] == [0, 1, 3, 7, 15, 31, 63, 127, 255]
    assert all(later - earlier <= 301 for earlier, later in pairwise(tries))
    assert ears.versions("two") == [1, 2, 3]
    ears.mood = lambda name, body: True
    clock.pass_s(301)
    await telling.turn()
    assert ears.versions("one") == [1, 2, 3]


async def test_what_was_taken_before_a_failure_is_not_sent_again(telling: Telling, ears: Ears, clock: Clock) -> None:
    await telling.happen(times=5)
    ears.mood = lambda name, body: body["version"] < 4
    await telling.turn()
    assert [row.tries for row in await telling.rows()] == [0, 0]
    ears.mood = lambda name, body: True
    clock.pass_s(2)
    await telling.turn()
    assert ears.versions("one") == [1, 2, 3, 4, 5]
    assert [row.listener for row in await telling.rows()] == []


async def test_one_room_that_fails_holds_up_no_other(telling: Telling, ears: Ears) -> None:
    await telling.happen("bad")
    ears.mood = lambda name, body: body["roomId"] != "bad"
    await telling.turn()
    for _ in range(3):
        await telling.happen("good", times=2)
        await telling.turn()
    assert ears.versions("one", "good") == [1, 2, 3, 4, 5, 6]


async def test_one_that_hangs_delays_no_other(telling: Telling, ears: Ears) -> None:
    ears.hanging.add("one")
    for number in range(60):
        await telling.happen(f"room{number}")
    for _ in range(20):
        await asyncio.wait_for(telling.service.run(), 0.1)
        await asyncio.sleep(0.05)
    assert len(ears.heard["two"]) == 60
    assert ears.heard["one"] == []
    assert ears.most_at_it["one"] == lanes.IN_FLIGHT
    ears.free.set()
    while await telling.rows():
        await telling.turn()
    assert len(ears.heard["one"]) == 60


async def test_after_a_day_it_is_a_dead_letter(telling: Telling, ears: Ears, clock: Clock) -> None:
    await telling.happen(times=3)
    ears.mood = lambda name, body: name != "one"
    for _ in range(DAY_S // 200 + 20):
        await telling.turn()
        clock.pass_s(200)
    (letter,) = await telling.store.dead("default", "one", 10)
    assert letter.reason == "HTTP status 500"
    assert await telling.rows() == []
    ears.mood = lambda name, body: True
    await telling.happen(times=2)
    for _ in range(3):
        await telling.turn()
        clock.pass_s(60)
    assert ears.versions("one") == [4, 5]
    await telling.store.revive([letter], clock())
    await telling.turn()
    assert ears.versions("one") == [4, 5, 1, 2, 3, 4, 5]
    assert len({message_id for message_id, _ in ears.heard["one"]}) == 5


async def test_one_that_is_down_gets_one_probe_at_a_time(telling: Telling, ears: Ears, clock: Clock) -> None:
    for number in range(100):
        await telling.happen(f"room{number}")
    ears.mood = lambda name, body: name != "one"
    await telling.turn()
    first = ears.tried["one"]
    assert first <= 2 * lanes.IN_FLIGHT
    ears.most_at_it.clear()
    for _ in range(600):
        clock.pass_s(1)
        await telling.turn()
    # 1, 2, 4 … 60 s apart.
    assert ears.tried["one"] - first <= 17
    assert ears.most_at_it["one"] == 1
    ears.mood = lambda name, body: True
    clock.pass_s(61)
    # The first that is taken makes the others due, those too that were put off for longer.
    for _ in range(2):
        await telling.turn()
    assert len(ears.heard["one"]) == 100
    assert await telling.rows() == []


async def test_one_that_takes_some_is_not_down(telling: Telling, ears: Ears, clock: Clock) -> None:
    for number in range(30):
        await telling.happen(f"room{number}", times=2)
    ears.mood = lambda name, body: body["version"] < 2
    await telling.turn()
    assert len(ears.heard["one"]) == 30
    assert not telling.service._lanes["default", "one"]._health.down


async def test_what_nobody_wants_is_no_sign_of_life(process: Process, clock: Clock, ears: Ears) -> None:
    telling = Telling(process, clock, ears, tenant("one", kinds=("room.updated",)))
    ears.mood = lambda name, body: False
    for number in range(20):
        await telling.happen(f"room{number}", times=25)
        await telling.happen(f"room{number}", kind=RoomUpdated)
    # A page of each room holds nothing for it.
    for _ in range(3):
        await telling.turn()
    assert telling.service._lanes["default", "one"]._health.down
    tried = ears.tried["one"]
    await telling.turn()
    assert ears.tried["one"] == tried


async def test_a_crowd_of_one_that_is_dead_is_not_tried_for_a_day_each(
    process: Process, clock: Clock, ears: Ears
) -> None:
    telling = Telling(process, clock, ears, tenant("one"))
    ears.mood = lambda name, body: False
    for number in range(60):
        await telling.happen(f"room{number:03}")
    for _ in range(DAY_S // 240 + 60):
        await telling.turn()
        clock.pass_s(240)
    assert await telling.rows() == []
    assert len(await telling.store.dead("default", "one", 1_000)) == 60


async def test_a_process_that_stops_leaves_the_rest_to_others(start: Start, clock: Clock, ears: Ears) -> None:
    of = tenant("one")
    leaving, other = Telling(start(), clock, ears, of), Telling(start(), clock, ears, of)
    for number in range(10):
        await leaving.happen(f"room{number}", times=3)
    ears.hanging.add("one")
    await leaving.service.run()
    while ears.at_it["one"] < 10:
        await asyncio.sleep(0.01)
    stopping = asyncio.create_task(leaving.service.finish())
    await asyncio.sleep(0.01)
    ears.free.set()
    await stopping
    assert [len(ears.versions("one", f"room{number}")) for number in range(10)] == [1] * 10
    await leaving.service.run()
    await other.turn()
    for number in range(10):
        assert ears.versions("one", f"room{number}") == [1, 2, 3]


async def test_a_process_that_is_cut_off_loses_nothing(
    start: Start, clock: Clock, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liveroom.services.delivery.FINISH_S", 0.1)
    of = tenant("one")
    leaving, other = Telling(start(), clock, ears, of), Telling(start(), clock, ears, of)
    await leaving.happen(times=3)
    ears.hanging.add("one")
    await leaving.service.run()
    while not ears.at_it["one"]:
        await asyncio.sleep(0.01)
    await leaving.service.finish()
    ears.free.set()
    await other.turn()
    assert ears.heard["one"] == []
    clock.pass_s(lanes.LEASE_MS / 1000 + 1)
    await other.turn()
    assert ears.versions("one") == [1, 2, 3]


class Moody(SqlDeliveries):
    """A store that is away now and then."""

    away = 0.0

    async def take(self, tenant: str, listener: str, now: int, until: int, most: int) -> list[Delivery]:
        self._maybe_away()
        return await super().take(tenant, listener, now, until, most)

    async def told(self, delivery: Delivery, position: int, due_at: int) -> None:
        self._maybe_away()
        await super().told(delivery, position, due_at)

    async def put_off(self, delivery: Delivery, now: int, due_at: int) -> None:
        self._maybe_away()
        await super().put_off(delivery, now, due_at)

    def _maybe_away(self) -> None:
        if random.random() < self.away:
            raise database_away()


async def test_a_database_that_is_away_is_waited_for(
    process: Process, clock: Clock, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    store = Moody(process.database)
    store.away = 1.0
    telling = Telling(process, clock, ears, tenant("one"), store=store)
    await telling.happen(times=3)
    for _ in range(3):
        await telling.turn()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    store.away = 0.0
    await telling.turn()
    assert ears.versions("one") == [1, 2, 3]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_goes_wrong_everything_arrives_in_order(
    start: Start, clock: Clock, ears: Ears, seed: int
) -> None:
    """Two processes, a receiver that fails a third of the time, a store that is away a tenth of it."""
    random.seed(seed)
    of, tellings = tenant("one", max_batch=random.choice((1, 3))), []
    for _ in range(2):
        process = start()
        store = Moody(process.database)
        store.away = 0.1
        tellings.append(Telling(process, clock, ears, of, store=store))
    ears.mood = lambda name, body: random.random() > 0.33
    rooms = [f"room{number}" for number in range(6)]
    for _ in range(40):
        await tellings[0].happen(random.choice(rooms), times=random.randrange(1, 30))
        await asyncio.gather(*(telling.turn() for telling in tellings))
        clock.pass_s(random.choice((0.2, 3, 40)))
    for _ in range(500):
        if not await tellings[0].rows():
            break
        clock.pass_s(30)
        await asyncio.gather(*(telling.turn() for telling in tellings))
    for room in rooms:
        assert first_arrivals(ears.versions("one", room)) == list(range(1, tellings[0]._ends.get(room, 0) + 1))


def first_arrivals(versions: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(versions))


async def test_a_listener_that_nobody_knows_is_forgotten(start: Start, clock: Clock, ears: Ears) -> None:
    before = Telling(start(), clock, ears, tenant("one", "gone"))
    await before.happen(times=3)
    after = Telling(start(), clock, ears, tenant("one"))
    await after.service.forget()
    await after.turn()
    assert [row.listener for row in await after.rows()] == ["gone"]
    clock.pass_s(3 * DAY_S + 1)
    await before.service.forget()
    assert [row.listener for row in await after.rows()] == ["gone"]
    await after.service.forget()
    assert await after.rows() == []
    assert await telling_pruned(after) == 3


async def telling_pruned(telling: Telling) -> int:
    return await telling.read.prune(telling.clock())


# The groups of rooms.


class Group(EmbeddedMessaging):
    """IM that may be in trouble."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Remedy | None = None
        self.at: list[int] = []
        self.clock: Clock | None = None

    async def notify_group(self, tenant: Tenant, group_id: str, text: str) -> None:
        if self.trouble is not None:
            raise MessagingTrouble(self.trouble, 10_002, "as the test wants it")
        self.at.append(self.clock() if self.clock else 0)
        await super().notify_group(tenant, group_id, text)


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
async def live(process: Process, clock: Clock, ears: Ears, group: Group) -> Telling:
    """A tenant whose rooms' groups are told."""
    of = tenant(im_events=True)
    group.clock = clock
    await group.create_group(of, "room")
    return Telling(process, clock, ears, of, messaging=group)


def told_to(group: Group, subject: str = "room") -> list[Any]:
    return [json.loads(text)["events"] for text in group.messages(Tenant(name="default"), subject)]


async def test_a_group_is_told_twice_a_second_at_most(live: Telling, group: Group, clock: Clock) -> None:
    for _ in range(50):
        await live.happen()
        await live.turn()
        clock.pass_s(0.1)
    clock.pass_s(1)
    await live.turn()
    assert [event["version"] for events in told_to(group) for event in events] == list(range(1, 51))
    assert min(later - earlier for earlier, later in pairwise(group.at)) >= 500
    assert len(group.at) <= 12


async def test_a_message_to_a_group_has_8_kilobytes_at_most(live: Telling, group: Group, clock: Clock) -> None:
    await live.happen(times=10, kind=RoomUpdated)
    for _ in range(10):
        clock.pass_s(0.6)
        await live.turn()
    messages = group.messages(Tenant(name="default"), "room")
    assert [len(events) for events in told_to(group)] == [2] * 5
    assert max(len(message.encode()) for message in messages) <= 8_192
    assert await live.rows() == []


async def test_users_are_not_told_of_to_groups(live: Telling) -> None:
    await live.happen("ann", kind=UserUpdated)
    assert await live.rows() == []


async def test_a_group_that_is_gone_is_told(live: Telling, clock: Clock) -> None:
    await live.happen("closed")
    clock.pass_s(1)
    await live.turn()
    assert await live.rows() == []


async def test_trouble_with_im_puts_off_and_giving_up_does_not(live: Telling, group: Group, clock: Clock) -> None:
    await live.happen()
    clock.pass_s(1)
    group.trouble = Remedy.RETRY
    await live.turn()
    assert [row.tries for row in await live.rows()] == [1]
    group.trouble = Remedy.GIVE_UP
    clock.pass_s(2)
    await live.turn()
    assert await live.rows() == []
    assert told_to(group) == []
