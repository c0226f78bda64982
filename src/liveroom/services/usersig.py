"""UserSig and PrivateMapKey, the tickets that let a client into IM and TRTC (TLSSigAPIv2).

Sources: https://cloud.tencent.com/document/product/269/32688 (UserSig),
https://cloud.tencent.com/document/product/647/32240 (PrivateMapKey).
"""

import base64
import hashlib
import hmac
import struct
import zlib
from typing import Any

import msgspec

_TO_URL = bytes.maketrans(b"+/=", b"*-_")
_FROM_URL = bytes.maketrans(b"*-_", b"+/=")


def sign(sdk_app_id: int, key: str, user_id: str, now_s: int, expire_s: int, userbuf: bytes = b"") -> str:
    """A UserSig for `user_id`, valid for `expire_s` seconds from `now_s` (Unix seconds)."""
    ticket: dict[str, Any] = {
        "TLS.ver": "2.0",
        "TLS.identifier": user_id,
        "TLS.sdkappid": sdk_app_id,
        "TLS.time": now_s,
        "TLS.expire": expire_s,
    }
    if userbuf:
        ticket["TLS.userbuf"] = base64.b64encode(userbuf).decode()
    ticket["TLS.sig"] = _signature(ticket, key)
    packed = zlib.compress(msgspec.json.encode(ticket))
    return base64.b64encode(packed).translate(_TO_URL).decode()


def read(usersig: str) -> dict[str, Any]:
    """The fields of a ticket, unverified; ValueError when it is none."""
    try:
        packed = base64.b64decode(usersig.encode().translate(_FROM_URL), validate=True)
        ticket = msgspec.json.decode(zlib.decompress(packed), type=dict[str, Any])
    except (ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise ValueError("not a UserSig") from error
    return ticket


def verify(usersig: str, sdk_app_id: int, key: str, user_id: str, now_s: int) -> bool:
    """Whether the ticket is genuine, for this application and user, and not expired."""
    try:
        ticket = read(usersig)
        genuine = hmac.compare_digest(str(ticket["TLS.sig"]), _signature(ticket, key))
        fresh = int(ticket["TLS.time"]) + int(ticket["TLS.expire"]) > now_s
    except (ValueError, KeyError, TypeError):
        return False
    return genuine and fresh and ticket["TLS.sdkappid"] == sdk_app_id and ticket["TLS.identifier"] == user_id


def map_buffer(sdk_app_id: int, user_id: str, room: int | str, privileges: int, expires_at_s: int) -> bytes:
    """The `userbuf` that makes a UserSig a PrivateMapKey for one room; big-endian throughout.

    `room` is a number or a text, as the client's room id is; `privileges` is the vendor's bit mask.
    """
    user = user_id.encode()
    text = room.encode() if isinstance(room, str) else b""
    number = room if isinstance(room, int) else 0
    head = struct.pack(">BH", 1 if text else 0, len(user)) + user
    body = struct.pack(">IIIII", sdk_app_id, number, expires_at_s, privileges, 0)
    return head + body + (struct.pack(">H", len(text)) + text if text else b"")


def _signature(ticket: dict[str, Any], key: str) -> str:
    lines = [f"TLS.{name}:{ticket[f'TLS.{name}']}\n" for name in ("identifier", "sdkappid", "time", "expire")]
    if "TLS.userbuf" in ticket:
        lines.append(f"TLS.userbuf:{ticket['TLS.userbuf']}\n")
    digest = hmac.new(key.encode(), "".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
