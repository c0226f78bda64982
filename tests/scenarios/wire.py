"""How the scenarios reach the service: raw requests, each to the next process in turn."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

IM_SECRET = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
LOGOUT_SPREADS_WITHIN_S = 1.5
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
Body = bytes | Iterator[bytes] | None


class Topology(Protocol):
    """What `tests/conftest.py` hands out: one or two processes that are one service."""

    @property
    def urls(self) -> list[str]: ...

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def done(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """The processes of one service. Whatever one request wrote, the next reads on another process."""

    def __init__(self, urls: Iterable[str], im_secret: str | None = None) -> None:
        self.urls = tuple(urls)
        self.im_secret = im_secret
        self._turns = itertools.cycle(self.urls)

    @classmethod
    def on(cls, topology: Topology) -> Service:
        return cls(topology.urls, IM_SECRET if topology.name == "two-processes" else None)

    def each(self) -> list[Service]:
        """The same service, one process at a time."""
        return [Service([url], self.im_secret) for url in self.urls]

    def send(self, method: str, target: str, body: Body = None, headers: Mapping[str, str] | None = None) -> Reply:
        url = urlsplit(next(self._turns))
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, query: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.send("GET", f"{path}?{query}", None, headers)

    def post_form(self, path: str, form: str, content_type: str = FORM) -> Reply:
        return self.send("POST", path, form.encode(), {"Content-Type": content_type})

    def post_json(self, path: str, text: str, content_type: str = JSON) -> Reply:
        return self.send("POST", path, text.encode(), {"Content-Type": content_type})


def pairs(parameters: Mapping[str, object], safe: str) -> str:
    """`a=1&b=2` in the given order, with everything escaped but letters, digits, `_.-~` and `safe`."""
    return "&".join(f"{quote(name, safe)}={quote(str(value), safe)}" for name, value in parameters.items())


def compact(parameters: object) -> str:
    return json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def now_ms() -> str:
    return str(time.time_ns() // 1_000_000)


def fresh_name(prefix: str = "u") -> str:
    """A username nobody has: all tests of a session share one service."""
    return prefix + uuid.uuid4().hex[:20]


def soon(holds: Callable[[], bool], within_s: float = LOGOUT_SPREADS_WITHIN_S) -> None:
    """Wait for what another process may learn a second late."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {within_s} s"
        time.sleep(0.05)
