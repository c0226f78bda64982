"""Logging out: a session's tokens are worth nothing afterwards, on every process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete

from liveroom.adapters.store.tables import endings
from liveroom.errors import Code
from liveroom.model import SessionStanding
from liveroom.ports.accounts import Profile
from liveroom.services.accounts import Login
from services.rig import ACME, DEFAULT, SALT, Clock, Process, proof, refused

INVALID, GONE = Code.UserTokenInvalid, Code.UserNotExists


@pytest.fixture
async def login(process: Process) -> Login:
    """Ann, signed in."""
    await process.tokens.follow_endings()
    await process.accounts.register(DEFAULT, "ann", SALT)
    return await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())


async def check(process: Process, login: Login) -> None:
    await process.tokens.check(login.token, login.account.user_id, DEFAULT)


async def remembering(process: Process, *logins: Login) -> Process:
    """The process, trusting its memory, with these tokens in it."""
    await process.tokens.follow_endings()
    for login in logins:
        await check(process, login)
    return process


async def test_a_logout_ends_every_token_of_the_session_at_once(process: Process, login: Login) -> None:
    again = await process.accounts.login_again(await process.caller(login))
    aside = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    await remembering(process, login, again, aside)
    await process.accounts.logout(again.token, login.account.user_id, None)
    await refused(INVALID, check(process, login))
    await refused(INVALID, check(process, again))
    await check(process, aside)
    caller = await process.caller(aside)
    standing = await process.sessions.standing("default", caller.user_id, caller.sid)
    assert standing is SessionStanding.LIVE


async def test_another_process_hears_of_it_when_it_next_reads_the_log(
    process: Process, other: Process, login: Login
) -> None:
    aside = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    await remembering(other, login, aside)
    await process.accounts.logout(login.token, login.account.user_id, None)
    await check(other, login)
    await other.tokens.follow_endings()
    await refused(INVALID, check(other, login))
    await check(other, aside)


async def test_a_process_that_does_not_read_the_log_asks_each_time(
    process: Process, other: Process, login: Login, clock: Clock
) -> None:
    await remembering(other, login)
    await process.accounts.logout(login.token, login.account.user_id, None)
    clock.pass_s(1.999)
    await check(other, login)
    clock.pass_s(0.001)
    await refused(INVALID, check(other, login))


async def test_a_process_that_never_read_the_log_asks_too(process: Process, other: Process, login: Login) -> None:
    await check(other, login)
    await process.accounts.logout(login.token, login.account.user_id, None)
    await refused(INVALID, check(other, login))


async def test_a_process_that_was_away_for_long_reads_before_it_trusts(
    process: Process, other: Process, login: Login, clock: Clock
) -> None:
    aside = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    await remembering(other, login, aside)
    await process.accounts.logout(login.token, login.account.user_id, None)
    clock.pass_s(2 * 3600)
    await process.database.write(lambda connection: connection.execute(delete(endings)))  # as pruning does by then
    await other.tokens.follow_endings()
    await refused(INVALID, check(other, login))
    await check(other, aside)


async def test_logging_out_is_success_whoever_asks(process: Process, login: Login, clock: Clock) -> None:
    user_id = login.account.user_id
    ben = await process.sign_up("ben")
    wishes = [("garbage", user_id), ("", user_id), ("", ""), (login.token, ben.user_id), (login.token, "")]
    for token, user in wishes:
        await process.accounts.logout(token, user, None)
    await process.accounts.logout(login.token, user_id, ACME)
    await check(process, login)
    for _ in range(2):
        await process.accounts.logout(login.token, user_id, DEFAULT)
    await refused(INVALID, check(process, login))


async def test_an_expired_token_still_ends_its_session(process: Process, login: Login, clock: Clock) -> None:
    clock.pass_s(86_400)
    later = await process.accounts.login_again(await process.caller(login))
    clock.now = login.expires_at_s * 1000 + 1
    await process.accounts.logout(login.token, login.account.user_id, None)
    await refused(INVALID, check(process, later))


async def test_a_logged_out_session_cannot_be_renewed(process: Process, other: Process, login: Login) -> None:
    caller = await process.caller(login)
    await other.accounts.logout(login.token, caller.user_id, None)
    await refused(INVALID, process.accounts.login_again(caller))


async def test_without_an_account_a_token_is_of_nobody(process: Process, other: Process, login: Login) -> None:
    caller = await process.caller(login)
    for remember in (process, other):
        await remembering(remember, login)
    await process.accounts.delete(caller)
    await refused(GONE, check(process, login))
    await other.tokens.follow_endings()
    await refused(GONE, check(other, login))
    await refused(GONE, process.accounts.login_again(caller))
    await process.accounts.delete(caller)
    await process.accounts.logout(login.token, caller.user_id, None)


async def test_without_revocation_a_token_outlives_its_logout(
    start: Callable[..., Process], process: Process, login: Login, clock: Clock
) -> None:
    stateless = start(revocation=False)
    await remembering(stateless, login)
    caller = await stateless.caller(login)
    await stateless.accounts.logout(login.token, caller.user_id, None)
    for _ in range(2):
        await check(stateless, login)
        await stateless.tokens.follow_endings()
    again = await stateless.accounts.login_again(caller)
    await check(stateless, again)
    clock.now = login.expires_at_s * 1000
    await refused(Code.UserTokenExpired, check(stateless, login))


async def test_without_revocation_a_deleted_account_is_gone_all_the_same(
    start: Callable[..., Process], login: Login
) -> None:
    stateless = start(revocation=False)
    await remembering(stateless, login)
    await stateless.accounts.delete(await stateless.caller(login))
    await refused(GONE, check(stateless, login))
