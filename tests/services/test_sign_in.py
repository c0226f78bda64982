"""Signing up and signing in: by a registered salt, or vouched for by a tag's secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from liveroom.errors import Code
from liveroom.model import Tenant
from liveroom.ports.accounts import Profile
from liveroom.services import usersig
from liveroom.services.accounts import SignInPolicy
from services.rig import ACME, DEFAULT, NOON, SALT, Clock, Process, proof, refused

SECRET = "the secret of the customer's back end"
VOUCHED = replace(DEFAULT, oauth_secrets={"shop": SECRET, "web": "another secret"})
NO, PARAMS = Code.SystemVerifyError, Code.UserOAuthParams


def vouched(
    username: str, tag: str = "shop", secret: str = SECRET, ts: str = "", nonce: str = ""
) -> tuple[Tenant, object]:
    return VOUCHED, proof(username, secret, tag, ts, nonce)


async def test_registering_makes_an_account(process: Process, clock: Clock) -> None:
    account = await process.accounts.register(DEFAULT, "ann", SALT)
    assert (account.user_id, account.username, account.created_at) == ("10000000", "ann", NOON)
    assert (account.name, account.avatar, account.tag, account.phone, account.email) == ("", "", "", "", "")
    await refused(NO, process.accounts.register(DEFAULT, "ann", SALT))
    assert (await process.accounts.register(DEFAULT, "ben", SALT)).user_id != account.user_id


async def test_a_new_account_gets_one_of_the_tenants_avatars(process: Process) -> None:
    tenant = replace(DEFAULT, avatars=("a.png", "b.png"))
    made = [await process.accounts.register(tenant, f"user {number}", SALT) for number in range(20)]
    assert {account.avatar for account in made} == {"a.png", "b.png"}


async def test_ids_of_another_tenant_carry_its_name(process: Process) -> None:
    account = await process.accounts.register(ACME, "ann", SALT)
    assert (account.tenant, account.user_id) == ("acme", "acme-10000000")
    await process.accounts.register(DEFAULT, "ann", SALT)
    login = await process.accounts.sign_in(ACME, proof("ann"), Profile())
    assert login.account.user_id == "acme-10000000"


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("parts", [("", "", ""), ("t", "17", "n"), ("a-b", "-", "ö😀")])
async def test_a_salt_signs_in(process: Process, algorithm: str, parts: tuple[str, str, str]) -> None:
    account = await process.accounts.register(DEFAULT, "änn-1 ", SALT)
    genuine = proof("änn-1 ", SALT, *parts, algorithm=algorithm)
    for signature in (genuine.signature, genuine.signature.upper()):
        login = await process.accounts.sign_in(DEFAULT, replace(genuine, signature=signature), Profile())
        assert (login.account, login.tenant) == (account, DEFAULT)
        await process.tokens.check(login.token, account.user_id, DEFAULT)


async def test_the_usersig_of_a_login_lets_into_the_tenants_application(process: Process, clock: Clock) -> None:
    for tenant in (DEFAULT, ACME):
        await process.accounts.register(tenant, "ann", SALT)
        login = await process.accounts.sign_in(tenant, proof("ann"), Profile())
        again = await process.accounts.login_again(await process.caller(login))
        for sig in (login.user_sig, again.user_sig):
            check = (sig, tenant.sdk_app_id, tenant.secret, login.account.user_id)
            assert usersig.verify(*check, NOON // 1000 + 172_799)
            assert not usersig.verify(*check, NOON // 1000 + 172_800)


async def test_whoever_has_not_the_salt_stays_outside(process: Process) -> None:
    await process.accounts.register(DEFAULT, "ann", SALT)
    genuine = proof("ann")
    wrong = [
        proof("ann", "f" * 32),
        proof("ann", ""),
        proof("Ann"),
        proof("ann "),
        proof("nobody"),
        replace(genuine, nonce="1"),
        replace(genuine, tag="1"),
        replace(genuine, ts="1"),
        replace(genuine, hash="sha1"),
        replace(genuine, signature=""),
        replace(genuine, signature=genuine.signature[:-1]),
        replace(genuine, signature=genuine.signature + "0"),
        replace(genuine, signature="é" + genuine.signature),
    ]
    messages = {(await refused(NO, process.accounts.sign_in(DEFAULT, attempt, Profile()))).message for attempt in wrong}
    assert len(messages) == 1, "nobody learns which names there are"
    await refused(NO, process.accounts.sign_in(ACME, genuine, Profile()))


async def test_a_nickname_and_an_avatar_become_the_accounts(process: Process) -> None:
    await process.accounts.register(DEFAULT, "ann", SALT)
    named = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile(name="Ann 😀", avatar="a.png"))
    assert (named.account.name, named.account.avatar) == ("Ann 😀", "a.png")
    plain = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    assert plain.account == named.account, "absent ones change nothing"
    renamed = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile(name="Anna"))
    assert (renamed.account.name, renamed.account.avatar) == ("Anna", "a.png")
    await refused(NO, process.accounts.sign_in(DEFAULT, proof("ann", "f" * 32), Profile(name="x")))
    assert (await process.accounts.login_again(await process.caller(plain))).account == renamed.account


async def test_a_vouched_account_is_made_on_first_sight(process: Process) -> None:
    first = await process.accounts.sign_in(*vouched("ann"), Profile(name="Ann", avatar="a.png"))
    assert (first.account.username, first.account.name, first.account.avatar) == ("ann", "Ann", "a.png")
    again = await process.accounts.sign_in(*vouched("ann", ts="2", nonce="x"), Profile())
    assert again.account == first.account


async def test_one_username_is_one_account_whatever_the_tag(process: Process) -> None:
    shop = await process.accounts.sign_in(*vouched("ann"), Profile())
    web = await process.accounts.sign_in(*vouched("ann", "web", "another secret"), Profile())
    assert web.account == shop.account


async def test_a_tags_secret_and_no_other_vouches(process: Process) -> None:
    await process.accounts.register(DEFAULT, "ann", SALT)
    for username, secret in (("ann", SALT), ("ann", "another secret"), ("ben", "x"), ("ben", "")):
        await refused(NO, process.accounts.sign_in(*vouched(username, secret=secret), Profile()))
    await refused(NO, process.accounts.sign_in(*vouched("ben", tag="unknown"), Profile()))
    login = await process.accounts.sign_in(VOUCHED, proof("ann", SALT, "unknown"), Profile())
    assert login.account.username == "ann", "with any other tag the registered salt counts"


async def test_the_first_vouching_takes_the_name_over(process: Process, other: Process) -> None:
    await process.tokens.follow_endings()
    await other.tokens.follow_endings()
    before = await process.sign_up("ann")
    held = await process.accounts.sign_in(DEFAULT, proof("ann"), Profile())
    for remembering in (process, other):
        await remembering.tokens.check(held.token, before.user_id, DEFAULT)
    bystander = await process.accounts.register(DEFAULT, "ben", SALT)

    login = await process.accounts.sign_in(*vouched("ann"), Profile())
    assert login.account.user_id == before.user_id
    await refused(Code.UserTokenInvalid, process.tokens.check(held.token, before.user_id, DEFAULT))
    await other.tokens.follow_endings()
    await refused(Code.UserTokenInvalid, other.tokens.check(held.token, before.user_id, DEFAULT))
    await other.tokens.check(login.token, before.user_id, DEFAULT)
    await refused(NO, process.accounts.sign_in(DEFAULT, proof("ann"), Profile()))

    again = await process.accounts.sign_in(*vouched("ann"), Profile())
    for token in (login.token, again.token):
        await process.tokens.check(token, before.user_id, DEFAULT)
    assert (await process.accounts.sign_in(DEFAULT, proof("ben"), Profile())).account == bystander


@pytest.mark.parametrize("hyphen", [{"ts": "1-2"}, {"nonce": "-"}, {"ts": "1", "nonce": "a-"}])
async def test_a_vouched_sign_in_holds_no_hyphen(process: Process, hyphen: dict[str, str]) -> None:
    await refused(PARAMS, process.accounts.sign_in(*vouched("ann", **hyphen), Profile()))
    login = await process.accounts.sign_in(*vouched("ann-with-hyphens", ts="1", nonce="2"), Profile())
    assert login.account.username == "ann-with-hyphens"


async def test_a_tag_with_a_hyphen_can_vouch_for_nobody(process: Process) -> None:
    tenant = replace(DEFAULT, oauth_secrets={"the-shop": SECRET})
    await refused(PARAMS, process.accounts.sign_in(tenant, proof("ann", SECRET, "the-shop"), Profile()))


async def test_register_is_closed_beside_tag_secrets(process: Process, start: Callable[..., Process]) -> None:
    await refused(NO, process.accounts.register(VOUCHED, "ann", SALT))
    await process.accounts.register(ACME, "ann", SALT)
    opened = start(policy=SignInPolicy(register_beside_vouching=True))
    await opened.accounts.register(VOUCHED, "ann", SALT)


AGE = SignInPolicy(max_age_s=300)


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize(
    ("late_s", "good"), [(301, False), (300, True), (0, True), (-60, True), (-61, False), (10**8, False)]
)
async def test_a_signature_gets_old(start: Callable[..., Process], unit: int, late_s: int, good: bool) -> None:
    """Its moment may be in seconds or milliseconds, and up to a minute ahead."""
    process = start(policy=AGE)
    await process.accounts.register(DEFAULT, "ann", SALT)
    ts = str((NOON // 1000 - late_s) * unit)
    for tenant, signature in ((DEFAULT, proof("ann", ts=ts)), vouched("ben", ts=ts)):
        wish = process.accounts.sign_in(tenant, signature, Profile())
        await wish if good else await refused(PARAMS, wish)


NO_MOMENTS = ["", "abc", "0", "-1", "1e9", "²", "१७००००००००", "9" * 40, " 1700000000", "1700000000.0"]


@pytest.mark.parametrize("ts", NO_MOMENTS)
async def test_a_moment_that_is_none_is_out_of_date(start: Callable[..., Process], ts: str) -> None:
    process = start(policy=AGE)
    await process.accounts.register(DEFAULT, "ann", SALT)
    await refused(PARAMS, process.accounts.sign_in(DEFAULT, proof("ann", ts=ts), Profile()))


async def test_without_a_maximal_age_a_signature_stays_good(process: Process, clock: Clock) -> None:
    await process.accounts.register(DEFAULT, "ann", SALT)
    for _ in range(3):
        await process.accounts.sign_in(DEFAULT, proof("ann", ts="1"), Profile())
        clock.pass_s(86_400)


async def test_a_replay_is_refused_ten_seconds_after_the_first(start: Callable[..., Process], clock: Clock) -> None:
    """A retry within ten seconds is the client's own."""
    process = start(policy=AGE)
    await process.accounts.register(DEFAULT, "ann", SALT)
    stamp = str(NOON // 1000)
    for tenant, first in ((DEFAULT, proof("ann", ts=stamp)), vouched("ben", ts=stamp)):
        clock.now = NOON
        await process.accounts.sign_in(tenant, first, Profile())
        clock.pass_s(10)
        await process.accounts.sign_in(tenant, first, Profile())
        clock.pass_s(0.001)
        await refused(NO, process.accounts.sign_in(tenant, first, Profile()))
        shouted = replace(first, signature=first.signature.upper())
        await refused(NO, process.accounts.sign_in(tenant, shouted, Profile()))
        other = proof(first.username, SALT if tenant is DEFAULT else SECRET, first.tag, stamp, "other")
        await process.accounts.sign_in(tenant, other, Profile())
        clock.now = NOON + 300_000
        await refused(NO, process.accounts.sign_in(tenant, first, Profile()))


async def test_a_signature_from_a_fast_clock_is_no_good_twice(start: Callable[..., Process], clock: Clock) -> None:
    """It is shown a minute before its time, and fresh for a minute longer."""
    process = start(policy=AGE)
    await process.accounts.register(DEFAULT, "ann", SALT)
    ahead = proof("ann", ts=str(NOON // 1000 + 60))
    await process.accounts.sign_in(DEFAULT, ahead, Profile())
    clock.pass_s(359.9)
    await refused(NO, process.accounts.sign_in(DEFAULT, ahead, Profile()))


async def test_a_wrong_signature_is_no_first_showing(start: Callable[..., Process], clock: Clock) -> None:
    """Else anybody could use up what another is about to send."""
    process = start(policy=AGE)
    await process.accounts.register(DEFAULT, "ann", SALT)
    stamp = str(NOON // 1000)
    attempts = [(DEFAULT, proof("ann", ts=stamp)), vouched("ben", ts=stamp)]
    for tenant, genuine in attempts:
        await refused(NO, process.accounts.sign_in(tenant, replace(genuine, nonce="x"), Profile()))
    clock.pass_s(20)
    for tenant, genuine in attempts:
        await process.accounts.sign_in(tenant, genuine, Profile())
