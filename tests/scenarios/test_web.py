"""TUIRoom in a browser: generated room ids, everything by GET, nothing without CORS."""

from __future__ import annotations

import random

import pytest
from apps import TuiRoomWeb
from envelopes import detail, is_open, keepalive_codes, people, sign_up
from readers import LoggedOut, refused
from wire import Service, Topology, soon


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


def opened(service: Service, *, inner: bool = False) -> TuiRoomWeb:
    """A page whose visitor signed in before, so that a cookie holds the token."""
    account = sign_up(service)
    page = TuiRoomWeb(service, account.user_id, account.token, inner=inner)
    page.token_login()
    return page


@pytest.fixture
def host(service: Service) -> TuiRoomWeb:
    return opened(service)


@pytest.fixture
def guest(service: Service) -> TuiRoomWeb:
    return opened(service)


def test_a_meeting(service: Service, host: TuiRoomWeb, guest: TuiRoomWeb) -> None:
    room = host.generate_room_id("周会 weekly")
    with refused(2004):
        guest.room_detail(room)
    assert room not in {row["roomId"] for row in host.room_list()}

    host.enter_room(room, title="周会 weekly")
    host.update_room(room, "周会: notes, [1] $2", "https://img.example/c.png")
    row = guest.room_list()[0]
    assert (row["roomId"], row["title"]) == (room, "周会: notes, [1] $2")
    assert (row["ownBy"], row["category"], row["cover"]) == (
        host.user_id,
        "TUIRoom",
        "https://img.example/c.png",
    )

    assert guest.room_detail(room)["nnUsers"] == 1
    guest.enter_room(room)
    host.keep_live()
    guest.keep_live()
    assert guest.room_detail(room)["nnUsers"] == 2

    guest.leave_room(room)
    assert people(service, host, room) == [host.user_id]
    host.destroy_room(room)
    with refused(2004):
        guest.room_detail(room)
    guest.leave_room(room)

    host.logout()
    soon(lambda: keepalive_codes(service, host.user_id, host.token) == {204})
    with pytest.raises(LoggedOut):
        host.keep_live()


def test_title_and_role_are_optional(service: Service, host: TuiRoomWeb) -> None:
    room = host.generate_room_id()
    host.enter_room(room)
    row = detail(service, host, room)
    assert (row["title"], row["category"], row["status"]) == ("", "TUIRoom", 0)
    host.destroy_room(room)


def test_title_given_at_the_door(service: Service, host: TuiRoomWeb, guest: TuiRoomWeb) -> None:
    room = host.generate_room_id()
    host.enter_room(room, "anchor", "my title")
    guest.enter_room(room, "audience", "not the guest's business")
    assert detail(service, host, room)["title"] == "my title"
    host.destroy_room(room)


def test_generated_ids(host: TuiRoomWeb, guest: TuiRoomWeb) -> None:
    rooms = [page.generate_room_id() for page in (host, guest) for _ in range(5)]
    assert len(set(rooms) | {host.user_id, guest.user_id}) == 12
    for room in rooms:
        assert room == str(int(room))
        assert 10_000_000 <= int(room) < 2**31


def test_a_guest_who_is_early_does_not_get_the_room(service: Service, host: TuiRoomWeb, guest: TuiRoomWeb) -> None:
    room = host.generate_room_id()
    guest.enter_room(room)
    assert room not in {row["roomId"] for row in guest.room_list()}

    host.enter_room(room)

    row = detail(service, guest, room)
    assert (row["ownBy"], row["createBy"], row["nnUsers"]) == (host.user_id, guest.user_id, 2)
    assert room in {row["roomId"] for row in guest.room_list()}
    with refused(98):
        guest.update_room(room, "mine now", "")
    with refused(98):
        guest.destroy_room(room)
    host.destroy_room(room)


def test_a_room_number_from_the_address_bar(service: Service, host: TuiRoomWeb, guest: TuiRoomWeb) -> None:
    """Below the smallest account number, so nobody's: it belongs to whoever opens it."""
    room = str(random.randrange(100_000, 9_999_999))
    host.enter_room(room)
    guest.enter_room(room)
    assert detail(service, guest, room)["ownBy"] == host.user_id
    host.destroy_room(room)
    assert not is_open(service, guest, room)


def test_reload_of_the_page(service: Service, host: TuiRoomWeb) -> None:
    room = host.generate_room_id()
    host.enter_room(room, "anchor", "reloaded")

    host.token_login()
    host.enter_room(room, "anchor")

    row = detail(service, host, room)
    assert (row["nnUsers"], row["totalJoined"], row["title"]) == (1, 1, "reloaded")
    host.destroy_room(room)


def test_profile(host: TuiRoomWeb) -> None:
    host.update_user_name("Ann Ö'Hara + 1")
    assert host.user_info()["name"] == "Ann Ö'Hara + 1"
    host.token_login()


def test_inner_build_names_the_vendors_tenant_in_every_call(service: Service) -> None:
    host = opened(service, inner=True)
    room = host.generate_room_id("inner")
    host.enter_room(room)
    host.update_room(room, "inner", "")
    assert host.room_list()[0]["roomId"] == room
    host.keep_live()
    host.destroy_room(room)
    host.logout()


def test_cookie_of_an_unreadable_token(service: Service) -> None:
    page = TuiRoomWeb(service, sign_up(service).user_id, "undefined")
    with pytest.raises(LoggedOut):
        page.token_login()
    page.logout()


def test_refusals_reach_the_page_without_logging_it_out(host: TuiRoomWeb) -> None:
    with refused(2004):
        host.room_detail("123456")
    with refused(2002):
        host.room_detail("")
    with refused(98):
        host.update_user_name("x" * 126)
    host.leave_room("123456")
    host.destroy_room("123456")
    host.keep_live()
