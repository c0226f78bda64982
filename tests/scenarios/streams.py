"""A page that follows rooms live: Server-Sent Events, raw from the socket."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from envelopes import Account
from wire import pairs

Told = dict[str, Any]


class Follower:
    """One stream, and what it was told; merged messages are taken apart."""

    def __init__(self, url: str, query: str, last_id: str = "") -> None:
        host = urlsplit(url)
        self._connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=20)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self._connection.request("GET", f"/base/v1/rooms/stream?{query}", headers=headers)
        self.answer = self._connection.getresponse()
        self.id = last_id
        self.told: list[Told] = []

    def next(self) -> Told | None:
        """The next message; None: the stream is over."""
        data = ""
        for line in iter(self.answer.readline, b""):
            text = line.decode().rstrip("\n")
            if text.startswith("id: "):
                self.id = text[4:]
            elif text.startswith("data: "):
                data = text[6:]
            elif not text and data:
                message: Told = json.loads(data)
                self.told += message["events"] if message["kind"] == "changes" else [message]
                return message
        return None

    def until(self, holds: Callable[[list[Told]], bool], within_s: float = 15) -> list[Told]:
        """Read until it is so; what was told."""
        self._connection.sock.settimeout(within_s)
        while not holds(self.told):
            try:
                message = self.next()
            except TimeoutError:
                raise AssertionError(f"still not so after {within_s} s: {self.told[-5:]}") from None
            assert message is not None, f"it ended after {self.told[-5:]}"
        return self.told

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


@contextlib.contextmanager
def following(url: str, account: Account, last_id: str = "", **what: str) -> Iterator[Follower]:
    """Follow as this account, on this process."""
    query = pairs({"userId": account.user_id, "token": account.token, **what}, "")
    follower = Follower(url, query, last_id)
    try:
        yield follower
    finally:
        follower.close()


def versions(told: list[Told]) -> list[int]:
    """Of the events, which have to be without a gap."""
    return [body["version"] for body in told if body["kind"].startswith(("room.", "member."))]
