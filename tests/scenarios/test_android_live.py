"""XiaoZhiBo on Android in its rooms: the host's phone and the audience's."""

from __future__ import annotations

import pytest
from apps import AndroidXiaoZhiBo, RoomOnAndroid
from envelopes import detail, is_open, people
from wire import Service, Topology


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def host(service: Service) -> AndroidXiaoZhiBo:
    return AndroidXiaoZhiBo.signed_up(service)


@pytest.fixture
def viewer(service: Service) -> AndroidXiaoZhiBo:
    return AndroidXiaoZhiBo.signed_up(service)


def listed(phone: AndroidXiaoZhiBo, room_id: str) -> RoomOnAndroid | None:
    return next((room for room in phone.room_list() if room.room_id == room_id), None)


def test_start_live_and_be_found(host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("小芳的直播间 🎤", "https://img.example/a.png?x=1&y=2")

    found = viewer.room_list()[0]

    assert found.room_id == room == host.user_id
    assert found.title == "小芳的直播间 🎤"
    assert found.cover == "https://img.example/a.png?x=1&y=2"
    assert found.owner_name == host.user_id
    assert (found.member_count, found.total_joined, found.status) == (1, 1, 0)
    host.destroy_room(room)


def test_start_live_without_a_cover(host: AndroidXiaoZhiBo) -> None:
    room = host.start_live("no picture", "")
    row = listed(host, room)
    assert row is not None
    assert row.cover == ""
    host.destroy_room(room)


def test_debug_and_release_builds_open_the_same_kind_of_room(service: Service) -> None:
    """Only release builds send type=TIMER_ROOM."""
    rows = {}
    for release in (True, False):
        phone = AndroidXiaoZhiBo.signed_up(service, release=release)
        room = phone.start_live("same", "")
        rows[release] = detail(service, phone, room)
        phone.destroy_room(room)
    for name in ("category", "title", "nnUsers", "totalJoined", "status"):
        assert rows[True][name] == rows[False][name]


def test_newest_first(service: Service, viewer: AndroidXiaoZhiBo) -> None:
    hosts = [AndroidXiaoZhiBo.signed_up(service) for _ in range(3)]
    rooms = [phone.start_live(phone.username, "") for phone in hosts]

    assert [room.room_id for room in viewer.room_list()][:3] == rooms[::-1]

    for phone, room in zip(hosts, rooms, strict=True):
        phone.destroy_room(room)


def test_hot_ranking(service: Service) -> None:
    hosts = [AndroidXiaoZhiBo.signed_up(service) for _ in range(3)]
    audience = [AndroidXiaoZhiBo.signed_up(service) for _ in range(3)]
    rooms = [phone.start_live(phone.username, "") for phone in hosts]
    for room, size in zip(rooms, (1, 3, 2), strict=True):
        for phone in audience[:size]:
            phone.watch(room)
            phone.leave_room(room)

    ranking = audience[0].room_list("totalJoined")

    joined = [room.total_joined for room in ranking]
    assert joined == sorted(joined, reverse=True)
    assert [room.room_id for room in ranking if room.room_id in rooms] == [rooms[1], rooms[2], rooms[0]]
    for phone, room in zip(hosts, rooms, strict=True):
        phone.destroy_room(room)


def test_watch_and_leave(host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("show", "")

    viewer.watch(room)
    row = listed(viewer, room)
    assert row is not None
    assert (row.member_count, row.total_joined) == (2, 2)

    viewer.leave_room(room)
    row = listed(host, room)
    assert row is not None
    assert (row.member_count, row.total_joined) == (1, 2)
    host.destroy_room(room)


def test_entering_twice_counts_once(service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("show", "")
    for _ in range(3):
        viewer.watch(room)

    row = detail(service, host, room)

    assert (row["nnUsers"], row["totalJoined"]) == (2, 2)
    assert people(service, host, room) == [host.user_id, viewer.user_id]
    host.destroy_room(room)


def test_coming_back_counts_once_but_goes_last(service: Service, host: AndroidXiaoZhiBo) -> None:
    early, late = AndroidXiaoZhiBo.signed_up(service), AndroidXiaoZhiBo.signed_up(service)
    room = host.start_live("show", "")
    early.watch(room)
    late.watch(room)

    early.leave_room(room)
    early.watch(room)

    assert people(service, host, room) == [host.user_id, late.user_id, early.user_id]
    assert detail(service, host, room)["totalJoined"] == 3
    host.destroy_room(room)


@pytest.mark.parametrize("order", ["leave first", "enter first"])
def test_swipe_to_the_next_room(service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo, order: str) -> None:
    other_host = AndroidXiaoZhiBo.signed_up(service)
    old, new = host.start_live("old", ""), other_host.start_live("new", "")
    viewer.watch(old)

    if order == "leave first":
        viewer.leave_room(old)
        viewer.watch(new)
    else:
        viewer.watch(new)
        viewer.leave_room(old)

    assert people(service, host, old) == [host.user_id]
    assert people(service, other_host, new) == [other_host.user_id, viewer.user_id]
    host.destroy_room(old)
    other_host.destroy_room(new)


def test_end_live_twice(service: Service, host: AndroidXiaoZhiBo) -> None:
    """The button destroys the room, and so does the dying activity once more."""
    room = host.start_live("show", "")
    host.destroy_room(room)
    host.destroy_room(room)
    assert not is_open(service, host, room)
    assert listed(host, room) is None


def test_end_a_show_that_never_began(host: AndroidXiaoZhiBo) -> None:
    host.destroy_room(host.user_id)


def test_leave_after_the_host_ended_the_show(host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("show", "")
    viewer.watch(room)
    host.destroy_room(room)
    viewer.leave_room(room)


def test_leave_without_having_entered(service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("show", "")
    viewer.leave_room(room)
    viewer.leave_room(room)
    viewer.leave_room("2147483646")
    assert detail(service, host, room)["nnUsers"] == 1
    host.destroy_room(room)


def test_a_full_evening(service: Service, host: AndroidXiaoZhiBo) -> None:
    audience = [AndroidXiaoZhiBo.signed_up(service) for _ in range(6)]
    room = host.start_live("evening", "")
    for phone in audience:
        phone.watch(room)
        phone.keepalive()
    for phone in audience[::2]:
        phone.leave_room(room)
    audience[0].watch(room)
    audience[1].auto_login()
    audience[1].watch(room)
    host.keepalive()

    row = detail(service, host, room)

    assert (row["nnUsers"], row["totalJoined"]) == (5, 7)
    inside = [audience[1], audience[3], audience[5], audience[0]]
    assert people(service, host, room) == [host.user_id, *(phone.user_id for phone in inside)]
    host.destroy_room(room)
    for phone in audience:
        phone.leave_room(room)
        phone.logout()
    host.logout()
