"""What the vendor's IM checks before it lets a user in: the UserSig of the answer just read."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import zlib
from typing import Any

URL_SAFE = str.maketrans("*-_", "+/=")


def opened(user_sig: str) -> dict[str, Any]:
    """The ticket inside a UserSig."""
    ticket = json.loads(zlib.decompress(base64.b64decode(user_sig.translate(URL_SAFE), validate=True)))
    assert type(ticket) is dict
    return ticket


def im_login(user_id: str, user_sig: str, sdk_app_id: int, secret: str | None) -> None:
    """Sign in to IM as the app does next; with a secret, the signature itself is verified too."""
    ticket = opened(user_sig)
    assert ticket["TLS.ver"] == "2.0"
    assert ticket["TLS.identifier"] == user_id
    assert ticket["TLS.sdkappid"] == sdk_app_id
    assert abs(ticket["TLS.time"] - time.time()) < 60
    assert ticket["TLS.expire"] > 0
    if secret is not None:
        assert hmac.compare_digest(ticket["TLS.sig"], _signature(ticket, secret))


def _signature(ticket: dict[str, Any], secret: str) -> str:
    names = ("TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.userbuf")
    content = "".join(f"{name}:{ticket[name]}\n" for name in names if name in ticket)
    digest = hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
