"""Sessions over the whole app: what a logout ends, and what it leaves with LIVEROOM_TOKEN_REVOCATION=off."""

from __future__ import annotations

import time

import jwt
import pytest

from .golden import NO_ACCOUNT, NO_TOKEN, refused, told
from .sites import SETTINGS, Site, Start, User

EXPIRED = refused(203, "UserTokenExpired", "Your login has expired, please log in again.")
DATA_KEY = "cD5-9tUa2_Lz7yNc4We1Ro0Sg8Md3Ih6"
DAYS_30 = 30 * 86_400
OTHER_SECRET = "pW4-8sTz1_Ky6xMb3Vd0Qn9Rf7Lc2Hg5"


async def renewed(site: Site, user: User) -> dict[str, str]:
    login = await site.data("auth_users/user_login_token", **user.ids)
    return {"userId": user.user_id, "token": login["token"]}


async def test_a_token_says_what_the_contract_says(site: Site) -> None:
    user = await site.sign_up()
    claims = jwt.decode(user.token, SETTINGS["JWT_SECRET"], ["HS256"])
    assert {name: claims[name] for name in ("v", "userId", "tenant")} == {
        "v": 1,
        "userId": user.user_id,
        "tenant": "default",
    }
    assert claims.keys() == {"v", "userId", "sid", "tenant", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == DAYS_30
    assert abs(claims["iat"] - time.time()) < 30


async def test_logging_out_ends_all_tokens_of_the_session_and_no_other(site: Site) -> None:
    first = await site.sign_up()
    second = await site.sign_in(first.username, first.salt)
    newer = await renewed(site, first)
    assert await site.code("auth_users/user_logout", **first.ids) == 0
    for ids in (first.ids, newer):
        assert told(await site.body("auth_users/user_keepalive", **ids)) == NO_TOKEN
    assert await site.code("auth_users/user_keepalive", **second.ids) == 0


async def test_twenty_sessions(site: Site) -> None:
    first = await site.sign_up()
    others = [await site.sign_in(first.username, first.salt) for _ in range(20)]
    assert told(await site.body("auth_users/user_keepalive", **first.ids)) == NO_TOKEN
    assert [await site.code("auth_users/user_keepalive", **other.ids) for other in others] == [0] * 20


async def test_expired(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired but authentic token is 203, and still ends its session."""
    user = await site.sign_up()
    now_ns, late = time.time_ns, (DAYS_30 + 1) * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + late)
    assert told(await site.body("auth_users/user_keepalive", **user.ids)) == EXPIRED
    assert told(await site.body("rooms/query_room", **user.ids, appId="0")) == EXPIRED
    monkeypatch.undo()
    newer = await renewed(site, user)
    claims = jwt.decode(user.token, SETTINGS["JWT_SECRET"], ["HS256"])
    old = jwt.encode({**claims, "exp": int(time.time()) - 1}, SETTINGS["JWT_SECRET"], "HS256")
    assert told(await site.body("auth_users/user_keepalive", userId=user.user_id, token=old)) == EXPIRED
    assert await site.code("auth_users/user_logout", userId=user.user_id, token=old) == 0
    assert told(await site.body("auth_users/user_keepalive", **newer)) == NO_TOKEN


async def test_revocation_off(start: Start) -> None:
    """The reference's stateless behaviour: a token outlives its logout, but not its account."""
    site = await start(LIVEROOM_TOKEN_REVOCATION="off")
    user = await site.sign_up()
    newer = await renewed(site, user)
    assert await site.code("auth_users/user_logout", **user.ids) == 0
    for ids in (user.ids, newer):
        for call, more in (("auth_users/user_keepalive", {}), ("rooms/query_room", {"appId": "0"})):
            assert await site.code(call, **ids, **more) == 0
        assert await site.code("auth_users/user_login_token", **ids) == 0
    assert told(await site.body("auth_users/user_keepalive", userId=user.user_id, token="x")) == NO_TOKEN
    assert await site.code("auth_users/user_delete", **user.ids) == 0
    assert told(await site.body("auth_users/user_keepalive", **newer)) == NO_ACCOUNT


async def test_revocation_off_without_memory(start: Start) -> None:
    """Also for a process that has never seen the session, which has not ended."""
    user = await (await start()).sign_up()
    site = await start(LIVEROOM_TOKEN_REVOCATION="off")
    assert await site.code("auth_users/user_logout", **user.ids) == 0
    again = await start(LIVEROOM_TOKEN_REVOCATION="off")
    assert await again.code("auth_users/user_keepalive", **user.ids) == 0
    assert await (await start()).code("auth_users/user_keepalive", **user.ids) == 0


async def test_secrets_can_be_rotated(start: Start) -> None:
    """The first signs, all verify; who is left out is not believed any more."""
    data_key = {"LIVEROOM_DATA_KEY": DATA_KEY}
    user = await (await start(**data_key)).sign_up()
    both = await start(**data_key, JWT_SECRET=f"{OTHER_SECRET} {SETTINGS['JWT_SECRET']}")
    assert await both.code("auth_users/user_keepalive", **user.ids) == 0
    newer = await renewed(both, user)
    assert jwt.decode(newer["token"], OTHER_SECRET, ["HS256"])["userId"] == user.user_id
    new = await start(**data_key, JWT_SECRET=OTHER_SECRET)
    assert await new.code("auth_users/user_keepalive", **newer) == 0
    assert told(await new.body("auth_users/user_keepalive", **user.ids)) == NO_TOKEN


async def test_salts_stay_good_while_keys_change(start: Start) -> None:
    """At first a key derived from JWT_SECRET, then another secret before it, then keys of their own."""
    secrets = f"{OTHER_SECRET} {SETTINGS['JWT_SECRET']}"
    steps = [
        {},
        {"JWT_SECRET": secrets},
        {"JWT_SECRET": secrets, "LIVEROOM_DATA_KEY": DATA_KEY},
        {"JWT_SECRET": secrets, "LIVEROOM_DATA_KEY": f"{DATA_KEY[::-1]} {DATA_KEY}"},
    ]
    users: list[User] = []
    for settings in steps:
        site = await start(**settings)
        users.append(await site.sign_up())
        for user in users:
            assert (await site.sign_in(user.username, user.salt)).user_id == user.user_id
