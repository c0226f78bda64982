"""Golden replies: what every answer has, what the refusals are called, and how to compare."""

from __future__ import annotations

import json
import re
from typing import Any

from liveroom import __version__

UTC = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def told(value: Any, **names: str) -> Any:
    """An answer to compare: types told apart, and what differs from run to run named.

    `names` says what to call a text wherever it is a value: `alice=user_id` makes it "<alice>".
    """
    if isinstance(value, dict):
        return {name: told(item, **names) for name, item in value.items()}
    if isinstance(value, list):
        return [told(item, **names) for item in value]
    if value is None or isinstance(value, bool | float):
        return f"<{json.dumps(value)}>"
    if isinstance(value, str) and UTC.fullmatch(value):
        return "<utc>"
    called = {volatile: f"<{name}>" for name, volatile in {**names, "version": __version__}.items()}
    return called.get(value, value) if isinstance(value, str) else value


def done(message: str, *data: Any) -> dict[str, Any]:
    """A success, with data or without."""
    envelope = {"errorCode": 0, "errorMessage": message, "version": "<version>"}
    return {**envelope, "data": data[0]} if data else envelope


def refused(code: int, name: str, message: str) -> dict[str, Any]:
    return {"errorCode": code, "codeStr": name, "errorMessage": message, "version": "<version>"}


NO_TOKEN = refused(204, "UserTokenInvalid", "Please log in again.")
NO_ACCOUNT = refused(206, "UserNotExists", "This account does not exist.")
NO_ROOM = refused(2004, "RoomNotExists", "This room does not exist.")
NO_CALL = refused(99, "SystemError", "There is no such call.")
UNREADABLE = refused(98, "SystemVerifyError", "The request cannot be read.")
TOO_LARGE = refused(98, "SystemVerifyError", "The request is too large.")
TOO_SLOW = refused(98, "SystemVerifyError", "The request took too long to arrive.")
WRONG_METHOD = refused(98, "SystemVerifyError", "This method is not for this path.")
WRONG_SIGNATURE = refused(98, "SystemVerifyError", "The name or the password is not right.")
LIMIT_REACHED = refused(209, "UserQueryLimit", "Too many requests, please try again later.")
BUSY = refused(100, "ServiceUnavailable", "The service is busy, please try again.")
DATABASE_AWAY = refused(103, "ServiceDBFailed", "The database is not available, please try again.")


def bad_parameter(code: int, name: str) -> dict[str, Any]:
    return refused(code, name, "A parameter is missing or not right.")
