"""Golden replies of sign-ins that a customer's own back end vouches for, and of signatures that get old."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .golden import NO_TOKEN, WRONG_SIGNATURE, refused, told
from .sites import Site, Start, signed

PORTAL, WEB = "portal-secret-of-the-customer", "web-secret"
SECRETS = {"LIVEROOM_OAUTH_SECRETS": f"portal:{PORTAL} web:{WEB}"}
HYPHEN = refused(210, "UserOAuthParams", "tag, ts and nonce may hold no hyphen.")
CLOSED = refused(98, "SystemVerifyError", "Registration is closed, please sign in with your account.")
OLD = refused(210, "UserOAuthParams", "This signature is out of date, check the clock of the device.")
REPLAYED = refused(98, "SystemVerifyError", "This signature was used already.")
SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"


def proof(username: str, secret: str, tag: str = "", ts: str = "", nonce: str = "", **more: Any) -> dict[str, Any]:
    signature = signed(username, secret, tag, ts, nonce)
    return {"username": username, "signature": signature, "tag": tag, "ts": ts, "nonce": nonce, **more}


async def vouched(site: Site, username: str, **more: Any) -> dict[str, Any]:
    return dict(await site.data("oauth/signature", **proof(username, PORTAL, "portal", **more)))


async def test_an_account_is_made_on_first_sight(start: Start) -> None:
    site = await start(**SECRETS)
    first = await vouched(site, "玛丽-安妮", nickname="Marie", avatar="https://img.example/m.png")
    assert (first["name"], first["avatar"]) == ("Marie", "https://img.example/m.png")
    through_web = await site.data("oauth/signature", **proof("玛丽-安妮", WEB, "web"))
    assert through_web["userId"] == first["userId"], "one username is one account, whatever the tag"
    assert through_web["name"] == "Marie", "what is not given stays"


@pytest.mark.parametrize("wrong", [{"secret": WEB}, {"secret": "x"}, {"tag": "unknown"}])
async def test_a_wrong_secret_makes_no_account(start: Start, wrong: dict[str, str]) -> None:
    site = await start(**SECRETS, LIVEROOM_OAUTH_REGISTER="on")
    given = {"username": "mary", "secret": PORTAL, "tag": "portal", **wrong}
    assert told(await site.body("oauth/signature", **proof(**given))) == WRONG_SIGNATURE
    assert await site.code("oauth/register", username="mary", salt=SALT) == 0, "the name is still free"


@pytest.mark.parametrize("ambiguous", [{"ts": "1-2"}, {"nonce": "-"}])
async def test_a_hyphen_is_ambiguous(start: Start, ambiguous: dict[str, str]) -> None:
    site = await start(**SECRETS)
    assert told(await site.body("oauth/signature", **proof("mary", PORTAL, "portal", **ambiguous))) == HYPHEN


async def test_a_hyphen_is_fine_with_a_salt(site: Site) -> None:
    await site.body("oauth/register", username="mary", salt=SALT)
    assert await site.code("oauth/signature", **proof("mary", SALT, "a-b", "1-2", "-")) == 0


async def test_register_is_closed_beside_vouching(start: Start) -> None:
    site = await start(**SECRETS)
    assert told(await site.body("oauth/register", username="mary", salt=SALT)) == CLOSED
    site = await start(**SECRETS, LIVEROOM_OAUTH_REGISTER="on")
    assert await site.code("oauth/register", username="mary", salt=SALT) == 0


async def test_vouching_takes_a_registered_name_over(start: Start) -> None:
    site = await start(**SECRETS, LIVEROOM_OAUTH_REGISTER="on")
    squatter = await site.sign_up("mary")
    login = await vouched(site, "mary")
    assert login["userId"] == squatter.user_id
    assert told(await site.body("auth_users/user_keepalive", **squatter.ids)) == NO_TOKEN
    assert told(await site.body("oauth/signature", **proof("mary", squatter.salt))) == WRONG_SIGNATURE
    mine = {"userId": login["userId"], "token": login["token"]}
    await vouched(site, "mary")
    assert await site.code("auth_users/user_keepalive", **mine) == 0, "only the first one ends sessions"


async def test_a_vouched_name_is_taken(start: Start) -> None:
    site = await start(**SECRETS, LIVEROOM_OAUTH_REGISTER="on")
    await vouched(site, "mary")
    body = await site.body("oauth/register", username="mary", salt=SALT)
    assert told(body) == refused(98, "SystemVerifyError", "This name is already taken.")


@pytest.mark.parametrize(
    ("offset_s", "unit", "expected"),
    [(0, 1, 0), (0, 1000, 0), (-280, 1, 0), (50, 1000, 0), (-320, 1, OLD), (-320, 1000, OLD), (70, 1, OLD)],
)
async def test_the_age_of_a_signature(start: Start, offset_s: int, unit: int, expected: object) -> None:
    site = await start(LIVEROOM_SIGNATURE_MAX_AGE="300")
    await site.body("oauth/register", username="mary", salt=SALT)
    ts = str(int((time.time() + offset_s) * unit))
    body = await site.body("oauth/signature", **proof("mary", SALT, ts=ts))
    assert expected in (body["errorCode"], told(body))


@pytest.mark.parametrize("ts", ["", "now", "-1", "1" * 40, "１６３４"])
async def test_no_time_is_too_old(start: Start, ts: str) -> None:
    site = await start(LIVEROOM_SIGNATURE_MAX_AGE="300")
    await site.body("oauth/register", username="mary", salt=SALT)
    assert told(await site.body("oauth/signature", **proof("mary", SALT, ts=ts))) == OLD


@pytest.mark.parametrize("secret", [SALT, PORTAL])
async def test_replays(start: Start, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """At once it is a retry on a bad line, later somebody else's."""
    site = await start(**SECRETS, LIVEROOM_SIGNATURE_MAX_AGE="300", LIVEROOM_OAUTH_REGISTER="on")
    await site.body("oauth/register", username="mary", salt=SALT)
    given = proof("mary", secret, "portal" if secret == PORTAL else "", str(int(time.time())))
    assert [await site.code("oauth/signature", **given) for _ in range(2)] == [0, 0]
    now_ns = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + 11_000_000_000)
    assert told(await site.body("oauth/signature", **given)) == REPLAYED
    loud = {**given, "signature": given["signature"].upper()}
    assert told(await site.body("oauth/signature", **loud)) == REPLAYED
    assert await site.code("oauth/signature", **proof("mary", secret, given["tag"], given["ts"], "fresh")) == 0
