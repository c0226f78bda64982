"""Readable requests with wrong parameters: each call answers its own code, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from calls import BY_PATH, CALLS, SOME_ROOM, WITH_TOKEN, Call, somebody_at
from envelopes import Account, ask, code_of, data_of, is_open, keepalive_codes, sign_in, sign_up
from wire import Service, Topology, fresh_name

NO_SCALARS: list[object] = [True, False, 1.5, {"a": 1}, {}, ["10000000"], [1], [["x"]]]
ABSENT: list[object] = ["", None]
SCALARS = {
    "oauth/register": ["username", "salt"],
    "oauth/signature": ["username", "signature", "tag", "ts", "nonce", "hash", "nickname", "avatar"],
    "auth_users/user_login_token": ["userId", "token"],
    "auth_users/user_delete": ["userId", "token"],
    "auth_users/user_update": ["userId", "token", "name", "tag", "tag2", "avatar"],
    "auth_users/user_query": ["userId", "token", "searchUserId", "searchPhone"],
    "auth_users/user_keepalive": ["userId", "token"],
    "rooms/generate_roomid": ["userId", "token", "category", "title"],
    "rooms/enter_room": ["userId", "token", "appId", "roomId", "role", "category", "title", "type"],
    "rooms/leave_room": ["userId", "token", "roomId"],
    "rooms/destroy_room": ["userId", "token", "roomId"],
    "rooms/update_room": [
        "userId",
        "token",
        "roomId",
        "category",
        "title",
        "cover",
        "subject",
        "description",
        "role",
    ],
    "rooms/room_detail": ["userId", "token", "roomId"],
    "rooms/query_room": [
        "userId",
        "token",
        "appId",
        "category",
        "startUtc",
        "endUtc",
        "offset",
        "limit",
        "orderBy",
    ],
    "rooms/list_users": ["userId", "token", "roomId", "offset", "limit"],
}
LONGEST = {
    "oauth/register": {"username": 125, "salt": 256},
    "oauth/signature": {"username": 125, "nickname": 125, "avatar": 512},
    "auth_users/user_update": {"name": 125, "tag": 32, "tag2": 32, "avatar": 512},
    "auth_users/user_query": {"searchUserId": 128},
    "rooms/generate_roomid": {"category": 32, "title": 200},
    "rooms/enter_room": {"roomId": 48, "category": 32, "role": 32, "title": 200},
    "rooms/leave_room": {"roomId": 48},
    "rooms/destroy_room": {"roomId": 48},
    "rooms/update_room": {
        "roomId": 48,
        "category": 32,
        "title": 200,
        "cover": 512,
        "subject": 64,
        "description": 512,
        "role": 32,
    },
    "rooms/room_detail": {"roomId": 48},
    "rooms/query_room": {"category": 32},
    "rooms/list_users": {"roomId": 48},
}
OUT_OF_RANGE: list[tuple[str, dict[str, object]]] = [
    ("oauth/register", {"salt": "7" * 31}),
    ("oauth/signature", {"hash": "md4"}),
    ("auth_users/user_query", {"searchUserId": "10000000", "searchPhone": "+8610000000001"}),
    ("rooms/query_room", {"limit": 101}),
    ("rooms/query_room", {"limit": -1}),
    ("rooms/query_room", {"limit": "ten"}),
    ("rooms/query_room", {"limit": "1.5"}),
    ("rooms/query_room", {"limit": "1_0"}),
    ("rooms/query_room", {"limit": "１０"}),
    ("rooms/query_room", {"limit": 10**30}),
    ("rooms/query_room", {"offset": -1}),
    ("rooms/query_room", {"offset": 1_000_001}),
    ("rooms/query_room", {"offset": "0x10"}),
    ("rooms/query_room", {"startUtc": "yesterday"}),
    ("rooms/query_room", {"startUtc": "2024-02-30 00:00:00"}),
    ("rooms/query_room", {"endUtc": "2024-01-01 25:00:00"}),
    ("rooms/query_room", {"endUtc": 20240101}),
    ("rooms/query_room", {"roomIds": [str(number) for number in range(101)]}),
    ("rooms/query_room", {"roomIds": [{"a": 1}]}),
    ("rooms/query_room", {"roomIds": {"a": 1}}),
    ("rooms/query_room", {"roomIds": [True]}),
    ("rooms/list_users", {"limit": 101}),
    ("rooms/list_users", {"limit": -1}),
    ("rooms/list_users", {"offset": 1_000_001}),
    ("rooms/list_users", {"offset": "many"}),
]
NEEDED = [
    ("oauth/register", "username"),
    ("oauth/register", "salt"),
    ("oauth/signature", "username"),
    ("oauth/signature", "signature"),
    ("rooms/enter_room", "appId"),
    ("rooms/query_room", "appId"),
    ("rooms/leave_room", "roomId"),
    ("rooms/destroy_room", "roomId"),
    ("rooms/update_room", "roomId"),
    ("rooms/room_detail", "roomId"),
    ("rooms/list_users", "roomId"),
]
NO_ROOM_IDS = ["a,b", "a b", "房间", "@TGS#1", "x" * 49, "tab\t", "new\nline", "\u0000"]
INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE accounts; --",
    '" OR ""="',
    "\\' OR 1=1 #",
    "%",
    "_",
    "{{7*7}} ${7*7} %s %(x)s :name ?",
]


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def somebody(service: Service) -> Iterator[Account]:
    """After a request that was refused, everything is as before."""
    account = somebody_at(service.urls)
    yield account
    assert keepalive_codes(service, account.user_id, account.token) == {0}
    assert not is_open(service, account, SOME_ROOM)


def answer(service: Service, call: Call, somebody: Account, **changed: object) -> int:
    return code_of(service, call.path, **{**call.parameters(somebody), **changed})


@pytest.mark.parametrize(("path", "name"), [(path, name) for path in SCALARS for name in SCALARS[path]])
def test_not_a_scalar(service: Service, somebody: Account, path: str, name: str) -> None:
    call = BY_PATH[path]
    codes = {repr(value): answer(service, call, somebody, **{name: value}) for value in NO_SCALARS}
    assert codes == dict.fromkeys(codes, call.bad_parameter)


@pytest.mark.parametrize(("path", "name"), [(path, name) for path in LONGEST for name in LONGEST[path]])
def test_too_long(service: Service, somebody: Account, path: str, name: str) -> None:
    call = BY_PATH[path]
    for length in (LONGEST[path][name] + 1, 10_000):
        assert answer(service, call, somebody, **{name: "x" * length}) == call.bad_parameter


@pytest.mark.parametrize("name", ["userId", "token"])
@pytest.mark.parametrize("call", WITH_TOKEN, ids=str)
def test_ten_thousand_characters_of_credentials(service: Service, somebody: Account, call: Call, name: str) -> None:
    code = answer(service, call, somebody, **{name: "1" * 10_000})
    assert code in (call.bad_parameter, call.bad_token)


@pytest.mark.parametrize(("path", "wrong"), OUT_OF_RANGE)
def test_out_of_range(service: Service, somebody: Account, path: str, wrong: dict[str, object]) -> None:
    call = BY_PATH[path]
    assert answer(service, call, somebody, **wrong) == call.bad_parameter


@pytest.mark.parametrize("room_id", NO_ROOM_IDS)
@pytest.mark.parametrize("call", [call for call in CALLS if "roomId" in call.fits], ids=str)
def test_ids_that_name_no_im_group(service: Service, somebody: Account, call: Call, room_id: str) -> None:
    assert answer(service, call, somebody, roomId=room_id) == call.bad_parameter


@pytest.mark.parametrize(("path", "name"), NEEDED)
def test_missing(service: Service, somebody: Account, path: str, name: str) -> None:
    call = BY_PATH[path]
    without = {key: value for key, value in call.parameters(somebody).items() if key != name}
    codes = [answer(service, call, somebody, **{name: value}) for value in ABSENT]
    assert [*codes, code_of(service, path, **without)] == [call.bad_parameter] * 3


@pytest.mark.parametrize("name", ["userId", "token"])
@pytest.mark.parametrize("call", WITH_TOKEN, ids=str)
def test_missing_credentials(service: Service, call: Call, name: str) -> None:
    account = sign_up(service)
    without = {key: value for key, value in call.parameters(account).items() if key != name}
    codes = [answer(service, call, account, **{name: value}) for value in ABSENT]
    assert [*codes, code_of(service, call.path, **without)] == [call.without_token] * 3


def test_nothing_to_update(service: Service, somebody: Account) -> None:
    assert answer(service, BY_PATH["auth_users/user_update"], somebody, name="") == 205


def test_parameters_are_refused_before_the_token(service: Service, somebody: Account) -> None:
    call = BY_PATH["rooms/query_room"]
    assert answer(service, call, somebody, token="rubbish", limit=101) == 2002
    assert answer(service, call, somebody, token="rubbish") == 204


def test_a_refused_entry_opens_nothing(service: Service) -> None:
    account = sign_up(service)
    call = BY_PATH["rooms/enter_room"]
    assert answer(service, call, account, roomId=account.user_id, title="x" * 201) == 2000
    assert answer(service, call, account, roomId=account.user_id, role=["anchor"]) == 2000
    assert not is_open(service, account, account.user_id)


def test_a_refused_update_changes_nothing(service: Service) -> None:
    account = sign_up(service)
    room = {**account.credentials, "roomId": account.user_id}
    assert code_of(service, "rooms/enter_room", **room, appId=0, title="before") == 0
    assert code_of(service, "rooms/update_room", **room, title="after", cover="x" * 513) == 2000
    assert data_of(service, "rooms/room_detail", **room)["title"] == "before"
    assert code_of(service, "rooms/destroy_room", **room) == 0


@pytest.mark.parametrize("letter", ["a", "é", "播", "🎤"])
def test_the_longest_texts_fit(service: Service, letter: str) -> None:
    account = sign_up(service)
    names = {name: letter * length for name, length in LONGEST["auth_users/user_update"].items()}
    assert code_of(service, "auth_users/user_update", **account.credentials, **names) == 0
    told = data_of(service, "auth_users/user_query", **account.credentials)
    assert {name: told[name] for name in names} == names

    room = {**account.credentials, "roomId": "r" * 40 + account.user_id[:8]}
    texts = {name: letter * length for name, length in LONGEST["rooms/update_room"].items() if name != "roomId"}
    assert code_of(service, "rooms/enter_room", **room, appId=0) == 0
    assert code_of(service, "rooms/update_room", **room, **texts) == 0
    row = data_of(service, "rooms/room_detail", **room)
    del texts["role"]
    assert {name: row[name] for name in texts} == texts
    assert code_of(service, "rooms/destroy_room", **room) == 0


@pytest.mark.parametrize("evil", INJECTIONS)
def test_sql_in_a_name(service: Service, evil: str) -> None:
    name, salt = fresh_name(evil), fresh_name(evil.ljust(32))
    assert code_of(service, "oauth/register", username=name, salt=salt) == 0
    account = sign_in(service, name, salt)
    changes = {"name": evil, "tag": evil[:32], "tag2": evil[:32], "avatar": evil}
    assert code_of(service, "auth_users/user_update", **account.credentials, **changes) == 0

    told = data_of(service, "auth_users/user_query", **account.credentials)

    assert {key: told[key] for key in changes} == changes
    assert code_of(service, "oauth/signature", username=name + "' --", signature="0" * 32) == 98


@pytest.mark.parametrize("evil", INJECTIONS)
def test_sql_in_a_room(service: Service, evil: str) -> None:
    account = sign_up(service)
    room = {**account.credentials, "roomId": account.user_id}
    texts = {"title": evil, "subject": evil, "description": evil, "cover": evil, "category": evil[:32]}
    assert code_of(service, "rooms/enter_room", **room, appId=evil, role=evil[:32], type=evil) == 0
    assert code_of(service, "rooms/update_room", **room, **texts) == 0

    row = data_of(service, "rooms/room_detail", **room)

    assert {name: row[name] for name in texts} == texts
    found = data_of(service, "rooms/query_room", **account.credentials, appId=0, category=evil[:32], orderBy=evil)
    assert account.user_id in {each["roomId"] for each in found}
    assert {each["category"] for each in found} == {evil[:32]}, "`%` and `_` are letters, no wildcards"
    assert code_of(service, "rooms/destroy_room", **room) == 0


@pytest.mark.parametrize("evil", INJECTIONS)
def test_sql_where_somebody_is_looked_for(service: Service, somebody: Account, evil: str) -> None:
    assert answer(service, BY_PATH["auth_users/user_query"], somebody, searchUserId=evil) == 206
    for path in ("rooms/room_detail", "rooms/list_users", "rooms/update_room"):
        call = BY_PATH[path]
        code = answer(service, call, somebody, roomId=evil)
        assert code == (call.bad_parameter if " " in evil else 2004)
    for call in WITH_TOKEN:
        assert answer(service, call, somebody, token=evil) == call.bad_token


def test_stray_credentials_on_register(service: Service) -> None:
    """What iOS sends along before and after a login, and what nobody would."""
    stray = {"userId": "10000000", "token": "stale", "apaasUserId": "10000000", "appId": 0}
    body = ask(service, "oauth/register", username=fresh_name(), salt="8" * 32, **stray)
    assert body["errorCode"] == 0
