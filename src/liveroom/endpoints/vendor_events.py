"""What the vendor's callbacks say, as events of one shape; fields may come as text or number.

Bodies: https://cloud.tencent.com/document/product/269/2570 and its neighbours (IM),
https://trtc.io/document/39558 (TRTC).
"""

import re
from typing import Any, Literal

from msgspec import Struct

_ID = re.compile(r"[!-~]{1,48}")

Verb = Literal["connected", "disconnected", "exited", "dismissed", "group_destroyed"]


class VendorEvent(Struct, frozen=True):
    """What happened to which room or users, and when (milliseconds since the epoch)."""

    verb: Verb
    at: int
    room_id: str = ""
    user_ids: tuple[str, ...] = ()


def im_event(command: str, body: dict[str, Any], now: int) -> VendorEvent | None:
    """The event of an IM callback; None for one that changes nothing here."""
    at = _moment(body.get("EventTime"), now)
    group_id = _text(body.get("GroupId"))
    match command:
        case "State.StateChange":
            return _state_change(body.get("Info"), at)
        case "Group.CallbackAfterNewMemberJoin":
            return VendorEvent("connected", at, user_ids=_accounts(body.get("NewMemberList")))
        case "Group.CallbackAfterMemberExit":
            return VendorEvent("exited", at, group_id, _accounts(body.get("ExitMemberList")))
        case "Group.CallbackAfterGroupDestroyed":
            return VendorEvent("group_destroyed", at, group_id)
        case "Group.CallbackOnMemberStateChange":
            return _online_state(body.get("EventType"), at, _accounts(body.get("MemberList")))
    return None


def trtc_event(body: dict[str, Any], now: int) -> VendorEvent | None:
    """The event of a TRTC callback; None for one that changes nothing here."""
    info = body.get("EventInfo")
    if not isinstance(info, dict):
        return None
    seconds = _moment(info.get("EventTs"), 0) * 1000
    at = _moment(info.get("EventMsTs"), seconds or now)
    room_id, user_id = _text(info.get("RoomId")), _text(info.get("UserId"))
    match body.get("EventType"):
        case 102:
            return VendorEvent("dismissed", at, room_id)
        case 103:
            return VendorEvent("connected", at, user_ids=(user_id,))
        case 104:
            return VendorEvent("exited", at, room_id, (user_id,))
    return None


def _state_change(info: Any, at: int) -> VendorEvent | None:
    if not isinstance(info, dict):
        return None
    users = (_text(info.get("To_Account")),)
    match info.get("Action"):
        case "Login":
            return VendorEvent("connected", at, user_ids=users)
        case "Logout" | "Disconnect":
            return VendorEvent("disconnected", at, user_ids=users)
    return None


def _online_state(kind: Any, at: int, user_ids: tuple[str, ...]) -> VendorEvent | None:
    match kind:
        case "Online":
            return VendorEvent("connected", at, user_ids=user_ids)
        case "Offline":
            return VendorEvent("disconnected", at, user_ids=user_ids)
    return None


def _accounts(members: Any) -> tuple[str, ...]:
    listed = members if isinstance(members, list) else []
    found = (_text(member.get("Member_Account")) for member in listed if isinstance(member, dict))
    return tuple(user_id for user_id in found if user_id)


def _text(value: Any) -> str:
    """An id, "" for what can be none; TRTC's room ids are numbers for apps that use numbers."""
    text = str(value) if isinstance(value, str) or type(value) is int else ""
    return text if _ID.fullmatch(text) else ""


def _moment(value: Any, otherwise: int) -> int:
    text = _text(value)
    return int(text) if text.isdigit() and len(text) <= 16 else otherwise
