"""AccountStore: accounts and what proves them."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select, update

from contract.conftest import StoreBackEnd
from contract.nodes import DEFAULT, NOON, SALT, Node, drawn, new
from liveroom.adapters.store.tables import accounts
from liveroom.model import Account, Credential, Session, SessionStanding, Tenant
from liveroom.ports.accounts import NewAccount, Profile

ACME = Tenant(name="acme")


async def test_register_makes_an_account(node: Node, other: Node) -> None:
    wish = NewAccount("default", "ann", drawn("10000001"), "https://example.org/a.png", NOON)
    account = await node.accounts.register(wish, SALT)
    expected = Account("default", "10000001", "ann", avatar="https://example.org/a.png", created_at=NOON)
    assert account == expected
    assert await other.accounts.find("default", "10000001") == expected
    assert await other.accounts.credential("default", "ann") == Credential(expected, SALT)


async def test_a_taken_username_registers_nobody(node: Node, other: Node) -> None:
    ann = await node.register("ann")
    assert await other.accounts.register(new("ann"), "f" * 64) is None
    assert await node.accounts.credential("default", "ann") == Credential(ann, SALT)
    assert len(await node.rows(select(accounts))) == 1


async def test_tenants_share_neither_usernames_nor_ids(node: Node) -> None:
    here = await node.register("ann", ids=drawn("10000001"))
    there = await node.register("ann", ACME, ids=drawn("10000001"))
    assert await node.accounts.find("default", "10000001") == here
    assert await node.accounts.find("acme", "10000001") == there
    assert await node.accounts.credential("acme", "ann") == Credential(there, SALT)


async def test_one_of_many_registers_a_username(node: Node, other: Node) -> None:
    wishes = [(node, other)[turn % 2].accounts.register(new("ann"), SALT) for turn in range(12)]
    made = [account for account in await asyncio.gather(*wishes) if account is not None]
    assert len(made) == 1
    assert await node.accounts.find("default", made[0].user_id) == made[0]


async def test_vouch_makes_an_account_on_first_sight(node: Node, other: Node) -> None:
    profile = Profile(name="Ann", tag="host")
    account, had_salt = await node.accounts.vouch(new("ann", ids=drawn("10000001")), profile)
    assert account == Account("default", "10000001", "ann", name="Ann", tag="host", created_at=NOON)
    assert not had_salt
    assert await other.accounts.credential("default", "ann") == Credential(account, None)


async def test_vouch_again_applies_the_profile_to_the_same_account(node: Node) -> None:
    first, _ = await node.accounts.vouch(new("ann"), Profile(name="Ann", avatar="a.png"))
    second, had_salt = await node.accounts.vouch(new("ann"), Profile(avatar="b.png"))
    assert (second.user_id, second.name, second.avatar, had_salt) == (first.user_id, "Ann", "b.png", False)
    assert await node.accounts.vouch(new("ann"), Profile()) == (second, False)
    assert await node.accounts.find("default", first.user_id) == second


async def test_the_first_vouching_deletes_the_salt_and_ends_the_sessions(node: Node, other: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    for account in (ann, ben):
        session = Session("default", account.user_id, f"s-{account.username}", NOON + 1_000)
        assert await node.sessions.open(session, NOON, 20)
    _, cursor = await other.sessions.ended_since(0)

    account, had_salt = await node.accounts.vouch(new("ann"), Profile(name="Ann"))
    assert (account.user_id, account.name, had_salt) == (ann.user_id, "Ann", True)
    assert await other.accounts.credential("default", "ann") == Credential(account, None)
    of_ann = select(accounts.c.salt, accounts.c.salt_key).where(accounts.c.username == "ann")
    assert await node.rows(of_ann) == [(None, None)]
    assert await other.sessions.standing("default", ann.user_id, "s-ann") is SessionStanding.ENDED
    assert await other.sessions.standing("default", ben.user_id, "s-ben") is SessionStanding.LIVE
    assert ("default", "s-ann") in (await other.sessions.ended_since(cursor))[0]
    assert await node.accounts.vouch(new("ann"), Profile()) == (account, False)


async def test_a_sign_in_that_many_vouch_for_at_once_makes_one_account(node: Node, other: Node) -> None:
    wishes = [(node, other)[turn % 2].accounts.vouch(new("ann"), Profile(name="Ann")) for turn in range(12)]
    answers = await asyncio.gather(*wishes)
    assert len({account.user_id for account, _ in answers}) == 1
    assert {account.name for account, _ in answers} == {"Ann"}


async def test_vouching_for_an_account_that_goes_meanwhile_makes_another(node: Node, other: Node) -> None:
    """The name is free again at the very moment that its first account goes."""
    ann = await node.register("ann", ids=drawn("10000001"))
    of_ann = accounts.c.user_id == ann.user_id
    async with other.database.engine.begin() as rival:
        await rival.execute(select(accounts).where(of_ann).with_for_update())
        vouching = asyncio.create_task(node.accounts.vouch(new("ann", ids=drawn("10000002")), Profile(name="Ann")))
        await asyncio.sleep(0.3)
        await rival.execute(accounts.delete().where(of_ann))
    account, _ = await vouching
    assert (account.user_id, account.name) == ("10000002", "Ann")


async def test_what_names_nobody_is_not_found(node: Node) -> None:
    ann = await node.register("ann")
    assert await node.accounts.find("default", "99999999") is None
    assert await node.accounts.find("acme", ann.user_id) is None
    assert await node.accounts.find("default", "") is None
    assert await node.accounts.credential("default", "ben") is None
    assert await node.accounts.credential("acme", "ann") is None


async def test_an_account_is_found_by_its_phone(node: Node) -> None:
    row = {"tenant": "default", "user_id": "10000001", "username": "ann", "phone": "+4912345"}
    await node.database.write(lambda connection: connection.execute(insert(accounts), row))
    assert await node.accounts.find_by_phone("default", "+4912345") == Account(**row)
    assert await node.accounts.find_by_phone("acme", "+4912345") is None
    assert await node.accounts.find_by_phone("default", "4912345") is None


async def test_update_changes_what_the_profile_names(node: Node, other: Node) -> None:
    ann, ben = await node.register("ann"), await node.register("ben")
    assert await node.accounts.update("default", ann.user_id, Profile(name="Ann", tag="t"))
    assert await other.accounts.update("default", ann.user_id, Profile(tag="", tag2="u", avatar="a.png"))
    assert await other.accounts.update("default", ann.user_id, Profile(tag2="u")), "the same again is a change too"
    found = await node.accounts.find("default", ann.user_id)
    assert found == Account("default", ann.user_id, "ann", "Ann", "a.png", "", "u", created_at=NOON)
    assert await node.accounts.find("default", ben.user_id) == ben


async def test_update_of_nobody_changes_nothing(node: Node) -> None:
    ann = await node.register("ann")
    assert not await node.accounts.update("default", "99999999", Profile(name="x"))
    assert not await node.accounts.update("acme", ann.user_id, Profile(name="x"))
    assert await node.accounts.find("default", ann.user_id) == ann


async def test_a_profile_that_names_nothing_leaves_every_field(node: Node) -> None:
    ann = await node.register("ann")
    assert await node.accounts.update("default", ann.user_id, Profile())
    assert not await node.accounts.update("default", "99999999", Profile())
    assert await node.accounts.find("default", ann.user_id) == ann


async def test_a_deleted_account_leaves_its_username_behind(node: Node, other: Node) -> None:
    ann = await node.caller("ann")
    assert await node.sessions.open(Session("default", ann.user_id, "s", NOON + 1_000), NOON, 20)
    assert await other.depart(ann)
    assert not await node.depart(ann)
    assert await node.accounts.find("default", ann.user_id) is None
    assert await node.accounts.credential("default", "ann") is None
    assert await node.sessions.standing("default", ann.user_id, "s") is SessionStanding.NO_ACCOUNT
    assert (await node.register("ann")).user_id != ann.user_id


@pytest.mark.parametrize("known", [True, False])
async def test_many_look_ups_at_once_get_each_its_own_answer(node: Node, known: bool) -> None:
    made = await asyncio.gather(*(node.register(f"user {number}") for number in range(30)))
    wanted = [account.user_id if known else f"x{account.user_id}" for account in made]
    found = await asyncio.gather(*(node.accounts.find("default", user_id) for user_id in wanted))
    assert found == (made if known else [None] * 30)


async def test_a_changed_row_is_read_as_it_stands(node: Node, store: StoreBackEnd) -> None:
    """No look-up answers from memory."""
    ann = await node.register("ann")
    assert await node.accounts.find("default", ann.user_id) == ann
    change = update(accounts).where(accounts.c.user_id == ann.user_id).values(name="Ann")
    await node.database.write(lambda connection: connection.execute(change))
    found = await node.accounts.find(DEFAULT.name, ann.user_id)
    assert found is not None
    assert found.name == "Ann"
