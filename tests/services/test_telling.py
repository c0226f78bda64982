"""What changes mean: which events follow from which rule, and what they say."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from liveroom.model import Caller, Tenant
from liveroom.ports.outbox import Told
from services.days import Day
from services.rig import Clock, Process


class Heard(list[Told]):
    """What was told since the last look."""

    def take(self) -> list[dict[str, Any]]:
        found = [json.decode(one.body) for one in self]
        self.clear()
        return found

    def kinds(self) -> list[str]:
        return [body["kind"] for body in self.take()]


@pytest.fixture
def heard(process: Process) -> Heard:
    heard = Heard()
    process.outbox.hear = heard.extend
    return heard


@pytest.fixture
async def ann(process: Process) -> Caller:
    return await process.sign_up("ann")


@pytest.fixture
async def ben(process: Process) -> Caller:
    return await process.sign_up("ben")


def facts(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names}


async def test_opening_and_entering(process: Process, heard: Heard, ann: Caller, ben: Caller, clock: Clock) -> None:
    await process.enter(ann, "r", "anchor", title="a show", category="live")
    opened, entered = heard.take()
    assert facts(opened, "kind", "by", "ownBy", "title", "category", "status", "opening") == {
        "kind": "room.opened",
        "by": ann.user_id,
        "ownBy": ann.user_id,
        "title": "a show",
        "category": "live",
        "status": 0,
        "opening": 1,
    }
    assert facts(entered, "kind", "userId", "role", "nnUsers", "totalJoined", "at") == {
        "kind": "member.entered",
        "userId": ann.user_id,
        "role": "anchor",
        "nnUsers": 1,
        "totalJoined": 1,
        "at": clock.now,
    }
    await process.enter(ben, "r")
    await process.members.leave(ben, "r")
    await process.enter(ben, "r")
    assert [facts(body, "kind", "nnUsers", "totalJoined") for body in heard.take()] == [
        {"kind": "member.entered", "nnUsers": 2, "totalJoined": 2},
        {"kind": "member.left", "nnUsers": 1, "totalJoined": 2},
        {"kind": "member.entered", "nnUsers": 2, "totalJoined": 2},
    ]


async def test_entering_again_tells_a_new_role_only(process: Process, heard: Heard, ann: Caller) -> None:
    await process.enter(ann, "r", "anchor")
    heard.clear()
    await process.enter(ann, "r", "anchor")
    assert heard == []
    await process.enter(ann, "r", "guest")
    (changed,) = heard.take()
    assert facts(changed, "kind", "role") == {"kind": "member.role_changed", "role": "guest"}


async def test_an_owner_that_leaves_hides_its_room(process: Process, heard: Heard, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r", "anchor")
    await process.enter(ben, "r")
    heard.clear()
    await process.members.leave(ann, "r")
    assert heard.kinds() == ["member.left", "room.hidden"]
    await process.enter(ann, "r")
    assert heard.kinds() == ["member.entered", "room.shown"]


async def test_new_texts(process: Process, heard: Heard, ann: Caller) -> None:
    await process.enter(ann, "r")
    heard.clear()
    await process.update(ann, "r", title="new", cover="c")
    (updated,) = heard.take()
    assert facts(updated, "kind", "title", "cover", "by") == {
        "kind": "room.updated",
        "title": "new",
        "cover": "c",
        "by": ann.user_id,
    }


async def test_a_closing_is_one_event(process: Process, heard: Heard, ann: Caller, ben: Caller) -> None:
    await process.enter(ann, "r")
    await process.enter(ben, "r")
    heard.clear()
    await process.rooms.destroy(ann, "r")
    (closed,) = heard.take()
    assert facts(closed, "kind", "by", "reason") == {"kind": "room.closed", "by": ann.user_id, "reason": "destroyed"}


async def test_a_deleted_account_leaves_and_its_rooms_close(
    process: Process, heard: Heard, ann: Caller, ben: Caller
) -> None:
    await process.enter(ann, "mine")
    await process.enter(ben, "other")
    await process.enter(ann, "other")
    heard.clear()
    await process.members.depart(ann)
    told = {(body["kind"], body["roomId"]): body for body in heard.take()}
    assert told.keys() == {("room.closed", "mine"), ("member.left", "other"), ("user.deleted", "")}
    assert told["room.closed", "mine"]["reason"] == "owner deleted"
    assert told["user.deleted", ""]["userId"] == ann.user_id


async def test_moving_to_another_room(start: Any) -> None:
    moving = Tenant(name="default", sdk_app_id=1, secret="s", exclusive_rooms="move")
    process: Process = start(tenants=(moving,))
    heard = Heard()
    process.outbox.hear = heard.extend
    ann, ben = await process.sign_up("ann", moving), await process.sign_up("ben", moving)
    await process.enter(ben, "first")
    await process.enter(ann, "first")
    heard.clear()
    await process.enter(ann, "second")
    told = heard.take()
    assert [(body["kind"], body["roomId"]) for body in told] == [
        ("member.left", "first"),
        ("room.opened", "second"),
        ("member.entered", "second"),
    ]
    assert told[0]["reason"] == "moved"


async def test_absence(start: Any, clock: Clock) -> None:
    """Offline and online are told of the rooms one is inside of; what follows has its reason."""
    day = Day(clock, start())
    await day.begin()
    heard = Heard()
    day.process.outbox.hear = heard.extend
    ann, ben = await day.sign_up("ann"), await day.sign_up("ben")
    await day.enter(ann, "r", "anchor")
    await day.enter(ben, "r")
    day.beat(ann, ben)
    await day.pass_s(1)
    heard.clear()
    day.fall_silent(ben)
    await day.pass_s(40)
    assert heard.kinds() == ["user.offline"]
    day.beat(ben)
    await day.pass_s(1)
    assert heard.kinds() == ["user.online"]
    day.fall_silent(ben)
    await day.pass_s(100)
    offline, left = heard.take()
    assert facts(offline, "kind", "userId") == {"kind": "user.offline", "userId": ben.user_id}
    assert facts(left, "kind", "userId", "reason") == {
        "kind": "member.left",
        "userId": ben.user_id,
        "reason": "offline",
    }
    day.fall_silent(ann)
    await day.pass_s(40)
    assert heard.kinds() == ["user.offline", "room.hidden"]
    await day.pass_long(1_900)
    (closed,) = heard.take()
    assert facts(closed, "kind", "by", "reason") == {"kind": "room.closed", "by": "", "reason": "hidden too long"}
