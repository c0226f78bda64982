"""Tenants of one deployment: own ids, own users, own rooms, own keys; nothing is visible across."""

from __future__ import annotations

import re
import time

import pytest

from liveroom.services import usersig

from .golden import NO_ACCOUNT, NO_ROOM, NO_TOKEN, refused, told
from .sites import APP_SECRET, Site, Start, signed

ACME_SECRET = "c0ffee00fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5"
TOML = f"""
[tenants.default]
aliases = ["house"]

[tenants.acme]
sdk_app_id = 1400000002
secret = "{ACME_SECRET}"
aliases = ["1026227964", "acme_old"]

[tenants.twenty_letters_long1]
sdk_app_id = 1400000003
secret = "third"
oauth_secrets = {{ portal = "only-this-tenant-s" }}
avatars = ["https://img.example/3.png"]
"""
ACME = {"apaasAppId": "acme"}
THIRD = {"apaasAppId": "twenty_letters_long1"}
UNKNOWN = refused(98, "SystemVerifyError", "This application is not known here.")
SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"


def vouched() -> dict[str, str]:
    """A sign-in by the third tenant's own back end."""
    return {"username": "alice", "tag": "portal", "signature": signed("alice", "only-this-tenant-s", "portal")}


@pytest.fixture
async def house(start: Start) -> Site:
    return await start(toml=TOML)


async def test_ids_carry_the_tenant(house: Site) -> None:
    own, acme = await house.sign_up("alice"), await house.sign_up("alice", **ACME)
    third = await house.data("oauth/signature", **vouched(), **THIRD)
    room = await house.data("rooms/generate_roomid", **acme.ids)
    entered = await house.data("rooms/enter_room", **acme.ids, appId="0")
    assert re.fullmatch(r"[1-9]\d{7,9}", own.user_id)
    for made in (acme.user_id, room["roomId"], entered["roomId"]):
        assert re.fullmatch(r"acme-[1-9]\d{7,9}", made)
    assert re.fullmatch(r"twenty_letters_long1-[1-9]\d{7,9}", third["userId"])
    assert third["avatar"] == "https://img.example/3.png"


async def test_each_signs_with_its_own_application(house: Site) -> None:
    now = int(time.time())
    for more, app_id, secret, name in (({}, 1400000000, APP_SECRET, ""), (ACME, 1400000002, ACME_SECRET, "acme")):
        login = (await house.sign_up("alice", **more)).login
        assert (login["sdkAppId"], login["apaasAppId"]) == (app_id, name)
        assert usersig.verify(login["userSig"], app_id, secret, login["userId"], now)


async def test_a_username_is_one_per_tenant(house: Site) -> None:
    own, acme = await house.sign_up("alice"), await house.sign_up("alice", **ACME)
    assert (await house.sign_in("alice", own.salt)).user_id == own.user_id
    assert (await house.sign_in("alice", acme.salt, **ACME)).user_id == acme.user_id
    for salt, more in ((own.salt, ACME), (acme.salt, {})):
        proof = signed("alice", salt)
        assert await house.code("oauth/signature", username="alice", signature=proof, **more) == 98
    assert await house.code("auth_users/user_delete", **acme.ids) == 0
    assert await house.code("auth_users/user_keepalive", **own.ids) == 0


async def test_nobody_is_seen_across(house: Site) -> None:
    own, acme = await house.sign_up("alice"), await house.sign_up("bob", **ACME)
    for asker, other in ((own, acme), (acme, own)):
        found = await house.body("auth_users/user_query", **asker.ids, searchUserId=other.user_id)
        assert told(found) == NO_ACCOUNT
    for ids in ({"userId": own.user_id, "token": acme.token}, {"userId": acme.user_id, "token": own.token}):
        assert told(await house.body("auth_users/user_keepalive", **ids)) == NO_TOKEN


async def test_no_room_is_seen_across(house: Site) -> None:
    """Not even under one id: it is another room in each tenant."""
    own, acme = await house.sign_up("alice"), await house.sign_up("bob", **ACME)
    for user, other in ((own, acme), (acme, own)):
        assert await house.code("rooms/enter_room", **user.ids, appId="0", roomId="mine", title=user.username) == 0
        assert await house.code("rooms/enter_room", **user.ids, appId="0", roomId=f"r{user.user_id}") == 0
        hidden = {**other.ids, "roomId": f"r{user.user_id}"}
        for call in ("room_detail", "list_users", "update_room"):
            assert told(await house.body(f"rooms/{call}", **hidden)) == NO_ROOM
    for user in (own, acme):
        rows = await house.data("rooms/query_room", **user.ids, appId="0", limit=100)
        assert {row["roomId"] for row in rows} == {"mine", f"r{user.user_id}"}
        assert [row["title"] for row in rows if row["roomId"] == "mine"] == [user.username]
        people = await house.data("rooms/list_users", **user.ids, roomId="mine")
        assert [row["userId"] for row in people] == [user.user_id]
    assert await house.code("rooms/destroy_room", **own.ids, roomId="mine") == 0
    assert await house.code("rooms/room_detail", **acme.ids, roomId="mine") == 0


async def test_a_user_of_another_tenant_owns_no_room_here(house: Site) -> None:
    """Owner by id means an account of the same tenant."""
    own, acme = await house.sign_up("alice"), await house.sign_up("bob", **ACME)
    assert await house.code("rooms/enter_room", **acme.ids, appId="0", roomId=own.user_id) == 0
    detail = await house.data("rooms/room_detail", **acme.ids, roomId=own.user_id)
    assert detail["ownBy"] == acme.user_id


@pytest.mark.parametrize("alias", ["1026227964", "acme_old"])
async def test_aliases(house: Site, alias: str) -> None:
    acme = await house.sign_up("alice", apaasAppId=alias)
    assert acme.user_id.startswith("acme-")
    assert acme.login["apaasAppId"] == "acme"
    for name in ("acme", "1026227964", "acme_old", ""):
        assert await house.code("auth_users/user_keepalive", **acme.ids, apaasAppId=name) == 0
    own = await house.sign_up("alice", apaasAppId="house")
    assert (own.user_id.isdigit(), own.login["apaasAppId"]) == (True, "")


async def test_a_tenant_that_contradicts_the_token(house: Site) -> None:
    own, acme = await house.sign_up("alice"), await house.sign_up("bob", **ACME)
    calls = {"auth_users/user_keepalive": {}, "auth_users/user_login_token": {}, "auth_users/user_delete": {}}
    calls |= {"rooms/query_room": {"appId": "0"}, "rooms/enter_room": {"appId": "0", "roomId": "r"}}
    for user, wrong in ((own, "acme"), (own, "acme_old"), (acme, "house"), (acme, "default"), (own, "unknown")):
        for call, more in calls.items():
            assert told(await house.body(call, **user.ids, **more, apaasAppId=wrong)) == NO_TOKEN
    for user in (own, acme):
        assert await house.code("auth_users/user_logout", **user.ids, apaasAppId="twenty_letters_long1") == 0
        assert await house.code("auth_users/user_logout", **user.ids, apaasAppId="unknown") == 0
        assert await house.code("auth_users/user_keepalive", **user.ids) == 0, "nobody was logged out"


@pytest.mark.parametrize("name", ["unknown", "Acme", "acme ", "x" * 300])
async def test_unknown_at_login(house: Site, name: str) -> None:
    who = {"username": "alice", "apaasAppId": name}
    assert told(await house.body("oauth/register", **who, salt=SALT)) == UNKNOWN
    assert told(await house.body("oauth/signature", **who, signature="0" * 32)) == UNKNOWN
    assert await house.code("oauth/register", username="alice", salt=SALT) == 0, "no account was made"


async def test_unknown_is_default(start: Start) -> None:
    site = await start(toml=TOML, LIVEROOM_UNKNOWN_TENANT="default")
    user = await site.sign_up("alice", apaasAppId="1400000000")
    assert (user.user_id.isdigit(), user.login["apaasAppId"]) == (True, "")
    assert await site.code("auth_users/user_keepalive", **user.ids, apaasAppId="1400000000") == 0
    assert told(await site.body("auth_users/user_keepalive", **user.ids, apaasAppId="acme")) == NO_TOKEN


async def test_with_no_tenants_the_name_is_ignored(site: Site) -> None:
    user = await site.sign_up("alice", apaasAppId="whatever")
    assert user.login["apaasAppId"] == ""
    for name in ("whatever", "another", 0, ""):
        assert await site.code("auth_users/user_keepalive", **user.ids, apaasAppId=name) == 0
    assert await site.code("auth_users/user_keepalive", **user.ids, apaasAppId=[1]) == 98


async def test_a_tenant_that_is_gone(start: Start) -> None:
    """Taken out of the file: its tokens are worth nothing, those of the others are."""
    house = await start(toml=TOML)
    own, acme = await house.sign_up("alice"), await house.sign_up("bob", **ACME)
    without = await start(toml='[tenants.default]\naliases = ["house"]\n')
    assert told(await without.body("auth_users/user_keepalive", **acme.ids)) == NO_TOKEN
    assert await without.code("auth_users/user_keepalive", **own.ids) == 0


async def test_secrets_are_a_tenant_s_own(house: Site) -> None:
    """Vouching counts in the tenant that configured it, and closes `register` only there."""
    assert await house.code("oauth/signature", **vouched(), **THIRD) == 0
    assert await house.code("oauth/signature", **vouched(), **ACME) == 98
    assert await house.code("oauth/signature", **vouched()) == 98
    assert await house.code("oauth/register", username="carol", salt=SALT, **THIRD) == 98
    assert await house.code("oauth/register", username="carol", salt=SALT) == 0
