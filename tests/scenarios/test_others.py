"""The vendor's other apps, each in the one call or two that only it makes in this way."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from apps import (
    CachedUser,
    FlutterTuikit,
    ImElectron,
    ImWeb,
    KaraokeIos,
    LiteAvAndroid,
    LiteAvIos,
    RtcubeAndroid,
    RtcubeIos,
    TimSdkIos,
)
from envelopes import Account, ask, code_of, data_of, keepalive_codes, sign_in, sign_up
from readers import refused
from usersigs import opened
from wire import Service, Topology, fresh_name, soon

LOGIN_TEXTS = {
    "userId",
    "apaasUserId",
    "userSig",
    "sdkUserSig",
    "token",
    "expire",
    "phone",
    "email",
    "name",
    "avatar",
    "apaasAppId",
}


@pytest.fixture
def service(topology: Topology) -> Service:
    return Service.on(topology)


@pytest.fixture
def account(service: Service) -> Account:
    return sign_up(service)


def cached(account: Account) -> CachedUser:
    return CachedUser(account.user_id, account.token, account.user_id)


def gone(service: Service, account: Account) -> None:
    soon(lambda: keepalive_codes(service, account.user_id, account.token) == {206})


def test_login_data_suits_every_reader(service: Service, account: Account) -> None:
    data = data_of(service, "auth_users/user_login_token", **account.credentials)

    assert {name for name, value in data.items() if type(value) is str} >= LOGIN_TEXTS
    assert type(data["sdkAppId"]) is int
    assert None not in data.values()
    assert data["userId"] == data["apaasUserId"] == account.user_id
    assert data["userSig"] == data["sdkUserSig"]
    assert (data["apaasAppId"], data["phone"], data["email"]) == ("", "", "")
    expires = datetime.strptime(data["expire"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(expires.timestamp() - time.time() - 30 * 86400) < 120


def test_user_sig_is_good_for_two_days_and_for_one_user(topology: Topology, account: Account) -> None:
    service = Service.on(topology)
    data = data_of(service, "auth_users/user_login_token", **account.credentials)
    ticket = opened(data["userSig"])
    assert ticket["TLS.expire"] == 48 * 3600
    assert type(ticket["TLS.time"]) is int
    assert "TLS.userbuf" not in ticket
    if topology.name == "two-processes":
        assert data["sdkAppId"] == 1_400_000_000


def test_register_tells_name_and_id(service: Service) -> None:
    name, salt = fresh_name(), "0" * 32
    told = data_of(service, "oauth/register", username=name, salt=salt)
    assert told == {"name": name, "id": sign_in(service, name, salt).user_id}


def test_tim_sdk_sends_a_token_as_apaas_user_id(service: Service, account: Account) -> None:
    app = TimSdkIos(service, cached(account))
    app.token_login()
    app.restart()
    app.token_login()
    app.restart()
    app.logout()
    soon(lambda: keepalive_codes(service, account.user_id, account.token) == {204})


def test_tim_sdk_deletes_after_a_restart(service: Service, account: Account) -> None:
    app = TimSdkIos(service, cached(account))
    app.restart()
    app.delete()
    gone(service, account)


def test_flutter_deletes_by_get_with_a_body(service: Service, account: Account) -> None:
    app = FlutterTuikit(service, account.user_id, account.token)
    app.token_login()
    app.tag_account()
    data = data_of(service, "auth_users/user_query", **account.credentials)
    assert (data["tag"], data["tag2"], data["name"]) == ("flutter_tuikit", "", "")

    app.delete()
    gone(service, account)


def test_flutter_shows_the_name_of_the_error(service: Service, account: Account) -> None:
    app = FlutterTuikit(service, account.user_id, account.token[:-3])
    with refused(204):
        app.delete()
    assert keepalive_codes(service, account.user_id, account.token) == {0}


def test_karaoke_signature_fits_no_secret(service: Service) -> None:
    """Written for a server that checked nothing: here nobody gets in by it, nor an account made."""
    phone = fresh_name("+86138")
    with refused(98):
        KaraokeIos(service).login(phone)
    assert code_of(service, "oauth/register", username=phone, salt="1" * 32) == 0
    with refused(98):
        KaraokeIos(service).login(phone)


def test_karaoke_under_its_stage_prefix(service: Service, account: Account) -> None:
    app = KaraokeIos(service, cached(account))
    app.token_login()
    app.keepalive()
    app.user_update("麦霸/KTV")
    assert data_of(service, "auth_users/user_query", **account.credentials)["name"] == "麦霸/KTV"


def test_electron_asks_for_permission_first(service: Service, account: Account) -> None:
    app = ImElectron(service, account.user_id, account.token)
    app.token_login()
    app.token_login()


def test_im_web_posts_forms(service: Service, account: Account) -> None:
    app = ImWeb(service, account.user_id, account.token)
    app.token_login()
    app.delete()
    gone(service, account)


def test_lite_av_ios(service: Service, account: Account) -> None:
    app = LiteAvIos(service, account.user_id, account.token)
    app.token_login()
    app.user_update("李雷")
    app.token_login()
    app.delete()
    app.delete()


def test_lite_av_android_looks_people_up(service: Service, account: Account) -> None:
    friend = sign_up(service)
    name = {"name": "韩梅梅"}
    assert code_of(service, "auth_users/user_update", **friend.credentials, **name) == 0
    app = LiteAvAndroid(service, account.user_id, account.token)
    assert app.token_login() == ""

    found = app.search(searchUserId=friend.user_id)

    assert (found["userId"], found["name"], found["phone"]) == (friend.user_id, "韩梅梅", "")
    assert app.search()["userId"] == account.user_id
    with refused(206):
        app.search(searchUserId="2147483646")
    with refused(206):
        app.search(searchPhone="8610000000001")
    with refused(208):
        app.search(searchUserId=friend.user_id, searchPhone="8610000000001")


def test_rtcube_android_sets_name_tag_and_avatar(service: Service, account: Account) -> None:
    app = RtcubeAndroid(service, account.user_id, account.token)
    app.token_login()
    app.user_update("Robin", "https://img.example/robin.png")
    app.user_update("Robin", "https://img.example/robin.png")
    app.keepalive()
    data = data_of(service, "auth_users/user_query", **account.credentials)
    assert (data["name"], data["tag"], data["avatar"]) == ("Robin", "im", "https://img.example/robin.png")


def test_rtcube_ios_looks_people_up(service: Service, account: Account) -> None:
    friend = sign_up(service)
    app = RtcubeIos(service, cached(account))
    app.token_login()
    app.user_update("Kim")
    assert app.search(friend.user_id)["userId"] == friend.user_id
    assert app.search(account.user_id)["name"] == "Kim"


def test_nobody_is_told_phone_or_email(service: Service, account: Account) -> None:
    data = ask(service, "auth_users/user_query", **account.credentials)["data"]
    assert data.keys() == {"userId", "apaasUserId", "name", "avatar", "tag", "tag2"}
    assert {type(value) for value in data.values()} == {str}
