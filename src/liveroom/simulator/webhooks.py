"""Webhooks as the vendor sends them.

Source: https://cloud.tencent.com/document/product/269/1522.
"""

import asyncio
import hashlib
import time
from collections import deque
from typing import Any

import httpx
from msgspec import json

from liveroom.simulator.cloud import App

TIMEOUT_S = 2.0


def signature(token: str, request_time: str) -> str:
    """The `Sign` of a webhook; it does not cover the body."""
    return hashlib.sha256((token + request_time).encode()).hexdigest()


class Webhooks:
    """Posts what happened to one URL; nothing is sent twice, as with the vendor's default."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[int | None]] = set()
        self.sent: deque[dict[str, Any]] = deque(maxlen=100)

    async def send(self, app: App, command: str, platform: str, body: dict[str, Any]) -> int | None:
        """Post one; the status of the answer. None: there is no URL, or nobody answered in time."""
        if not self._url:
            return None
        self._client = self._client or httpx.AsyncClient(timeout=TIMEOUT_S)
        query = {
            "SdkAppid": str(app.spec.sdk_app_id),
            "CallbackCommand": command,
            "contenttype": "json",
            "ClientIP": "127.0.0.1",
            "OptPlatform": platform,
        }
        if app.spec.callback_token:
            moment = str(int(time.time()))
            query |= {"Sign": signature(app.spec.callback_token, moment), "RequestTime": moment}
        content = json.encode({"CallbackCommand": command, **body})
        status: int | None = None
        try:
            headers = {"Content-Type": "application/json"}
            # Beside what the URL's own query says.
            url = httpx.URL(self._url).copy_merge_params(query)
            status = (await self._client.post(url, content=content, headers=headers)).status_code
        except httpx.HTTPError as error:
            self.sent.append({"command": command, "body": body, "status": None, "error": type(error).__name__})
        else:
            self.sent.append({"command": command, "body": body, "status": status})
        return status

    def send_soon(self, app: App, command: str, platform: str, body: dict[str, Any]) -> None:
        """Post one after the call that it follows from was answered."""
        task = asyncio.create_task(self.send(app, command, platform, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def state_change(user_id: str, action: str, reason: str) -> dict[str, Any]:
    return {"EventTime": now_ms(), "Info": {"Action": action, "To_Account": user_id, "Reason": reason}}
