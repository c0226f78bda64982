"""One call of the IM REST API: there and back."""

import logging
import secrets
from typing import Any

import httpx
import msgspec

from liveroom.ports.messaging import MessagingTrouble, Remedy

# The vendor itself gives up after 3 s; whoever calls has to wait longer.
DEADLINE_S = 5.0
POOL = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=30)
# Statuses below 500 that speak of the moment rather than of where we call.
PASSING = {408, 425, 429}


class Rest:
    """Keeps connections open; whatever is no answer of the API is told as trouble with code 0."""

    def __init__(self, domain: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        # These libraries write URLs to the log, and the UserSig is in the URL.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)
        self._base = base_url(domain)
        self._client = httpx.AsyncClient(limits=POOL, timeout=DEADLINE_S, transport=transport)

    async def post(self, path: str, sdk_app_id: int, identifier: str, user_sig: str, body: Any) -> dict[str, Any]:
        """The answer to a call, which has an ErrorCode."""
        query = {
            "sdkappid": str(sdk_app_id),
            "identifier": identifier,
            "usersig": user_sig,
            "random": str(secrets.randbelow(2**32)),
            "contenttype": "json",
        }
        try:
            reply = await self._client.post(
                f"{self._base}/v4/{path}",
                params=query,
                content=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Not with its message or cause: either may hold the URL.
            raise MessagingTrouble(Remedy.RETRY, 0, f"not reached ({type(error).__name__})") from None
        if reply.status_code != 200:
            wrong_place = reply.status_code < 500 and reply.status_code not in PASSING
            remedy = Remedy.CONFIGURE if wrong_place else Remedy.RETRY
            raise MessagingTrouble(remedy, 0, f"HTTP status {reply.status_code}")
        return _decoded(reply.content)

    async def close(self) -> None:
        await self._client.aclose()


def base_url(domain: str) -> str:
    """A bare domain is reached by HTTPS; a URL is taken as it is."""
    domain = domain.strip().rstrip("/")
    return domain if "://" in domain else f"https://{domain}"


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or type(answer.get("ErrorCode")) is not int:
        raise MessagingTrouble(Remedy.RETRY, 0, "an answer that is none of the API")
    return answer
