"""Salts at rest: sealed under a data key, and a start with the wrong key is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from contract.nodes import DATA_KEY, SALT, Node, Ticks
from liveroom.adapters.store.accounts import SqlAccounts
from liveroom.adapters.store.keys import check_data_keys
from liveroom.adapters.store.sealing import Seal, WrongDataKey
from liveroom.adapters.store.tables import accounts, canaries

OTHER_KEY = "another data key, just as long as the first one"


async def test_the_row_holds_no_salt_that_one_could_use(node: Node) -> None:
    await node.register("ann")
    await node.register("ben")
    rows = await node.rows(select(accounts.c.salt, accounts.c.salt_key))
    for sealed, key_id in rows:
        assert SALT.encode() not in sealed
        assert DATA_KEY.encode() not in sealed + key_id.encode()
        assert key_id == Seal([DATA_KEY]).key_id
    assert rows[0].salt != rows[1].salt, "equal salts must not show as equal"


async def test_a_sealed_salt_is_bound_to_its_row(node: Node) -> None:
    await node.register("ann")
    [row] = await node.rows(select(accounts.c.salt, accounts.c.salt_key))
    seal = Seal([DATA_KEY])
    assert seal.open(row.salt_key, row.salt, "default:ann") == SALT
    for context in ("default:ben", "acme:ann"):
        with pytest.raises(WrongDataKey):
            seal.open(row.salt_key, row.salt, context)


async def test_a_damaged_salt_does_not_open(node: Node) -> None:
    seal = Seal([DATA_KEY])
    sealed = seal.close(SALT, "c")
    with pytest.raises(WrongDataKey):
        seal.open(seal.key_id, sealed[:-1] + bytes([sealed[-1] ^ 1]), "c")


async def test_a_retired_key_goes_on_opening_what_it_sealed(node: Node) -> None:
    ann = await node.register("ann")
    rotated = SqlAccounts(node.database, Seal([OTHER_KEY, DATA_KEY]), node.outbox, Ticks())
    credential = await rotated.credential("default", "ann")
    assert credential is not None
    assert (credential.account, credential.salt) == (ann, SALT)


async def test_the_first_key_seals(node: Node) -> None:
    assert Seal([OTHER_KEY, DATA_KEY]).key_id == Seal([OTHER_KEY]).key_id
    sealed = Seal([OTHER_KEY, DATA_KEY]).close(SALT, "c")
    assert Seal([OTHER_KEY]).open(Seal([OTHER_KEY]).key_id, sealed, "c") == SALT


async def test_a_start_with_the_right_key_passes_every_time(node: Node, other: Node) -> None:
    for process in (node, other, node):
        await check_data_keys(process.database, Seal([DATA_KEY]))
    assert [row.salt_key for row in await node.rows(select(canaries))] == [Seal([DATA_KEY]).key_id]


async def test_a_start_with_the_wrong_key_is_refused(node: Node, other: Node) -> None:
    await check_data_keys(node.database, Seal([DATA_KEY]))
    with pytest.raises(WrongDataKey):
        await check_data_keys(other.database, Seal([OTHER_KEY]))
    assert [row.salt_key for row in await node.rows(select(canaries))] == [Seal([DATA_KEY]).key_id]


async def test_a_key_may_not_be_dropped_while_it_sealed_something(node: Node) -> None:
    await check_data_keys(node.database, Seal([DATA_KEY]))
    await check_data_keys(node.database, Seal([OTHER_KEY, DATA_KEY]))
    await check_data_keys(node.database, Seal([DATA_KEY, OTHER_KEY]))
    for kept in (DATA_KEY, OTHER_KEY):
        with pytest.raises(WrongDataKey):
            await check_data_keys(node.database, Seal([kept]))
