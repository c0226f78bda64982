"""Text in the store: ids, usernames and categories compare byte for byte, every script and emoji is kept."""

from __future__ import annotations

import asyncio

import pytest

from contract.nodes import SALT, Node, new, query
from liveroom.ports.accounts import Profile

# Pairs and triples that one collation or another holds to be equal.
ALIKE = [
    *["a", "a ", "a  ", " a", "A", "ａ", "a\t", "a\n", "a\0", "a\0b", "\0a", "a\u200b", "a\u00a0"],
    *["ä", "a\u0308", "á", "Ä", "ae", "æ", "å", "ss", "ß", "ẞ", "i", "I", "ı", "İ", "fi", "ﬁ"],
    *["1", "01", "¹", "１", "%", "_", "\\", "\\\\", "'", "''", '"', "`", "--", "-- "],
    *["か", "が", "カ", "ｶ", "台", "臺", "😀", "😁", "👍", "👍🏽", "𠮷", "吉", "𐎀", "\U0010ffff", "e", "é", "e\u0301"],
]
# The longest texts of the contract, in code points, in the widest script.
WIDEST = ["x", "é", "直", "😀", "\U0010ffff"]


def test_the_samples_are_different_texts() -> None:
    assert len(set(ALIKE)) == len(ALIKE)


async def test_usernames_compare_byte_for_byte(node: Node, other: Node) -> None:
    made = await asyncio.gather(*(node.register(name) for name in ALIKE))
    assert [account.username for account in made] == ALIKE
    again = await asyncio.gather(*(other.accounts.register(new(name), SALT) for name in ALIKE))
    assert again == [None] * len(ALIKE)
    found = await asyncio.gather(*(other.accounts.credential("default", name) for name in ALIKE))
    assert [credential and credential.account for credential in found] == made


async def test_a_username_that_is_only_alike_proves_nobody(node: Node) -> None:
    await node.register("a")
    for name in ALIKE[1:]:
        assert await node.accounts.credential("default", name) is None, repr(name)


async def test_vouched_usernames_compare_byte_for_byte(node: Node) -> None:
    answers = await asyncio.gather(*(node.accounts.vouch(new(name), Profile(name=name)) for name in ALIKE))
    assert len({account.user_id for account, _ in answers}) == len(ALIKE)
    for name, (account, _) in zip(ALIKE, answers, strict=True):
        assert (account.username, account.name) == (name, name)


async def test_user_ids_compare_byte_for_byte(node: Node) -> None:
    ann = await node.register("ann", ids=lambda: "acme-10000001")
    for user_id in ("acme-10000001 ", "Acme-10000001", "acme-010000001", "acme-10000001\0", "ácme-10000001", "", " "):
        assert await node.accounts.find("default", user_id) is None, repr(user_id)
    assert await node.accounts.find("default", "acme-10000001") == ann


async def test_room_ids_compare_byte_for_byte(node: Node) -> None:
    ann = await node.caller("ann")
    rooms = ["a", "A", "a.", "a%", "a_", "%", "_", "a'", 'a"', "a\\", "a\\\\", "~" * 47, "~" * 48, "!", "a`"]
    for room_id in rooms:
        await node.enter(ann, room_id, title=f"room {room_id}")
    for room_id in rooms:
        assert (await node.room(room_id)).title == f"room {room_id}"
        assert await node.inside(room_id) == [ann.user_id]
        assert [room.room_id for room in await node.rooms.page(query(room_ids=(room_id,)))] == [room_id]
    assert len(await node.rooms.page(query())) == len(rooms)
    for room_id in ("a ", " a", "aa", "á", "~" * 49):
        assert await node.rooms.find("default", room_id) is None, repr(room_id)


async def test_categories_compare_byte_for_byte(node: Node) -> None:
    owners = await node.callers(len(ALIKE))
    enters = [node.enter(owner, owner.user_id, category=text) for owner, text in zip(owners, ALIKE, strict=True)]
    await asyncio.gather(*enters)
    for owner, category in zip(owners, ALIKE, strict=True):
        page = await node.rooms.page(query(category=category))
        assert [(room.room_id, room.category) for room in page] == [(owner.user_id, category)], repr(category)


async def test_an_empty_category_is_a_category(node: Node) -> None:
    ann, ben = await node.caller("ann"), await node.caller("ben")
    await node.enter(ann, ann.user_id)
    await node.enter(ben, ben.user_id, category=" ")
    assert [room.room_id for room in await node.rooms.page(query(category=""))] == [ann.user_id]


@pytest.mark.parametrize("letter", WIDEST)
async def test_the_longest_texts_of_an_account_are_kept(node: Node, letter: str) -> None:
    account = await node.register(letter * 125)
    profile = Profile(name=letter * 125, avatar=letter * 512, tag=letter * 32, tag2=letter * 32)
    assert await node.accounts.update("default", account.user_id, profile)
    found = await node.accounts.find("default", account.user_id)
    assert found is not None
    assert (found.username, found.name, found.avatar) == (letter * 125, letter * 125, letter * 512)
    assert (found.tag, found.tag2) == (letter * 32, letter * 32)
    shorter = await node.register(letter * 124)
    assert shorter.user_id != account.user_id


@pytest.mark.parametrize("letter", WIDEST)
async def test_the_longest_texts_of_a_room_are_kept(node: Node, letter: str) -> None:
    ann = await node.caller("ann")
    texts = {"title": letter * 200, "category": letter * 32, "subject": letter * 64}
    texts |= {"description": letter * 512, "cover": letter * 512}
    assert await node.enter(ann, "r", letter * 32, title="short") == letter * 32
    await node.update(ann, "r", **texts)
    room = await node.room("r")
    assert {name: getattr(room, name) for name in texts} == texts
    [profile] = await node.rooms.members("default", "r", 0, 10) or []
    assert profile.role == letter * 32


async def test_the_longest_salt_is_kept(node: Node) -> None:
    salts = ["s" * 32, "s" * 256, "\U0010ffff" * 256, "a" * 31 + " ", "0" * 31 + "\0"]
    for number, salt in enumerate(salts):
        assert await node.accounts.register(new(f"user {number}"), salt) is not None
        credential = await node.accounts.credential("default", f"user {number}")
        assert credential is not None
        assert credential.salt == salt


async def test_texts_come_back_as_they_went_in(node: Node) -> None:
    ann = await node.caller("ann")
    await node.enter(ann, "r")
    for text in ALIKE[::2]:
        await node.update(ann, "r", title=text, role=text)
        assert await node.accounts.update("default", ann.user_id, Profile(name=text, tag=text))
        [profile] = await node.rooms.members("default", "r", 0, 10) or []
        assert ((await node.room("r")).title, profile.role, profile.name) == (text, text, text)
