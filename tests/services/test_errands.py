"""What is carried over to IM: at once if it can be, later if it must be, and always by state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.store.tables import errands
from liveroom.model import Caller, RoomState, Tenant
from liveroom.ports.accounts import Profile
from liveroom.ports.errands import ErrandKind
from liveroom.ports.messaging import MessagingTrouble, Remedy
from services.rig import DEFAULT, Clock, Process

Start = Callable[..., Process]


class Moody(EmbeddedMessaging):
    """IM that may be in trouble, or hang; it notes each call, and whether two were at one subject at once."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Remedy | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.asked = asyncio.Event()
        self.calls: list[tuple[str, str]] = []
        self.at_it: set[str] = set()
        self.crowded: list[str] = []

    async def _take_up(self, verb: str, subject: str) -> None:
        self.calls.append((verb, subject))
        self.asked.set()
        if subject in self.at_it:
            self.crowded.append(subject)
        self.at_it.add(subject)
        try:
            await asyncio.sleep(0)
            await self.free.wait()
        finally:
            self.at_it.discard(subject)
        if self.trouble is not None:
            raise MessagingTrouble(self.trouble, 60_000, "as the test wants it")

    async def create_group(self, tenant: Tenant, group_id: str) -> None:
        await self._take_up("create", group_id)
        await super().create_group(tenant, group_id)

    async def destroy_group(self, tenant: Tenant, group_id: str) -> None:
        await self._take_up("destroy", group_id)
        await super().destroy_group(tenant, group_id)

    async def import_account(self, tenant: Tenant, user_id: str, nick: str, avatar: str) -> None:
        await self._take_up("import", user_id)
        await super().import_account(tenant, user_id, nick, avatar)

    async def delete_account(self, tenant: Tenant, user_id: str) -> None:
        await self._take_up("delete", user_id)
        await super().delete_account(tenant, user_id)


async def left(process: Process) -> int:
    """How many errands there are."""
    return len(await process.database.read(select(errands.c.subject)))


@pytest.fixture
def im() -> Moody:
    return Moody()


@pytest.fixture
async def first(start: Start, im: Moody) -> Process:
    return start(messaging=im)


@pytest.fixture
async def second(start: Start, im: Moody) -> Process:
    """Another process, of the same IM."""
    return start(messaging=im)


@pytest.fixture
async def ann(first: Process, im: Moody) -> Caller:
    """Nothing of her is still to be carried over."""
    ann = await first.sign_up("ann")
    await first.carrier.run()
    im.calls.clear()
    im.asked.clear()
    return ann


async def grouped(im: Moody, room_id: str) -> bool:
    return (await im.groups(DEFAULT, [room_id]))[room_id]


async def run_for(process: Process, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        clock.pass_s(1)
        await process.carrier.run()


async def test_the_group_is_there_when_enter_answers_and_goes_with_the_room(
    first: Process, im: Moody, ann: Caller
) -> None:
    for _ in range(2):
        await first.enter(ann, "r")
        assert await grouped(im, "r")
        assert await left(first) == 0
    assert im.calls == [("create", "r")]
    await first.rooms.destroy(ann, "r")
    await first.carrier.run()
    assert (await grouped(im, "r"), await left(first)) == (False, 0)


@pytest.mark.parametrize("remedy", Remedy)
async def test_trouble_fails_no_call(first: Process, im: Moody, ann: Caller, remedy: Remedy) -> None:
    im.trouble = remedy
    started = time.monotonic()
    assert await first.enter(ann, "r") == "r"
    await first.update(ann, "r", title="a show")
    await first.rooms.destroy(ann, "r")
    await first.accounts.update(ann, Profile(name="Ann"))
    await first.accounts.delete(ann)
    await first.carrier.run()
    assert time.monotonic() - started < 1.5


async def test_what_failed_is_tried_again_until_it_is_done(
    first: Process, im: Moody, clock: Clock, ann: Caller
) -> None:
    im.trouble = Remedy.RETRY
    await first.enter(ann, "r")
    await run_for(first, clock, 1)
    assert len(im.calls) == 2
    await run_for(first, clock, 600)
    # Not every second: more and more rarely, up to five minutes.
    assert 7 <= len(im.calls) <= 15
    im.trouble = None
    await run_for(first, clock, 301)
    assert await grouped(im, "r")
    assert await left(first) == 0


async def test_a_fault_of_configuration_waits_longer(first: Process, im: Moody, clock: Clock, ann: Caller) -> None:
    im.trouble = Remedy.CONFIGURE
    await first.enter(ann, "r")
    await run_for(first, clock, 29)
    assert len(im.calls) == 1
    await run_for(first, clock, 31)
    assert len(im.calls) == 2
    im.trouble = None
    await run_for(first, clock, 121)
    assert await grouped(im, "r")


async def test_what_is_hopeless_is_dropped(first: Process, im: Moody, clock: Clock, ann: Caller) -> None:
    im.trouble = Remedy.GIVE_UP
    await first.enter(ann, "r")
    assert await left(first) == 0
    await first.rooms.destroy(ann, "r")
    im.trouble = None
    await first.carrier.run()
    assert im.calls == [("create", "r"), ("destroy", "r")]


async def test_enter_waits_no_longer_than_it_may_for_im(first: Process, im: Moody, ann: Caller) -> None:
    """The group is made as soon as IM answers, though nobody waits for it."""
    im.free.clear()
    started = time.monotonic()
    assert await first.enter(ann, "r") == "r"
    assert time.monotonic() - started < 1.5 + 0.5
    assert (await first.inside(ann, "r"), await grouped(im, "r")) == ([ann.user_id], False)
    im.free.set()
    while await left(first):
        await asyncio.sleep(0.01)
    assert await grouped(im, "r")


async def test_what_a_killed_process_was_at_is_taken_over(
    first: Process, second: Process, im: Moody, clock: Clock, ann: Caller
) -> None:
    await first.errands.add("default", ErrandKind.ACCOUNT, ann.user_id, 0)
    im.free.clear()
    killed = asyncio.create_task(first.carrier.run())
    await im.asked.wait()
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    im.free.set()
    await run_for(second, clock, 29)
    assert len(im.calls) == 1
    await run_for(second, clock, 2)
    assert (len(im.calls), await left(second)) == (2, 0)


async def test_a_destroy_that_is_tried_again_never_takes_the_next_group(
    first: Process, im: Moody, clock: Clock, ann: Caller
) -> None:
    await first.enter(ann, "r")
    im.trouble = Remedy.RETRY
    await first.rooms.destroy(ann, "r")
    await run_for(first, clock, 20)
    await first.enter(ann, "r")
    im.trouble = None
    im.calls.clear()
    await run_for(first, clock, 301)
    assert set(im.calls) <= {("create", "r")}
    assert await grouped(im, "r")


async def test_a_room_opens_while_its_last_group_is_just_being_dismissed(
    first: Process, second: Process, im: Moody, ann: Caller
) -> None:
    """The dismissal is under way elsewhere; the new group is made after it, before enter answers."""
    await first.enter(ann, "r")
    await first.rooms.destroy(ann, "r")
    im.asked.clear()
    im.free.clear()
    dismissing = asyncio.create_task(first.carrier.run())
    await im.asked.wait()
    entering = asyncio.create_task(second.enter(ann, "r"))
    while (room := await first.room_store.find("default", "r")) is None or room.state == RoomState.CLOSED:
        await asyncio.sleep(0.01)
    im.free.set()
    await asyncio.gather(dismissing, entering)
    assert await grouped(im, "r")
    assert (im.crowded, await left(first)) == ([], 0)


async def test_a_room_closes_while_its_group_is_just_being_made(
    first: Process, second: Process, im: Moody, ann: Caller
) -> None:
    im.free.clear()
    entering = asyncio.create_task(first.enter(ann, "r"))
    await im.asked.wait()
    await second.rooms.destroy(ann, "r")
    await second.carrier.run()
    im.free.set()
    await entering
    await second.carrier.run()
    assert not await grouped(im, "r")
    assert (im.crowded, await left(first)) == ([], 0)


async def test_accounts_are_carried_over(first: Process, im: Moody) -> None:
    ann = await first.sign_up("ann")
    await first.carrier.run()
    assert im.profile(DEFAULT, ann.user_id) == ("", "")
    await first.accounts.update(ann, Profile(name="Ann", avatar="a.png"))
    await first.carrier.run()
    assert im.profile(DEFAULT, ann.user_id) == ("Ann", "a.png")
    await first.accounts.delete(ann)
    await first.carrier.run()
    assert (im.profile(DEFAULT, ann.user_id), await left(first)) == (None, 0)


async def test_a_change_while_the_last_one_is_being_carried_over(
    first: Process, second: Process, im: Moody, ann: Caller
) -> None:
    """The mark that it raises keeps the errand, due at once."""
    await first.accounts.update(ann, Profile(name="first"))
    im.free.clear()
    carrying = asyncio.create_task(first.carrier.run())
    await im.asked.wait()
    await second.accounts.update(ann, Profile(name="second"))
    await second.carrier.run()
    im.free.set()
    await carrying
    await second.carrier.run()
    assert im.profile(DEFAULT, ann.user_id) == ("second", "")
    assert (im.crowded, await left(first)) == ([], 0)


async def test_two_processes_are_never_at_one_subject(first: Process, second: Process, im: Moody, ann: Caller) -> None:
    """More errands than one step, rooms that open and close meanwhile, and everything is done in the end."""
    subjects = [f"u{number}" for number in range(130)]
    for subject in subjects:
        await first.errands.add("default", ErrandKind.ACCOUNT, subject, 0)
    # Of a tenant that this process does not know: another one may.
    await first.errands.add("gone", ErrandKind.GROUP, "r", 0)
    shows = [process.enter(ann, f"r{number}") for number in range(6) for process in (first, second)]
    await asyncio.gather(*(process.carrier.run() for process in (first, second) * 3), *shows)
    ends = [first.rooms.destroy(ann, f"r{number}") for number in range(6)]
    await asyncio.gather(*ends, *(process.carrier.run() for process in (first, second) * 3))
    await first.carrier.run()
    assert im.crowded == []
    assert await left(first) == 1
    assert sorted(subject for verb, subject in im.calls if verb == "delete") == sorted(subjects)
    assert not any((await im.groups(DEFAULT, [f"r{number}" for number in range(6)])).values())
