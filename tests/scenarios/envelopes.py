"""What the contract promises of every answer, and the shortest way to an account."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Protocol

from wire import Reply, Service, compact, fresh_name, md5, now_ms

ERROR_NAMES = {
    98: "SystemVerifyError",
    99: "SystemError",
    100: "ServiceUnavailable",
    101: "ServiceResponseInvalid",
    102: "ServiceSmsFailed",
    103: "ServiceDBFailed",
    104: "ServiceUnknownError",
    200: "UserCodeInvalid",
    201: "UserCodeExpired",
    202: "UserCodeConsumed",
    203: "UserTokenExpired",
    204: "UserTokenInvalid",
    205: "UseInfoEmpty",
    206: "UserNotExists",
    207: "UserEmailInvalid",
    208: "UserQueryParams",
    209: "UserQueryLimit",
    210: "UserOAuthParams",
    211: "UserAlreadyInRooms",
    2000: "RoomCreateParams",
    2001: "RoomDestroyParams",
    2002: "RoomQueryParams",
    2003: "RoomLeaveParams",
    2004: "RoomNotExists",
    2006: "RoomsUserExists",
}


class SignedIn(Protocol):
    @property
    def user_id(self) -> str: ...

    @property
    def token(self) -> str: ...


@dataclass
class Account:
    """An account that some app made and signed in to."""

    username: str
    salt: str
    user_id: str
    token: str
    sdk_app_id: int

    @property
    def credentials(self) -> dict[str, str]:
        return {"userId": self.user_id, "token": self.token}


def envelope(reply: Reply, status: int = 200) -> dict[str, Any]:
    """The body of an answer, after checking that it is the contract's envelope."""
    assert reply.status == status, f"HTTP {reply.status}: {reply.body[:300]!r}"
    assert reply.headers.get_content_type() == "application/json"
    body = reply.json()
    assert type(body) is dict
    assert type(body["errorCode"]) is int
    assert type(body["errorMessage"]) is str
    assert len(body["errorMessage"]) <= 120
    assert "\n" not in body["errorMessage"]
    assert type(body["version"]) is str
    assert body["version"]
    assert body.get("data", {}) is not None
    if body["errorCode"]:
        assert body["codeStr"] == ERROR_NAMES[body["errorCode"]]
        assert "data" not in body
    return body


def ask(service: Service, call: str, **parameters: object) -> dict[str, Any]:
    """One call in the plainest way: POST JSON, envelope checked, answered with HTTP 200."""
    return envelope(service.post_json(f"/base/v1/{call}", compact(parameters)))


def code_of(service: Service, call: str, **parameters: object) -> int:
    return int(ask(service, call, **parameters)["errorCode"])


def data_of(service: Service, call: str, **parameters: object) -> Any:
    body = ask(service, call, **parameters)
    assert body["errorCode"] == 0, body
    return body["data"]


def sign_up(service: Service) -> Account:
    username, salt = fresh_name(), secrets.token_hex(16)
    assert code_of(service, "oauth/register", username=username, salt=salt) == 0
    return sign_in(service, username, salt)


def sign_in(service: Service, username: str, salt: str) -> Account:
    ts = now_ms()
    signature = md5(f"{username}--{ts}--{salt}")
    data = data_of(service, "oauth/signature", username=username, ts=ts, signature=signature)
    return Account(username, salt, data["userId"], data["token"], data["sdkAppId"])


def keepalive_code(service: Service, user_id: str, token: str) -> int:
    return code_of(service, "auth_users/user_keepalive", userId=user_id, token=token)


def keepalive_codes(service: Service, user_id: str, token: str) -> set[int]:
    """What each process says to the token, asked one after the other."""
    return {keepalive_code(process, user_id, token) for process in service.each()}


def detail(service: Service, user: SignedIn, room_id: str) -> dict[str, Any]:
    """`room_detail`, whose count has to be the number of rows `list_users` gives."""
    row = data_of(service, "rooms/room_detail", userId=user.user_id, token=user.token, roomId=room_id)
    assert row["nnUsers"] == len(people(service, user, room_id))
    assert row["nnUsers"] <= row["totalJoined"]
    return dict(row)


def people(service: Service, user: SignedIn, room_id: str) -> list[str]:
    """Who is inside, in order of entering."""
    rows = data_of(service, "rooms/list_users", userId=user.user_id, token=user.token, roomId=room_id, limit=100)
    return [row["userId"] for row in rows]


def is_open(service: Service, user: SignedIn, room_id: str) -> bool:
    code = code_of(service, "rooms/room_detail", userId=user.user_id, token=user.token, roomId=room_id)
    assert code in (0, 2004)
    return code == 0
