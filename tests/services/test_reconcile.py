"""The reconciler: what lost callbacks and lost groups have left is found by asking IM, and repaired."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.state.memory import MemoryLimits
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.model import Caller, RoomState, Tenant
from liveroom.ports.errands import ErrandKind
from liveroom.ports.limits import LimitStore
from liveroom.ports.messaging import MessagingTrouble, Remedy
from liveroom.services.reconcile import EVERY_S, ReconcileService
from services.days import TWO_HOURS_S, Day, tenants
from services.rig import ACME, DEFAULT, Clock, Process

VISIBLE, HIDDEN, CLOSED = RoomState


class Remote(EmbeddedMessaging):
    """A vendor that may know other things than we do, and may be in trouble with one kind of question."""

    remote = True

    def __init__(self) -> None:
        super().__init__()
        self.trouble = ""
        self.asked: list[tuple[str, str, int]] = []
        self.unsaid: set[str] = set()

    async def groups(self, tenant: Tenant, group_ids: Sequence[str]) -> dict[str, bool]:
        self._take_up("groups", tenant, group_ids)
        return {name: there for name, there in (await super().groups(tenant, group_ids)).items() if self._says(name)}

    async def connected(self, tenant: Tenant, user_ids: Sequence[str]) -> dict[str, bool]:
        self._take_up("connected", tenant, user_ids)
        return {name: on for name, on in (await super().connected(tenant, user_ids)).items() if self._says(name)}

    def _take_up(self, question: str, tenant: Tenant, names: Sequence[str]) -> None:
        assert len(names) == len(set(names)) <= {"groups": 50, "connected": 500}[question]
        self.asked.append((question, tenant.name, len(names)))
        if self.trouble == question:
            raise MessagingTrouble(Remedy.RETRY, 60_000, "as the test wants it")

    def _says(self, name: str) -> bool:
        return name not in self.unsaid


@pytest.fixture
def vendor() -> Remote:
    return Remote()


@pytest.fixture
def turns(clock: Clock) -> LimitStore:
    """Shared by the processes."""
    return MemoryLimits(clock.seconds)


def reconciler(process: Process, turns: LimitStore, clock: Clock) -> ReconcileService:
    return ReconcileService(
        process.messaging, process.errands, process.absence, process.presence, turns, tenants(), clock
    )


@pytest.fixture
async def day(start: Callable[..., Process], clock: Clock, vendor: Remote) -> Day:
    presence = MemoryPresence()
    day = Day(clock, *(start(presence=presence, messaging=vendor) for _ in range(2)))
    await day.begin(TWO_HOURS_S)
    return day


@pytest.fixture
def reconciles(day: Day, turns: LimitStore, clock: Clock) -> ReconcileService:
    return reconciler(day.processes[0], turns, clock)


@pytest.fixture
async def ann(day: Day) -> Caller:
    """The owner of the room "r", inside; she never beats."""
    ann = await day.sign_up("ann")
    await day.enter(ann, "r")
    await day.pass_s(1)
    return ann


async def lose(vendor: Remote, room_id: str, tenant: Tenant = DEFAULT) -> None:
    await vendor.destroy_group(tenant, room_id)


async def grouped(vendor: Remote, room_id: str, tenant: Tenant = DEFAULT) -> bool:
    return (await vendor.groups(tenant, [room_id]))[room_id]


async def test_a_group_that_is_missing_is_made(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    ben = await day.sign_up("ben", ACME)
    await day.enter(ben, "r")
    await day.enter(ann, "r2")
    await day.process.rooms.destroy(ann, "r2")
    await day.pass_s(1)
    for tenant in (DEFAULT, ACME):
        await lose(vendor, "r", tenant)
    await reconciles.reconcile()
    await day.pass_s(1)
    assert [await grouped(vendor, "r", tenant) for tenant in (DEFAULT, ACME)] == [True, True]
    assert not await grouped(vendor, "r2")


async def test_what_the_vendor_cannot_tell_is_left_alone(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    await lose(vendor, "r")
    vendor.unsaid = {"r", ann.user_id}
    await reconciles.reconcile()
    assert not await day.process.errands.waiting("default", ErrandKind.GROUP, "r")
    await day.pass_s(60)
    assert await day.state("r") == VISIBLE


async def test_all_open_rooms_are_looked_at(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    """More than one page of them; 50 of an owner is the most."""
    ben = await day.sign_up("ben")
    names = [f"r{number}" for number in range(70)]
    for number, name in enumerate(names):
        await day.enter(ann if number % 2 else ben, name)
        await lose(vendor, name)
    await reconciles.reconcile()
    await day.process.carrier.run()
    assert all([await grouped(vendor, name) for name in names])


async def test_who_lost_the_connection_unheard_goes_offline_after_the_grace(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    """IM had her connected before; the callback that said otherwise was lost."""
    vendor.connect(DEFAULT, ann.user_id)
    await day.process.callbacks.connected(DEFAULT, [ann.user_id], day.clock())
    await day.pass_s(5)
    await vendor.kick(DEFAULT, ann.user_id)
    await reconciles.reconcile()
    await day.pass_s(9)
    assert await day.state("r") == VISIBLE
    await day.pass_s(1)
    assert await day.state("r") == HIDDEN


async def test_who_never_came_near_im_is_not_missed_there(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    """IM knows the account, for it was imported; it never logged in."""
    assert await vendor.connected(DEFAULT, [ann.user_id]) == {ann.user_id: False}
    for _ in range(3):
        await reconciles.reconcile()
        await day.pass_long(EVERY_S)
    assert await day.state("r") == VISIBLE


async def test_who_beats_is_judged_by_its_beats(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    await day.process.callbacks.connected(DEFAULT, [ann.user_id], day.clock())
    day.beat(ann)
    await day.pass_s(5)
    await reconciles.reconcile()
    await day.pass_s(60)
    assert await day.state("r") == VISIBLE


async def test_a_connected_user_was_heard(day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller) -> None:
    """Whatever callbacks were lost: silent for two hours, and back when she is connected again."""
    vendor.connect(DEFAULT, ann.user_id)
    for _ in range(3):
        await day.pass_long(TWO_HOURS_S - 100)
        await reconciles.reconcile()
    assert await day.state("r") == VISIBLE
    await day.pass_long(TWO_HOURS_S)
    assert await day.state("r") == HIDDEN
    await reconciles.reconcile()
    await day.pass_s(1)
    assert await day.state("r") == VISIBLE


@pytest.mark.parametrize("trouble", ["groups", "connected"])
async def test_trouble_stops_the_round_only(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller, trouble: str
) -> None:
    await lose(vendor, "r")
    vendor.trouble = trouble
    await reconciles.reconcile()
    vendor.trouble = ""
    await day.pass_long(EVERY_S)
    await reconciles.reconcile()
    await day.pass_s(1)
    assert await grouped(vendor, "r")


async def test_one_process_a_turn(day: Day, vendor: Remote, turns: LimitStore, clock: Clock, ann: Caller) -> None:
    both = [reconciler(process, turns, clock) for process in day.processes]
    vendor.asked.clear()
    for _ in range(3):
        for reconciles in both * 2:
            await reconciles.reconcile()
        assert vendor.asked == [("groups", "default", 1), ("connected", "default", 1)]
        clock.pass_s(EVERY_S)
        vendor.asked.clear()


async def test_nobody_is_asked_where_there_is_no_vendor(
    day: Day, vendor: Remote, reconciles: ReconcileService, ann: Caller
) -> None:
    vendor.remote = False
    vendor.asked.clear()
    await reconciles.reconcile()
    assert vendor.asked == []


async def test_a_tenant_in_trouble_stops_no_other(
    start: Callable[..., Process], clock: Clock, vendor: Remote, turns: LimitStore
) -> None:
    """The one whose names come first has a wrong key; the other's group that is gone is made again."""

    class Locked(Remote):
        async def groups(self, tenant: Tenant, group_ids: Sequence[str]) -> dict[str, bool]:
            if tenant.name == ACME.name:
                raise MessagingTrouble(Remedy.CONFIGURE, 70_009, "as the test wants it")
            return await super().groups(tenant, group_ids)

    locked = Locked()
    day = Day(clock, start(messaging=locked))
    for tenant in (ACME, DEFAULT):
        await day.enter(await day.sign_up("ann", tenant), "r")
    await day.process.carrier.run()
    await locked.destroy_group(DEFAULT, "r")
    await reconciler(day.process, turns, clock).reconcile()
    assert await day.process.errands.waiting("default", ErrandKind.GROUP, "r")
    assert ("connected", "acme", 1) not in locked.asked
    assert ("connected", "default", 1) in locked.asked
