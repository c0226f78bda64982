"""The vendor's other phone apps: their accounts come from SMS, here they are handed a token."""

from __future__ import annotations

from typing import Any

from apps_android import escaped
from apps_ios import CachedUser, foundation, with_user
from readers import AppStuck, gson, int32, kotlin, objective_c, optional_text, swift, text
from usersigs import im_login
from wire import Service, md5, pairs

VENDOR_TENANT = "1017658747"


class LiteAvAndroid:
    """LA: made its account by SMS; looks up other people by id or by digits of a phone number."""

    def __init__(self, service: Service, user_id: str, token: str) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token

    def token_login(self) -> str:
        data = self._get("user_login_token", {})
        names = ("token", "phone", "userSig", "userId", "apaasUserId", "name", "avatar")
        found = {name: text(data, name) for name in names}
        self.token = found["token"]
        return found["name"]

    def search(self, **criterion: str) -> dict[str, str]:
        data = self._get("user_query", criterion)
        return {name: optional_text(data, name) for name in ("userId", "name", "avatar", "phone")}

    def _get(self, call: str, parameters: dict[str, str]) -> Any:
        who = {"apaasUserId": self.user_id, "token": self.token}
        reply = self.service.get(f"/prod/base/v1/auth_users/{call}", escaped(who | parameters))
        if not reply.done:
            raise AppStuck(f"{call}: HTTP {reply.status}")
        return gson(reply)


class LiteAvIos:
    """LI: POST JSON with userId and token only; measures the length of every string it got."""

    def __init__(self, service: Service, user_id: str, token: str) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token

    def token_login(self) -> None:
        data = self._json("user_login_token", {})
        for name in ("userSig", "phone", "userId", "name", "avatar"):
            text(data, name)
        self.token = text(data, "token")

    def user_update(self, name: str) -> None:
        self._json("user_update", {"name": name})

    def delete(self) -> None:
        self._json("user_delete", {})

    def _json(self, call: str, parameters: dict[str, str]) -> Any:
        body = {"userId": self.user_id, "token": self.token} | parameters
        return objective_c(self.service.post_json(f"/prod/base/v1/auth_users/{call}", foundation(body)))


class RtcubeAndroid:
    """RA: only apaasUserId, always with the vendor's tenant; sets name, tag and avatar in one call."""

    def __init__(self, service: Service, user_id: str, token: str) -> None:
        self.service = service
        self.user_id = user_id
        self.token = token

    def token_login(self) -> None:
        data = self._get("user_login_token", {"apaasAppId": VENDOR_TENANT})
        for name in ("userId", "apaasUserId", "userSig", "sdkUserSig", "phone", "email", "avatar"):
            text(data, name)
        int32(data, "sdkAppId")
        self.token = text(data, "token")

    def user_update(self, name: str, avatar: str) -> None:
        self._get("user_update", {"name": name, "tag": "im", "avatar": avatar})

    def keepalive(self) -> None:
        self._get("user_keepalive", {})

    def _get(self, call: str, parameters: dict[str, str]) -> Any:
        who = {"apaasUserId": self.user_id, "token": self.token}
        return kotlin(self.service.get(f"/base/v1/auth_users/{call}", escaped(who | parameters)))


class RtcubeIos:
    """RI: as XI, and every call names the vendor's tenant at login; 203/204 matter there only."""

    def __init__(self, service: Service, user: CachedUser) -> None:
        self.service = service
        self.user = user
        self.sdk_app_id = 0

    def token_login(self) -> None:
        ids = {"userId": self.user.user_id, "token": self.user.token, "apaasAppId": VENDOR_TENANT}
        data = self._json("user_login_token", ids)
        self.user.token = text(data, "token")
        self.sdk_app_id = int32(data, "sdkAppId")
        im_login(text(data, "userId"), text(data, "userSig"), self.sdk_app_id, self.service.im_secret)

    def user_update(self, name: str) -> None:
        self._json("user_update", {"name": name})

    def search(self, user_id: str) -> dict[str, str]:
        """Somebody without a name, an avatar or an id, even an empty one, is dropped."""
        data = self._json("user_query", {"searchUserId": user_id})
        return {name: text(data, name) for name in ("userId", "name", "avatar")}

    def _json(self, call: str, parameters: dict[str, str]) -> Any:
        body = with_user(self.user) | {"appId": self.sdk_app_id} | parameters
        reply = self.service.post_json(f"/base/v1/auth_users/{call}", foundation(body))
        return swift(reply, login_page_on=())


class KaraokeIos:
    """KL-I: everything under `/prod`; its signatures fit no secret, its token calls work."""

    def __init__(self, service: Service, user: CachedUser | None = None) -> None:
        self.service = service
        self.user = user

    def login(self, phone: str) -> None:
        signature = md5(f"{phone}karaokemd5")
        self._json("oauth/signature", {"username": phone, "hash": "md5", "tag": "karaoke", "signature": signature})

    def token_login(self) -> None:
        data = self._json("auth_users/user_login_token", {})
        text(data, "userId")
        int32(data, "sdkAppId")

    def keepalive(self) -> None:
        self._json("auth_users/user_keepalive", {})

    def user_update(self, name: str) -> None:
        self._json("auth_users/user_update", {"name": name})

    def _json(self, call: str, parameters: dict[str, object]) -> Any:
        base = with_user(self.user) | {"appId": 1400188366}
        return swift(self.service.post_json(f"/prod/base/v1/{call}", foundation(base | parameters)))


class TimSdkIos:
    """TI: GET under `/prod`; after a restart its saved apaasUserId is, by mistake, a token."""

    def __init__(self, service: Service, user: CachedUser) -> None:
        self.service = service
        self.user = user

    def restart(self) -> None:
        self.user.apaas_user_id = self.user.token

    def token_login(self) -> None:
        data = self._get("user_login_token")
        self.user.token = text(data, "token")
        for name in ("sdkUserSig", "phone", "apaasUserId"):
            text(data, name)
        im_login(self.user.user_id, data["sdkUserSig"], int32(data, "sdkAppId"), self.service.im_secret)

    def logout(self) -> None:
        self._get("user_logout")

    def delete(self) -> None:
        self._get("user_delete")

    def _get(self, call: str) -> Any:
        query = {
            "userId": self.user.user_id,
            "token": self.user.token,
            "apaasAppId": VENDOR_TENANT,
            "apaasUserId": self.user.apaas_user_id,
        }
        return objective_c(self.service.get(f"/prod/base/v1/auth_users/{call}", pairs(query, "")))
