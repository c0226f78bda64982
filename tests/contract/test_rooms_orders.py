"""RoomStore.change: one order is one atomic fact, whatever travels with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from contract.exact import assert_exact
from contract.nodes import DEFAULT, Node, codes, drawn
from liveroom.adapters.store.tables import members, rooms
from liveroom.errors import Code, Refusal
from liveroom.model import Caller, Member, Room
from liveroom.ports.rooms import Change, RoomOrder, RoomRows

Rule = Callable[[RoomRows], Change]


def order(caller: Caller, room_id: str, rule: Rule, **options: Any) -> RoomOrder:
    return RoomOrder("default", caller.user_id, room_id, rule, **options)


def retitled(room_id: str, title: Any) -> Rule:
    """Gives an open room a title; the outcome is that title."""
    return lambda rows: Change(title, (replace(rows.room("default", room_id), title=title),))


def refusing(_: RoomRows) -> Change:
    raise Refusal(Code.SystemVerifyError, "No.")


def failing(_: RoomRows) -> Change:
    raise ZeroDivisionError


async def rooms_of(node: Node, number: int) -> tuple[list[Caller], list[str]]:
    """Open rooms, each of an owner of its own."""
    owners = await node.callers(number)
    await asyncio.gather(*(node.enter(owner, f"r{turn}") for turn, owner in enumerate(owners)))
    return owners, [f"r{turn}" for turn in range(number)]


async def titles(node: Node, room_ids: list[str]) -> list[str]:
    return [(await node.room(room_id)).title for room_id in room_ids]


async def test_the_outcome_is_the_rules_and_is_committed(node: Node, other: Node) -> None:
    [ann], _ = await rooms_of(node, 1)
    assert await node.rooms.change(order(ann, "r0", retitled("r0", "new"))) == "new"
    assert await titles(other, ["r0"]) == ["new"]
    assert await node.rooms.change(order(ann, "r0", lambda _: Change({"any": "thing"}))) == {"any": "thing"}


@pytest.mark.parametrize(("rule", "error"), [(refusing, Refusal), (failing, ZeroDivisionError)])
async def test_a_rule_that_raises_touches_no_other_order(node: Node, rule: Rule, error: type[Exception]) -> None:
    owners, room_ids = await rooms_of(node, 5)
    rules = [retitled(room_id, f"title of {room_id}") for room_id in room_ids]
    rules[2] = rule
    wishes = [order(*wish) for wish in zip(owners, room_ids, rules, strict=True)]
    outcomes = await asyncio.gather(*map(node.rooms.change, wishes), return_exceptions=True)
    assert isinstance(outcomes[2], error)
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [
        f"title of r{turn}" for turn in (0, 1, 3, 4)
    ]
    assert await titles(node, room_ids) == ["title of r0", "title of r1", "", "title of r3", "title of r4"]


@pytest.mark.parametrize("poison", [None, "\ud800", 2**80], ids=["null", "lone surrogate", "huge number"])
async def test_a_statement_that_fails_costs_only_its_own_order(node: Node, other: Node, poison: Any) -> None:
    """The database or the driver refuses one order's row; the batch runs again one by one."""
    owners, room_ids = await rooms_of(node, 5)
    rules = [retitled(room_id, f"title of {room_id}") for room_id in room_ids]
    if isinstance(poison, int):
        rules[2] = lambda rows: Change(None, (replace(rows.room("default", "r2"), opened_at=poison),))
    else:
        rules[2] = retitled("r2", poison)
    wishes = [order(*wish) for wish in zip(owners, room_ids, rules, strict=True)]
    outcomes = await asyncio.gather(*map(node.rooms.change, wishes), return_exceptions=True)
    assert isinstance(outcomes[2], Exception)
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [
        f"title of r{turn}" for turn in (0, 1, 3, 4)
    ]
    assert await titles(other, room_ids) == ["title of r0", "title of r1", "", "title of r3", "title of r4"]
    assert await node.rooms.change(order(owners[2], "r2", retitled("r2", "later"))) == "later"


async def test_a_text_that_the_database_finds_too_long_is_refused_and_not_cut(node: Node) -> None:
    """SQLite takes a text of any length: there the order is done."""
    owners, room_ids = await rooms_of(node, 3)
    rules = [retitled(room_id, "x" * (201 if room_id == "r1" else 200)) for room_id in room_ids]
    wishes = [order(*wish) for wish in zip(owners, room_ids, rules, strict=True)]
    found = codes(await asyncio.gather(*map(node.rooms.change, wishes), return_exceptions=True))
    refused = node.database.dialect == "mysql"
    assert found == [0, Code.ServiceDBFailed if refused else 0, 0]
    assert list(map(len, await titles(node, room_ids))) == [200, 0 if refused else 201, 200]


async def test_a_change_is_there_whole_or_not_at_all(node: Node, other: Node) -> None:
    """The room's row can be written, the member's cannot."""
    [ann], _ = await rooms_of(node, 1)
    before, rows_before = await node.room("r0"), await node.rows(select(members))

    def half(rows: RoomRows) -> Change:
        room = rows.room("default", "r0")
        nobody: Any = None
        member = Member("default", "r0", room.opening, "someone", nobody, 2, 0)
        return Change(None, (replace(room, title="half", inside=2),), (member,))

    with pytest.raises(Refusal) as refused:
        await node.rooms.change(order(ann, "r0", half))
    assert refused.value.code == Code.ServiceDBFailed
    assert await other.room("r0") == before
    assert await other.rows(select(members)) == rows_before


async def test_orders_of_a_batch_see_one_another(node: Node) -> None:
    users, _ = await rooms_of(node, 12)
    await asyncio.gather(*(node.enter(user, "fresh") for user in users))
    assert await node.inside("fresh") == [user.user_id for user in users], "in order of arrival"
    await asyncio.gather(*(node.leave(user, "fresh") for user in users[:6]), node.enter(users[0], "fresh"))
    assert await node.inside("fresh") == [user.user_id for user in (*users[6:], users[0])]
    await assert_exact(node, DEFAULT)


@pytest.mark.parametrize("opened", [True, False], ids=["open", "not open yet"])
async def test_orders_of_one_user_are_decided_in_order_of_arrival(node: Node, opened: bool) -> None:
    host, ben = (await rooms_of(node, 2))[0]
    for room_id in ("x", "y", "z"):
        if opened:
            await node.enter(host, room_id)
        await asyncio.gather(node.enter(ben, room_id), node.leave(ben, room_id))
        assert ben.user_id not in (await node.inside(room_id) or [])
        await asyncio.gather(node.leave(ben, room_id), node.enter(ben, room_id))
        assert ben.user_id in (await node.inside(room_id) or [])


async def test_closing_and_opening_again_within_a_batch(node: Node) -> None:
    users, _ = await rooms_of(node, 3)
    ann, ben, cat = users
    for opening in range(2, 6):
        await asyncio.gather(
            node.enter(ben, "r0"), node.destroy(ann, "r0"), node.enter(ann, "r0"), node.enter(cat, "r0")
        )
        room = await node.room("r0")
        assert (room.open, room.opening, room.inside) == (True, opening, 2)
        assert set(await node.inside("r0") or []) == {ann.user_id, cat.user_id}
        await assert_exact(node, DEFAULT)
        if room.owned_by == cat.user_id:
            ann, cat = cat, ann


async def test_a_caller_that_gives_up_takes_nobody_along(node: Node, other: Node) -> None:
    owners, room_ids = await rooms_of(node, 6)
    for given_up in range(6):
        rules = [retitled(room_id, f"turn {given_up}") for room_id in room_ids]
        wishes = [order(*wish) for wish in zip(owners, room_ids, rules, strict=True)]
        tasks = [asyncio.create_task(node.rooms.change(wish)) for wish in wishes]
        await asyncio.sleep(0.001 * given_up)
        tasks[given_up].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        kept = [outcome for turn, outcome in enumerate(outcomes) if turn != given_up]
        assert kept == [f"turn {given_up}"] * 5
        written = await titles(other, room_ids)
        del written[given_up]
        assert written == [f"turn {given_up}"] * 5


async def test_a_caller_that_gives_up_before_its_batch_leaves_changes_nothing_for_the_next(node: Node) -> None:
    owners, room_ids = await rooms_of(node, 2)
    first = asyncio.create_task(node.rooms.change(order(owners[0], "r0", retitled("r0", "first"))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(node.rooms.change(order(owners[1], "r1", retitled("r1", "second"))))
    third = asyncio.create_task(node.rooms.change(order(owners[0], "r0", retitled("r0", "third"))))
    await asyncio.sleep(0)
    second.cancel()
    assert await asyncio.gather(first, third) == ["first", "third"]
    assert (await titles(node, room_ids))[0] == "third"


async def test_what_a_rule_may_ask_for(node: Node) -> None:
    users, _ = await rooms_of(node, 2)
    ann, ben = users
    generated = await node.rooms.generate("default", ann.user_id, drawn("20000001"))
    for room_id in (ann.user_id, "z", "a"):
        await node.enter(ann, room_id)
    await node.leave(ann, "a")
    await node.enter(ann, "over")
    await node.destroy(ann, "over")

    async def asked(user: Caller, room_id: str, question: Callable[[RoomRows], Any], **options: Any) -> Any:
        return await node.rooms.change(order(user, room_id, lambda rows: Change(question(rows)), **options))

    def elsewhere(rows: RoomRows) -> list[str]:
        return [room.room_id for room in rows.elsewhere("default", ann.user_id)]

    assert await asked(ann, "", elsewhere, enters=True, others="inside") == sorted([ann.user_id, "r0", "z"])
    assert await asked(ann, "", elsewhere, enters=True, others="owned too") == sorted([ann.user_id, "r0", "z", "a"])
    assert await asked(ann, "z", elsewhere, enters=True) == []
    assert await asked(ann, "never", lambda rows: rows.room("default", "never")) == Room("default", "never")
    assert (await asked(ann, "z", lambda rows: rows.room("default", "z"))).opening == 1
    assert await asked(ben, "r0", lambda rows: rows.member(rows.room("default", "r0"), ben.user_id)) is None
    gone = await asked(ann, "a", lambda rows: rows.member(rows.room("default", "a"), ann.user_id))
    assert (gone.user_id, gone.place) == (ann.user_id, None), "who left is a member that is not inside"
    assert await asked(ann, "", lambda rows: rows.account_exists("default", ann.user_id), enters=True)

    def heir(room_id: str) -> Callable[[RoomRows], Any]:
        return lambda rows: rows.heir("default", room_id)

    assert await asked(ben, generated, heir(generated), enters=True) == ann.user_id
    assert await asked(ben, ben.user_id, heir(ben.user_id), enters=True) == ben.user_id
    assert await asked(ben, "chosen", heir("chosen"), enters=True) is None
    assert await asked(ben, generated, lambda rows: rows.open_rooms("default", ann.user_id), enters=True) == 4
    assert await node.depart(ann)
    assert await asked(ben, generated, heir(generated), enters=True) == ann.user_id
    gone = await asked(ben, generated, lambda rows: rows.account_exists("default", ann.user_id), enters=True)
    assert gone is False


async def test_a_refused_order_leaves_no_row_behind_that_anyone_sees(node: Node) -> None:
    users, _ = await rooms_of(node, 1)
    with pytest.raises(Refusal):
        await node.rooms.change(order(users[0], "never", refusing, enters=True))
    row = await node.rows(select(rooms.c.opening, rooms.c.state).where(rooms.c.room_id == "never"))
    assert row in ([], [(0, 2)])
    assert await node.inside("never") is None
