"""XiaoZhiBo on iOS: one 203 or 204 on any answer, and the user finds himself on the login page."""

from __future__ import annotations

from copy import deepcopy

import pytest
from apps import AndroidXiaoZhiBo, IosXiaoZhiBo, RoomOnIos
from envelopes import detail, is_open, keepalive_codes, people
from readers import LoggedOut, refused
from wire import Service, Topology, fresh_name, soon


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def phone(service: Service) -> IosXiaoZhiBo:
    return IosXiaoZhiBo.signed_up(service)


@pytest.fixture
def other(service: Service) -> IosXiaoZhiBo:
    return IosXiaoZhiBo.signed_up(service)


def listed(phone: IosXiaoZhiBo, room_id: str) -> RoomOnIos | None:
    return next((room for room in phone.room_list() if room.room_id == room_id), None)


def test_first_start(service: Service) -> None:
    phone = IosXiaoZhiBo(service)
    phone.register(fresh_name("小明 "), "p/a+s s&=密码")
    phone.login(phone.username, phone.password)
    phone.keepalive()
    phone.user_update(phone.username)

    assert phone.user is not None
    assert phone.user.apaas_user_id == phone.user_id
    assert phone.sdk_app_id > 0


def test_taken_name_and_wrong_password_are_toasts(phone: IosXiaoZhiBo) -> None:
    with refused(98):
        phone.register(phone.username, "other")
    with refused(98):
        phone.login(phone.username, "wrong")
    phone.keepalive()


def test_a_blank_behind_the_name_makes_another_name(service: Service, phone: IosXiaoZhiBo) -> None:
    """This app does not trim what the user typed."""
    with refused(98):
        phone.login(f"{phone.username} ", phone.password)
    other = IosXiaoZhiBo(service)
    other.register(f"{phone.username} ", phone.password)
    other.login(other.username, other.password)
    assert other.user_id != phone.user_id


def test_an_empty_form_is_a_toast(service: Service) -> None:
    phone = IosXiaoZhiBo(service)
    with refused(210):
        phone.register("", "password")
    with refused(210):
        phone.login("", "password")


def test_next_start_keeps_beating_with_the_old_token(phone: IosXiaoZhiBo) -> None:
    first = phone.token

    for _ in range(3):
        phone.keepalive()
        phone.next_start()
        phone.keepalive()
        phone.room_list()

    assert phone.saved_token != first
    assert keepalive_codes(phone.service, phone.user_id, first) == {0}


def test_go_live_and_stop(service: Service, phone: IosXiaoZhiBo) -> None:
    room = phone.start_live("标题 & more + 100% /?", "https://img.example/封面.png?a=1&b=2")

    found = phone.room_list()[0]

    assert found.room_id == room == phone.user_id
    assert found.title == "标题 & more + 100% /?"
    assert found.cover == "https://img.example/封面.png?a=1&b=2"
    assert (found.owner_name, found.total_joined) == (phone.user_id, 1)

    phone.stop_push(room)
    assert listed(phone, room) is None
    assert not is_open(service, phone, room)


def test_live_without_a_cover_and_live_again(service: Service, phone: IosXiaoZhiBo) -> None:
    for title in ("first", "second"):
        room = phone.start_live(title, "")
        row = detail(service, phone, room)
        assert (row["title"], row["cover"], row["totalJoined"]) == (title, "", 1)
        phone.stop_push(room)


def test_ranking(service: Service, phone: IosXiaoZhiBo, other: IosXiaoZhiBo) -> None:
    viewer = IosXiaoZhiBo.signed_up(service)
    crowded, quiet = phone.start_live("crowded", ""), other.start_live("quiet", "")
    viewer.watch(crowded)

    ranking = viewer.room_list("totalJoined")

    joined = [room.total_joined for room in ranking]
    assert joined == sorted(joined, reverse=True)
    assert [room.room_id for room in ranking if room.room_id in (crowded, quiet)] == [crowded, quiet]
    phone.stop_push(crowded)
    other.stop_push(quiet)


def test_watch_and_leave(service: Service, phone: IosXiaoZhiBo, other: IosXiaoZhiBo) -> None:
    room = phone.start_live("show", "")
    other.watch(room)
    other.watch(room)
    assert people(service, phone, room) == [phone.user_id, other.user_id]

    other.exit_room(room)
    other.exit_room(room)

    row = detail(service, phone, room)
    assert (row["nnUsers"], row["totalJoined"]) == (1, 2)
    phone.stop_push(room)


def test_leave_after_the_host_stopped(phone: IosXiaoZhiBo, other: IosXiaoZhiBo) -> None:
    room = phone.start_live("show", "")
    other.watch(room)
    phone.stop_push(room)
    other.exit_room(room)
    other.keepalive()


def test_stop_is_pressed_before_anything_started(phone: IosXiaoZhiBo) -> None:
    phone.stop_push(phone.user_id)
    phone.stop_push("2147483646")
    phone.exit_room("2147483646")
    phone.keepalive()


def test_no_refusal_but_a_bad_token_throws_the_user_out(
    service: Service, phone: IosXiaoZhiBo, other: IosXiaoZhiBo
) -> None:
    room = phone.start_live("mine", "")
    with refused(98):
        other.rename(room, "yours")
    with refused(98):
        other.stop_push(room)
    with refused(2004):
        other.rename(other.user_id, "not open")
    with refused(2000):
        other.watch("no,such,id")
    with refused(2001):
        other.stop_push("")
    with refused(2003):
        other.exit_room("")
    with refused(98):
        other.user_update("x" * 126)
    with refused(205):
        other.user_update("")
    other.keepalive()
    phone.stop_push(room)


def test_tapping_the_avatar(phone: IosXiaoZhiBo) -> None:
    assert phone.avatar_is_off() in (True, False)
    phone.keepalive()


def test_logout_then_a_late_keepalive(service: Service, phone: IosXiaoZhiBo) -> None:
    late = deepcopy(phone.user)
    assert late is not None
    phone.logout()
    soon(lambda: keepalive_codes(service, late.user_id, late.token) == {204})

    phone.user = late
    with pytest.raises(LoggedOut):
        phone.keepalive()

    phone.login(phone.username, phone.password)
    phone.keepalive()


def test_logout_twice_is_quiet(phone: IosXiaoZhiBo) -> None:
    user = deepcopy(phone.user)
    phone.logout()
    phone.user = user
    phone.logout()


def test_delete_then_stray_keepalives(service: Service, phone: IosXiaoZhiBo) -> None:
    """The deleted user stays cached: its timer goes on, the next start tries its token."""
    phone.delete()

    soon(lambda: keepalive_codes(service, phone.user_id, phone.token) == {206})
    for _ in range(4):
        with refused(206):
            phone.keepalive()
    with refused(206):
        phone.next_start()
    with refused(206):
        phone.exit_room(phone.user_id)


def test_register_with_the_deleted_user_still_cached(service: Service, phone: IosXiaoZhiBo) -> None:
    """oauth calls carry the userId, token and apaasUserId of somebody who is no more."""
    gone = phone.user_id
    phone.delete()
    soon(lambda: keepalive_codes(service, phone.user_id, phone.token) == {206})

    phone.register(phone.username, "new password")
    phone.login(phone.username, "new password")

    assert phone.user_id != gone
    phone.keepalive()
    phone.next_start()
    phone.stop_push(phone.start_live("a new life", ""))


def test_sign_in_as_somebody_else(service: Service, phone: IosXiaoZhiBo, other: IosXiaoZhiBo) -> None:
    before, old = phone.user_id, deepcopy(phone.user)
    phone.login(other.username, other.password)

    assert phone.user_id == other.user_id != before
    assert old is not None
    assert keepalive_codes(service, old.user_id, old.token) == {0}


def test_ios_and_android_in_one_room(service: Service, phone: IosXiaoZhiBo) -> None:
    host = AndroidXiaoZhiBo.signed_up(service)
    guest = AndroidXiaoZhiBo.signed_up(service)
    room = host.start_live("everybody", "https://img.example/all.png")

    phone.watch(room)
    guest.watch(room)

    on_ios = listed(phone, room)
    on_android = next(row for row in guest.room_list() if row.room_id == room)
    assert on_ios is not None
    assert (on_ios.title, on_ios.cover) == (on_android.title, on_android.cover)
    assert (on_android.member_count, on_android.total_joined, on_ios.total_joined) == (3, 3, 3)
    assert people(service, phone, room) == [host.user_id, phone.user_id, guest.user_id]

    guest.leave_room(room)
    host.destroy_room(room)
    phone.exit_room(room)
    assert listed(phone, room) is None


def test_one_account_moves_from_android_to_ios(service: Service, phone: IosXiaoZhiBo) -> None:
    """Both apps derive salt and signature alike."""
    android = AndroidXiaoZhiBo(service)
    android.login(phone.username, phone.password)
    assert android.user_id == phone.user_id

    room = android.start_live("from the other phone", "")
    phone.keepalive()
    phone.stop_push(room)
    assert not is_open(service, phone, room)
