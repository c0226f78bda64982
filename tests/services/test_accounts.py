"""Accounts: what one says of oneself, asks about others, and how one goes."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from liveroom.adapters.store.tables import accounts
from liveroom.errors import Code
from liveroom.ports.accounts import Profile
from services.rig import ACME, DEFAULT, SALT, Process, refused

GONE = Code.UserNotExists


async def test_an_update_changes_what_it_names(process: Process) -> None:
    ann = await process.sign_up("ann")
    await process.accounts.update(ann, Profile(name="Ann", tag="t1", tag2="t2", avatar="a.png"))
    await process.accounts.update(ann, Profile(tag=""))
    account = await process.accounts.query(ann, None, None)
    assert (account.name, account.tag, account.tag2, account.avatar) == ("Ann", "", "t2", "a.png")
    await process.accounts.update(ann, Profile(name="Ann"))


async def test_an_update_of_nothing_is_refused(process: Process) -> None:
    ann = await process.sign_up("ann")
    await refused(Code.UseInfoEmpty, process.accounts.update(ann, Profile()))


async def test_whoever_is_gone_updates_nothing(process: Process) -> None:
    ann = await process.sign_up("ann")
    await process.accounts.delete(ann)
    await refused(GONE, process.accounts.update(ann, Profile(name="x")))


async def test_one_asks_about_oneself_and_about_others(process: Process) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    await process.accounts.update(ben, Profile(name="Ben"))
    assert (await process.accounts.query(ann, None, None)).user_id == ann.user_id
    assert (await process.accounts.query(ann, ann.user_id, None)).user_id == ann.user_id
    assert (await process.accounts.query(ann, ben.user_id, None)).name == "Ben"


async def test_any_text_that_names_no_account_is_nobody(process: Process) -> None:
    ann = await process.sign_up("ann")
    near = [ann.user_id + "\0", ann.user_id + " ", "0" + ann.user_id, "-1", "ann", "😀", "' OR 1=1 --", "x" * 128, "\0"]
    for text in near:
        await refused(GONE, process.accounts.query(ann, text, None))
        await refused(GONE, process.accounts.query(ann, None, text))


async def test_nobody_sees_another_tenants_accounts(process: Process) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben", ACME)
    await refused(GONE, process.accounts.query(ann, ben.user_id, None))
    await refused(GONE, process.accounts.query(ben, ann.user_id, None))


@pytest.mark.parametrize("phone", ["+4915112345678", " 4915112345678", "4915112345678", "+4915112345678 "])
async def test_a_phone_number_that_lost_its_plus_is_found(process: Process, phone: str) -> None:
    ann = await process.sign_up("ann")
    row = {"tenant": "default", "user_id": "1", "username": "ben", "phone": "+4915112345678"}
    await process.database.write(lambda connection: connection.execute(insert(accounts), row))
    assert (await process.accounts.query(ann, None, phone)).username == "ben"


async def test_nobody_has_no_phone_number(process: Process) -> None:
    """Most accounts have none: an empty search finds none of them."""
    ann = await process.sign_up("ann")
    for phone in ("", "+", " "):
        await refused(GONE, process.accounts.query(ann, None, phone))


async def test_a_deleted_account_takes_its_rooms_and_its_places_along(process: Process, other: Process) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    for room_id in (ann.user_id, "anns"):
        await process.enter(ann, room_id)
        await other.enter(ben, room_id)
    await other.enter(ben, ben.user_id)
    await process.enter(ann, ben.user_id)
    await process.accounts.delete(ann)
    for room_id in (ann.user_id, "anns"):
        await refused(Code.RoomNotExists, other.rooms.detail(ben, room_id))
    assert await other.inside(ben, ben.user_id) == [ben.user_id]
    room = await other.rooms.detail(ben, ben.user_id)
    assert (room.inside, room.joined) == (1, 2)
    await refused(GONE, other.accounts.query(ben, ann.user_id, None))


async def test_the_name_of_a_deleted_account_is_free_and_its_id_is_not(process: Process) -> None:
    ann = await process.sign_up("ann")
    await process.accounts.delete(ann)
    again = await process.sign_up("ann")
    assert again.user_id != ann.user_id
    await refused(Code.UserTokenInvalid, process.tokens.check("x", again.user_id, DEFAULT))
    await refused(Code.RoomNotExists, process.enter(again, ann.user_id))


async def test_deleting_twice_is_success(process: Process, other: Process) -> None:
    ann = await process.sign_up("ann")
    await process.accounts.delete(ann)
    await other.accounts.delete(ann)
    assert (await process.accounts.register(DEFAULT, "ann", SALT)).username == "ann"


async def test_whoever_is_gone_does_nothing_any_more(process: Process) -> None:
    ann, ben = await process.sign_up("ann"), await process.sign_up("ben")
    await process.enter(ben, "bens")
    await process.accounts.delete(ann)
    await refused(GONE, process.accounts.query(ann, None, None))
    await refused(GONE, process.accounts.login_again(ann))
    await refused(GONE, process.enter(ann, "bens"))
    await refused(GONE, process.enter(ann, None))
    await process.members.leave(ann, "bens")
    assert await process.inside(ben, "bens") == [ben.user_id]
