"""How each family of apps reads an answer, and what breaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from wire import Reply

UNREADABLE = -1
TOKEN_CODES = (203, 204)
INT32 = range(-(2**31), 2**31)


class AppBroken(Exception):
    """The app cannot live with this answer."""


class AppCrash(AppBroken):
    """The process dies, with the user in the middle of a show."""


class AppStuck(AppBroken):
    """No callback fires: the user presses a button and nothing happens."""


class AppMisled(AppBroken):
    """The app takes an answer for success that is none."""


class LoggedOut(AppBroken):
    """The app throws the user out to its login page."""


class Refused(Exception):
    """The app understood that the service said no, and shows the message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@contextmanager
def refused(code: int) -> Iterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == code
    assert caught.value.message, "the apps show this text to the user"


def gson(reply: Reply, shape: type = dict) -> Any:
    """XA, LA: one field of a wrong type fails the whole answer; a missing errorCode reads as 0."""
    body = _object(reply)
    if body.get("errorCode") is None:
        raise AppMisled("a 2xx without errorCode")
    if not _is_int32(body["errorCode"]) or not isinstance(body.get("errorMessage"), str | None):
        raise Refused(UNREADABLE, "JsonSyntaxException")
    if not isinstance(body.get("data"), shape | None):
        raise Refused(UNREADABLE, "JsonSyntaxException")
    return _data(body)


def swift(reply: Reply, *, login_page_on: tuple[int, ...] = TOKEN_CODES) -> Any:
    """XI, KL-I, RI: the status is not looked at, a missing or odd errorMessage spoils the envelope."""
    body = _object(reply)
    if not _is_int32(body.get("errorCode")) or not isinstance(body.get("errorMessage"), str):
        raise Refused(UNREADABLE, "syserror")
    if body["errorCode"] in login_page_on:
        raise LoggedOut(body["errorCode"])
    return _data(body)


def objective_c(reply: Reply) -> Any:
    """LI, TI: `null` data arrives as NSNull, and indexing it kills the app."""
    body = _object(reply)
    if "data" in body and body["data"] is None:
        raise AppCrash("NSNull indexed")
    if not _is_int32(body.get("errorCode")):
        raise Refused(UNREADABLE, "errorCode is no NSNumber")
    return _data(body)


def dart(reply: Reply) -> Any:
    """FL: Dio throws on any status but 2xx; wrong types are uncaught TypeErrors."""
    if not reply.done:
        raise Refused(-99, "the server reported an error")
    body = _object(reply)
    if not _is_int32(body.get("errorCode")) or not isinstance(body.get("errorMessage"), str):
        raise AppCrash("TypeError")
    if body["errorCode"] and not isinstance(body.get("codeStr"), str | None):
        raise AppCrash("TypeError")
    return _data(body)


def axios(reply: Reply, origin: str) -> Any:
    """TRW, EL, IW: the browser hides what CORS does not allow, axios rejects all but 2xx."""
    if reply.headers.get("Access-Control-Allow-Origin") not in ("*", origin):
        raise AppStuck("blocked by CORS policy")
    if not reply.done:
        raise AppStuck(f"rejected: HTTP {reply.status}")
    body = _object(reply)
    if not _is_int32(body.get("errorCode")):
        raise AppMisled("errorCode is no number")
    return _data(body)


def kotlin(reply: Reply) -> Any:
    """RA: 2xx only; lenient, but a missing errorCode is success."""
    if not reply.done:
        raise AppStuck(f"generic error: HTTP {reply.status}")
    body = _object(reply)
    if "errorCode" not in body:
        raise AppMisled("a 2xx without errorCode")
    return _data(body)


def text(data: dict[str, Any], name: str) -> str:
    """A field the app cannot do without as a string."""
    value = data.get(name)
    if not isinstance(value, str):
        raise AppBroken(f"{name} is {value!r}, not a string")
    return value


def optional_text(data: dict[str, Any], name: str) -> str:
    return "" if data.get(name) is None else text(data, name)


def int32(data: dict[str, Any], name: str) -> int:
    """A field that has to be a JSON number and fit 32 bits."""
    value = data.get(name)
    if type(value) is not int or value not in INT32:
        raise AppBroken(f"{name} is {value!r}, not an int")
    return value


def parse_int(digits: str) -> int:
    """Java's Integer.parseInt, uncaught; leading zeros would get lost."""
    if not digits.isascii() or not digits.isdecimal() or int(digits) not in INT32:
        raise AppCrash(f"NumberFormatException: {digits!r}")
    assert digits == str(int(digits))
    return int(digits)


def _object(reply: Reply) -> dict[str, Any]:
    try:
        body = json.loads(reply.body)
    except ValueError:
        raise Refused(UNREADABLE, "no JSON") from None
    if not isinstance(body, dict):
        raise Refused(UNREADABLE, "no JSON object")
    return body


def _data(body: dict[str, Any]) -> Any:
    if body["errorCode"] != 0:
        raise Refused(body["errorCode"], body.get("errorMessage") or "")
    return body.get("data")


def _is_int32(value: object) -> bool:
    return type(value) is int and value in INT32
