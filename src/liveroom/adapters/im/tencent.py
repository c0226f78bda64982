"""Tencent's IM over its REST API.

Source: https://cloud.tencent.com/document/product/269/1519, and the pages of the commands.
"""

from collections.abc import Sequence
from typing import Any

import httpx

from liveroom.adapters.im import codes
from liveroom.adapters.im.calls import Answer, Call, Calls, importing, top_code
from liveroom.adapters.im.limiter import CallLimiter
from liveroom.adapters.im.rest import Rest
from liveroom.adapters.im.tickets import Sign, Tickets
from liveroom.model import Tenant
from liveroom.ports.back_ends import Clock

# In bytes. A group's name counts for nothing here, a picture's URL that is cut would be another's.
GROUP_NAME, PROFILE_VALUE = 30, 500
GONE = {str(code) for code in codes.SETTLED["get_group_info"]}


class TencentMessaging:
    name = "im"
    remote = True

    def __init__(
        self,
        domain: str,
        sign: Sign,
        clock: Clock,
        *,
        limiter: CallLimiter | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = Calls(Rest(domain, transport), Tickets(sign, clock), limiter or CallLimiter(), clock)

    async def create_group(self, tenant: Tenant, group_id: str) -> None:
        body = {"Type": "AVChatRoom", "GroupId": group_id, "Name": _cut(group_id, GROUP_NAME)}
        await self._calls.make(tenant, Call("group_open_http_svc/create_group", body))

    async def destroy_group(self, tenant: Tenant, group_id: str) -> None:
        await self._calls.make(tenant, Call("group_open_http_svc/destroy_group", {"GroupId": group_id}))

    async def import_account(self, tenant: Tenant, user_id: str, nick: str, avatar: str) -> None:
        # Nobody documents that a second import brings a new profile; portrait_set does, one way or the other.
        profile = {"Nick": _cut(nick, PROFILE_VALUE), "FaceUrl": avatar}
        if len(avatar.encode()) > PROFILE_VALUE:
            del profile["FaceUrl"]
        tags = {"Nick": "Tag_Profile_IM_Nick", "FaceUrl": "Tag_Profile_IM_Image"}
        items = [{"Tag": tags[name], "Value": value} for name, value in profile.items()]
        given = {name: value for name, value in profile.items() if value}
        portrait = Call("profile/portrait_set", {"From_Account": user_id, "ProfileItem": items}, user_id)
        await self._calls.make(tenant, importing(user_id, **given), portrait)

    async def delete_account(self, tenant: Tenant, user_id: str) -> None:
        body = {"DeleteItem": [{"UserID": user_id}]}
        await self._calls.make(tenant, Call("im_open_login_svc/account_delete", body, code=_deleted_code))

    async def kick(self, tenant: Tenant, user_id: str) -> None:
        # As with account_import, the field has two names.
        body = {"UserID": user_id, "Identifier": user_id}
        await self._calls.make(tenant, Call("im_open_login_svc/kick", body, user_id))

    async def notify_group(self, tenant: Tenant, group_id: str, text: str) -> None:
        # Not to ToMembers_Account: in an AVChatRoom everybody is told.
        body = {"GroupId": group_id, "Content": text}
        await self._calls.make(tenant, Call("group_open_http_svc/send_group_system_notification", body, once=True))

    async def groups(self, tenant: Tenant, group_ids: Sequence[str]) -> dict[str, bool]:
        if not group_ids:
            return {}
        body = {"GroupIdList": list(group_ids), "ResponseFilter": {"GroupBaseInfoFilter": ["Type"]}}
        call = Call("group_open_http_svc/get_group_info", body, code=_groups_code)
        answer = await self._calls.make(tenant, call)
        items = _items(answer, "GroupInfo")
        if not items and len(group_ids) == 1 and top_code(answer) in codes.SETTLED["get_group_info"]:
            return {group_ids[0]: False}
        told = {str(item.get("GroupId")): _there(item) for item in items}
        return {group_id: there for group_id in group_ids if (there := told.get(group_id)) is not None}

    async def connected(self, tenant: Tenant, user_ids: Sequence[str]) -> dict[str, bool]:
        if not user_ids:
            return {}
        call = Call("openim/query_online_status", {"To_Account": list(user_ids)})
        items = _items(await self._calls.make(tenant, call), "QueryResult")
        online = {str(item.get("To_Account")): item.get("Status") == "Online" for item in items}
        return {user_id: online[user_id] for user_id in user_ids if user_id in online}

    async def ping(self) -> None:
        self._calls.standing.check()

    async def close(self) -> None:
        await self._calls.close()


def _items(answer: Answer, name: str) -> list[dict[str, Any]]:
    items = answer.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _groups_code(answer: Answer) -> int:
    """Where groups are told of, each has its own code, and the answer's means nothing."""
    return 0 if _items(answer, "GroupInfo") else top_code(answer)


def _there(item: dict[str, Any]) -> bool | None:
    code = str(item.get("ErrorCode", 0))
    return True if code == "0" else False if code in GONE else None


def _deleted_code(answer: Answer) -> int:
    items = _items(answer, "ResultItem")
    code = items[0].get("ResultCode", 0) if items else 0
    return top_code(answer) or (code if type(code) is int else 0)


def _cut(text: str, most: int) -> str:
    """As much of it as fits into so many bytes."""
    return text.encode()[:most].decode(errors="ignore")
