"""Golden replies of the pages, and of paths and methods that are nobody's."""

from __future__ import annotations

import pytest

from .golden import DATABASE_AWAY, NO_CALL, TOO_LARGE, UNREADABLE, WRONG_METHOD, done, refused, told
from .sites import Site, Start

CALL = "/base/v1/rooms/query_room"
NOT_CONFIGURED = refused(99, "SystemError", "Invalid TRTC config")
UNCONFIGURED = {"TRTC_TIM_APPID": None, "TRTC_TIM_SECRET": None}


@pytest.mark.parametrize("path", ["/", "/base/v1", "/base/v1/", "/helloworld", "/healthz"])
async def test_greetings(site: Site, path: str) -> None:
    reply = await site.http.get(path)
    assert (reply.status_code, told(reply.json())) == (200, done("liveroom is running"))


async def test_ready(site: Site) -> None:
    reply = await site.http.get("/readyz")
    every = {"database": "ok", "state": "ok", "im": "ok"}
    assert (reply.status_code, told(reply.json())) == (200, done("ready", every))


async def test_not_ready(start: Start) -> None:
    site = await start(LIVEROOM_STATE_URL="redis://127.0.0.1:1/0")
    reply = await site.http.get("/readyz")
    body = told(reply.json())
    assert (reply.status_code, body.pop("data")) == (503, {"database": "ok", "state": "away", "im": "ok"})
    assert body == refused(100, "ServiceUnavailable", "A back end is not available.")
    assert (await site.http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/base/v1/rooms/star", 200), ("/base/v2/x", 404), ("/favicon.ico", 404)])
async def test_nobodys_path(site: Site, path: str, status: int) -> None:
    for method in ("GET", "POST", "PUT", "HEAD"):
        reply = await site.http.request(method, path, content=b"{}")
        assert reply.status_code == status
        assert reply.content == b"" if method == "HEAD" else told(reply.json()) == NO_CALL


@pytest.mark.parametrize(
    ("path", "allowed"),
    [(CALL, "GET, POST"), ("/prod" + CALL, "GET, POST"), ("/healthz", "GET"), ("/readyz", "GET"), ("/docs", "GET")],
)
async def test_wrong_method(site: Site, path: str, allowed: str) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        reply = await site.http.request(method, path)
        assert (reply.status_code, reply.headers["allow"]) == (405, allowed)
        assert reply.content == b"" if method == "HEAD" else told(reply.json()) == WRONG_METHOD


async def test_head_has_no_effect(site: Site) -> None:
    user = await site.sign_up()
    for call in ("auth_users/user_delete", "auth_users/user_logout", "rooms/enter_room"):
        params = {**user.ids, "appId": "0", "roomId": "quiet"}
        assert (await site.http.head(f"/base/v1/{call}", params=params)).status_code == 405
    assert await site.code("rooms/room_detail", **user.ids, roomId="quiet") == 2004


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [CALL, "/base/v1/nothing", "/nothing", "/helloworld"])
async def test_too_large(site: Site, path: str, chunked: bool) -> None:
    async def chunks() -> object:
        for _ in range(17):
            yield b"a" * 65_536

    content = chunks() if chunked else b"a" * 1_048_577
    reply = await site.http.post(path, content=content)
    assert (reply.status_code, told(reply.json())) == (413, TOO_LARGE)


async def test_just_small_enough(site: Site) -> None:
    user = await site.sign_up()
    path = "/base/v1/auth_users/user_query"
    reply = await site.http.post(path, params=user.ids, content=b"{}".ljust(1_048_576))
    assert reply.json()["errorCode"] == 0


@pytest.mark.parametrize("body", [b"[]", b"{", b"a=%FF", b'{"a": "\xff"}', b"[" * 100_000])
async def test_unreadable(site: Site, body: bytes) -> None:
    reply = await site.http.post(CALL, content=body)
    assert (reply.status_code, told(reply.json())) == (200, UNREADABLE)


async def test_multipart(site: Site) -> None:
    user = await site.sign_up()
    reply = await site.http.post("/base/v1/auth_users/user_query", data=user.ids, files={"a": b"1"})
    assert (reply.status_code, told(reply.json())) == (200, UNREADABLE)


@pytest.mark.parametrize("status", ["200", "500"])
async def test_without_trtc(start: Start, status: str) -> None:
    site = await start(**UNCONFIGURED, LIVEROOM_ERROR_STATUS=status)
    for path in ("/", "/helloworld", "/base/v1", "/prod/base/v1/", CALL, "/base/v1/oauth/register", "/base/v1/nothing"):
        for method in ("GET", "POST"):
            reply = await site.http.request(method, path)
            assert (path, reply.status_code, told(reply.json())) == (path, 503, NOT_CONFIGURED)
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert (await site.http.get(path)).status_code == 200


@pytest.mark.parametrize("missing", ["TRTC_TIM_APPID", "TRTC_TIM_SECRET"])
async def test_half_configured(start: Start, missing: str) -> None:
    site = await start(**{missing: None})
    reply = await site.http.get(CALL)
    assert (reply.status_code, told(reply.json())) == (503, NOT_CONFIGURED)


async def test_a_database_that_refuses(site: Site) -> None:
    user = await site.sign_up()
    site.sql("DROP TABLE rooms")
    for call in ("rooms/query_room", "rooms/room_detail", "rooms/enter_room", "rooms/leave_room"):
        reply = await site.ask(call, **user.ids, appId="0", roomId="r")
        assert (call, reply.status_code, told(reply.json())) == (call, 200, DATABASE_AWAY)
    assert await site.code("auth_users/user_keepalive", **user.ids) == 0
    assert (await site.http.get("/readyz")).status_code == 200
