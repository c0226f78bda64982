"""Limits over the whole app: 209 with Retry-After once they are reached, and only then."""

from __future__ import annotations

import httpx
import pytest

from .golden import LIMIT_REACHED, NO_ACCOUNT, NO_TOKEN, bad_parameter, told
from .sites import Site, Start, User

GENERATE, QUERY = "rooms/generate_roomid", "auth_users/user_query"
REDIS_AWAY = {"LIVEROOM_STATE_URL": "redis://127.0.0.1:1/0"}


async def use_up(site: Site, user: User, call: str, times: int = 60) -> set[int]:
    return {await site.code(call, **user.ids, searchUserId="10000000") for _ in range(times)}


def assert_limited(reply: httpx.Response, window_s: int, status: int = 200) -> None:
    assert (reply.status_code, told(reply.json())) == (status, LIMIT_REACHED)
    assert reply.headers["retry-after"].isascii()
    assert window_s - 30 <= int(reply.headers["retry-after"]) <= window_s


@pytest.mark.parametrize("switch", ["on", None], ids=["on", "by default"])
async def test_sixty_room_ids_an_hour(start: Start, switch: str | None) -> None:
    site = await start(LIVEROOM_LIMITS=switch)
    user, other = await site.sign_up(), await site.sign_up()
    assert await use_up(site, user, GENERATE) == {0}
    assert_limited(await site.ask(GENERATE, **user.ids), 3600)
    assert await site.code(GENERATE, **other.ids) == 0, "each user has its own"
    assert await site.code("rooms/enter_room", **user.ids, appId="0", roomId="r") == 0


async def test_sixty_others_a_minute(start: Start) -> None:
    site = await start(LIVEROOM_LIMITS="on")
    user = await site.sign_up()
    assert await use_up(site, user, QUERY) == {206}
    assert_limited(await site.ask(QUERY, **user.ids, searchPhone="+8618500002222"), 60)
    for oneself in ({}, {"searchUserId": user.user_id}, {"searchUserId": int(user.user_id)}):
        assert await site.code(QUERY, **user.ids, **oneself) == 0, "oneself is free"


async def test_where_a_limit_stands_among_the_refusals(start: Start) -> None:
    """Parameters, then the token, then limits, then rules."""
    site = await start(LIVEROOM_LIMITS="on")
    user = await site.sign_up()
    await use_up(site, user, QUERY)
    wrong = {"searchUserId": "x" * 129}
    assert told(await site.body(QUERY, **user.ids, **wrong)) == bad_parameter(208, "UserQueryParams")
    assert told(await site.body(QUERY, userId=user.user_id, token="x", searchUserId="1")) == NO_TOKEN
    assert told(await site.body(QUERY, **user.ids, searchUserId="1")) == LIMIT_REACHED


async def test_a_limit_in_the_reference_s_habit(start: Start) -> None:
    site = await start(LIVEROOM_LIMITS="on", LIVEROOM_ERROR_STATUS="500")
    user = await site.sign_up()
    await use_up(site, user, GENERATE)
    assert_limited(await site.ask(GENERATE, **user.ids), 3600, status=500)


@pytest.mark.parametrize("settings", [{"LIVEROOM_LIMITS": "off"}, {"LIVEROOM_LIMITS": None, "LIVEROOM_DEV": "on"}])
async def test_switched_off(start: Start, settings: dict[str, str | None]) -> None:
    site = await start(**settings)
    user = await site.sign_up()
    assert await use_up(site, user, QUERY, 62) == {206}
    assert told(await site.body(QUERY, **user.ids, searchUserId="10000000")) == NO_ACCOUNT


async def test_counted_here_while_redis_is_away(start: Start) -> None:
    site = await start(LIVEROOM_LIMITS="on", **REDIS_AWAY)
    user = await site.sign_up()
    assert await use_up(site, user, QUERY) == {206}
    assert_limited(await site.ask(QUERY, **user.ids, searchUserId="1"), 60)


async def test_counted_in_redis(start: Start, redis_url: str) -> None:
    """Two processes count together."""
    settings = {"LIVEROOM_LIMITS": "on", "LIVEROOM_STATE_URL": redis_url}
    first, second = await start(**settings), await start(**settings)
    user = await first.sign_up()
    assert await use_up(first, user, QUERY, 30) == {206}
    assert await use_up(second, user, QUERY, 30) == {206}
    for site in (first, second):
        assert_limited(await site.ask(QUERY, **user.ids, searchUserId="1"), 60)


async def test_tenants_are_counted_apart(start: Start) -> None:
    toml = '[tenants.acme]\nsdk_app_id = 1400000002\nsecret = "s"\n'
    site = await start(toml=toml, LIVEROOM_LIMITS="on")
    user, other = await site.sign_up("alice"), await site.sign_up("alice", apaasAppId="acme")
    assert await use_up(site, user, GENERATE, 61) == {0, 209}
    assert await site.code(GENERATE, **other.ids) == 0
