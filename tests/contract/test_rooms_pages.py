"""RoomStore.page: visible rooms, in a total order, every page of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contract.nodes import NOON, Node, Ticks, query
from liveroom.model import Caller, Room


class Standing(Ticks):
    """A clock that stands until it is set."""

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Standing:
    return Standing()


async def opened(node: Node, clock: Ticks, openings: list[tuple[str, int]], **texts: str) -> list[Caller]:
    """Rooms with these ids opened at these moments (ms after noon), each by an owner of its own."""
    owners = await node.callers(len(openings))
    for owner, (room_id, after) in zip(owners, openings, strict=True):
        clock.now = NOON + after
        await node.enter(owner, room_id, **texts)
    return owners


async def ids(node: Node, **given: Any) -> list[str]:
    return [room.room_id for room in await node.rooms.page(query(**given))]


async def in_pages(node: Node, size: int, **given: Any) -> list[str]:
    """The whole list, as one gets it page by page."""
    whole: list[str] = []
    while page := await ids(node, offset=len(whole), limit=size, **given):
        assert len(page) <= size
        whole += page
    return whole


async def test_newest_first_on_every_page(node: Node, other: Node, clock: Standing) -> None:
    openings = [(f"r{number:02}", (number * 7) % 25 * 1_000) for number in range(25)]
    await opened(node, clock, openings)
    newest = [room_id for room_id, _ in sorted(openings, key=lambda opening: -opening[1])]
    assert await ids(node) == newest
    for size in (1, 4, 10, 25, 100):
        assert await in_pages(other, size) == newest
    assert await ids(node, offset=1_000_000) == []


async def test_opened_later_comes_first_within_a_second(node: Node, clock: Standing) -> None:
    await opened(node, clock, [("b", 0), ("a", 1), ("d", 2), ("c", 999)])
    assert await ids(node) == ["c", "d", "a", "b"]


async def test_rooms_opened_at_one_moment_have_an_order_too(node: Node, other: Node, clock: Standing) -> None:
    """By room id, byte for byte, so that it is the same on every page, process and back end."""
    names = ["a", "A", "b", "B", "10", "9", "a.", "_", "~"]
    await opened(node, clock, [(name, 0) for name in names])
    whole = await ids(node)
    assert whole in (sorted(names), sorted(names, reverse=True))
    for size in (1, 2, 5):
        assert await in_pages(other, size) == whole
        assert await in_pages(other, size, by_joined=True) == whole
        assert await in_pages(other, size, room_ids=tuple(names)) == whole
        assert await in_pages(other, size, room_ids=tuple(names), by_joined=True) == whole


async def test_most_joined_first(node: Node, clock: Standing) -> None:
    await opened(node, clock, [("few", 3), ("old", 1), ("new", 2), ("many", 0)])
    guests = await node.callers(4)
    for room_id, number in (("many", 4), ("old", 2), ("new", 2)):
        for guest in guests[:number]:
            await node.enter(guest, room_id)
            await node.leave(guest, room_id)
    expected = ["many", "new", "old", "few"]
    assert await ids(node, by_joined=True) == expected
    assert await in_pages(node, 1, by_joined=True) == expected
    assert [room.joined for room in await node.rooms.page(query(by_joined=True))] == [5, 3, 3, 1]


async def test_only_visible_rooms_are_listed(node: Node, clock: Standing) -> None:
    shown, left, over = await opened(node, clock, [("shown", 0), ("left", 1), ("over", 2)])
    viewer = await node.caller("viewer")
    await node.enter(viewer, shown.user_id, "anchor")
    await node.enter(viewer, "left", "audience")
    await node.leave(left, "left")
    await node.destroy(over, "over")
    assert await ids(node) == ["shown"]
    assert await ids(node, room_ids=("shown", "left", "over", shown.user_id, "unknown")) == ["shown"]
    assert await ids(node, by_joined=True) == ["shown"]


async def test_a_moment_bounds_the_opening_from_start_to_before_end(node: Node, clock: Standing) -> None:
    await opened(node, clock, [("a", 0), ("b", 1_000), ("c", 2_000), ("d", 3_000)])
    assert await ids(node, since=NOON + 1_000) == ["d", "c", "b"]
    assert await ids(node, until=NOON + 2_000) == ["b", "a"]
    assert await ids(node, since=NOON + 1_000, until=NOON + 3_000) == ["c", "b"]
    assert await ids(node, since=NOON + 1_001, until=NOON + 2_000) == []
    assert await ids(node, since=NOON + 3_000, until=NOON) == []
    assert await ids(node, since=0, until=2**53) == ["d", "c", "b", "a"]


async def test_filters_add_up(node: Node, clock: Standing) -> None:
    await opened(node, clock, [("a", 0), ("b", 1_000)], category="one")
    await opened(node, clock, [("c", 2_000), ("d", 3_000)], category="two")
    assert await ids(node, category="one") == ["b", "a"]
    assert await ids(node, category="two", by_joined=True) == ["d", "c"]
    assert await ids(node, category="none") == []
    assert await ids(node, room_ids=("d", "a", "a", "x")) == ["d", "a"]
    assert await ids(node, room_ids=("x",)) == []
    assert await ids(node, category="one", room_ids=("a", "c"), since=NOON, until=NOON + 1) == ["a"]
    assert await ids(node, category="one", offset=1, limit=1) == ["a"]


async def test_many_identical_and_different_queries_at_once(node: Node, clock: Standing) -> None:
    await opened(node, clock, [(f"r{number}", number) for number in range(6)])
    wishes = [query(limit=1 + turn % 3, offset=turn % 2) for turn in range(30)]
    pages: list[list[Room]] = await asyncio.gather(*(node.rooms.page(wish) for wish in wishes))
    newest = [f"r{number}" for number in reversed(range(6))]
    for wish, page in zip(wishes, pages, strict=True):
        assert [room.room_id for room in page] == newest[wish.offset : wish.offset + wish.limit]


async def test_a_client_reads_its_own_writes(node: Node, other: Node, clock: Standing) -> None:
    ann = await node.caller("ann")
    for turn in range(5):
        await node.enter(ann, "r", title=f"title {turn}")
        for process in (node, other):
            assert [room.title for room in await process.rooms.page(query())] == [f"title {turn}"]
            assert await process.inside("r") == [ann.user_id]
        await node.destroy(ann, "r")
        assert await other.rooms.page(query()) == []
        assert await other.inside("r") is None
