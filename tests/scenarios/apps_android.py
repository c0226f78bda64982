"""XiaoZhiBo on Android: Retrofit, OkHttp and Gson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from readers import (
    UNREADABLE,
    AppBroken,
    AppCrash,
    AppStuck,
    Refused,
    gson,
    int32,
    optional_text,
    parse_int,
    text,
)
from usersigs import im_login
from wire import Reply, Service, fresh_name, md5, now_ms, pairs

UNESCAPED = "*"


@dataclass(frozen=True)
class RoomOnAndroid:
    """A list entry as the app keeps it: the owner's id is taken from roomId, the name from ownBy."""

    room_id: str
    title: str
    owner_name: str
    cover: str
    member_count: int
    total_joined: int
    status: int


class AndroidXiaoZhiBo:
    """XA: signs in by GET with apaasUserId, drives rooms by POST form; its roomId is its userId."""

    category = "mlvb-show-live"

    def __init__(self, service: Service, *, release: bool = True) -> None:
        self.service = service
        self.release = release
        self.username = self.password = ""
        self._forget()

    @classmethod
    def signed_up(cls, service: Service, *, release: bool = True) -> AndroidXiaoZhiBo:
        """A phone after its first start."""
        phone = cls(service, release=release)
        phone.register(fresh_name("android"), "pass-word")
        phone.login(phone.username, phone.password)
        phone.query_me()
        phone.user_update(phone.username)
        return phone

    def register(self, username: str, password: str) -> None:
        self.username, self.password = username.strip(), password
        salt = md5(f"{self.username}-{password}")
        self._auth("oauth/register", {"username": self.username, "salt": salt})

    def login(self, username: str, password: str) -> None:
        ts = now_ms()
        signature = md5(f"{username}-xiaozhibo-{ts}--{md5(f'{username}-{password}')}")
        signed = {"username": username, "signature": signature, "tag": "xiaozhibo", "ts": ts, "nonce": ""}
        self._sign_in("oauth/signature", signed)

    def auto_login(self) -> None:
        self._sign_in("auth_users/user_login_token", self._who())

    def query_me(self) -> dict[str, Any]:
        """Part of every login: without a userId in the answer the login fails."""
        data = self._auth("auth_users/user_query", {"userId": self.user_id, "token": self.token})
        if data is None:
            raise AppBroken("user_query without data: login failed")
        assert text(data, "userId") == self.user_id
        return dict(data)

    def user_update(self, name: str) -> None:
        self._auth("auth_users/user_update", self._who() | {"name": name})

    def keepalive(self) -> None:
        self._auth("auth_users/user_keepalive", self._who())

    def logout(self) -> None:
        """Only errorCode 0 clears the phone; on anything else the button does nothing."""
        self._auth("auth_users/user_logout", self._who())
        self._forget()

    def delete(self) -> None:
        self._auth("auth_users/user_delete", self._who())
        self._forget()

    def start_live(self, title: str, cover: str) -> str:
        """A failure of either call makes the start of the show fail."""
        self.enter_room(self.user_id, "anchor")
        self.update_room(self.user_id, title, cover)
        return self.user_id

    def watch(self, room_id: str) -> None:
        self.enter_room(room_id, "audience")

    def enter_room(self, room_id: str, role: str) -> None:
        form = {"appId": "0"} | self._ids() | {"roomId": room_id, "role": role, "category": self.category}
        timer = {"type": "TIMER_ROOM"} if self.release else {}
        self._room("enter_room", form | {"apaasUserId": self.apaas_user_id} | timer)

    def update_room(self, room_id: str, title: str, cover: str) -> None:
        form = {"appId": "0"} | self._ids() | {"roomId": room_id, "title": title, "cover": cover}
        self._room("update_room", form | {"apaasUserId": self.apaas_user_id})

    def leave_room(self, room_id: str) -> None:
        self._room("leave_room", self._ids() | {"roomId": room_id, "apaasUserId": self.apaas_user_id})

    def destroy_room(self, room_id: str) -> None:
        self._room("destroy_room", self._ids() | {"roomId": room_id, "apaasUserId": self.apaas_user_id})

    def room_list(self, order_by: str = "createUtc") -> list[RoomOnAndroid]:
        form = {"appId": "0"} | self._ids() | {"category": self.category, "orderBy": order_by}
        rows = self._room("query_room", form | {"apaasUserId": self.apaas_user_id}, list)
        return [_room_on_android(row) for row in rows or []]

    def avatar_is_off(self) -> bool:
        """Versions of spring 2022 ask `cos/config` when the avatar is tapped; a refusal is a toast."""
        form = {"appId": "0", "category": "avatar"} | self._ids() | {"apaasUserId": self.apaas_user_id}
        try:
            data = gson(self._crash_unless_done(self._post("/base/v1/cos/config", _hash_map(form))))
        except Refused:
            return True
        return not optional_text(data or {}, "bucket")

    def _who(self) -> dict[str, str]:
        return {"apaasUserId": self.apaas_user_id, "token": self.token}

    def _ids(self) -> dict[str, str]:
        return {"userId": self.user_id, "token": self.token}

    def _forget(self) -> None:
        self.user_id = self.apaas_user_id = self.token = ""
        self.sdk_app_id = 0

    def _sign_in(self, call: str, parameters: dict[str, str]) -> None:
        try:
            data = self._auth(call, parameters)
            if data is None:
                raise Refused(UNREADABLE, "no data")
        except Refused:
            self._forget()
            raise
        self.token = text(data, "token")
        self.user_id = text(data, "userId")
        self.apaas_user_id = text(data, "apaasUserId")
        self.sdk_app_id = parse_int(str(data["sdkAppId"]))
        parse_int(self.user_id)
        for name in ("apaasAppId", "expire", "phone", "email", "name", "avatar"):
            optional_text(data, name)
        im_login(self.user_id, text(data, "sdkUserSig"), self.sdk_app_id, self.service.im_secret)

    def _auth(self, call: str, parameters: dict[str, str]) -> Any:
        reply = self.service.get(f"/base/v1/{call}", escaped(parameters))
        if not reply.done:
            raise AppStuck(f"{call}: HTTP {reply.status}")
        return gson(reply)

    def _room(self, call: str, form: dict[str, str], shape: type = dict) -> Any:
        return gson(self._crash_unless_done(self._post(f"/base/v1/rooms/{call}", _hash_map(form))), shape)

    def _post(self, path: str, form: dict[str, str]) -> Reply:
        return self.service.post_form(path, escaped(form))

    @staticmethod
    def _crash_unless_done(reply: Reply) -> Reply:
        if not reply.done or reply.status in (204, 205):
            raise AppCrash(f"NullPointerException on HTTP {reply.status}")
        return reply


def _room_on_android(row: dict[str, Any]) -> RoomOnAndroid:
    for name in ("category", "createBy", "updateBy", "createUtc", "updateUtc", "subject", "description"):
        optional_text(row, name)
    int32(row, "removed")
    int32(row, "star")
    parse_int(text(row, "roomId"))
    return RoomOnAndroid(
        room_id=row["roomId"],
        title=optional_text(row, "title"),
        owner_name=optional_text(row, "ownBy"),
        cover=optional_text(row, "cover"),
        member_count=int32(row, "nnUsers"),
        total_joined=int32(row, "totalJoined"),
        status=int32(row, "status"),
    )


def escaped(parameters: dict[str, str]) -> str:
    """OkHttp keeps letters, digits and `*-._`, in queries as in forms."""
    return pairs(parameters, UNESCAPED).replace("~", "%7E")


def _hash_map(form: dict[str, str]) -> dict[str, str]:
    """In the order in which Java's HashMap of 16 buckets gives its entries to Retrofit."""
    return dict(sorted(form.items(), key=lambda entry: _java_hash(entry[0]) & 15))


def _java_hash(name: str) -> int:
    value = 0
    for letter in name:
        value = (31 * value + ord(letter)) & 0xFFFFFFFF
    return value ^ (value >> 16)
