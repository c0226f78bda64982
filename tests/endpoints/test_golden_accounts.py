"""Golden replies of oauth/* and auth_users/*: the exact bodies, with what differs from run to run named."""

from __future__ import annotations

import time

import pytest

from liveroom.services import usersig

from .golden import NO_ACCOUNT, NO_TOKEN, WRONG_SIGNATURE, bad_parameter, done, refused, told
from .sites import APP_SECRET, Site, signed

SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"
LOGIN = {
    "userId": "<alice>",
    "apaasUserId": "<alice>",
    "sdkAppId": 1400000000,
    "userSig": "<sig>",
    "sdkUserSig": "<sig>",
    "token": "<token>",
    "expire": "<utc>",
    "phone": "",
    "email": "",
    "name": "",
    "avatar": "",
    "apaasAppId": "",
}
BAD_OAUTH = bad_parameter(210, "UserOAuthParams")
BAD_ACCOUNT = bad_parameter(98, "SystemVerifyError")
BAD_QUERY = bad_parameter(208, "UserQueryParams")


async def test_register(site: Site) -> None:
    first = await site.body("oauth/register", username="alice", salt=SALT)
    assert told(first, alice=first["data"]["id"]) == done("register ok", {"name": "alice", "id": "<alice>"})
    assert 10_000_000 <= int(first["data"]["id"]) < 2**31

    again = await site.body("oauth/register", username="alice", salt=SALT)
    assert told(again) == refused(98, "SystemVerifyError", "This name is already taken.")

    empty = await site.body("oauth/register", username="", salt=SALT)
    assert told(empty) == BAD_OAUTH


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
async def test_signature(site: Site, kind: str) -> None:
    await site.body("oauth/register", username="alice", salt=SALT)
    proof = signed("alice", SALT, "xiaozhibo", "1634543466000", "o2", kind)
    asked = {"username": "alice", "tag": "xiaozhibo", "ts": 1634543466000, "nonce": "o2", "hash": kind}

    body = await site.body("oauth/signature", **asked, signature=proof.upper())

    login = body["data"]
    names = {"alice": login["userId"], "sig": login["userSig"], "token": login["token"]}
    assert told(body, **names) == done("signature ok", LOGIN)
    assert usersig.verify(login["userSig"], 1400000000, APP_SECRET, login["userId"], int(time.time()))


async def test_signature_sets_name_and_avatar(site: Site) -> None:
    await site.body("oauth/register", username="alice", salt=SALT)
    looks = {"nickname": "爱丽丝 🎤", "avatar": "https://img.example/a.png"}
    body = await site.body("oauth/signature", username="alice", signature=signed("alice", SALT), **looks)
    login = body["data"]
    names = {"alice": login["userId"], "sig": login["userSig"], "token": login["token"]}
    assert told(body, **names) == done("signature ok", {**LOGIN, "name": "爱丽丝 🎤", "avatar": looks["avatar"]})


async def test_signature_refused(site: Site) -> None:
    await site.body("oauth/register", username="alice", salt=SALT)
    asked = {"username": "alice", "signature": signed("alice", SALT)}
    answers = {
        "wrong signature": {**asked, "signature": "0" * 32},
        "unknown name": {**asked, "username": "nobody"},
        "signed for a tag": {**asked, "tag": "another"},
        "no signature": {"username": "alice"},
        "unknown hash": {**asked, "hash": "md4"},
    }
    bodies = {kind: told(await site.body("oauth/signature", **given)) for kind, given in answers.items()}
    assert bodies == {**dict.fromkeys(answers, WRONG_SIGNATURE), "no signature": BAD_OAUTH, "unknown hash": BAD_OAUTH}


async def test_token_login(site: Site) -> None:
    alice = await site.sign_up("alice")
    body = await site.body("auth_users/user_login_token", **alice.ids)
    login = body["data"]
    names = {"alice": alice.user_id, "sig": login["userSig"], "token": login["token"]}
    assert told(body, **names) == done("login done", LOGIN)
    assert login["token"] != alice.token
    assert await site.code("auth_users/user_keepalive", **alice.ids) == 0, "the older token stays valid"


async def test_token_login_refused(site: Site) -> None:
    alice, bob = await site.sign_up("alice"), await site.sign_up("bob")
    for given in ({**alice.ids, "token": "rubbish"}, {**alice.ids, "token": bob.token}, {"userId": alice.user_id}, {}):
        assert told(await site.body("auth_users/user_login_token", **given)) == NO_TOKEN
    bad = await site.body("auth_users/user_login_token", **{**alice.ids, "token": ["a"]})
    assert told(bad) == BAD_ACCOUNT


async def test_logout(site: Site) -> None:
    alice = await site.sign_up("alice")
    ok = done("user logout ok")
    for given in ({"userId": alice.user_id, "token": "garbage"}, {}, {"userId": "1", "token": alice.token}):
        assert told(await site.body("auth_users/user_logout", **given)) == ok
        assert await site.code("auth_users/user_keepalive", **alice.ids) == 0
    assert told(await site.body("auth_users/user_logout", **alice.ids)) == ok
    after = await site.body("auth_users/user_keepalive", **alice.ids)
    assert told(after) == NO_TOKEN
    assert told(await site.body("auth_users/user_logout", **alice.ids)) == ok


async def test_delete(site: Site) -> None:
    alice = await site.sign_up("alice")
    assert told(await site.body("auth_users/user_delete", **alice.ids)) == done("user delete ok")
    assert told(await site.body("auth_users/user_delete", **alice.ids)) == done("user delete ok")
    assert told(await site.body("auth_users/user_logout", **alice.ids)) == done("user logout ok")
    for call in ("user_keepalive", "user_login_token", "user_query"):
        assert told(await site.body(f"auth_users/{call}", **alice.ids)) == NO_ACCOUNT

    heir = await site.sign_up("alice")
    assert heir.user_id != alice.user_id, "the name is free again, the id never"


async def test_a_logged_out_token_deletes_nobody(site: Site) -> None:
    alice = await site.sign_up("alice")
    await site.body("auth_users/user_logout", **alice.ids)
    body = await site.body("auth_users/user_delete", **alice.ids)
    assert told(body) == NO_TOKEN


async def test_update(site: Site) -> None:
    alice = await site.sign_up("alice")
    assert told(await site.body("auth_users/user_update", **alice.ids, name="Alice", tag2=7)) == done("update ok")
    assert told(await site.body("auth_users/user_update", **alice.ids, name="Alice", tag2="7")) == done("update ok")
    nothing = refused(205, "UseInfoEmpty", "There is nothing to change.")
    for given in ({}, {"name": "", "avatar": None}, {"nickname": "unknown to this call"}):
        assert told(await site.body("auth_users/user_update", **alice.ids, **given)) == nothing
    long = await site.body("auth_users/user_update", **alice.ids, tag="x" * 33)
    assert told(long) == BAD_ACCOUNT


async def test_query(site: Site) -> None:
    alice, bob = await site.sign_up("alice"), await site.sign_up("bob")
    looks = {"name": "Bob", "avatar": "https://img.example/b.png", "tag": "im", "tag2": "t"}
    await site.body("auth_users/user_update", **bob.ids, **looks)

    own = await site.body("auth_users/user_query", **alice.ids)
    other = await site.body("auth_users/user_query", **alice.ids, searchUserId=int(bob.user_id))

    ids = {"userId": "<alice>", "apaasUserId": "<alice>"}
    assert told(own, alice=alice.user_id) == done(
        "query done", {**ids, "name": "", "avatar": "", "tag": "", "tag2": ""}
    )
    assert told(other, alice=bob.user_id) == done("query done", {**ids, **looks})


async def test_query_refused(site: Site) -> None:
    alice = await site.sign_up("alice")
    for found in ({"searchUserId": "10000000"}, {"searchUserId": "x" * 128}, {"searchPhone": " 8610000000001"}):
        assert told(await site.body("auth_users/user_query", **alice.ids, **found)) == NO_ACCOUNT
    for wrong in ({"searchUserId": "x" * 129}, {"searchUserId": alice.user_id, "searchPhone": "1"}):
        assert told(await site.body("auth_users/user_query", **alice.ids, **wrong)) == BAD_QUERY


async def test_keepalive(site: Site) -> None:
    alice = await site.sign_up("alice")
    expected = done("keep alive done", {"userId": "<alice>", "updateUtc": "<utc>"})
    for ids in (alice.ids, {"apaasUserId": alice.user_id, "token": alice.token}):
        assert told(await site.body("auth_users/user_keepalive", **ids), alice=alice.user_id) == expected
