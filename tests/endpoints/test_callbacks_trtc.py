"""TRTC callbacks over the whole app: who is believed, what is answered, and what they do to members."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from liveroom.endpoints import callbacks
from liveroom.services.callbacks import CallbackService

from .sites import Site, Start, User
from .test_callbacks_im import (
    ACME,
    APP_ID,
    EMBEDDED,
    MALFORMED,
    MOST_BYTES,
    QUICK,
    SHARED,
    STATE,
    STRANGE,
    counted,
    enter,
    full_room,
    inside,
    now_ms,
    state_of,
    status,
    until,
)
from .test_callbacks_im import SIGNED as SIGNED_IM
from .test_callbacks_im import tell as tell_im

PATH = "/base/v1/callbacks/trtc"
KEY = "123654"
VECTOR = "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA="
VECTOR_BODY = (
    b'{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n\t"EventInfo":\t{\n'
    b'\t\t"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n\t\t"EventMsTs":\t1664209748180,\n'
    b'\t\t"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}'
)
OK = b'{"code":0}'
FAIL = {"code": 1}
SIGNED = {**EMBEDDED, "TRTC_CALLBACK_KEY": KEY}
DISMISS, ENTER, EXIT = 102, 103, 104


def sign(content: bytes, key: str = KEY) -> str:
    return base64.b64encode(hmac.new(key.encode(), content, hashlib.sha256).digest()).decode()


async def posted(site: Site, content: bytes, path: str = PATH, **headers: str | None) -> httpx.Response:
    """A callback as the vendor sends it; None leaves a header away."""
    given = {"Content-Type": "application/json", "SdkAppId": APP_ID, "Sign": sign(content), **headers}
    sent = {name: value.encode() for name, value in given.items() if value is not None}
    reply = await site.http.post(path, content=content, headers=sent)
    assert len(reply.content) + sum(len(name) + len(value) + 4 for name, value in reply.headers.raw) < MOST_BYTES
    return reply


def event(kind: Any, room_id: Any, user_id: Any = None, at: int | None = None, **info: Any) -> dict[str, Any]:
    """The body of a callback; None leaves a field of it away."""
    at = now_ms() if at is None else at
    told = {"RoomId": room_id, "EventTs": at // 1000, "EventMsTs": at, "UserId": user_id, **info}
    facts = {name: value for name, value in told.items() if value is not None}
    group = 2 if isinstance(kind, int) and kind >= 200 else 1
    return {"EventGroupId": group, "EventType": kind, "CallbackTs": at + 8, "EventInfo": facts}


def exit_of(room_id: Any, user_id: Any, at: int | None = None, **info: Any) -> dict[str, Any]:
    return event(EXIT, room_id, user_id, at, **{"Role": 21, "Reason": 1, **info})


def entry_of(room_id: Any, user_id: Any, at: int | None = None, **info: Any) -> dict[str, Any]:
    return event(ENTER, room_id, user_id, at, **{"Role": 21, "TerminalType": 2, "UserType": 3, "Reason": 1, **info})


async def tell(site: Site, body: dict[str, Any], **headers: str | None) -> None:
    """A callback that has to be taken."""
    content = json.dumps(body, indent="\t").encode()
    reply = await posted(site, content, **{"Sign": sign(content), **headers})
    assert (reply.status_code, reply.content) == (200, OK)
    assert reply.headers["content-type"] == "application/json"


@pytest.fixture
async def site(start: Start) -> Site:
    return await start(**SIGNED)


# Who is believed.


async def test_the_published_vector(site: Site) -> None:
    assert sign(VECTOR_BODY) == VECTOR
    reply = await posted(site, VECTOR_BODY, Sign=VECTOR)
    assert (reply.status_code, reply.content) == (200, OK)
    for name in ("sign", "SIGN"):
        reply = await site.http.post(PATH, content=VECTOR_BODY, headers={"sdkappid": APP_ID, name: VECTOR})
        assert (reply.status_code, reply.content) == (200, OK)
    for content in (VECTOR_BODY + b"\n", VECTOR_BODY.replace(b"\t", b" "), VECTOR_BODY[:-1], b"", b"{}"):
        reply = await posted(site, content, Sign=VECTOR)
        assert (reply.status_code, reply.json()) == (401, FAIL), "it is the bytes that are signed"


async def test_the_vector_in_pieces(site: Site) -> None:
    """The bytes count, however they arrive."""

    async def pieces() -> Any:
        for at in range(0, len(VECTOR_BODY), 7):
            yield VECTOR_BODY[at : at + 7]

    headers = {"SdkAppId": APP_ID, "Sign": VECTOR}
    reply = await site.http.post(PATH, content=pieces(), headers=headers)
    assert (reply.status_code, reply.content) == (200, OK)


async def test_not_believed(site: Site) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    content = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    digest = hmac.new(KEY.encode(), content, hashlib.sha256)
    wrong: dict[str, dict[str, str | None]] = {
        "another key's": {"Sign": sign(content, "12365")},
        "the empty key's": {"Sign": sign(content, "")},
        "of another body": {"Sign": VECTOR},
        "hex": {"Sign": digest.hexdigest()},
        "lower case": {"Sign": sign(content).lower()},
        "without padding": {"Sign": sign(content).rstrip("=")},
        "empty": {"Sign": ""},
        "missing": {"Sign": None},
        "strange": {"Sign": "签名"},
        "no SdkAppId": {"SdkAppId": None},
        "unknown SdkAppId": {"SdkAppId": "1400000001"},
        "SdkAppId 0": {"SdkAppId": "0"},
        "SdkAppId a word": {"SdkAppId": "everybody"},
    }
    before = await counted(site, "trtc", "refused")
    for what, headers in wrong.items():
        reply = await posted(site, content, **headers)
        assert (what, reply.status_code, reply.json()) == (what, 401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2
    assert await counted(site, "trtc", "refused") == before + len(wrong)


async def test_without_a_key_nobody_is_believed(start: Start) -> None:
    site = await start(**EMBEDDED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    content = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    for given in (sign(content), sign(content, ""), None, ""):
        reply = await posted(site, content, Sign=given)
        assert (reply.status_code, reply.json()) == (401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_the_im_token_is_no_key(start: Start) -> None:
    """Each callback has a secret of its own; one that is set says nothing of the other."""
    site = await start(**SIGNED_IM)
    assert (await posted(site, VECTOR_BODY, Sign=VECTOR)).status_code == 401
    assert (await posted(site, b"{}", Sign=sign(b"{}", SIGNED_IM["TIM_CALLBACK_TOKEN"]))).status_code == 401


async def test_in_dev_mode_unsigned_is_believed(start: Start) -> None:
    site = await start(LIVEROOM_DEV="on", **EMBEDDED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = exit_of(room_id, people[1].user_id)
    for app_id in (None, "1400000001", "0", ""):
        reply = await posted(site, json.dumps(body).encode(), Sign=None, SdkAppId=app_id)
        assert (reply.status_code, reply.json()) == (401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2
    await tell(site, body, Sign=None)
    assert await inside(site, people[0], room_id) == {room_id: 1}


async def test_in_dev_mode_a_key_counts(start: Start) -> None:
    site = await start(LIVEROOM_DEV="on", **SIGNED)
    reply = await posted(site, VECTOR_BODY, Sign=None)
    assert (reply.status_code, reply.json()) == (401, FAIL)
    assert (await posted(site, VECTOR_BODY, Sign=VECTOR)).content == OK


# What is read and answered.


async def test_malformed(site: Site) -> None:
    before = await counted(site, "trtc", "malformed")
    for body in MALFORMED:
        reply = await posted(site, body)
        assert (body[:20], reply.status_code, reply.json()) == (body[:20], 400, FAIL)
        assert (await posted(site, body, Sign=VECTOR)).status_code == 401
    assert await counted(site, "trtc", "malformed") == before + len(MALFORMED)


@pytest.mark.parametrize("size", [1_048_577, 2_000_000])
async def test_too_large(site: Site, size: int) -> None:
    assert (await posted(site, b"{}".ljust(size))).status_code == 413
    assert (await posted(site, b"{}".ljust(1_048_576))).content == OK


async def test_methods(site: Site) -> None:
    for path in (PATH, f"/release{PATH}"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            reply = await site.http.request(method, path, headers={"SdkAppId": APP_ID, "Sign": sign(b"")})
            assert (method, reply.status_code, reply.headers["allow"]) == (method, 405, "POST")


@pytest.mark.parametrize("path", [f"/release{PATH}", f"/prod{PATH}", f"/local{PATH}/"])
async def test_stage_prefixes(site: Site, path: str) -> None:
    reply = await posted(site, VECTOR_BODY, path=path, Sign=VECTOR)
    assert (reply.status_code, reply.content) == (200, OK)


async def test_ignored_and_counted(site: Site) -> None:
    """Events that change nothing here, unknown ones, and what is no event at all."""
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    known = {101: {}, 105: {"Role": 20}, 201: {}, 202: {"Reason": 0}, 203: {}, 204: {"Reason": 0}, 205: {}}
    bodies = [event(kind, room_id, room_id, **info) for kind, info in {**known, 206: {"Reason": 0}}.items()]
    bodies += [event(kind, room_id, room_id) for kind in (0, 106, 301, -104, "104", None, [104], {}, 10**30)]
    bodies += [{}, {"EventType": 104}, *({"EventType": 104, "EventInfo": what} for what in (None, [], "x", 1))]
    before = await counted(site, "trtc", "ignored")
    for body in bodies:
        await tell(site, body)
    assert await counted(site, "trtc", "ignored") == before + len(bodies)
    assert await inside(site, owner, room_id) == {room_id: 1}


@pytest.mark.parametrize("kind", [DISMISS, ENTER, EXIT])
async def test_strange_ids(site: Site, kind: int) -> None:
    """Nobody is there by such a name, and nothing goes wrong."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    for value in STRANGE:
        await tell(site, event(kind, value, people[1].user_id))
        await tell(site, event(kind, value, value))
        if kind != DISMISS:
            await tell(site, event(kind, room_id, value))
    assert len(await inside(site, people[0], room_id)) == 2


@pytest.mark.parametrize("kind", [DISMISS, ENTER, EXIT])
async def test_missing_fields(site: Site, kind: int) -> None:
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    for info in ({}, {"RoomId": room_id}, {"UserId": room_id}, {"RoomId": "", "UserId": ""}, {"EventMsTs": now_ms()}):
        await tell(site, {"EventType": kind, "EventInfo": info})
    assert await inside(site, owner, room_id) == {room_id: 1}


# What they do.


@pytest.mark.parametrize("form", [int, str])
async def test_whoever_exits_leaves(site: Site, form: Callable[[str], object]) -> None:
    """The room's id is a number or a text, as the app has it."""
    people = [await site.sign_up() for _ in range(4)]
    room_id = await full_room(site, *people)
    names = [user.user_id for user in people]
    before = await counted(site, "trtc", "done")
    await tell(site, exit_of(form(room_id), names[1]))
    assert await inside(site, people[0], room_id) == dict.fromkeys((names[0], *names[2:]), 1)
    for reason in (1, 2, 3, 4, 5):
        await tell(site, exit_of(form(room_id), names[2], Reason=reason, Future={"field": [1]}, UniqueId=7))
    await tell(site, exit_of(form("99999999"), names[3]))
    await tell(site, exit_of(form(room_id), "10000000"))
    assert await inside(site, people[0], room_id) == {names[0]: 1, names[3]: 1}
    assert await counted(site, "trtc", "done") == before + 8
    detail = await site.data("rooms/room_detail", **people[0].ids, roomId=room_id)
    assert (detail["nnUsers"], detail["totalJoined"], detail["status"]) == (2, 4, 0)


async def test_a_room_whose_id_is_no_number(site: Site) -> None:
    people = [await site.sign_up() for _ in range(2)]
    for user in people:
        await enter(site, user, "a.room_of-1", "anchor")
    await tell(site, exit_of("a.room_of-1", people[1].user_id))
    assert await inside(site, people[0], "a.room_of-1") == {people[0].user_id: 1}


async def test_the_owner_exits(site: Site) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await tell(site, exit_of(int(room_id), room_id, Role=20))
    assert await inside(site, people[1], room_id) == {people[1].user_id: 1}
    assert await status(site, people[1], room_id) == 1
    await enter(site, people[0], room_id)
    assert await status(site, people[1], room_id) == 0


async def test_an_exit_before_the_entry(site: Site) -> None:
    """The vendor sends for a minute what it could not deliver; whoever has entered since stays."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    gone = exit_of(room_id, people[1].user_id)
    await tell(site, gone)
    await asyncio.sleep(0.002)
    await enter(site, people[1], room_id)
    await tell(site, gone)
    seconds_only = {name: value for name, value in gone["EventInfo"].items() if name != "EventMsTs"}
    await tell(site, {**gone, "EventInfo": seconds_only})
    await tell(site, {**gone, "EventInfo": {**gone["EventInfo"], "EventMsTs": str(gone["EventInfo"]["EventMsTs"])}})
    await tell(site, exit_of(room_id, people[1].user_id, now_ms() - 60_000))
    assert len(await inside(site, people[0], room_id)) == 2


async def test_only_seconds(site: Site) -> None:
    """Older events have no EventMsTs; they count from the beginning of their second."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = exit_of(room_id, people[1].user_id)
    body["EventInfo"] |= {"EventTs": now_ms() // 1000 + 1}
    del body["EventInfo"]["EventMsTs"]
    await tell(site, body)
    assert len(await inside(site, people[0], room_id)) == 1


@pytest.mark.parametrize("at", [10**13, 9_999_999_999_999_999])
async def test_an_exit_of_a_clock_that_runs_ahead(site: Site, at: int) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await tell(site, exit_of(room_id, people[1].user_id, at))
    assert len(await inside(site, people[0], room_id)) == 1
    await enter(site, people[1], room_id)
    assert len(await inside(site, people[0], room_id)) == 2


@pytest.mark.parametrize("form", [int, str])
async def test_a_dismissed_room(site: Site, form: Callable[[str], object]) -> None:
    """All but the owner leave, once; the room stays open."""
    people = [await site.sign_up() for _ in range(4)]
    room_id = await full_room(site, *people[:3])
    await tell(site, event(DISMISS, form(room_id), at=now_ms() - 60_000))
    assert len(await inside(site, people[0], room_id)) == 3, "that was before the opening"
    dismissed = event(DISMISS, form(room_id))
    await asyncio.sleep(0.002)
    await enter(site, people[3], room_id)
    await tell(site, dismissed)
    assert await inside(site, people[0], room_id) == {room_id: 1, people[3].user_id: 1}
    assert await status(site, people[0], room_id) == 0
    await enter(site, people[1], room_id)
    await tell(site, dismissed)
    await tell(site, event(DISMISS, form("99999999")))
    assert len(await inside(site, people[0], room_id)) == 3
    detail = await site.data("rooms/room_detail", **people[0].ids, roomId=room_id)
    assert (detail["nnUsers"], detail["totalJoined"]) == (3, 4)


async def test_a_dismissed_room_without_its_owner(site: Site) -> None:
    people = [await site.sign_up() for _ in range(3)]
    room_id = await full_room(site, *people)
    assert await site.code("rooms/leave_room", **people[0].ids, roomId=room_id) == 0
    await tell(site, event(DISMISS, int(room_id)))
    assert await inside(site, people[0], room_id) == {}
    assert await status(site, people[0], room_id) == 1


async def test_a_dismissed_room_with_many_inside(site: Site) -> None:
    """More than one step takes."""
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    row = (
        "INSERT INTO members (tenant, room_id, opening, user_id, role, place, entered_at, anchor) "
        f"SELECT tenant, room_id, opening, 'm' || value, '', 10 + value, entered_at, 0 FROM members, numbers "
        f"WHERE room_id = '{room_id}' AND place = 1"
    )
    numbers = "WITH RECURSIVE numbers(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < 450) "
    site.sql(row.replace("SELECT tenant", f"{numbers} SELECT tenant", 1))
    site.sql(f"UPDATE rooms SET inside = 451, joined = 451, places = 500 WHERE room_id = '{room_id}'")
    assert (await site.data("rooms/room_detail", **owner.ids, roomId=room_id))["nnUsers"] == 451
    await tell(site, event(DISMISS, int(room_id)))
    assert await inside(site, owner, room_id) == {room_id: 1}


@pytest.mark.parametrize("at", [10**13, 9_223_372_036_854_775, 9_999_999_999_999_999])
@pytest.mark.parametrize("field", ["EventMsTs", "EventTs"])
async def test_a_room_that_will_be_dismissed(site: Site, field: str, at: int) -> None:
    """A clock far ahead counts as now."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await tell(site, {"EventType": DISMISS, "EventInfo": {"RoomId": room_id, field: at}})
    assert await inside(site, people[0], room_id) == {room_id: 1}
    await enter(site, people[1], room_id)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_whoever_enters_is_online(start: Start) -> None:
    """103 is a sign of life, of those who were offline too; it makes nobody a member."""
    site = await start(toml=QUICK, TRTC_CALLBACK_KEY=KEY, **SIGNED_IM)
    people = [await site.sign_up() for _ in range(4)]
    owner, viewer, asker, stranger = people
    room_id = await full_room(site, owner, viewer, asker)
    gone = [state_of(user.user_id, "Disconnect", "TimeOut") for user in (owner, viewer)]

    async def offline() -> bool:
        for body in gone:
            await tell_im(site, STATE, body)
        return await inside(site, asker, room_id) == {room_id: 0, viewer.user_id: 0, asker.user_id: 1}

    await until(offline)
    assert await status(site, asker, room_id) == 1
    await tell(site, entry_of(int(room_id), room_id, now_ms() - 60_000, Role=20))
    await tell(site, entry_of(int(room_id), stranger.user_id))
    await tell(site, entry_of(int(room_id), "10000000"))
    await asyncio.sleep(0.3)
    assert await offline(), "that was long ago, or somebody else"
    await tell(site, entry_of(int(room_id), room_id, Role=20))

    async def visible() -> bool:
        return await status(site, asker, room_id) == 0

    await until(visible)
    assert await inside(site, asker, room_id) == {room_id: 1, viewer.user_id: 0, asker.user_id: 1}
    await tell(site, entry_of("another room", viewer.user_id))

    async def both() -> bool:
        return await inside(site, asker, room_id) == {room_id: 1, viewer.user_id: 1, asker.user_id: 1}

    await until(both)


# Trouble here.


async def away_and_back(site: Site, owner: User, kind: int) -> None:
    content = json.dumps(event(kind, owner.user_id, owner.user_id)).encode()
    before = await counted(site, "trtc", "failed")
    site.sql("ALTER TABLE rooms RENAME TO away")
    began = time.monotonic()
    reply = await posted(site, content)
    assert (reply.status_code, reply.json()) == (503, FAIL)
    assert time.monotonic() - began < 5
    site.sql("ALTER TABLE away RENAME TO rooms")
    assert await counted(site, "trtc", "failed") == before + 1
    reply = await posted(site, content)
    assert (reply.status_code, reply.content) == (200, OK)


@pytest.mark.parametrize("kind", [DISMISS, EXIT])
async def test_the_database_is_away(site: Site, kind: int) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await away_and_back(site, people[0], kind)
    left = {DISMISS: {room_id: 1}, EXIT: {people[1].user_id: 1}}
    assert await inside(site, people[0], room_id) == left[kind]


async def test_slower_than_the_vendor_waits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in time that it is not done, and goes on; what it sends again is done already."""
    assert callbacks.TRTC_ANSWER_S == 4.5
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    may, exited = asyncio.Event(), CallbackService.exited

    async def slow(*args: Any) -> None:
        await may.wait()
        await exited(*args)

    monkeypatch.setattr(CallbackService, "exited", slow)
    content = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    began = time.monotonic()
    reply = await posted(site, content)
    assert (reply.status_code, reply.json()) == (503, FAIL)
    assert 4.4 < time.monotonic() - began < 8
    may.set()

    async def gone() -> bool:
        return len(await inside(site, people[0], room_id)) == 1

    await until(gone)
    assert (await posted(site, content)).content == OK


# Several tenants.


async def test_tenants_that_share_an_application(start: Start) -> None:
    toml = SHARED.replace("im_callback_token", "trtc_callback_key").replace("TOKEN", KEY)
    site = await start(toml=toml, **SIGNED)
    own = [await site.sign_up() for _ in range(2)]
    acme = [await site.sign_up(**ACME) for _ in range(2)]
    for people in (own, acme):
        await full_room(site, *people)
    await tell(site, exit_of(int(own[0].user_id), own[1].user_id))
    assert len(await inside(site, own[0], own[0].user_id)) == 1
    assert len(await inside(site, acme[0], acme[0].user_id)) == 2
    await tell(site, event(DISMISS, acme[0].user_id))
    assert len(await inside(site, acme[0], acme[0].user_id)) == 1
    await enter(site, own[1], own[0].user_id)
    await tell(site, event(DISMISS, int(own[0].user_id)))
    assert await inside(site, own[0], own[0].user_id) == {own[0].user_id: 1}


async def test_tenants_of_two_keys(start: Start) -> None:
    """Of one application or of two, a key speaks for its own tenant only."""
    toml = SHARED.replace("im_callback_token", "trtc_callback_key").replace("TOKEN", "acme5key")
    site = await start(toml=toml, **SIGNED)
    own = [await site.sign_up() for _ in range(2)]
    acme = [await site.sign_up(**ACME) for _ in range(2)]
    for people in (own, acme):
        await full_room(site, *people)
    bodies = [json.dumps(exit_of(people[0].user_id, people[1].user_id)).encode() for people in (own, acme)]
    for content, key in ((bodies[0], "acme5key"), (bodies[1], KEY)):
        assert (await posted(site, content, Sign=sign(content, key))).content == OK
    assert len(await inside(site, own[0], own[0].user_id)) == 2
    assert len(await inside(site, acme[0], acme[0].user_id)) == 2
    for content, key in ((bodies[0], KEY), (bodies[1], "acme5key")):
        assert (await posted(site, content, Sign=sign(content, key))).content == OK
    assert len(await inside(site, own[0], own[0].user_id)) == 1
    assert len(await inside(site, acme[0], acme[0].user_id)) == 1


async def test_tenants_of_two_applications(start: Start) -> None:
    toml = SHARED.replace("im_callback_token", "trtc_callback_key").replace("TOKEN", "acme5key")
    site = await start(toml=toml.replace(APP_ID, "1400000002"), **SIGNED)
    acme = [await site.sign_up(**ACME) for _ in range(2)]
    room_id = await full_room(site, *acme)
    content = json.dumps(exit_of(room_id, acme[1].user_id)).encode()
    for app_id, key in ((APP_ID, "acme5key"), ("1400000002", KEY)):
        assert (await posted(site, content, Sign=sign(content, key), SdkAppId=app_id)).status_code == 401
    assert (await posted(site, content)).content == OK, "of the other application: nobody there"
    assert len(await inside(site, acme[0], room_id)) == 2
    assert (await posted(site, content, Sign=sign(content, "acme5key"), SdkAppId="1400000002")).content == OK
    assert len(await inside(site, acme[0], room_id)) == 1
