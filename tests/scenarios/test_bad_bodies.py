"""Bodies and queries nobody can read: refused with 98 by every call, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from calls import BY_PATH, CALLS, SOME_ROOM, WITH_TOKEN, Call, somebody_at
from envelopes import Account, envelope, is_open, keepalive_codes
from wire import FORM, JSON, Reply, Service, Topology, compact, fresh_name

MIB = 1_048_576
DEEP = 50_000

NO_JSON_OBJECT = {
    "cut off": b'{"userId": "1000',
    "no value": b'{"userId":}',
    "single quotes": b"{'userId': '10000000'}",
    "trailing comma": b'{"userId": "10000000",}',
    "two objects": b"{}{}",
    "NaN": b'{"limit": NaN}',
    "a list": b"[]",
    "a list of objects": b'[{"userId": "10000000"}]',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep lists, never closed": b"[" * DEEP,
    "deep objects": b'{"userId":' * DEEP + b"1" + b"}" * DEEP,
    "deep under a name": b'{"roomId":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "no UTF-8": b'{"title": "\xff\xfe"}',
    "half a letter": b'{"title": "\xe4\xbd"}',
    "no UTF-8 in a name": b'{"\xff": 1}',
}
NO_UTF8 = {
    "escaped": b"title=%FF%FE",
    "half a letter": b"title=%E4%BD",
    "surrogate": b"title=%ED%A0%80",
    "overlong": b"title=%C0%AF",
    "in a name": b"%FF=1",
    "in a parameter nobody knows": b"x=%FF",
}


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


def refusal(reply: Reply, somebody: Account, status: int = 200) -> dict[str, Any]:
    """The envelope of a refusal, which repeats nothing secret."""
    body = envelope(reply, status)
    for secret in (somebody.token, somebody.salt):
        assert secret.encode() not in reply.body
    for word in ("Traceback", "sqlalchemy", "SELECT", "msgspec"):
        assert word.encode() not in reply.body
    return body


def good_query(call: Call, somebody: Account) -> str:
    return urlencode(call.parameters(somebody))


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_json_that_is_no_object(service: Service, somebody: Account, call: Call) -> None:
    """Everything needed is in the query: the body alone is wrong."""
    target = f"{call.url}?{good_query(call, somebody)}"
    codes = {
        kind: refusal(service.send("POST", target, body, {"Content-Type": JSON}), somebody)["errorCode"]
        for kind, body in NO_JSON_OBJECT.items()
    }
    assert codes == dict.fromkeys(NO_JSON_OBJECT, 98)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_json_is_told_by_its_first_byte(service: Service, somebody: Account, call: Call) -> None:
    """Whatever the header says."""
    target = f"{call.url}?{good_query(call, somebody)}"
    reply = service.send("POST", target, b'{"userId', {"Content-Type": FORM})
    assert refusal(reply, somebody)["errorCode"] == 98


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_form_that_is_no_utf8(service: Service, somebody: Account, call: Call) -> None:
    start = good_query(call, somebody).encode() + b"&"
    codes = {
        kind: refusal(service.send("POST", call.url, start + rest, {"Content-Type": FORM}), somebody)["errorCode"]
        for kind, rest in {**NO_UTF8, "raw": b"title=\xff\xfe"}.items()
    }
    assert codes == dict.fromkeys(codes, 98)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_query_that_is_no_utf8(service: Service, somebody: Account, call: Call, method: str) -> None:
    start = f"{call.url}?{good_query(call, somebody)}&"
    codes = {
        kind: refusal(service.send(method, start + rest.decode()), somebody)["errorCode"]
        for kind, rest in NO_UTF8.items()
    }
    assert codes == dict.fromkeys(NO_UTF8, 98)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_multipart(service: Service, somebody: Account, call: Call) -> None:
    boundary = "----x"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in call.parameters(somebody).items()
    ]
    body = ("".join(parts) + f"--{boundary}--\r\n").encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert refusal(service.send("POST", call.url, body, headers), somebody)["errorCode"] == 98


@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB])
@pytest.mark.parametrize("kind", [JSON, FORM])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_body_over_a_mebibyte(service: Service, somebody: Account, call: Call, kind: str, size: int) -> None:
    start = b'{"x": "' if kind == JSON else b"x="
    reply = service.send("POST", call.url, start + b"a" * (size - len(start)), {"Content-Type": kind})
    assert refusal(reply, somebody, 413)["errorCode"] == 98


def test_body_over_a_mebibyte_of_unknown_length(service: Service, somebody: Account) -> None:
    call = BY_PATH["rooms/enter_room"]
    pieces = (b"a" * 65_536 for _ in range(20))
    reply = service.send("POST", call.url, pieces, {"Content-Type": FORM})
    assert refusal(reply, somebody, 413)["errorCode"] == 98


def test_body_of_just_a_mebibyte(service: Service, somebody: Account) -> None:
    call = BY_PATH["auth_users/user_query"]
    body = compact(call.parameters(somebody)).encode().ljust(MIB)
    assert envelope(service.send("POST", call.url, body, {"Content-Type": JSON}))["errorCode"] == 0


@pytest.mark.parametrize("call", WITH_TOKEN, ids=str)
def test_lone_surrogate(service: Service, somebody: Account, call: Call) -> None:
    """Valid JSON that holds no valid text: a refusal of one kind or the other, never a fault."""
    body = {**call.parameters(somebody), "token": "TOKEN"}
    reply = service.post_json(call.url, compact(body).replace("TOKEN", "\\ud800"))
    assert refusal(reply, somebody)["errorCode"] in (98, call.bad_parameter, call.bad_token)


@pytest.mark.parametrize("body", [b'{"userId', b"[]", b"title=%FF", b"\xff\xfe"])
def test_unreadable_body_on_get_is_ignored(service: Service, somebody: Account, body: bytes) -> None:
    for path in ("auth_users/user_query", "rooms/query_room"):
        call = BY_PATH[path]
        reply = service.send("GET", f"{call.url}?{good_query(call, somebody)}", body, {"Content-Type": JSON})
        assert envelope(reply)["errorCode"] == 0


def test_a_refused_register_leaves_the_name_free(service: Service) -> None:
    name = fresh_name()
    url = BY_PATH["oauth/register"].url
    refused = [
        f'{{"username": "{name}", "salt": "{"6" * 32}"',
        compact({"username": name, "salt": "6" * 31}),
        compact({"username": name, "salt": "6" * 257}),
        compact({"username": name, "salt": ["6" * 32]}),
    ]
    codes = [envelope(service.post_json(url, body))["errorCode"] for body in refused]
    assert codes == [98, 210, 210, 210]

    good = compact({"username": name, "salt": "6" * 32})
    assert envelope(service.post_json(url, good))["errorCode"] == 0
