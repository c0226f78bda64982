"""XiaoZhiBo on Android, from the first start to the deleted account."""

from __future__ import annotations

from copy import copy

import pytest
from apps import AndroidXiaoZhiBo
from envelopes import keepalive_code, keepalive_codes
from readers import refused
from wire import Service, Topology, fresh_name, soon


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


def test_first_start(service: Service) -> None:
    phone = AndroidXiaoZhiBo(service)
    phone.register(fresh_name(), "secret")
    phone.login(phone.username, phone.password)
    assert phone.user_id == phone.apaas_user_id
    assert 10_000_000 <= int(phone.user_id) < 2**31

    assert phone.query_me()["name"] == ""
    phone.user_update(phone.username)
    phone.keepalive()

    assert phone.query_me()["name"] == phone.username
    phone.room_list()


def test_register_a_taken_name(service: Service) -> None:
    name = fresh_name()
    AndroidXiaoZhiBo(service).register(name, "first")

    with refused(98):
        AndroidXiaoZhiBo(service).register(name, "second")

    AndroidXiaoZhiBo(service).login(name, "first")


def test_register_trims_the_name_it_shows(service: Service) -> None:
    phone = AndroidXiaoZhiBo(service)
    phone.register(f"  {fresh_name()} ", "secret")
    phone.login(phone.username, "secret")


@pytest.mark.parametrize("name", ["主播-小芳", "o'brien & söhne", "🎤🎤", "a+b=c?d/e%20f"])
def test_names_in_any_script(service: Service, name: str) -> None:
    phone = AndroidXiaoZhiBo(service)
    phone.register(fresh_name(name), "密码 +&=")
    phone.login(phone.username, phone.password)
    phone.user_update(name)
    assert phone.query_me()["name"] == name


def test_names_compare_byte_for_byte(service: Service) -> None:
    name = fresh_name("Lower")
    phones = [AndroidXiaoZhiBo(service) for _ in range(2)]
    phones[0].register(name, "secret")
    phones[1].register(name.lower(), "secret")
    for phone in phones:
        phone.login(phone.username, "secret")
    assert phones[0].user_id != phones[1].user_id


def test_wrong_password_then_the_right_one(service: Service) -> None:
    phone = AndroidXiaoZhiBo(service)
    phone.register(fresh_name(), "right")

    with refused(98):
        phone.login(phone.username, "wrong")
    assert phone.token == ""

    phone.login(phone.username, "right")


def test_login_of_a_name_nobody_registered(service: Service) -> None:
    with refused(98):
        AndroidXiaoZhiBo(service).login(fresh_name(), "secret")


def test_cold_starts_leave_every_older_token_valid(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    user_id, tokens = phone.user_id, [phone.token]

    for _ in range(4):
        phone.auto_login()
        phone.query_me()
        phone.keepalive()
        tokens.append(phone.token)

    assert phone.user_id == user_id
    assert [keepalive_code(service, user_id, token) for token in tokens] == [0] * 5


def test_cold_start_with_a_spoilt_token(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    phone.token = phone.token[:-10]

    with refused(204):
        phone.auto_login()

    assert phone.token == "", "the app forgets it and shows the login page"
    phone.login(phone.username, phone.password)


def test_keepalives_every_ten_seconds_and_doubled_timers(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    for _ in range(6):
        phone.keepalive()


def test_logout(service: Service) -> None:
    here = service.each()[0]
    phone = AndroidXiaoZhiBo.signed_up(here)
    user_id, token = phone.user_id, phone.token

    phone.logout()

    assert phone.token == ""
    assert keepalive_code(here, user_id, token) == 204
    soon(lambda: keepalive_codes(service, user_id, token) == {204})
    with refused(204):
        phone.keepalive()  # one already on its way, with nothing in it any more


def test_logout_ends_the_older_tokens_of_the_session_too(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    user_id, first = phone.user_id, phone.token
    phone.auto_login()

    phone.logout()

    soon(lambda: keepalive_codes(service, user_id, first) == {204})


def test_logout_pressed_twice(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    pressed_again = copy(phone)

    phone.logout()
    pressed_again.logout()

    assert pressed_again.token == "", "with an ended token the button works too"


@pytest.mark.parametrize("token", ["", "rubbish", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"])
def test_logout_with_a_token_that_is_none(service: Service, token: str) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    user_id, real = phone.user_id, phone.token
    phone.token = token

    phone.logout()

    assert phone.user_id == "", "the phone is cleared"
    assert keepalive_codes(service, user_id, real) == {0}, "the session is not"


def test_logout_of_a_user_nobody_knows(service: Service) -> None:
    phone = AndroidXiaoZhiBo(service)
    phone.apaas_user_id, phone.token = "10000000", "rubbish"
    phone.logout()


def test_a_wrong_token_logs_nobody_out(service: Service) -> None:
    victim, stranger = AndroidXiaoZhiBo.signed_up(service), AndroidXiaoZhiBo.signed_up(service)
    thief = copy(stranger)
    thief.apaas_user_id = victim.user_id

    thief.logout()

    assert keepalive_codes(service, victim.user_id, victim.token) == {0}
    assert keepalive_codes(service, stranger.user_id, stranger.token) == {0}


def test_login_again_in_the_same_process_sends_no_keepalive(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    phone.logout()

    phone.login(phone.username, phone.password)
    room = phone.start_live("back again", "")

    assert room in {row.room_id for row in phone.room_list()}
    phone.destroy_room(room)


def test_two_phones_with_one_account(service: Service) -> None:
    old, new = AndroidXiaoZhiBo.signed_up(service), AndroidXiaoZhiBo(service)
    new.login(old.username, old.password)
    token = old.token

    old.logout()

    soon(lambda: keepalive_codes(service, new.user_id, token) == {204})
    assert keepalive_codes(service, new.user_id, new.token) == {0}


def test_rooms_calls_of_a_logged_out_phone_do_not_crash_it(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    late = copy(phone)
    phone.logout()
    soon(lambda: keepalive_codes(service, late.user_id, late.token) == {204})

    with refused(204):
        late.room_list()
    with refused(204):
        late.start_live("title", "")
    with refused(204):
        late.leave_room(late.user_id)
    with refused(204):
        late.destroy_room(late.user_id)


def test_tapping_the_avatar_does_not_crash(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    assert phone.avatar_is_off() in (True, False)


def test_delete_and_register_the_name_again(service: Service) -> None:
    phone = AndroidXiaoZhiBo.signed_up(service)
    user_id, token = phone.user_id, phone.token

    phone.delete()

    soon(lambda: keepalive_codes(service, user_id, token) == {206})
    with refused(98):
        phone.login(phone.username, phone.password)
    phone.register(phone.username, phone.password)
    phone.login(phone.username, phone.password)
    assert phone.user_id != user_id, "the name is free again, the id never"


def test_delete_reaches_the_server_twice(service: Service) -> None:
    """OkHttp repeats a GET whose connection broke after the server had done it."""
    phone = AndroidXiaoZhiBo.signed_up(service)
    retry, other_button = copy(phone), copy(phone)

    phone.delete()
    retry.delete()
    other_button.logout()


def test_register_reaches_the_server_twice(service: Service) -> None:
    phone = AndroidXiaoZhiBo(service)
    phone.register(fresh_name(), "secret")

    with refused(98):
        phone.register(phone.username, "secret")

    phone.login(phone.username, "secret")
