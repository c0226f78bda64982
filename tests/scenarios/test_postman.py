"""The reference's Postman collection, run from top to bottom."""

from __future__ import annotations

import pytest
from apps import Postman
from envelopes import keepalive_codes, sign_in
from wire import Service, Topology, soon


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


def run_up_to_the_rooms(service: Service) -> Postman:
    postman = Postman(service)
    postman.register()
    postman.signature()
    postman.user_login_token()
    postman.user_update()
    postman.user_query()
    postman.user_keepalive()
    return postman


def test_the_collection(service: Service) -> None:
    postman = run_up_to_the_rooms(service)
    postman.enter_room()
    postman.room_detail()

    row = next(row for row in postman.query_room() if row["roomId"] == postman.room_id)
    assert (row["title"], row["category"], row["ownBy"]) == ("MyRoom", "liveRoom", postman.user_id)
    assert [row["userId"] for row in postman.list_users()] == [postman.user_id]

    postman.leave_room()
    postman.destroy_room()
    postman.user_logout()


def test_every_enter_without_an_id_makes_a_room(service: Service) -> None:
    postman = run_up_to_the_rooms(service)
    rooms = []
    for _ in range(3):
        postman.enter_room()
        rooms.append(postman.room_id)

    assert len({*rooms, postman.user_id}) == 4
    for postman.room_id in rooms:
        postman.room_detail()
        postman.destroy_room()


def test_clean_up_with_a_token_that_is_logged_out(service: Service) -> None:
    """The collection expects 0 here; with sessions that really end it is 204, and nothing is deleted."""
    postman = run_up_to_the_rooms(service)
    postman.user_logout()
    soon(lambda: keepalive_codes(service, postman.user_id, postman.token) == {204})

    postman.user_delete(expected=204)

    postman.token = sign_in(service, postman.username, postman.salt).token
    postman.user_delete()
    soon(lambda: keepalive_codes(service, postman.user_id, postman.token) == {206})
