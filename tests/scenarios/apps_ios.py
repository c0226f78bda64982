"""XiaoZhiBo on iOS: Swift and Alamofire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from readers import AppBroken, Refused, int32, optional_text, swift, text
from usersigs import im_login
from wire import Service, compact, fresh_name, md5, now_ms, pairs

FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass
class CachedUser:
    user_id: str
    token: str
    apaas_user_id: str


@dataclass(frozen=True)
class RoomOnIos:
    """A list entry as the app keeps it; it knows no head count but totalJoined."""

    room_id: str
    title: str
    owner_name: str
    cover: str
    total_joined: int


class IosXiaoZhiBo:
    """XI: signs in by POST JSON, drives rooms by POST form, adds its cached user and appId to every call.

    A 203 or 204 on any answer raises LoggedOut, as the app throws its user out.
    """

    category = "mlvb-show-live"

    def __init__(self, service: Service) -> None:
        self.service = service
        self.username = self.password = ""
        self.user: CachedUser | None = None
        self.saved_token = ""
        self.sdk_app_id = 0

    @classmethod
    def signed_up(cls, service: Service) -> IosXiaoZhiBo:
        """A phone after its first start."""
        phone = cls(service)
        phone.register(fresh_name("ios"), "pass/word")
        phone.login(phone.username, phone.password)
        phone.user_update(phone.username)
        return phone

    @property
    def user_id(self) -> str:
        return self._cached().user_id

    @property
    def token(self) -> str:
        return self._cached().token

    def register(self, username: str, password: str) -> None:
        self.username, self.password = username, password
        self._json("oauth/register", {"username": username, "salt": md5(f"{username}-{password}")})

    def login(self, username: str, password: str) -> None:
        ts = now_ms()
        signature = md5(f"{username}-xiaozhibo-{ts}--{md5(f'{username}-{password}')}")
        signed = {"username": username, "signature": signature, "tag": "xiaozhibo", "ts": ts}
        data = self._json("oauth/signature", signed | {"nonce": "", "hash": "md5"})
        self.sdk_app_id = int32(data, "sdkAppId")
        self.user = self._model(data)
        self.saved_token = self.user.token

    def next_start(self) -> None:
        """Token login in the background of the main page; any Refused here is the login page.

        The new token goes to disk only: this process keeps using the one it started with.
        """
        user = self._cached()
        user.token = self.saved_token
        data = self._json("auth_users/user_login_token", {"userId": user.user_id, "token": user.token})
        self.saved_token = self._model(data).token

    def keepalive(self) -> None:
        """Goes on as long as a user is cached, also after that user was deleted."""
        self._json("auth_users/user_keepalive", {})

    def user_update(self, name: str) -> None:
        self._json("auth_users/user_update", self._ids() | {"name": name})

    def logout(self) -> None:
        """Fire and forget: the cached user is gone before the answer is there."""
        ids = self._ids()
        try:
            self._json("auth_users/user_logout", ids)
        finally:
            self.user = None

    def delete(self) -> None:
        """Leaves the deleted user in the cache."""
        self._json("auth_users/user_delete", self._ids())

    def start_live(self, title: str, cover: str) -> str:
        room_id = self.user_id
        self.enter_room(room_id, "anchor")
        self._form("rooms/update_room", {"roomId": room_id, "title": title, "cover": cover})
        return room_id

    def watch(self, room_id: str) -> None:
        self.enter_room(room_id, "audience")

    def enter_room(self, room_id: str, role: str) -> None:
        self._form("rooms/enter_room", {"category": self.category, "role": role, "roomId": room_id})

    def rename(self, room_id: str, title: str) -> None:
        self._form("rooms/update_room", {"roomId": room_id, "title": title, "cover": ""})

    def exit_room(self, room_id: str) -> None:
        self._form("rooms/leave_room", {"roomId": room_id})

    def stop_push(self, room_id: str) -> None:
        """Close button, exit button, kicked offline: sent without asking whether the room ever was."""
        self._form("rooms/destroy_room", {"roomId": room_id})

    def room_list(self, order_by: str = "createUtc") -> list[RoomOnIos]:
        assert self.sdk_app_id != 0, "the app would not even ask"
        rows = self._form("rooms/query_room", {"category": self.category, "orderBy": order_by})
        if not isinstance(rows, list):
            raise AppBroken("the list is no list: shown as empty")
        return [_room_on_ios(row) for row in rows]

    def avatar_is_off(self) -> bool:
        """Versions of spring 2022 ask `cos/config` when the avatar is tapped; a refusal is a toast."""
        query = _alamofire({"category": "avatar"} | self._base())
        try:
            data = swift(self.service.get("/base/v1/cos/config", query))
        except Refused:
            return True
        return not optional_text(data or {}, "bucket")

    def _cached(self) -> CachedUser:
        assert self.user is not None, "nobody signed in"
        return self.user

    def _ids(self) -> dict[str, object]:
        return {"userId": self.user_id, "token": self.token}

    def _base(self) -> dict[str, object]:
        """What is added wherever the call did not say it itself."""
        return with_user(self.user) | {"appId": self.sdk_app_id}

    def _model(self, data: dict[str, Any]) -> CachedUser:
        user = CachedUser(text(data, "userId"), text(data, "token"), optional_text(data, "apaasUserId"))
        im_login(user.user_id, text(data, "userSig"), self.sdk_app_id, self.service.im_secret)
        for name in ("phone", "email", "name", "avatar", "apaasAppId", "sdkUserSig"):
            optional_text(data, name)
        return user

    def _json(self, call: str, parameters: dict[str, object] | dict[str, str]) -> Any:
        return swift(self.service.post_json(f"/base/v1/{call}", foundation(self._base() | parameters)))

    def _form(self, call: str, parameters: dict[str, object] | dict[str, str]) -> Any:
        form = _alamofire(self._base() | parameters)
        return swift(self.service.post_form(f"/base/v1/{call}", form, FORM))


def with_user(user: CachedUser | None) -> dict[str, object]:
    if user is None:
        return {}
    ids: dict[str, object] = {"userId": user.user_id, "token": user.token}
    return ids | {"apaasUserId": user.apaas_user_id} if len(user.apaas_user_id) > 1 else ids


def _room_on_ios(row: dict[str, Any]) -> RoomOnIos:
    return RoomOnIos(
        room_id=text(row, "roomId"),
        title=text(row, "title"),
        owner_name=text(row, "ownBy"),
        cover=optional_text(row, "cover"),
        total_joined=int32(row, "totalJoined"),
    )


def _alamofire(parameters: dict[str, object]) -> str:
    """URLEncoding.default: names in alphabetical order, `/` and `?` left alone."""
    return pairs(dict(sorted(parameters.items())), "/?")


def foundation(parameters: object) -> str:
    """JSONSerialization escapes slashes."""
    return compact(parameters).replace("/", "\\/")
