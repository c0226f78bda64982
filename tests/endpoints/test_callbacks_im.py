"""IM callbacks over the whole app: who is believed, what is answered, and what they do to members."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest

from liveroom import back_ends
from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.endpoints import callbacks
from liveroom.model import Tenant
from liveroom.ports.messaging import MessagingTrouble, Remedy
from liveroom.services.callbacks import CallbackService

from .sites import SETTINGS, Site, Start, User

PATH = "/base/v1/callbacks/im"
TOKEN = "xxxxyyyy"
VECTOR_AT = 1_669_872_112
VECTOR = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"
OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
FAIL = {"ActionStatus": "FAIL", "ErrorInfo": "", "ErrorCode": 1}
EMBEDDED = {"LIVEROOM_IM": "embedded"}
SIGNED = {**EMBEDDED, "TIM_CALLBACK_TOKEN": TOKEN}
QUICK = "[tenants.default.presence]\nbeat_timeout_s = 1\ngrace_s = 1\n"
APP_ID = SETTINGS["TRTC_TIM_APPID"]
MOST_BYTES = 2_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def proof(moment: object, token: str = TOKEN) -> dict[str, str]:
    """What the vendor adds to the query where a token is set."""
    return {"RequestTime": str(moment), "Sign": hashlib.sha256(f"{token}{moment}".encode()).hexdigest()}


async def posted(site: Site, command: str, content: bytes, path: str = PATH, **query: str | None) -> httpx.Response:
    """A callback as the vendor sends it; None leaves a part of the query away."""
    told = {"SdkAppid": APP_ID, "CallbackCommand": command, "contenttype": "json", "ClientIP": "203.0.113.7"}
    given = {**told, "OptPlatform": "iOS", **proof(int(time.time())), **query}
    params = {name: value for name, value in given.items() if value is not None}
    reply = await site.http.post(path, params=params, content=content, headers={"Content-Type": "application/json"})
    assert len(reply.content) + sum(len(name) + len(value) + 4 for name, value in reply.headers.raw) < MOST_BYTES
    return reply


async def tell(site: Site, command: str, body: dict[str, Any], **query: str | None) -> None:
    """A callback that has to be taken."""
    reply = await posted(site, command, json.dumps({"CallbackCommand": command, **body}).encode(), **query)
    assert (reply.status_code, reply.content) == (200, OK)
    assert reply.headers["content-type"] == "application/json"


def of_members(name: str, room_id: str, users: Sequence[str], **more: Any) -> dict[str, Any]:
    """The body of a group's callback about some members."""
    members = [{"Member_Account": user_id} for user_id in users]
    return {"GroupId": room_id, "Type": "AVChatRoom", name: members, "EventTime": now_ms(), **more}


def exit_of(room_id: str, *users: str, **more: Any) -> dict[str, Any]:
    return of_members("ExitMemberList", room_id, users, **{"ExitType": "Quit", "Operator_Account": "", **more})


def destroyed(room_id: str, **more: Any) -> dict[str, Any]:
    body = of_members("MemberList", room_id, [], Owner_Account="", Name=room_id, **more)
    return {name: value for name, value in body.items() if value is not None}


def state_of(user_id: str, action: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"EventTime": now_ms(), "Info": {"Action": action, "To_Account": user_id, "Reason": reason}, **more}


EXIT = "Group.CallbackAfterMemberExit"
GONE = "Group.CallbackAfterGroupDestroyed"
JOIN = "Group.CallbackAfterNewMemberJoin"
MEMBER_STATE = "Group.CallbackOnMemberStateChange"
STATE = "State.StateChange"


async def enter(site: Site, user: User, room_id: str, role: str = "audience") -> None:
    assert await site.code("rooms/enter_room", **user.ids, appId="0", roomId=room_id, role=role) == 0


async def inside(site: Site, asker: User, room_id: str) -> dict[str, int]:
    """Who is inside and whether online, after checking that the count is exact."""
    detail = await site.data("rooms/room_detail", **asker.ids, roomId=room_id)
    rows = await site.data("rooms/list_users", **asker.ids, roomId=room_id, limit=100)
    assert detail["nnUsers"] == len(rows)
    return {row["userId"]: row["online"] for row in rows}


async def status(site: Site, asker: User, room_id: str) -> int:
    return int((await site.data("rooms/room_detail", **asker.ids, roomId=room_id))["status"])


async def full_room(site: Site, *people: User) -> str:
    """The first one's room, and everybody inside: the owner, then audience."""
    for user in people:
        await enter(site, user, people[0].user_id, "anchor" if user is people[0] else "audience")
    return people[0].user_id


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 8) -> None:
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.05)


async def counted(site: Site, source: str, outcome: str) -> int:
    text = (await site.http.get("/metrics")).text
    line = rf'^liveroom_callbacks_total\{{outcome="{outcome}",source="{source}"\}} (\d+)'
    found = re.search(line, text, re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.fixture
async def site(start: Start) -> Site:
    return await start(**SIGNED)


@pytest.fixture
def at_vector(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Stops the clock so many seconds after the moment of the published vector."""

    def stop(after_s: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: (VECTOR_AT + after_s) * 10**9)

    return stop


# Who is believed.


@pytest.mark.parametrize("after_s", [-60, -1, 0, 1, 60])
async def test_the_published_vector(start: Start, at_vector: Callable[[int], None], after_s: int) -> None:
    at_vector(after_s)
    site = await start(**SIGNED)
    for sign in (VECTOR, VECTOR.upper()):
        reply = await posted(site, STATE, b"{}", Sign=sign, RequestTime=str(VECTOR_AT))
        assert (reply.status_code, reply.content) == (200, OK)


@pytest.mark.parametrize("after_s", [-86_400, -61, 61, 3_600, 10**8])
async def test_the_published_vector_at_another_time(
    start: Start, at_vector: Callable[[int], None], after_s: int
) -> None:
    at_vector(after_s)
    site = await start(**SIGNED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = json.dumps(exit_of(room_id, people[1].user_id, EventTime=now_ms())).encode()
    reply = await posted(site, EXIT, body, Sign=VECTOR, RequestTime=str(VECTOR_AT))
    assert (reply.status_code, reply.json()) == (401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2


NOW = int(time.time())
WRONG: dict[str, dict[str, str | None]] = {
    "another token's": proof(NOW, "xxxyyyy"),
    "of another moment": {"Sign": proof(1)["Sign"]},
    "another algorithm": {"Sign": hashlib.md5(TOKEN.encode()).hexdigest()},
    "cut": {"Sign": VECTOR[:-1]},
    "empty": {"Sign": ""},
    "no Sign": {"Sign": None},
    "no RequestTime": {"RequestTime": None},
    "neither": {"Sign": None, "RequestTime": None},
    "strange": {"Sign": "签\x00'"},
    "RequestTime empty": proof(""),
    "RequestTime a word": proof("soon"),
    "RequestTime other digits": proof("１６６９"),
    "RequestTime a fraction": proof(f"{NOW}.0"),
    "RequestTime in ms": proof(NOW * 1000),
    "RequestTime negative": proof(-NOW),
    "RequestTime endless": proof("9" * 6_000),
    "no SdkAppid": {"SdkAppid": None},
    "unknown SdkAppid": {"SdkAppid": "1400000001"},
    "SdkAppid a word": {"SdkAppid": "everybody"},
    "SdkAppid 0": {"SdkAppid": "0"},
    "SdkAppid misspelt": {"SdkAppid": None, "sdkappid": APP_ID},
}


async def test_not_believed(site: Site) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    before = await counted(site, "im", "refused")
    for what, query in WRONG.items():
        reply = await posted(site, EXIT, json.dumps(exit_of(room_id, people[1].user_id)).encode(), **query)
        assert (what, reply.status_code, reply.json()) == (what, 401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2
    assert await counted(site, "im", "refused") == before + len(WRONG)


@pytest.mark.parametrize("moved_s", [-62, -3_600, 62, 3_600])
async def test_an_old_or_early_signature(site: Site, moved_s: int) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    reply = await posted(site, EXIT, body, **proof(int(time.time()) + moved_s))
    assert (reply.status_code, reply.json()) == (401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_without_a_token_nobody_is_believed(start: Start) -> None:
    """An unset token is no token: not even a signature made with the empty text counts."""
    site = await start(**EMBEDDED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    for query in ({}, proof(int(time.time()), ""), {"Sign": None, "RequestTime": None}):
        reply = await posted(site, EXIT, body, **query)
        assert (reply.status_code, reply.json()) == (401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_in_dev_mode_unsigned_is_believed(start: Start) -> None:
    site = await start(LIVEROOM_DEV="on", **EMBEDDED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = exit_of(room_id, people[1].user_id)
    for app_id in (None, "1400000001", "0", ""):
        reply = await posted(site, EXIT, json.dumps(body).encode(), Sign=None, RequestTime=None, SdkAppid=app_id)
        assert (reply.status_code, reply.json()) == (401, FAIL)
    assert len(await inside(site, people[0], room_id)) == 2
    await tell(site, EXIT, body, Sign=None, RequestTime=None)
    assert await inside(site, people[0], room_id) == {people[0].user_id: 1}


async def test_in_dev_mode_a_token_counts(start: Start) -> None:
    site = await start(LIVEROOM_DEV="on", **SIGNED)
    reply = await posted(site, STATE, b"{}", Sign=None, RequestTime=None)
    assert (reply.status_code, reply.json()) == (401, FAIL)
    await tell(site, STATE, {})


async def test_a_token_from_the_file(start: Start) -> None:
    site = await start(toml='[tenants.default]\nim_callback_token = "from-the-file"\n', **EMBEDDED)
    assert (await posted(site, STATE, b"{}")).status_code == 401
    await tell(site, STATE, {}, **proof(int(time.time()), "from-the-file"))


async def test_without_trtc(start: Start) -> None:
    site = await start(TRTC_TIM_APPID=None, TRTC_TIM_SECRET=None, **SIGNED)
    assert (await posted(site, STATE, b"{}")).status_code == 503
    assert (await posted(site, STATE, b"{}", SdkAppid="0")).status_code == 503


# What is read and answered.

MALFORMED = [b"", b"{", b"[]", b'"text"', b"1", b"null", b'{"GroupId": "\xff"}', b"\xff\xfe{}", b"a=1&b=2"]
MALFORMED += [b"[" * 100_000, b'{"Info":' * 100_000, b'{"a":"\\ud800"}', b'{"EventTime":' + b"1" * 5_000 + b"}"]


async def test_malformed(site: Site) -> None:
    before = await counted(site, "im", "malformed")
    for body in MALFORMED:
        reply = await posted(site, EXIT, body)
        assert (body[:20], reply.status_code, reply.json()) == (body[:20], 400, FAIL)
        reply = await posted(site, EXIT, body, Sign="0")
        assert reply.status_code == 401, "who is not believed is told nothing else"
    assert await counted(site, "im", "malformed") == before + len(MALFORMED)


@pytest.mark.parametrize("size", [1_048_577, 2_000_000])
async def test_too_large(site: Site, size: int) -> None:
    reply = await posted(site, EXIT, b"{}".ljust(size))
    assert reply.status_code == 413
    assert (await posted(site, EXIT, b"{}".ljust(1_048_576))).content == OK


async def test_methods(site: Site) -> None:
    for path in (PATH, f"/release{PATH}"):
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            query = {"SdkAppid": APP_ID, "CallbackCommand": STATE, **proof(int(time.time()))}
            reply = await site.http.request(method, path, params=query)
            assert (method, reply.status_code, reply.headers["allow"]) == (method, 405, "POST")


@pytest.mark.parametrize("path", [f"/release{PATH}", f"/prod{PATH}", f"/test{PATH}/", f"/{PATH}/", "/blue" + PATH])
async def test_stage_prefixes(start: Start, path: str) -> None:
    site = await start(STAGE="blue", **SIGNED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    body = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    # httpx would read a doubled slash at the start as a host.
    reply = await posted(site, EXIT, body, path=f"http://liveroom.test{path}")
    assert (reply.status_code, reply.content) == (200, OK)
    assert len(await inside(site, people[0], room_id)) == 1


IGNORED: list[tuple[str | None, dict[str, Any]]] = [
    (None, {}),
    ("", {}),
    ("Group.CallbackAfterCreateGroup", {"GroupId": "r", "Owner_Account": "", "Type": "AVChatRoom", "MemberList": []}),
    ("Group.CallbackBeforeCreateGroup", {"Type": "AVChatRoom", "CreateGroupNum": 1, "EventTime": "1670574414123"}),
    ("Group.CallbackBeforeApplyJoinGroup", {"GroupId": "r", "Type": "AVChatRoom", "Requestor_Account": "10000001"}),
    ("Group.CallbackBeforeSendMsg", {"GroupId": "r", "From_Account": "10000001", "Random": 1, "MsgBody": []}),
    ("C2C.CallbackAfterSendMsg", {"From_Account": "10000001"}),
    ("group.callbackaftermemberexit", {"GroupId": "r"}),
    ("Some.Future\x00Command 签", {"x": None}),
    (STATE, {}),
    (STATE, {"Info": None}),
    (STATE, {"Info": []}),
    (STATE, {"Info": {"Action": "SetCustomStatus", "To_Account": "10000001"}}),
    (STATE, {"Info": {"Action": ["Login"], "To_Account": "10000001"}}),
    (MEMBER_STATE, {"GroupId": "r", "MemberList": [{"Member_Account": "10000001"}]}),
    (MEMBER_STATE, {"GroupId": "r", "EventType": "Away", "MemberList": [{"Member_Account": "10000001"}]}),
]


@pytest.mark.parametrize(("command", "body"), IGNORED)
async def test_ignored_and_counted(site: Site, command: str | None, body: dict[str, Any]) -> None:
    before = await counted(site, "im", "ignored")
    reply = await posted(site, "", json.dumps(body).encode(), CallbackCommand=command)
    assert (reply.status_code, reply.content) == (200, OK)
    assert await counted(site, "im", "ignored") == before + 1


STRANGE: list[Any] = ["", " ", "x" * 49, "签", "a b", "r\n", "\x00", "@TGS#1", "'; DROP TABLE rooms --", "-1", "../r"]
STRANGE += [None, True, 1.5, [], {}, ["r"], 10**30, -1, 0, 2**63]


LISTS = ("ExitMemberList", "NewMemberList", "MemberList")


@pytest.mark.parametrize("command", [EXIT, GONE, JOIN, MEMBER_STATE, STATE])
async def test_strange_ids(site: Site, command: str) -> None:
    """Nobody is there by such a name, and nothing goes wrong."""
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    for value in STRANGE:
        for group_id, account in ((room_id, value), (value, owner.user_id), (value, value)):
            body: dict[str, Any] = {name: [{"Member_Account": account}, account] for name in LISTS}
            body |= {"Info": {"Action": "Logout", "To_Account": value}, "EventType": "Offline", "GroupId": group_id}
            await tell(site, command, body)
        await tell(site, command, {**dict.fromkeys((*LISTS, "Info", "EventType"), value), "GroupId": room_id})
    assert await inside(site, owner, room_id) == {owner.user_id: 1}


@pytest.mark.parametrize("command", [EXIT, JOIN, MEMBER_STATE, STATE])
async def test_missing_fields(site: Site, command: str) -> None:
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    whole = exit_of(room_id, owner.user_id) | {"Info": {"Action": "Logout", "To_Account": owner.user_id}}
    for body in ({}, {"GroupId": room_id}, {"ExitMemberList": whole["ExitMemberList"]}, {"Info": {"Action": "Logout"}}):
        await tell(site, command, body)
    await tell(site, command, {"ExitMemberList": [{}, None, 1, {"Account": owner.user_id}], "GroupId": room_id})
    assert await inside(site, owner, room_id) == {owner.user_id: 1}


# What they do.


async def test_whoever_exits_leaves(site: Site) -> None:
    people = [await site.sign_up() for _ in range(5)]
    room_id = await full_room(site, *people)
    owner, *audience = [user.user_id for user in people]
    before = await counted(site, "im", "done")
    await tell(site, EXIT, exit_of(room_id, audience[0]))
    assert await inside(site, people[0], room_id) == dict.fromkeys((owner, *audience[1:]), 1)
    both = exit_of(room_id, audience[2], audience[3], audience[3], ExitType="Kicked", EventTime=str(now_ms()))
    await tell(site, EXIT, both)
    assert await inside(site, people[0], room_id) == {owner: 1, audience[1]: 1}
    for _ in range(2):
        await tell(site, EXIT, exit_of(room_id, audience[2], "10000000", "nobody"))
    assert await inside(site, people[0], room_id) == {owner: 1, audience[1]: 1}
    assert await counted(site, "im", "done") == before + 4
    detail = await site.data("rooms/room_detail", **people[0].ids, roomId=room_id)
    assert (detail["nnUsers"], detail["totalJoined"], detail["status"]) == (2, 5, 0)


async def test_the_owner_exits(site: Site) -> None:
    """As if it had left: the room is hidden, and visible again once the owner is back."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await tell(site, EXIT, exit_of(room_id, room_id))
    assert await inside(site, people[1], room_id) == {people[1].user_id: 1}
    assert await status(site, people[1], room_id) == 1
    await enter(site, people[0], room_id)
    assert await status(site, people[1], room_id) == 0


@pytest.mark.parametrize("form", [int, str])
async def test_an_exit_before_the_entry(site: Site, form: Callable[[int], object]) -> None:
    """Told late, or again: whoever has entered since stays."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    gone = exit_of(room_id, people[1].user_id, EventTime=form(now_ms()))
    await tell(site, EXIT, gone)
    assert len(await inside(site, people[0], room_id)) == 1
    await asyncio.sleep(0.002)
    await enter(site, people[1], room_id)
    await tell(site, EXIT, gone)
    await tell(site, EXIT, {**gone, "EventTime": form(0)})
    await tell(site, EXIT, {**gone, "EventTime": form(1_629_883_332_497)})
    assert len(await inside(site, people[0], room_id)) == 2


@pytest.mark.parametrize("event_time", [None, "", "soon", 1.5, [], -1])
async def test_an_exit_without_a_time_is_now(site: Site, event_time: Any) -> None:
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await tell(site, EXIT, exit_of(room_id, people[1].user_id, EventTime=event_time))
    assert len(await inside(site, people[0], room_id)) == 1


@pytest.mark.parametrize("ahead_ms", [3_600_000, 10**15, 9_999_999_999_999_999])
async def test_an_exit_of_a_clock_that_runs_ahead(site: Site, ahead_ms: int) -> None:
    """It counts as now, not as something that is still to come."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    at = min(now_ms() + ahead_ms, 9_999_999_999_999_999)
    await tell(site, EXIT, exit_of(room_id, people[1].user_id, EventTime=at))
    assert len(await inside(site, people[0], room_id)) == 1
    await enter(site, people[1], room_id)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_other_rooms_stay_as_they_are(site: Site) -> None:
    people = [await site.sign_up() for _ in range(3)]
    rooms = [await full_room(site, people[0], people[2]), await full_room(site, people[1], people[2])]
    await tell(site, EXIT, exit_of("no-such-room", people[2].user_id))
    await tell(site, EXIT, exit_of(rooms[0], people[2].user_id))
    assert await inside(site, people[0], rooms[0]) == {rooms[0]: 1}
    assert await inside(site, people[0], rooms[1]) == {rooms[1]: 1, people[2].user_id: 1}


async def test_gone_and_back(start: Start) -> None:
    """Every way to lose the connection, but not for whoever beats; and every way to be back."""
    site = await start(toml=QUICK, **SIGNED)
    people = [await site.sign_up() for _ in range(7)]
    room_id = await full_room(site, *people)
    owner, logout, close, silent, offline, beating, calm = (user.user_id for user in people)
    asker = people[-1]
    gone = [
        (STATE, state_of(owner, "Disconnect", "LinkClose")),
        (STATE, state_of(logout, "Logout", "Unregister")),
        (STATE, state_of(close, "Disconnect", "LinkClose", EventTime=str(now_ms()))),
        (STATE, state_of(silent, "Disconnect", "TimeOut")),
        (MEMBER_STATE, of_members("MemberList", room_id, [offline], EventType="Offline")),
        (STATE, state_of(beating, "Disconnect", "TimeOut")),
        (MEMBER_STATE, of_members("MemberList", room_id, [beating, "10000000"], EventType="Offline")),
        (STATE, state_of("10000000", "Logout", "Unregister")),
    ]

    async def told() -> bool:
        # Again and again, as the vendor may; signs of life are written down a moment later than told.
        for command, body in gone:
            await tell(site, command, body)
        assert await site.code("auth_users/user_keepalive", **people[5].ids) == 0
        return sum((await inside(site, asker, room_id)).values()) <= 2

    await until(told)
    everybody = [user.user_id for user in people]
    assert await inside(site, asker, room_id) == {name: int(name in {beating, calm}) for name in everybody}
    assert await status(site, asker, room_id) == 1
    kicked = [{"Platform": "Windows"}, {"Platform": "Android"}]
    for command, body in (
        (STATE, state_of(owner, "Login", "Register", KickedDevice=kicked)),
        (JOIN, of_members("NewMemberList", room_id, [logout], JoinType="Apply", Operator_Account=logout)),
        (MEMBER_STATE, of_members("MemberList", room_id, [close, silent], EventType="Online")),
        (STATE, state_of(offline, "Login", "Register", EventTime=str(now_ms()))),
    ):
        await tell(site, command, body)

    async def back() -> bool:
        assert await site.code("auth_users/user_keepalive", **people[5].ids) == 0
        return sum((await inside(site, asker, room_id)).values()) == len(everybody)

    await until(back)
    assert await status(site, asker, room_id) == 0
    for command, body in gone:
        await tell(site, command, body)
    for _ in range(10):
        assert await back(), "what was told before is nothing new"
        await asyncio.sleep(0.2)


async def test_a_disconnect_right_after_the_first_call(start: Start) -> None:
    """The call is heard before the disconnect, however late the service writes it down."""
    site = await start(toml=QUICK, **SIGNED)
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    for _ in range(6):
        user = await site.sign_up()
        await enter(site, user, room_id)
        await tell(site, STATE, state_of(user.user_id, "Disconnect", "LinkClose"))

    async def all_offline() -> bool:
        return sum((await inside(site, owner, room_id)).values()) == 1

    await until(all_offline)


async def test_a_login_makes_nobody_a_member(site: Site) -> None:
    owner, other = await site.sign_up(), await site.sign_up()
    room_id = await full_room(site, owner)
    await tell(site, STATE, state_of(other.user_id, "Login", "Register"))
    body = of_members("NewMemberList", room_id, [other.user_id, "10000000"], JoinType="Invited")
    await tell(site, JOIN, body)
    assert await inside(site, owner, room_id) == {room_id: 1}
    assert await site.code("auth_users/user_logout", **other.ids) == 0
    await tell(site, STATE, state_of(other.user_id, "Login", "Register"))
    assert await site.code("auth_users/user_keepalive", **other.ids) == 204, "it opens no session either"


# The group is gone.

DEFAULT = Tenant(name="default")


class Vendor(EmbeddedMessaging):
    """The vendor as a test wants it; it may be in trouble, or not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble = False
        self.tells = True
        self.asked: list[str] = []

    async def groups(self, tenant: Tenant, group_ids: Sequence[str]) -> dict[str, bool]:
        self.asked += group_ids
        if self.trouble:
            raise MessagingTrouble(Remedy.RETRY, 60008, "time-out")
        return await super().groups(tenant, group_ids) if self.tells else {}


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    made = Vendor()
    monkeypatch.setattr(back_ends, "_messaging", lambda *_: made)
    return made


async def test_a_group_that_is_gone(vendor: Vendor, start: Start) -> None:
    site = await start(**SIGNED)
    people = [await site.sign_up() for _ in range(4)]
    room_id = await full_room(site, *people)
    await tell(site, GONE, destroyed(room_id))
    assert len(await inside(site, people[0], room_id)) == 4, "the vendor says that it is there"
    await vendor.destroy_group(DEFAULT, room_id)
    vendor.trouble = True
    await tell(site, GONE, destroyed(room_id))
    vendor.trouble, vendor.tells = False, False
    await tell(site, GONE, destroyed(room_id))
    assert len(await inside(site, people[0], room_id)) == 4, "the vendor does not say"
    vendor.tells = True
    asked = len(vendor.asked)
    await tell(site, GONE, destroyed(room_id, EventTime=now_ms() - 60_000))
    await tell(site, GONE, destroyed("no-such-room"))
    assert len(await inside(site, people[0], room_id)) == 4, "that was before the opening"
    assert vendor.asked[asked:] == []
    await tell(site, GONE, destroyed(room_id, EventTime=str(now_ms())))
    assert await inside(site, people[0], room_id) == {room_id: 1}
    assert await status(site, people[0], room_id) == 0
    await enter(site, people[1], room_id)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_a_group_that_is_gone_without_a_time(vendor: Vendor, start: Start) -> None:
    """Older documents name no EventTime."""
    site = await start(**SIGNED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await vendor.destroy_group(DEFAULT, room_id)
    await tell(site, GONE, destroyed(room_id, EventTime=None))
    assert await inside(site, people[0], room_id) == {room_id: 1}


async def test_the_group_of_an_opening_that_is_over(vendor: Vendor, start: Start) -> None:
    """Our own destroy_room destroys the group; told late, it does nothing to the next opening."""
    site = await start(**SIGNED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    assert await site.code("rooms/destroy_room", **people[0].ids, roomId=room_id) == 0
    told = destroyed(room_id)
    await tell(site, GONE, told)
    await asyncio.sleep(0.002)
    await full_room(site, *people)
    await vendor.destroy_group(DEFAULT, room_id)
    await tell(site, GONE, told)
    assert len(await inside(site, people[0], room_id)) == 2


async def test_members_of_a_group_that_entered_later_stay(vendor: Vendor, start: Start) -> None:
    site = await start(**SIGNED)
    people = [await site.sign_up() for _ in range(3)]
    room_id = await full_room(site, *people[:2])
    await vendor.destroy_group(DEFAULT, room_id)
    told = destroyed(room_id)
    await asyncio.sleep(0.002)
    await enter(site, people[2], room_id)
    await tell(site, GONE, told)
    assert await inside(site, people[0], room_id) == {room_id: 1, people[2].user_id: 1}


@pytest.mark.parametrize("at", [10**13, 9_223_372_036_854_775, 9_999_999_999_999_999])
async def test_a_group_that_will_be_gone(vendor: Vendor, start: Start, at: int) -> None:
    """A clock far ahead counts as now."""
    site = await start(**SIGNED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    await vendor.destroy_group(DEFAULT, room_id)
    await tell(site, GONE, destroyed(room_id, EventTime=at))
    assert await inside(site, people[0], room_id) == {room_id: 1}


# Trouble here.


async def test_the_database_is_away(site: Site) -> None:
    owner = await site.sign_up()
    room_id = await full_room(site, owner)
    before = await counted(site, "im", "failed")
    site.sql("ALTER TABLE rooms RENAME TO away")
    began = time.monotonic()
    for command in (EXIT, GONE):
        body = {**exit_of(room_id, owner.user_id), **destroyed(room_id)}
        reply = await posted(site, command, json.dumps(body).encode())
        assert (reply.status_code, reply.json()) == (503, FAIL)
    assert time.monotonic() - began < 2
    site.sql("ALTER TABLE away RENAME TO rooms")
    assert await counted(site, "im", "failed") == before + 2
    await tell(site, EXIT, exit_of(room_id, owner.user_id))
    assert await inside(site, owner, room_id) == {}


async def test_the_sessions_are_away(site: Site) -> None:
    owner = await site.sign_up()
    site.sql("ALTER TABLE sessions RENAME TO away")
    for action in ("Login", "Logout"):
        body = json.dumps(state_of(owner.user_id, action, "")).encode()
        reply = await posted(site, STATE, body)
        assert (reply.status_code, reply.json()) == (503, FAIL)


async def test_the_state_store_is_away(start: Start) -> None:
    """What needs it is sent again; exits go on."""
    site = await start(LIVEROOM_STATE_URL="redis://127.0.0.1:1/0", **SIGNED)
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)

    async def known() -> bool:
        return await site.code("auth_users/user_keepalive", **people[0].ids) == 100

    await until(known)
    began = time.monotonic()
    reply = await posted(site, STATE, json.dumps(state_of(room_id, "Login", "Register")).encode())
    assert (reply.status_code, reply.json()) == (503, FAIL)
    assert time.monotonic() - began < 2
    await tell(site, EXIT, exit_of(room_id, people[1].user_id))
    assert list(await inside(site, people[0], room_id)) == [room_id]


async def test_a_fault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(CallbackService, "exited", broken)
    reply = await posted(site, EXIT, json.dumps(exit_of("r", "10000001")).encode())
    assert (reply.status_code, reply.json()) == (503, FAIL)
    assert "not foreseen" not in reply.text


async def test_slower_than_the_vendor_waits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in time that it is not done, and goes on."""
    people = [await site.sign_up() for _ in range(2)]
    room_id = await full_room(site, *people)
    may, exited = asyncio.Event(), CallbackService.exited

    async def slow(*args: Any) -> None:
        await may.wait()
        await exited(*args)

    monkeypatch.setattr(CallbackService, "exited", slow)
    body = json.dumps(exit_of(room_id, people[1].user_id)).encode()
    began = time.monotonic()
    reply = await posted(site, EXIT, body)
    assert (reply.status_code, reply.json()) == (503, FAIL)
    assert 1.7 < time.monotonic() - began < 4
    assert len(await inside(site, people[0], room_id)) == 2
    may.set()

    async def gone() -> bool:
        return len(await inside(site, people[0], room_id)) == 1

    await until(gone)
    await tell(site, EXIT, json.loads(body))


async def test_too_many_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    may = asyncio.Event()

    async def slow(*_: object) -> None:
        await may.wait()

    monkeypatch.setattr(CallbackService, "exited", slow)
    monkeypatch.setattr(callbacks, "MOST_RUNNING", 3)
    monkeypatch.setattr(callbacks, "IM_ANSWER_S", 0.05)
    body = json.dumps(exit_of("r", "10000001")).encode()
    replies = await asyncio.gather(*(posted(site, EXIT, body) for _ in range(6)))
    assert {reply.status_code for reply in replies} == {503}
    assert await counted(site, "im", "overloaded") >= 3
    may.set()

    async def goes() -> bool:
        return (await posted(site, EXIT, body)).status_code == 200

    await until(goes)


async def test_a_long_list(site: Site) -> None:
    """A group's whole audience may be named at once."""
    people = [await site.sign_up() for _ in range(3)]
    room_id = await full_room(site, *people)
    strangers = [str(number) for number in range(10_000_000, 10_001_000)]
    await tell(site, EXIT, exit_of(room_id, *strangers, people[1].user_id))
    await tell(site, JOIN, of_members("NewMemberList", room_id, [*strangers, people[1].user_id]))
    assert len(await inside(site, people[0], room_id)) == 2


# Several tenants.

SHARED = f"""
[tenants.acme]
sdk_app_id = {APP_ID}
secret = "{SETTINGS["TRTC_TIM_SECRET"]}"
im_callback_token = "TOKEN"
"""
ACME = {"apaasAppId": "acme"}
OTHER = "acme-token"


async def test_tenants_that_share_an_application(start: Start) -> None:
    """The id's prefix tells them apart."""
    site = await start(toml=SHARED.replace("TOKEN", TOKEN), **SIGNED)
    own = [await site.sign_up() for _ in range(2)]
    acme = [await site.sign_up(**ACME) for _ in range(2)]
    for people in (own, acme):
        await full_room(site, *people)
    mixed = (own[1].user_id, acme[1].user_id)
    await tell(site, EXIT, exit_of(own[0].user_id, *mixed))
    assert await inside(site, own[0], own[0].user_id) == {own[0].user_id: 1}
    assert len(await inside(site, acme[0], acme[0].user_id)) == 2
    await tell(site, EXIT, exit_of(acme[0].user_id, *mixed))
    assert await inside(site, acme[0], acme[0].user_id) == {acme[0].user_id: 1}


async def test_a_room_of_one_name_in_tenants_that_share_an_application(start: Start) -> None:
    """A room id that a client chose has no prefix; the user's has."""
    site = await start(toml=SHARED.replace("TOKEN", TOKEN), **SIGNED)
    own, acme = await site.sign_up(), await site.sign_up(**ACME)
    for user in (own, acme):
        await enter(site, user, "mine")
    await tell(site, EXIT, exit_of("mine", acme.user_id))
    assert await inside(site, own, "mine") == {own.user_id: 1}
    assert await inside(site, acme, "mine") == {}


async def test_tenants_that_share_an_application_and_not_the_token(start: Start) -> None:
    """A token speaks for its own tenant only."""
    site = await start(toml=SHARED.replace("TOKEN", OTHER), **SIGNED)
    own = [await site.sign_up() for _ in range(2)]
    acme = [await site.sign_up(**ACME) for _ in range(2)]
    for people in (own, acme):
        await full_room(site, *people)
    by_acme = proof(int(time.time()), OTHER)
    await tell(site, EXIT, exit_of(own[0].user_id, own[1].user_id), **by_acme)
    await tell(site, EXIT, exit_of(acme[0].user_id, acme[1].user_id))
    assert len(await inside(site, own[0], own[0].user_id)) == 2
    assert len(await inside(site, acme[0], acme[0].user_id)) == 2
    await tell(site, EXIT, exit_of(own[0].user_id, own[1].user_id))
    await tell(site, EXIT, exit_of(acme[0].user_id, acme[1].user_id), **by_acme)
    assert len(await inside(site, own[0], own[0].user_id)) == 1
    assert len(await inside(site, acme[0], acme[0].user_id)) == 1


async def test_tenants_of_two_applications(start: Start) -> None:
    site = await start(toml=SHARED.replace("TOKEN", OTHER).replace(APP_ID, "1400000002"), **SIGNED)
    own = [await site.sign_up() for _ in range(2)]
    acme = [await site.sign_up(**ACME) for _ in range(2)]
    for people in (own, acme):
        await full_room(site, *people)
    by_acme = proof(int(time.time()), OTHER)
    body = exit_of(acme[0].user_id, acme[1].user_id)
    for query in (by_acme, {"SdkAppid": "1400000002"}):
        reply = await posted(site, EXIT, json.dumps(body).encode(), **query)
        assert (reply.status_code, reply.json()) == (401, FAIL)
    await tell(site, EXIT, exit_of(own[0].user_id, own[1].user_id), SdkAppid="1400000002", **by_acme)
    assert len(await inside(site, own[0], own[0].user_id)) == 2
    await tell(site, EXIT, body, SdkAppid="1400000002", **by_acme)
    assert len(await inside(site, acme[0], acme[0].user_id)) == 1
