"""XiaoZhiBo on Android when something goes wrong: crashes, stale lists, wrong hands, deleted people."""

from __future__ import annotations

import pytest
from apps import AndroidXiaoZhiBo, RoomOnAndroid
from envelopes import detail, is_open, people
from readers import refused
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


def test_crash_and_reenter_while_the_room_is_still_open(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    """A killed app sends nothing; at its next start the host goes live under the same id."""
    room = host.start_live("before the crash", "")
    viewer.watch(room)

    host.auto_login()
    host.query_me()
    host.start_live("after the crash", "")

    row = detail(service, viewer, room)
    assert row["title"] == "after the crash"
    assert (row["nnUsers"], row["totalJoined"]) == (2, 2)
    host.destroy_room(room)


def test_the_next_show_starts_from_zero(service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("first show", "https://img.example/1.png")
    viewer.watch(room)
    host.destroy_room(room)

    host.enter_room(room, "anchor")

    row = detail(service, host, room)
    assert (row["nnUsers"], row["totalJoined"]) == (1, 1)
    assert (row["title"], row["cover"]) == ("", "")
    assert people(service, host, room) == [host.user_id]
    host.update_room(room, "second show", "")
    again = listed(viewer, room)
    assert again is not None
    assert again.title == "second show"
    host.destroy_room(room)


def test_a_viewer_with_a_stale_list_does_not_get_the_room(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    room = host.start_live("show", "")
    host.destroy_room(room)

    viewer.watch(room)

    assert listed(viewer, room) is None, "open again, but without its host nobody is shown to it"
    row = detail(service, viewer, room)
    assert (row["ownBy"], row["createBy"], row["status"]) == (host.user_id, viewer.user_id, 1)

    host.start_live("the real show", "")
    found = listed(viewer, room)
    assert found is not None
    assert (found.owner_name, found.member_count, found.total_joined) == (host.user_id, 2, 2)
    host.destroy_room(room)


def test_a_viewer_calling_itself_anchor_shows_nothing(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    viewer.enter_room(host.user_id, "anchor")
    assert listed(viewer, host.user_id) is None
    assert detail(service, viewer, host.user_id)["status"] == 1
    host.destroy_room(host.user_id)


def test_a_viewer_can_neither_rename_nor_end_the_show(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    room = host.start_live("mine", "")
    viewer.watch(room)

    with refused(98):
        viewer.update_room(room, "yours", "")
    with refused(98):
        viewer.destroy_room(room)

    row = detail(service, viewer, room)
    assert (row["title"], row["nnUsers"]) == ("mine", 2)
    host.destroy_room(room)


def test_renaming_a_room_that_is_not_open(host: AndroidXiaoZhiBo) -> None:
    with refused(2004):
        host.update_room(host.user_id, "title", "")


def test_the_host_steps_out_and_in_again(service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo) -> None:
    room = host.start_live("show", "")
    viewer.watch(room)

    host.leave_room(room)
    assert listed(viewer, room) is None
    assert detail(service, viewer, room)["status"] == 1

    host.enter_room(room, "anchor")
    found = listed(viewer, room)
    assert found is not None
    assert (found.title, found.member_count, found.total_joined) == ("show", 2, 2)
    host.destroy_room(room)


def test_a_guest_anchor_keeps_the_room_visible(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    room = host.start_live("duet", "")
    viewer.enter_room(room, "anchor")

    host.leave_room(room)

    assert listed(viewer, room) is not None
    viewer.enter_room(room, "audience")
    assert listed(viewer, room) is None, "entering again changed the role"
    host.destroy_room(room)


def test_a_deleted_viewer_leaves_but_had_joined(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    room = host.start_live("show", "")
    viewer.watch(room)

    viewer.delete()

    row = detail(service, host, room)
    assert (row["nnUsers"], row["totalJoined"]) == (1, 2)
    host.destroy_room(room)


def test_a_deleted_host_takes_the_room_along(
    service: Service, host: AndroidXiaoZhiBo, viewer: AndroidXiaoZhiBo
) -> None:
    room = host.start_live("last show", "")
    viewer.watch(room)

    host.delete()

    assert listed(viewer, room) is None
    assert not is_open(service, viewer, room)
    viewer.leave_room(room)
    with refused(2004):
        viewer.watch(room)
