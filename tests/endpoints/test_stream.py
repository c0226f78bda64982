"""The stream's refusals, which are those of any other call; what is sent once it has begun is tested with services."""

from __future__ import annotations

from typing import Any

import pytest

from .sites import Site, User

CALL = "rooms/stream"


@pytest.fixture
async def ann(site: Site) -> User:
    return await site.sign_up()


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"roomId": "r", "category": "c"},
        {"roomId": "r", "roomIds": ["s"]},
        {"roomIds": ["r", "r"]},
        {"roomIds": [f"r{number}" for number in range(21)]},
        {"roomId": "r", "since": "x"},
        {"roomId": "r", "since": "1.2.3"},
        {"roomId": "r", "since": "1_"},
        {"roomId": "r", "since": "-1"},
        {"roomId": "a,b"},
        {"category": "c" * 33},
    ],
)
async def test_parameters(site: Site, ann: User, wish: dict[str, Any]) -> None:
    assert await site.code(CALL, **ann.ids, **wish) == 2002


async def test_who_may_follow(site: Site, ann: User) -> None:
    assert await site.code(CALL, roomId="r") == 2002
    assert await site.code(CALL, userId=ann.user_id, token="x", roomId="r") == 204


@pytest.mark.parametrize("wish", [{"roomId": "r"}, {"roomIds": ["r", "s"]}, {"roomId": "r", "since": "1.2"}])
async def test_no_such_room(site: Site, ann: User, wish: dict[str, Any]) -> None:
    reply = await site.ask(CALL, **ann.ids, **wish)
    assert (reply.status_code, reply.json()["errorCode"]) == (200, 2004)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"


async def test_a_last_id_that_is_none(site: Site, ann: User) -> None:
    query = {**ann.ids, "roomId": "r"}
    reply = await site.http.get(f"/prod/base/v1/{CALL}", params=query, headers={"Last-Event-ID": "nonsense"})
    assert reply.json()["errorCode"] == 2002
    # It wins over `since`, which a browser repeats with each attempt.
    reply = await site.http.get(
        f"/base/v1/{CALL}", params={**query, "since": "nonsense"}, headers={"Last-Event-ID": "1.2"}
    )
    assert reply.json()["errorCode"] == 2004


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
async def test_methods(site: Site, method: str) -> None:
    reply = await site.http.request(method, f"/base/v1/{CALL}")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST")


async def test_a_stop_is_announced(site: Site) -> None:
    liveroom: Any = site.asgi
    assert (await site.http.get("/readyz")).status_code == 200
    liveroom.state.liveroom.announce_stop()
    reply = await site.http.get("/readyz")
    assert (reply.status_code, reply.json()["errorCode"]) == (503, 100)
    assert (await site.http.get("/healthz")).status_code == 200
    ann = await site.sign_up()
    assert await site.code("rooms/enter_room", **ann.ids, roomId="r", appId="0") == 0
    assert await site.code(CALL, **ann.ids, roomId="r") == 100
