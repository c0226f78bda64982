"""Tokens: which ones are genuine, whose they are, and until when."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from sqlalchemy import text

from liveroom.errors import Code, Refusal, token_invalid
from liveroom.model import Caller
from liveroom.ports.accounts import Profile
from liveroom.services.accounts import Login
from services.rig import ACME, DEFAULT, KEY, NOON, SALT, Clock, Process, proof, refused

MONTH_S = 30 * 86_400
NEW_KEY = "a newer key that signs the tokens of these tests"
INVALID, EXPIRED = Code.UserTokenInvalid, Code.UserTokenExpired


@pytest.fixture
async def login(process: Process) -> Login:
    """Ann, signed in on the default tenant."""
    await process.accounts.register(DEFAULT, "ann", SALT)
    return await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())


def payload(login: Login) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(login.token, options={"verify_signature": False})
    return claims


def forged(login: Login, key: str = KEY, algorithm: str = "HS256", **changed: Any) -> str:
    """A token like that of the login; a claim changed to None is left out."""
    claims = {name: value for name, value in (payload(login) | changed).items() if value is not None}
    return jwt.encode(claims, key, algorithm)


def unsigned(login: Login, **header: str) -> str:
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", **header}, payload(login))]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


async def test_the_claims_are_those_of_the_contract(process: Process, login: Login) -> None:
    claims = payload(login)
    sid = claims.pop("sid")
    now_s = NOON // 1000
    assert claims == {
        "v": 1,
        "userId": login.account.user_id,
        "tenant": "default",
        "iat": now_s,
        "exp": now_s + MONTH_S,
    }
    assert isinstance(sid, str)
    assert jwt.get_unverified_header(login.token)["alg"] == "HS256"
    assert login.expires_at_s == now_s + MONTH_S


async def test_a_genuine_token_says_who_calls(process: Process, login: Login) -> None:
    claims = await process.tokens.check(login.token, login.account.user_id, DEFAULT)
    assert (claims.tenant, claims.user_id, claims.sid) == ("default", login.account.user_id, payload(login)["sid"])
    assert await process.tokens.check(login.token, login.account.user_id, None) == claims
    assert await process.tokens.check(forged(login), login.account.user_id, None) == claims, "signed with the key"


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_token_expires_exactly_at_exp(
    process: Process, login: Login, clock: Clock, start: Callable[..., Process], remembered: bool
) -> None:
    clock.now = (login.expires_at_s - 1) * 1000
    await process.tokens.follow_endings()
    checking = process if remembered else start()
    clock.now = login.expires_at_s * 1000 - 1
    await checking.tokens.check(login.token, login.account.user_id, DEFAULT)
    clock.now = login.expires_at_s * 1000
    checking = checking if remembered else start()
    await refused(EXPIRED, checking.tokens.check(login.token, login.account.user_id, DEFAULT))
    clock.pass_s(3600)
    await refused(EXPIRED, checking.tokens.check(login.token, login.account.user_id, DEFAULT))


@pytest.mark.parametrize("remembered", [True, False])
async def test_the_expired_token_of_somebody_else_is_invalid(
    process: Process, login: Login, clock: Clock, start: Callable[..., Process], remembered: bool
) -> None:
    """Expired is told to nobody but the one whose token it was."""
    ben = await process.sign_up("ben")
    clock.now = login.expires_at_s * 1000 - 1
    await process.tokens.follow_endings()
    await process.tokens.check(login.token, login.account.user_id, DEFAULT)
    clock.now += 1
    checking = process if remembered else start()
    await refused(INVALID, checking.tokens.check(login.token, ben.user_id, DEFAULT))
    await refused(INVALID, checking.tokens.check(login.token, login.account.user_id, ACME))
    await refused(EXPIRED, checking.tokens.check(login.token, login.account.user_id, None))


async def test_what_is_no_token_of_ours_is_invalid(process: Process, login: Login) -> None:
    user_id = login.account.user_id
    head, body, tail = login.token.split(".")
    tokens = {
        "other key": forged(login, "k" * 40),
        "HS512": forged(login, algorithm="HS512"),
        "none": unsigned(login, alg="none"),
        "None": unsigned(login, alg="None"),
        "no alg": unsigned(login),
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "a bit of the signature": f"{head}.{body}.{tail[:-2]}{'A' if tail[-2] != 'A' else 'B'}{tail[-1]}",
        "a bit of the body": f"{head}.{body[:-1]}{'A' if body[-1] != 'A' else 'B'}.{tail}",
        "no text": "",
        "words": "not a token",
        "emoji": "😀.😀.😀",
        "nul": login.token + "\0",
        "blank": login.token + " ",
        "padded": login.token + "=",
        "padded in the middle": f"{head}.{body}=.{tail}",
        "four blanks": login.token + "    ",
        "a new line": login.token + "\n",
        "in front": " " + login.token,
        "within the signature": f"{head}.{body}.{tail[:9]}****{tail[9:]}",
        "the standard alphabet": f"{head}.{body}.{tail[:9]}+{tail[10:]}",
        "bits that nothing reads": f"{head}.{body}.{tail[:-1]}{chr(ord(tail[-1]) + 1)}",
        "nested": login.token + "." + login.token,
        "deep": ".".join(["e30", base64.urlsafe_b64encode(b"[" * 100_000).decode(), tail]),
    }
    for name, token in tokens.items():
        with pytest.raises(Refusal) as caught:
            pytest.fail(f"{name}: {await process.tokens.check(token, user_id, None)}")
        assert (caught.value.code, caught.value.message) == (INVALID, token_invalid().message), name


async def test_claims_of_the_wrong_kind_are_invalid(process: Process, login: Login) -> None:
    changes: list[dict[str, Any]] = [
        *({name: None} for name in ("v", "userId", "sid", "tenant", "exp")),
        *({name: 7} for name in ("userId", "sid", "tenant")),
        *({"exp": value} for value in ("1800000000", 1.8e9, True, [], {})),
        *({"v": value} for value in (0, 2, "1", [])),
    ]
    for change in changes:
        await refused(INVALID, process.tokens.check(forged(login, **change), login.account.user_id, None))


async def test_a_token_is_of_one_user_and_one_tenant(process: Process, login: Login, clock: Clock) -> None:
    ben = await process.sign_up("ben")
    await process.tokens.follow_endings()
    for _ in ("read", "remembered"):
        await refused(INVALID, process.tokens.check(login.token, ben.user_id, DEFAULT))
        await refused(INVALID, process.tokens.check(login.token, login.account.user_id, ACME))
        await refused(INVALID, process.tokens.check(login.token, "", DEFAULT))
        await process.tokens.check(login.token, login.account.user_id, DEFAULT)


async def test_a_token_of_another_tenants_account_is_not_ours(process: Process, login: Login) -> None:
    stranger = forged(login, tenant="acme")
    await refused(INVALID, process.tokens.check(stranger, login.account.user_id, DEFAULT))
    await refused(Code.UserNotExists, process.tokens.check(stranger, login.account.user_id, ACME))


async def test_keys_are_rotated(process: Process, start: Callable[..., Process], login: Login) -> None:
    """The first signs, all verify."""
    user_id = login.account.user_id
    both = start(keys=(NEW_KEY, KEY))
    await both.tokens.check(login.token, user_id, DEFAULT)
    renewed = await both.accounts.login_again(await both.caller(login))
    assert jwt.decode(renewed.token, NEW_KEY, ["HS256"], options={"verify_exp": False})["userId"] == user_id
    await refused(INVALID, process.tokens.check(renewed.token, user_id, DEFAULT))
    rotated = start(keys=(NEW_KEY,))
    await rotated.tokens.check(renewed.token, user_id, DEFAULT)
    await refused(INVALID, rotated.tokens.check(login.token, user_id, DEFAULT))


async def test_a_token_login_gives_a_new_token_of_the_same_session(
    process: Process, login: Login, clock: Clock
) -> None:
    user_id = login.account.user_id
    again = await process.accounts.login_again(await process.caller(login))
    assert again.token != login.token, "also within one second"
    clock.pass_s(86_400)
    later = await process.accounts.login_again(await process.caller(again))
    assert payload(later)["sid"] == payload(again)["sid"] == payload(login)["sid"]
    assert later.expires_at_s == login.expires_at_s + 86_400
    for token in (login.token, again.token, later.token):
        await process.tokens.check(token, user_id, DEFAULT)
    clock.now = login.expires_at_s * 1000
    await refused(EXPIRED, process.tokens.check(login.token, user_id, DEFAULT))
    await process.tokens.check(later.token, user_id, DEFAULT)


async def test_each_sign_in_opens_a_session_of_its_own(process: Process, login: Login) -> None:
    other = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    assert payload(other)["sid"] != payload(login)["sid"]
    await process.accounts.logout(other.token, login.account.user_id, None)
    await process.tokens.check(login.token, login.account.user_id, DEFAULT)


async def test_the_twenty_first_sign_in_ends_the_least_recently_used(
    process: Process, login: Login, clock: Clock
) -> None:
    user_id, logins = login.account.user_id, [login]
    for _ in range(19):
        clock.pass_s(1)
        logins.append(await process.accounts.sign_in(DEFAULT, proof("ann"), Profile()))
    clock.pass_s(1)
    await process.accounts.login_again(await process.caller(logins[0]))
    clock.pass_s(1)
    logins.append(await process.accounts.sign_in(DEFAULT, proof("ann"), Profile()))
    await process.tokens.follow_endings()
    await refused(INVALID, process.tokens.check(logins[1].token, user_id, DEFAULT))
    for kept in (logins[0], *logins[2:]):
        await process.tokens.check(kept.token, user_id, DEFAULT)


async def test_a_session_is_used_by_every_call(process: Process, login: Login, clock: Clock) -> None:
    user_id, logins = login.account.user_id, [login]
    for _ in range(19):
        clock.pass_s(1)
        logins.append(await process.accounts.sign_in(DEFAULT, proof("ann"), Profile()))
    clock.pass_s(2 * 3600)
    await process.tokens.check(logins[0].token, user_id, DEFAULT)
    await process.tokens.note_uses()
    clock.pass_s(1)
    await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    await process.tokens.follow_endings()
    assert await process.caller(logins[0]) == Caller(DEFAULT, user_id, payload(logins[0])["sid"])
    await refused(INVALID, process.tokens.check(logins[1].token, user_id, DEFAULT))


@pytest.mark.parametrize("apart_s", [120, 0.02, 0])
async def test_a_session_in_constant_use_is_never_the_least_recently_used(
    process: Process, login: Login, clock: Clock, apart_s: float
) -> None:
    """However fast others sign in, and whether or not its uses are noted meanwhile."""
    for turn in range(25):
        clock.pass_s(apart_s)
        await process.tokens.follow_endings()
        await process.caller(login)
        if turn % 10 == 5:
            await process.tokens.note_uses()
            await process.caller(login)
        clock.pass_s(apart_s)
        await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    await process.tokens.follow_endings()
    await process.caller(login)


async def test_another_process_knows_of_a_use_within_the_minute(
    process: Process, other: Process, login: Login, clock: Clock
) -> None:
    for _ in range(3):
        for _ in range(10):
            clock.pass_s(1)
            await other.accounts.sign_in(DEFAULT, proof("ann"), Profile())
        clock.pass_s(30)
        await process.caller(login)
        await process.tokens.note_uses()
    await other.caller(login)


async def test_uses_that_could_not_be_noted_are_noted_later(
    process: Process, other: Process, login: Login, clock: Clock
) -> None:
    for _ in range(19):
        clock.pass_s(1)
        await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    clock.pass_s(1)
    await process.caller(login)
    await process.database.write(lambda connection: connection.execute(text("ALTER TABLE sessions RENAME TO gone")))
    await refused(Code.ServiceDBFailed, process.tokens.note_uses())
    await process.database.write(lambda connection: connection.execute(text("ALTER TABLE gone RENAME TO sessions")))
    await process.tokens.note_uses()
    clock.pass_s(1)
    await other.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    await other.caller(login)
