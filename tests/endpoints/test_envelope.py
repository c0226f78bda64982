"""The envelope around every answer: HTTP status, headers, request ids, CORS."""

from __future__ import annotations

from typing import Any

import pytest

from liveroom import __version__

from .golden import NO_CALL, NO_ROOM, TOO_LARGE, WRONG_METHOD, bad_parameter, done, told
from .sites import Site, Start

CALL = "/base/v1/rooms/query_room"
BAD_QUERY = bad_parameter(2002, "RoomQueryParams")
HERE, THERE, ELSEWHERE = "https://app.example", "https://live.example:8443", "https://evil.example"


async def test_refusals_in_the_reference_s_habit(start: Start) -> None:
    """LIVEROOM_ERROR_STATUS=500: what is an application answer and refuses is a 500, the body is the same."""
    site = await start(LIVEROOM_ERROR_STATUS="500")
    user = await site.sign_up()
    refusals = {
        "rooms/room_detail?roomId=r": NO_ROOM,
        "rooms/query_room?limit=x": BAD_QUERY,
        "rooms/star": NO_CALL,
    }
    for call, expected in refusals.items():
        reply = await site.http.post(f"/base/v1/{call}", json=user.ids)
        assert (call, reply.status_code, told(reply.json())) == (call, 500, expected)
    assert (await site.http.post(CALL, content=b"[")).status_code == 500


async def test_what_is_no_application_answer_keeps_its_status(start: Start) -> None:
    site = await start(LIVEROOM_ERROR_STATUS="500")
    reply = await site.ask("auth_users/user_logout", userId="1", token="x")
    assert (reply.status_code, told(reply.json())) == (200, done("user logout ok"))
    for method, path, status, expected in (
        ("GET", "/nothing", 404, NO_CALL),
        ("PUT", CALL, 405, WRONG_METHOD),
        ("POST", CALL, 413, TOO_LARGE),
    ):
        reply = await site.http.request(method, path, content=b" " * 1_048_577 if status == 413 else b"")
        assert (reply.status_code, told(reply.json())) == (status, expected)


async def test_success_is_200(start: Start) -> None:
    for status in ("200", "500"):
        site = await start(LIVEROOM_ERROR_STATUS=status)
        user = await site.sign_up()
        assert (await site.ask("rooms/query_room", **user.ids, appId="0")).status_code == 200


async def test_headers(site: Site) -> None:
    user = await site.sign_up()
    for reply in (
        await site.ask("rooms/query_room", **user.ids, appId="0"),
        await site.ask("rooms/query_room"),
        await site.http.get("/base/v1/nothing"),
        await site.http.put(CALL),
        await site.http.get("/base/v1/"),
    ):
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        assert int(reply.headers["content-length"]) == len(reply.content)


async def test_the_text_of_an_envelope(site: Site) -> None:
    """The bytes: names, order, nothing between."""
    refusal = await site.http.get("/base/v1/nothing", headers={"X-Request-Id": "r-1"})
    assert refusal.text == (
        f'{{"errorCode":99,"errorMessage":"There is no such call.","version":"{__version__}",'
        '"codeStr":"SystemError","requestId":"r-1"}'
    )
    success = await site.http.get("/base/v1/auth_users/user_logout", headers={"X-Scf-Request-Id": "r.2_"})
    assert success.text == (
        f'{{"errorCode":0,"errorMessage":"user logout ok","version":"{__version__}","requestId":"r.2_"}}'
    )


async def test_one_call_in_every_encoding(site: Site) -> None:
    user = await site.sign_up()
    url = "/base/v1/rooms/update_room"
    await site.ask("rooms/enter_room", **user.ids, appId=0, roomId="7")
    asked = {**user.ids, "roomId": "7", "title": "a&b=c+d%20 直播 🎤", "role": "", "subject": "1.5"}
    replies = [
        await site.http.get(url, params=asked),
        await site.http.post(url, params=asked),
        await site.http.post(url, params=asked, content=b"{}"),
        await site.http.post(url, data=asked),
        await site.http.post(url, json={**asked, "userId": int(user.user_id), "roomId": 7}),
        await site.http.post(url, params=user.ids, json={**asked, "userId": "1", "token": "x"}),
        await site.http.request("GET", url, json=asked),
        await site.http.request("GET", url, params=asked, content=b"[1"),
    ]
    texts = {"category": "", "title": asked["title"], "subject": "1.5", "cover": "", "description": ""}
    assert [told(reply.json()) for reply in replies] == [done("", {"roomId": "7", **texts})] * len(replies)


@pytest.mark.parametrize("kind", ["data", "json"])
async def test_an_empty_text_in_the_query_clears_whatever_the_body_says(site: Site, kind: str) -> None:
    """Elsewhere it is absent, and the body's value serves."""
    user = await site.sign_up()
    body: dict[str, Any] = {**user.ids, "roomId": "7", "category": "c", "title": "x"}
    await site.ask("rooms/enter_room", **body, appId=0)
    query = {"userId": "", "token": "", "roomId": "", "category": "", "title": ""}
    reply = await site.http.post("/base/v1/rooms/update_room", params=query, **{kind: body})
    texts = {"category": "c", "title": "", "subject": "", "cover": "", "description": ""}
    assert told(reply.json()) == done("", {"roomId": "7", **texts})


@pytest.mark.parametrize("name", ["X-Request-Id", "X-Scf-Request-Id", "X-Api-RequestId"])
@pytest.mark.parametrize("path", ["/", CALL, "/nothing", "/base/v1/nothing", "/readyz", "/prod" + CALL])
async def test_request_ids(site: Site, name: str, path: str) -> None:
    for value in ("7", "a.B_c-9" * 9):
        assert (await site.http.get(path, headers={name: value})).json()["requestId"] == value
    for value in ("", "x" * 65, "a b", 'a"', "a/b", "é", "a\u0000"):
        reply = await site.http.get(path, headers=[(name.encode(), value.encode())])
        assert "requestId" not in reply.json()


@pytest.mark.parametrize("prefix", ["", "/prod", "/test", "/release", "/prepub", "/local", "/blue", "//prod/"])
async def test_prefixes(start: Start, prefix: str) -> None:
    site = await start(STAGE="blue")
    for path in (CALL, f"{CALL}/", "//base//v1/rooms///query_room//"):
        reply = await site.http.get(f"http://liveroom.test{prefix}{path}")
        assert told(reply.json()) == bad_parameter(2002, "RoomQueryParams")
    for path in ("/", "/helloworld/", "/base/v1/", "/healthz", "/openapi.json", "/docs"):
        assert (await site.http.get(f"http://liveroom.test{prefix}{path}")).status_code == 200


@pytest.mark.parametrize("prefix", ["/blue", "/prod/prod", "/production", "/Prod", "/base"])
async def test_no_prefixes(site: Site, prefix: str) -> None:
    assert (await site.http.get(prefix + CALL)).status_code == 404


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-request-id",
    }


@pytest.mark.parametrize("path", ["/", CALL, "/prod" + CALL])
async def test_cors_for_everybody(site: Site, path: str) -> None:
    reply = await site.http.options(path, headers=preflight(ELSEWHERE))
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    assert {"GET", "POST"} <= set(reply.headers["access-control-allow-methods"].split(", "))
    assert (await site.http.get(path, headers={"Origin": HERE})).headers["access-control-allow-origin"] == "*"


async def test_cors_for_some(start: Start) -> None:
    site = await start(LIVEROOM_CORS_ORIGINS=f"{HERE} {THERE}")
    for origin in (HERE, THERE):
        asked = await site.http.options(CALL, headers=preflight(origin))
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, origin)
        reply = await site.http.get(CALL, headers={"Origin": origin})
        assert reply.headers["access-control-allow-origin"] == origin
        assert "Origin" in reply.headers["vary"]
    for origin in (ELSEWHERE, HERE + ".evil.example", "null"):
        asked = await site.http.options(CALL, headers=preflight(origin))
        assert "access-control-allow-origin" not in asked.headers
        reply = await site.http.get(CALL, headers={"Origin": origin})
        assert "access-control-allow-origin" not in reply.headers


async def test_metrics_count_answers(site: Site) -> None:
    for _ in range(3):
        await site.ask("rooms/leave_room")
    text = (await site.http.get("/metrics")).text
    assert 'liveroom_calls_total{call="rooms/leave_room",code="2003"}' in text
    assert 'liveroom_call_seconds_count{call="rooms/leave_room"}' in text
