"""The reference's Postman collection: its requests, and the tests written beside each of them."""

from __future__ import annotations

import random
from typing import Any

from wire import Service, compact, md5, now_ms, pairs


class Postman:
    """PM: POST with every parameter in the query and the body `{}`; the stage is its own."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.username = self.salt = self.user_id = self.token = self.room_id = ""
        self.sdk_app_id = 0

    def register(self) -> None:
        self.username, password = _hex(8), _hex(12)
        ts, nonce = now_ms(), _digits(6)
        self.salt = md5(f"{self.username}-{password}-{ts}-{nonce}")
        query = {"username": self.username, "ts": ts, "nonce": nonce, "salt": self.salt}
        self._post("oauth/register", query)

    def signature(self) -> None:
        """Its template misspells `signature`, so the empty `signagure` travels along."""
        ts, nonce = now_ms(), _digits(6)
        signed = md5(f"{self.username}-player-{ts}-{nonce}-{self.salt}")
        head = pairs({"username": self.username, "tag": "player", "hash": "md5"}, "")
        tail = pairs({"ts": ts, "nonce": nonce, "signature": signed}, "")
        data = self._send("oauth/signature", f"{head}&signagure&{tail}")["data"]
        assert type(data["userId"]) is str
        self._remember(data)

    def user_login_token(self) -> None:
        data = self._post("auth_users/user_login_token", self._who())["data"]
        names = {"token", "expire", "phone", "email", "name", "avatar", "apaasUserId", "sdkUserSig"}
        assert names <= data.keys()
        self._remember(data)

    def user_update(self) -> None:
        query = self._who() | {"name": "Guest", "tag": "im", "tag2": "mlvb"}
        self._post("auth_users/user_update", query)

    def user_query(self) -> None:
        data = self._post("auth_users/user_query", self._who())["data"]
        assert "avatar" in data
        assert "apaasUserId" in data
        assert (data["name"], data["tag"], data["tag2"]) == ("Guest", "im", "mlvb")

    def user_keepalive(self) -> None:
        assert "updateUtc" in self._post("auth_users/user_keepalive", self._who())["data"]

    def enter_room(self) -> None:
        query = self._who_in_a_room() | {"category": "liveRoom", "title": "MyRoom"}
        data = self._post("rooms/enter_room", query | {"appId": str(self.sdk_app_id)})["data"]
        assert data["roomId"]
        self.room_id = data["roomId"]

    def room_detail(self) -> None:
        data = self._post("rooms/room_detail", self._who_in_a_room() | {"roomId": self.room_id})["data"]
        assert data["roomId"] == self.room_id
        assert data["removed"] == 0
        assert data["nnUsers"] == 1

    def query_room(self) -> list[dict[str, Any]]:
        query = self._who_in_a_room() | {"category": "liveRoom", "limit": "10", "appId": str(self.sdk_app_id)}
        data = self._post("rooms/query_room", query)["data"]
        assert len(data) > 0
        return list(data)

    def list_users(self) -> list[dict[str, Any]]:
        query = self._who_in_a_room() | {"roomId": self.room_id, "limit": "10"}
        data = self._post("rooms/list_users", query)["data"]
        assert len(data) > 0
        return list(data)

    def leave_room(self) -> None:
        self._post("rooms/leave_room", self._who_in_a_room() | {"roomId": self.room_id})

    def destroy_room(self) -> None:
        self._post("rooms/destroy_room", self._who_in_a_room() | {"roomId": self.room_id})

    def user_logout(self) -> None:
        self._post("auth_users/user_logout", self._who())

    def user_delete(self, expected: int = 0) -> None:
        """The collection deletes with the token it has just logged out, and expects 0."""
        self._post("auth_users/user_delete", self._who(), expected)

    def _remember(self, data: dict[str, Any]) -> None:
        self.token, self.user_id, self.sdk_app_id = data["token"], data["userId"], data["sdkAppId"]

    def _who(self) -> dict[str, str]:
        return {"userId": self.user_id, "token": self.token}

    def _who_in_a_room(self) -> dict[str, str]:
        return {"token": self.token, "userId": self.user_id}

    def _post(self, call: str, query: dict[str, str], expected: int = 0) -> dict[str, Any]:
        return self._send(call, pairs(query, ""), expected)

    def _send(self, call: str, query: str, expected: int = 0) -> dict[str, Any]:
        body = self.service.post_json(f"/local/base/v1/{call}?{query}", compact({})).json()
        assert body["errorCode"] == expected, body
        return dict(body)


def _hex(length: int) -> str:
    return f"{random.getrandbits(4 * length):0{length}x}"


def _digits(length: int) -> str:
    return "".join(random.choices("0123456789", k=length))
