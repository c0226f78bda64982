"""The web family: TUIRoom and IM Web in a browser, the Electron demo, Flutter's Dio."""

from __future__ import annotations

from typing import Any

from apps_demos import VENDOR_TENANT
from readers import TOKEN_CODES, AppStuck, LoggedOut, Refused, axios, dart, int32, text
from usersigs import im_login
from wire import Service, compact, pairs

AXIOS_KEEPS = "-_.!~*'():$,[]"


class TuiRoomWeb:
    """TRW: GET with a query for everything; 203/204 in any answer drop the cookie and show the login."""

    category = "TUIRoom"
    origin = "https://meeting.example"

    def __init__(self, service: Service, user_id: str, token: str, *, inner: bool = False) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token
        self.inner = inner
        self.sdk_app_id: int | str = ""

    def token_login(self) -> None:
        data = self._get("auth_users/user_login_token", {"apaasUserId": self.user_id, "token": self.token})
        self.user_id, self.token = text(data, "userId"), text(data, "token")
        self.sdk_app_id = int32(data, "sdkAppId")
        im_login(self.user_id, text(data, "sdkUserSig"), self.sdk_app_id, self.service.im_secret)
        text(data, "name")
        text(data, "avatar")

    def logout(self) -> None:
        self._get("auth_users/user_logout", self._ids())

    def keep_live(self) -> None:
        self._get("auth_users/user_keepalive", self._ids())

    def user_info(self) -> dict[str, Any]:
        return dict(self._get("auth_users/user_query", self._ids()))

    def update_user_name(self, name: str) -> None:
        self._get("auth_users/user_update", self._ids() | {"name": name})

    def generate_room_id(self, title: str | None = None) -> str:
        named = {"category": self.category, "title": title, "apaasUserId": self.user_id}
        return text(self._get("rooms/generate_roomid", self._ids() | named), "roomId")

    def enter_room(self, room_id: str, role: str | None = None, title: str | None = None) -> None:
        assert room_id.isdecimal(), "the page takes only numbers from its URL"
        room = {"roomId": room_id, "category": self.category, "role": role, "title": title}
        self._get("rooms/enter_room", self._app() | self._ids() | room | {"apaasUserId": self.user_id})

    def update_room(self, room_id: str, title: str, cover: str) -> None:
        room = {"roomId": room_id, "category": self.category, "title": title, "cover": cover}
        self._get("rooms/update_room", self._app() | self._ids() | room)

    def room_list(self) -> list[dict[str, Any]]:
        rows = self._get("rooms/query_room", self._app() | self._ids() | {"category": self.category})
        assert isinstance(rows, list)
        return rows

    def room_detail(self, room_id: str) -> dict[str, Any]:
        return dict(self._get("rooms/room_detail", self._ids() | {"roomId": room_id}))

    def leave_room(self, room_id: str) -> None:
        self._get("rooms/leave_room", self._ids() | {"roomId": room_id})

    def destroy_room(self, room_id: str) -> None:
        self._get("rooms/destroy_room", self._ids() | {"roomId": room_id})

    def _app(self) -> dict[str, str | None]:
        return {"appId": f"{self.sdk_app_id}"}

    def _ids(self) -> dict[str, str | None]:
        return {"userId": self.user_id, "token": self.token}

    def _get(self, call: str, parameters: dict[str, str | None] | dict[str, str]) -> Any:
        tenant = {"apaasAppId": VENDOR_TENANT} if self.inner else {}
        query = _axios_query(parameters | tenant)
        try:
            reply = self.service.get(f"/prod/base/v1/{call}", query, {"Origin": self.origin})
            return axios(reply, self.origin)
        except Refused as no:
            if no.code in TOKEN_CODES:
                raise LoggedOut(no.code) from no
            raise


class ImElectron:
    """EL: POST JSON from a page, so the browser asks for permission first."""

    origin = "http://localhost:3000"

    def __init__(self, service: Service, user_id: str, token: str) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token

    def token_login(self) -> None:
        body = {"userId": self.user_id, "token": self.token, "apaasAppId": VENDOR_TENANT}
        path = "/prod/base/v1/auth_users/user_login_token"
        self._preflight(path)
        headers = {"Content-Type": "application/json;charset=UTF-8", "Origin": self.origin}
        data = axios(self.service.send("POST", path, compact(body).encode(), headers), self.origin)
        self.token = text(data, "token")
        text(data, "phone")
        im_login(text(data, "userId"), text(data, "sdkUserSig"), int32(data, "sdkAppId"), self.service.im_secret)

    def _preflight(self, path: str) -> None:
        wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        reply = self.service.send("OPTIONS", path, None, wanted | {"Origin": self.origin})
        if not reply.done or reply.headers.get("Access-Control-Allow-Origin") not in ("*", self.origin):
            raise AppStuck("preflight refused")
        if not {"*", "content-type"} & _words(reply.headers.get("Access-Control-Allow-Headers", "")):
            raise AppStuck("content-type not allowed")


class ImWeb:
    """IW: POST urlencoded, which needs no preflight."""

    origin = "https://im.example"

    def __init__(self, service: Service, user_id: str, token: str) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token

    def token_login(self) -> None:
        self.token = text(self._post("user_login_token"), "token")

    def delete(self) -> None:
        self._post("user_delete")

    def _post(self, call: str) -> Any:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        form = pairs({"userId": self.user_id, "token": self.token}, "").encode()
        return axios(self.service.send("POST", f"/prod/base/v1/auth_users/{call}", form, headers), self.origin)


class FlutterTuikit:
    """FL: POST JSON, but deletes the account with GET, the same parameters in query and JSON body."""

    content_type = "application/json; charset=utf-8"

    def __init__(self, service: Service, user_id: str, token: str) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token
        self.sdk_app_id = ""

    def token_login(self) -> None:
        ids = {"userId": self.user_id, "token": self.token, "apaasAppId": ""}
        data = self._post("user_login_token", ids)
        im_login(text(data, "userId"), text(data, "sdkUserSig"), int32(data, "sdkAppId"), self.service.im_secret)
        text(data, "phone")
        text(data, "avatar")
        self.token = text(data, "token")

    def tag_account(self) -> None:
        self._post("user_update", {"userId": self.user_id, "token": self.token, "tag": "flutter_tuikit"})

    def delete(self) -> None:
        who = {"apaasUserId": self.user_id, "userId": self.user_id, "token": self.token, "apaasAppId": ""}
        target = f"/prod/base/v1/auth_users/user_delete?{pairs(who, '')}"
        headers = {"Content-Type": self.content_type}
        dart(self.service.send("GET", target, compact(who).encode(), headers))

    def _post(self, call: str, body: dict[str, str]) -> Any:
        path = f"/prod/base/v1/auth_users/{call}"
        return dart(self.service.post_json(path, compact(body), self.content_type))


def _axios_query(parameters: dict[str, str | None] | dict[str, str]) -> str:
    """Undefined is left out, a blank is `+`, and `:$,[]` stay as they are."""
    there = {name: value for name, value in parameters.items() if value is not None}
    return pairs(there, AXIOS_KEEPS).replace("%20", "+")


def _words(header: str) -> set[str]:
    return {word.strip() for word in header.lower().split(",")}
