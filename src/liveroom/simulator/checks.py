"""What a call has to bring before anybody looks at what it asks for: parameters, UserSig, a JSON body."""

from collections.abc import Mapping
from typing import Any

import msgspec

from liveroom.services import usersig
from liveroom.simulator.cloud import App


class Fault(Exception):  # noqa: N818 - an answer like any other
    """An answer with an ErrorCode other than 0; `extra` stands beside it."""

    def __init__(self, code: int, info: str, **extra: Any) -> None:
        super().__init__(info)
        self.code = code
        self.info = info
        self.extra = extra


def caller(apps: Mapping[int, App], query: Mapping[str, str], now_s: int) -> tuple[App, str]:
    """The application that is called, and the administrator who calls; raises `Fault`."""
    if not query.get("sdkappid"):
        raise Fault(60012, "sdkappid is missing")
    if not query.get("identifier") or query.get("contenttype") != "json" or not _is_random(query.get("random", "")):
        raise Fault(60025, "sdkappid, identifier, usersig, random or contenttype is wrong")
    app_id = query["sdkappid"]
    app = apps.get(int(app_id)) if app_id.isascii() and app_id.isdigit() else None
    if app is None:
        raise Fault(60006, "no such sdkappid")
    _check_ticket(app, query["identifier"], query.get("usersig", ""), now_s)
    if query["identifier"] not in app.spec.administrators:
        raise Fault(60010, "the identifier is no administrator")
    return app, query["identifier"]


def body(content: bytes) -> dict[str, Any]:
    """The JSON object of a request; raises `Fault`."""
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise Fault(60003, "the body is no JSON object")
    return decoded


def text(asked: Mapping[str, Any], *names: str, most: int, code: int, required: bool = True) -> str:
    """The text by the first of these names that is there, of at most so many bytes; raises `Fault`."""
    value = next((asked[name] for name in names if name in asked), "")
    if not isinstance(value, str) or len(value.encode()) > most or (required and not value):
        raise Fault(code, f"{names[0]} is missing, of the wrong type or too long")
    return value


def listed(asked: Mapping[str, Any], name: str, most: int, code: int) -> list[Any]:
    """The list of this name, empty if it is not there; raises `Fault` if it is none, or too long."""
    value = asked.get(name, [])
    if not isinstance(value, list) or len(value) > most:
        raise Fault(code, f"{name} is no list, or too long")
    return value


def _is_random(given: str) -> bool:
    return given.isascii() and given.isdigit() and int(given) < 2**32


def _check_ticket(app: App, identifier: str, given: str, now_s: int) -> None:
    if not given:
        raise Fault(70002, "the usersig is empty")
    try:
        ticket = usersig.read(given)
        made_at, ttl_s = int(ticket["TLS.time"]), int(ticket["TLS.expire"])
        app_id, user_id = ticket["TLS.sdkappid"], ticket["TLS.identifier"]
    except (ValueError, KeyError, TypeError):
        raise Fault(70003, "the usersig is illegal") from None
    if user_id != identifier:
        raise Fault(70013, "the usersig is another identifier's")
    if app_id != app.spec.sdk_app_id:
        raise Fault(70014, "the usersig is of another sdkappid")
    # As of its own moment: whether it is over is told apart from whether it is genuine.
    if not usersig.verify(given, app.spec.sdk_app_id, app.spec.secret, identifier, made_at):
        raise Fault(70009, "the usersig was made with another key")
    if made_at + ttl_s <= now_s:
        raise Fault(70001, "the usersig has expired")
