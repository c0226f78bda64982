"""Paths, methods and headers: prefixes, 404 and 405, CORS, caching, request ids."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from calls import BY_PATH, CALLS, SOME_ROOM, Call, somebody_at
from envelopes import Account, code_of, data_of, envelope, is_open, keepalive_codes
from wire import FORM, Service, Topology, compact

STAGES = ["/prod", "/test", "/release", "/prepub", "/local"]
ORIGIN = "https://app.example"


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def somebody(service: Service) -> Iterator[Account]:
    account = somebody_at(service.urls)
    yield account
    assert keepalive_codes(service, account.user_id, account.token) == {0}
    assert not is_open(service, account, SOME_ROOM)


def query(somebody: Account, path: str = "auth_users/user_query") -> str:
    return urlencode(BY_PATH[path].parameters(somebody))


@pytest.mark.parametrize("stage", ["", *STAGES])
@pytest.mark.parametrize("path", ["", "/", "/base/v1", "/base/v1/", "/helloworld", "/helloworld/"])
def test_greetings(service: Service, stage: str, path: str) -> None:
    target = f"{stage}{path}" or "/"
    assert envelope(service.send("GET", target))["errorCode"] == 0


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(service: Service, path: str) -> None:
    for process in service.each():
        assert envelope(process.send("GET", path))["errorCode"] == 0


@pytest.mark.parametrize(
    "path",
    [
        *(f"{stage}/base/v1/auth_users/user_query" for stage in STAGES),
        "/base/v1/auth_users/user_query/",
        "//base/v1/auth_users/user_query",
        "/base//v1///auth_users////user_query//",
        "//prod//base/v1/auth_users/user_query/",
    ],
)
def test_one_call_under_many_paths(service: Service, somebody: Account, path: str) -> None:
    """Answered where it was asked, no redirect."""
    asked = query(somebody)
    for reply in (service.get(path, asked), service.post_form(path, asked)):
        assert envelope(reply)["data"]["userId"] == somebody.user_id


@pytest.mark.parametrize(
    "path",
    ["/base/v1/rooms/star", "/base/v1/auth_users/nothing", "/base/v1/no_group/x", "/prod/base/v1/none"],
)
def test_unknown_call(service: Service, path: str) -> None:
    for reply in (service.send("GET", path), service.post_json(path, "{}"), service.post_form(path, "a=1")):
        assert envelope(reply)["errorCode"] == 99
        assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/nothing", "/prod/nothing", "/base", "/base/v2/rooms/query_room", "/rooms/query_room", "/../x"]
)
def test_unknown_path(service: Service, path: str) -> None:
    assert envelope(service.send("GET", path), 404)["errorCode"] == 99


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_method_not_allowed(service: Service, somebody: Account, call: Call, method: str) -> None:
    reply = service.send(method, f"{call.url}?{query(somebody, call.path)}")
    assert envelope(reply, 405)["errorCode"] == 98
    assert {"GET", "POST"} <= allowed(reply.headers["Allow"])


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_head_does_nothing(service: Service, somebody: Account, call: Call) -> None:
    """Not even for user_delete, user_logout and enter_room, which are good calls with GET."""
    reply = service.send("HEAD", f"{call.url}?{query(somebody, call.path)}")
    assert (reply.status, reply.body) == (405, b"")
    assert {"GET", "POST"} <= allowed(reply.headers["Allow"])


def allowed(header: str) -> set[str]:
    return {method.strip() for method in header.split(",")}


@pytest.mark.parametrize("stage", ["", "/prod"])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_preflight(service: Service, call: Call, stage: str) -> None:
    wanted = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    reply = service.send("OPTIONS", f"{stage}{call.url}", None, wanted)
    assert reply.done
    assert reply.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    methods = allowed(reply.headers["Access-Control-Allow-Methods"])
    assert "*" in methods or {"GET", "POST"} <= methods
    assert {"*", "content-type"} & allowed(reply.headers["Access-Control-Allow-Headers"].lower())


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_refusals_can_be_read_by_a_page_and_are_kept_by_nobody(service: Service, call: Call) -> None:
    reply = service.send("POST", call.url, b"{", {"Origin": ORIGIN})
    assert envelope(reply)["errorCode"] == 98
    assert reply.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)
    assert reply.headers["Cache-Control"] == "no-store"


def test_answers_are_kept_by_nobody(service: Service, somebody: Account) -> None:
    for path in ("auth_users/user_query", "rooms/query_room", "auth_users/user_keepalive"):
        reply = service.get(BY_PATH[path].url, query(somebody, path), {"Origin": ORIGIN})
        assert envelope(reply)["errorCode"] == 0
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)


@pytest.mark.parametrize("header", ["X-Request-Id", "X-Scf-Request-Id", "X-Api-RequestId"])
@pytest.mark.parametrize("value", ["a", "3f2b-77.A_z", "x" * 64])
def test_request_id_comes_back(service: Service, somebody: Account, header: str, value: str) -> None:
    url = BY_PATH["auth_users/user_query"].url
    for asked in (query(somebody), "", "x=%FF"):
        assert envelope(service.get(url, asked, {header: value}))["requestId"] == value
    assert envelope(service.send("GET", "/nothing", None, {header: value}), 404)["requestId"] == value


@pytest.mark.parametrize("value", ["", "a b", "x" * 65, "<script>", "a/b", "a,b", '"', "{}"])
def test_request_id_that_is_none(service: Service, somebody: Account, value: str) -> None:
    body = envelope(service.get("/base/v1/auth_users/user_query", query(somebody), {"X-Request-Id": value}))
    assert "requestId" not in body


def test_no_request_id(service: Service, somebody: Account) -> None:
    assert "requestId" not in envelope(service.get("/base/v1/auth_users/user_query", query(somebody)))


def test_query_wins_over_body(service: Service, somebody: Account) -> None:
    path = "/base/v1/auth_users/user_query"
    wrong = {"userId": "1", "token": "rubbish", "searchUserId": ""}
    for body, kind in ((urlencode(wrong), FORM), (compact(wrong), "application/json")):
        target = f"{path}?{query(somebody)}"
        reply = service.send("POST", target, body.encode(), {"Content-Type": kind})
        assert envelope(reply)["data"]["userId"] == somebody.user_id


def test_parameters_from_both_sides(service: Service, somebody: Account) -> None:
    path = "/base/v1/auth_users/user_query"
    for method in ("GET", "POST"):
        for body in (urlencode({"token": somebody.token}), compact({"token": somebody.token})):
            reply = service.send(method, f"{path}?userId={somebody.user_id}", body.encode())
            assert envelope(reply)["data"]["userId"] == somebody.user_id


def test_the_last_value_counts(service: Service, somebody: Account) -> None:
    asked = f"userId=1&{query(somebody)}"
    assert envelope(service.get("/base/v1/auth_users/user_query", asked))["errorCode"] == 0


def test_names_are_case_sensitive(service: Service, somebody: Account) -> None:
    asked = query(somebody).replace("userId", "userid")
    assert envelope(service.get("/base/v1/auth_users/user_query", asked))["errorCode"] == 204


@pytest.fixture
def room(service: Service, somebody: Account) -> Iterator[str]:
    """A room of somebody's own, newest of all."""
    ids = {**somebody.credentials, "roomId": somebody.user_id}
    assert code_of(service, "rooms/enter_room", **ids, appId=0, title="listed") == 0
    yield somebody.user_id
    assert code_of(service, "rooms/destroy_room", **ids) == 0


@pytest.mark.parametrize(
    "ids",
    ["roomIds=1&roomIds={}", "roomIds[]={}", "roomIds%5B%5D=1&roomIds%5B%5D={}", "roomIds={}"],
)
def test_lists_in_a_query(service: Service, somebody: Account, room: str, ids: str) -> None:
    asked = f"{query(somebody, 'rooms/query_room')}&{ids.format(room)}"
    rows = envelope(service.get("/base/v1/rooms/query_room", asked))["data"]
    assert [row["roomId"] for row in rows] == [room]


def test_lists_are_never_split_at_commas(service: Service, somebody: Account, room: str) -> None:
    asked = f"{query(somebody, 'rooms/query_room')}&roomIds=1,{room}"
    assert envelope(service.get("/base/v1/rooms/query_room", asked)).get("data", []) == []


def test_lists_in_json(service: Service, somebody: Account, room: str) -> None:
    asked = {**somebody.credentials, "appId": "0"}
    here: list[object] = [[room], ["1", int(room)], room, int(room)]
    absent: list[object] = [[], "", None]
    for ids in here:
        rows = data_of(service, "rooms/query_room", **asked, roomIds=ids)
        assert [row["roomId"] for row in rows] == [room]
    for ids in absent:
        rows = data_of(service, "rooms/query_room", **asked, roomIds=ids)
        assert room in [row["roomId"] for row in rows]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/metrics", "/healthz", "/nothing"])
def test_a_body_where_none_belongs_is_read_all_the_same(service: Service, path: str) -> None:
    """Left unread, it would reset the connection before the answer is through."""
    for _ in range(5):
        reply = service.send("GET", path, b"x" * 900_000)
        assert reply.status in {200, 404}
        assert len(reply.body) == int(reply.headers["Content-Length"])
