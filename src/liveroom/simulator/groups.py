"""The simulated commands about groups.

Sources: https://cloud.tencent.com/document/product/269/1615 and the pages beside it.
"""

import secrets
import time
from typing import Any

from liveroom.simulator.checks import Fault, listed, text
from liveroom.simulator.cloud import App, Group
from liveroom.simulator.webhooks import Webhooks, now_ms

LIVE = "AVChatRoom"
TYPES = {"Public", "Private", "ChatRoom", LIVE, "Community"}
GROUP_ID = 48
MOST_ASKED, MOST_ADDED, MOST_REMOVED = 50, 300, 100
TEXTS = {"Name": 30, "Introduction": 240, "Notification": 300, "FaceUrl": 100}
MESSAGE_BYTES = 12_288

Asked = dict[str, Any]


class GroupCommands:
    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        commands = (
            *(self.create_group, self.get_group_info, self.modify_group_base_info, self.destroy_group),
            *(self.add_group_member, self.delete_group_member, self.change_group_owner),
            *(self.send_group_msg, self.send_group_system_notification, self.get_online_member_num),
        )
        self.by_path = {f"group_open_http_svc/{command.__name__}": command for command in commands}

    def create_group(self, app: App, caller: str, asked: Asked) -> Asked:
        kind = str(asked.get("Type"))
        if kind not in TYPES:
            raise Fault(10004, "Type is missing or unknown")
        texts = _texts(asked)
        if not texts.get("Name"):
            raise Fault(10004, "Name is missing")
        owner = text(asked, "Owner_Account", most=32, code=10004, required=False)
        if owner and owner not in app.accounts and owner not in app.spec.administrators:
            raise Fault(10004, "invalid owner id")
        if kind == LIVE and asked.get("MemberList"):
            raise Fault(10007, "an AVChatRoom takes no MemberList")
        group_id = asked.get("GroupId") or f"@TGS#{secrets.token_hex(6).upper()}"
        if asked.get("GroupId"):
            _check_id(group_id)
        if group_id in app.groups:
            own = app.groups[group_id].owner == caller
            raise Fault(10025 if own else 10021, "group id has been used")
        app.groups[group_id] = Group(group_id, kind, texts["Name"], owner, int(time.time()), texts=texts)
        return {"GroupId": group_id}

    def get_group_info(self, app: App, _: str, asked: Asked) -> Asked:
        wanted = listed(asked, "GroupIdList", MOST_ASKED, 10004)
        shown = asked.get("ResponseFilter", {})
        if not wanted or not isinstance(shown, dict):
            raise Fault(10004, "GroupIdList is missing, or ResponseFilter no object")
        return {"GroupInfo": [_told(app, str(group_id), shown) for group_id in wanted]}

    def modify_group_base_info(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        group.texts |= _texts(asked)
        group.name = group.texts["Name"]
        return {}

    def destroy_group(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        del app.groups[group.group_id]
        body = {
            "GroupId": group.group_id,
            "Type": group.type,
            "Owner_Account": group.owner,
            "Name": group.name,
            "MemberList": [{"Member_Account": user_id} for user_id in group.members],
            "EventTime": now_ms(),
        }
        self._webhooks.send_soon(app, "Group.CallbackAfterGroupDestroyed", "RESTAPI", body)
        return {}

    def add_group_member(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        if group.type == LIVE:
            raise Fault(10007, "an AVChatRoom is joined by the client's SDK only")
        results = []
        for item in listed(asked, "MemberList", MOST_ADDED, 10005):
            user_id = str(item.get("Member_Account")) if isinstance(item, dict) else ""
            result = 2 if user_id in group.members else 1 if user_id in app.accounts else 0
            if result == 1:
                group.members[user_id] = None
            results.append({"Member_Account": user_id, "Result": result})
        return {"MemberList": results}

    def delete_group_member(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        if group.type == LIVE:
            raise Fault(10004, "nobody can be removed from an AVChatRoom")
        for user_id in listed(asked, "MemberToDel_Account", MOST_REMOVED, 10005):
            group.members.pop(str(user_id), None)
        return {}

    def change_group_owner(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        owner = text(asked, "NewOwner_Account", most=32, code=10004)
        if group.type == LIVE or owner not in group.members:
            raise Fault(10007, "not with this type of group, or not a member")
        group.owner = owner
        return {}

    def send_group_msg(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        number, parts = asked.get("Random"), asked.get("MsgBody")
        if type(number) is not int or not 0 <= number < 2**32 or not isinstance(parts, list) or not parts:
            raise Fault(10004, "Random or MsgBody is missing or wrong")
        if len(str(parts).encode()) > MESSAGE_BYTES:
            raise Fault(80002, "the message is too long")
        sender = text(asked, "From_Account", most=32, code=10004, required=False)
        if sender and sender not in app.accounts:
            raise Fault(10019, "no such From_Account")
        if number not in group.randoms:
            group.randoms.append(number)
            group.messages += 1
        return {"MsgTime": int(time.time()), "MsgSeq": group.messages}

    def send_group_system_notification(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        content = text(asked, "Content", most=MESSAGE_BYTES, code=10004)
        if group.type == LIVE and asked.get("ToMembers_Account"):
            raise Fault(10004, "in an AVChatRoom everybody is told")
        group.notices.append(content)
        return {}

    def get_online_member_num(self, app: App, _: str, asked: Asked) -> Asked:
        group = _group(app, asked)
        if group.type != LIVE:
            raise Fault(10007, "only an AVChatRoom counts those online")
        return {"OnlineMemberNum": len(group.members)}


def _group(app: App, asked: Asked) -> Group:
    group_id = text(asked, "GroupId", most=1_000, code=10004)
    if group_id not in app.groups:
        raise Fault(10010, "group not exist")
    return app.groups[group_id]


def _told(app: App, group_id: str, wanted: dict[str, Any]) -> Asked:
    group = app.groups.get(group_id)
    if group is None:
        return {"GroupId": group_id, "ErrorCode": 10010, "ErrorInfo": "group not exist"}
    facts = {
        "Type": group.type,
        **group.texts,
        "Appid": app.spec.sdk_app_id,
        "Owner_Account": group.owner,
        "CreateTime": group.created_at_s,
        "MemberNum": len(group.members),
    }
    names = wanted.get("GroupBaseInfoFilter")
    shown = facts if names is None else {name: value for name, value in facts.items() if name in names}
    return {"GroupId": group_id, "ErrorCode": 0, "ErrorInfo": "", **shown}


def _texts(asked: Asked) -> dict[str, str]:
    return {name: text(asked, name, most=most, code=10004) for name, most in TEXTS.items() if name in asked}


def _check_id(group_id: Any) -> None:
    legal = isinstance(group_id, str) and group_id.isascii() and group_id.isprintable()
    if not legal or len(group_id) > GROUP_ID or group_id.startswith("@TGS#"):
        raise Fault(10004, "GroupId is illegal")
