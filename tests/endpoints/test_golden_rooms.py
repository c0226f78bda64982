"""Golden replies of rooms/*: the exact bodies, with what differs from run to run named."""

from __future__ import annotations

import pytest

from .golden import NO_ROOM, NO_TOKEN, bad_parameter, done, refused, told
from .sites import Site, Start, User

ROW = {
    "roomId": "<host>",
    "category": "",
    "title": "",
    "ownBy": "<host>",
    "cover": "",
    "subject": "",
    "description": "",
    "createUtc": "<utc>",
    "updateUtc": "<utc>",
    "nnUsers": 1,
    "totalJoined": 1,
    "star": 0,
    "status": 0,
    "removed": 0,
}
TEXTS = {
    "category": "mlvb",
    "title": "直播 🎤",
    "subject": "s",
    "cover": "https://img.example/c.png",
    "description": "d",
}
IN_ANOTHER = refused(211, "UserAlreadyInRooms", "You are in another room already.")
ALREADY_INSIDE = refused(2006, "RoomsUserExists", "You are already in this room.")
BAD_CREATE = bad_parameter(2000, "RoomCreateParams")
BAD_QUERY = bad_parameter(2002, "RoomQueryParams")


@pytest.fixture
async def host(site: Site) -> User:
    return await site.sign_up("host")


@pytest.fixture
async def room(site: Site, host: User) -> dict[str, str]:
    """The host's open room."""
    assert await site.code("rooms/enter_room", **host.ids, roomId=host.user_id, appId="0") == 0
    return {"roomId": host.user_id}


@pytest.fixture
async def guest(site: Site) -> User:
    return await site.sign_up("guest")


@pytest.mark.parametrize(
    ("call", "more", "code", "name"),
    [
        ("generate_roomid", {}, 2000, "RoomCreateParams"),
        ("enter_room", {"appId": "0"}, 2000, "RoomCreateParams"),
        ("update_room", {"roomId": "r"}, 2000, "RoomCreateParams"),
        ("destroy_room", {"roomId": "r"}, 2001, "RoomDestroyParams"),
        ("query_room", {"appId": "0"}, 2002, "RoomQueryParams"),
        ("room_detail", {"roomId": "r"}, 2002, "RoomQueryParams"),
        ("list_users", {"roomId": "r"}, 2002, "RoomQueryParams"),
        ("leave_room", {"roomId": "r"}, 2003, "RoomLeaveParams"),
    ],
)
async def test_who_calls(site: Site, host: User, call: str, more: dict[str, str], code: int, name: str) -> None:
    """Missing is the call's parameter code, wrong is 204, and parameters are looked at first."""
    for ids in ({}, {"userId": host.user_id}, {"token": host.token}):
        body = await site.body(f"rooms/{call}", **ids, **more)
        assert told(body) == refused(code, name, "userId or token is missing.")
    wrong = {**host.ids, "token": host.token[:-1]}
    assert told(await site.body(f"rooms/{call}", **wrong, **more)) == NO_TOKEN
    assert told(await site.body(f"rooms/{call}", **{**wrong, "userId": 1.5}, **more)) == bad_parameter(code, name)


async def test_generate(site: Site, host: User) -> None:
    body = await site.body("rooms/generate_roomid", **host.ids, category="c", title="t")
    room = body["data"]["roomId"]
    assert told(body, room=room) == done("", {"roomId": "<room>"})
    assert 10_000_000 <= int(room) < 2**31
    assert told(await site.body("rooms/room_detail", **host.ids, roomId=room)) == NO_ROOM


async def test_enter(site: Site, host: User, guest: User) -> None:
    mine = {"appId": 0, "roomId": host.user_id}
    entered = await site.body("rooms/enter_room", **host.ids, **mine, role="anchor", type="TIMER_ROOM")
    assert told(entered, host=host.user_id) == done("", {"roomId": "<host>", "role": "anchor"})
    again = await site.body("rooms/enter_room", **host.ids, **mine)
    assert told(again, host=host.user_id) == done("", {"roomId": "<host>", "role": "anchor"})
    audience = await site.body("rooms/enter_room", **guest.ids, **mine)
    assert told(audience, host=host.user_id) == done("", {"roomId": "<host>", "role": ""})


async def test_enter_without_a_room(site: Site, host: User) -> None:
    body = await site.body("rooms/enter_room", **host.ids, appId="1400000000")
    room = body["data"]["roomId"]
    assert told(body, room=room) == done("", {"roomId": "<room>", "role": ""})
    detail = await site.data("rooms/room_detail", **host.ids, roomId=room)
    assert (detail["ownBy"], detail["createBy"]) == (host.user_id, host.user_id)


async def test_enter_refused(site: Site, host: User, guest: User) -> None:
    mine = {**host.ids, "appId": "0", "roomId": "r"}
    for wrong in ({"appId": ""}, {"appId": True}, {"roomId": "a,b"}, {"role": "x" * 33}, {"title": "x" * 201}):
        assert told(await site.body("rooms/enter_room", **{**mine, **wrong})) == BAD_CREATE
    await site.body("auth_users/user_delete", **guest.ids)
    assert told(await site.body("rooms/enter_room", **{**mine, "roomId": guest.user_id})) == NO_ROOM


@pytest.mark.parametrize(
    ("policy", "room", "expected", "still_there"),
    [
        ('exclusive_rooms = "reject"', "other", IN_ANOTHER, 1),
        ('exclusive_rooms = "move"', "other", done("", {"roomId": "other", "role": ""}), 0),
        ('exclusive_rooms = "off"', "other", done("", {"roomId": "other", "role": ""}), 1),
        ('reentry = "reject"', "first", ALREADY_INSIDE, 1),
        ('reentry = "refresh"', "first", done("", {"roomId": "first", "role": ""}), 1),
    ],
)
async def test_policies(start: Start, policy: str, room: str, expected: object, still_there: int) -> None:
    site = await start(toml=f"[tenants.default]\n{policy}\n")
    user = await site.sign_up()
    assert await site.code("rooms/enter_room", **user.ids, appId="0", roomId="first") == 0
    assert told(await site.body("rooms/enter_room", **user.ids, appId="0", roomId=room)) == expected
    assert len(await site.data("rooms/list_users", **user.ids, roomId="first")) == still_there


async def test_leave(site: Site, host: User, guest: User, room: dict[str, str]) -> None:
    for _ in range(2):
        assert told(await site.body("rooms/leave_room", **guest.ids, **room)) == done("")
    assert told(await site.body("rooms/leave_room", **guest.ids, roomId="gone")) == done("")
    wrong = await site.body("rooms/leave_room", **guest.ids, roomId="@TGS#1")
    assert told(wrong) == bad_parameter(2003, "RoomLeaveParams")


async def test_destroy(site: Site, host: User, guest: User, room: dict[str, str]) -> None:
    stranger = await site.body("rooms/destroy_room", **guest.ids, **room)
    assert told(stranger) == refused(98, "SystemVerifyError", "Only the owner may close this room.")
    for _ in range(2):
        assert told(await site.body("rooms/destroy_room", **host.ids, **room)) == done("")
    wrong = await site.body("rooms/destroy_room", **host.ids)
    assert told(wrong) == bad_parameter(2001, "RoomDestroyParams")


async def test_update(site: Site, host: User, guest: User, room: dict[str, str]) -> None:
    empty = dict.fromkeys(TEXTS, "")
    nothing = await site.body("rooms/update_room", **host.ids, **room)
    assert told(nothing, host=host.user_id) == done("", {"roomId": "<host>", **empty})
    all_of_it = await site.body("rooms/update_room", **host.ids, **room, **TEXTS)
    assert told(all_of_it, host=host.user_id) == done("", {"roomId": "<host>", **TEXTS})
    cleared = await site.body("rooms/update_room", **host.ids, **room, **{**empty, "cover": None})
    kept = {"category": TEXTS["category"], "cover": TEXTS["cover"]}
    assert told(cleared, host=host.user_id) == done("", {"roomId": "<host>", **empty, **kept})
    role = await site.body("rooms/update_room", **guest.ids, **room, role="anchor")
    assert told(role, host=host.user_id) == done("", {"roomId": "<host>", **empty, **kept})


async def test_update_refused(site: Site, host: User, guest: User, room: dict[str, str]) -> None:
    stranger = refused(98, "SystemVerifyError", "Only the owner may change this room.")
    for text in ({"title": "x"}, {"title": ""}, {"category": "x"}):
        assert told(await site.body("rooms/update_room", **guest.ids, **room, **text)) == stranger
    assert told(await site.body("rooms/update_room", **host.ids, roomId="gone", title="x")) == NO_ROOM
    assert told(await site.body("rooms/update_room", **host.ids, **room, cover="x" * 513)) == BAD_CREATE


async def test_detail(site: Site, host: User, guest: User, room: dict[str, str]) -> None:
    names = {"host": host.user_id, "guest": guest.user_id}
    fresh = await site.body("rooms/room_detail", **guest.ids, **room)
    assert told(fresh, **names) == done("", {**ROW, "createBy": "<host>", "updateBy": ""})

    await site.body("rooms/enter_room", **guest.ids, **room, appId="0")
    await site.body("rooms/update_room", **host.ids, **room, **TEXTS)
    await site.body("rooms/leave_room", **host.ids, **room)
    body = await site.body("rooms/room_detail", **guest.ids, **room)
    hidden = {**ROW, **TEXTS, "totalJoined": 2, "status": 1}
    assert told(body, **names) == done("", {**hidden, "createBy": "<host>", "updateBy": "<host>"})
    assert await site.body("rooms/query_room", **guest.ids, appId="0") == {**body, "data": []}, "hidden, not listed"


async def test_detail_refused(site: Site, host: User) -> None:
    assert told(await site.body("rooms/room_detail", **host.ids, roomId="gone")) == NO_ROOM
    assert told(await site.body("rooms/room_detail", **host.ids)) == BAD_QUERY


async def test_query(site: Site, host: User, guest: User) -> None:
    assert told(await site.body("rooms/query_room", **guest.ids, appId="0")) == done("", [])
    await site.body("rooms/enter_room", **host.ids, appId="0", roomId=host.user_id, **{**TEXTS, "cover": "ignored"})
    body = await site.body("rooms/query_room", **guest.ids, appId=0, category="mlvb", limit="1", offset=0)
    row = {**ROW, "category": TEXTS["category"], "title": TEXTS["title"]}
    assert told(body, host=host.user_id) == done("", [row])
    for wrong in ({"limit": 101}, {"offset": -1}, {"startUtc": "yesterday"}, {"roomIds": ["1"] * 101}, {"appId": None}):
        assert told(await site.body("rooms/query_room", **{**guest.ids, "appId": "0", **wrong})) == BAD_QUERY


async def test_list_users(site: Site, host: User, guest: User, room: dict[str, str]) -> None:
    await site.body("auth_users/user_update", **guest.ids, name="客人", avatar="https://img.example/g.png")
    await site.body("rooms/enter_room", **guest.ids, **room, appId="0", role="audience")
    body = await site.body("rooms/list_users", **guest.ids, **room)
    first = {"userId": "<host>", "apaasUserId": "<host>", "name": "", "avatar": "", "role": "", "online": 1}
    second = {"name": "客人", "avatar": "https://img.example/g.png", "role": "audience", "online": 1}
    ids = {"userId": "<guest>", "apaasUserId": "<guest>"}
    assert told(body, host=host.user_id, guest=guest.user_id) == done("", [first, {**ids, **second}])
    assert told(await site.body("rooms/list_users", **guest.ids, **room, offset=2)) == done("", [])
    assert told(await site.body("rooms/list_users", **guest.ids, roomId="gone")) == NO_ROOM
    assert told(await site.body("rooms/list_users", **guest.ids, **room, limit=-1)) == BAD_QUERY
