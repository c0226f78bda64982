"""Messaging back ends for the tests: the embedded one, and Tencent's against a simulator."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.im.limiter import CallLimiter
from liveroom.adapters.im.tencent import TencentMessaging
from liveroom.model import Tenant
from liveroom.services import usersig
from liveroom.simulator.cloud import AppSpec
from liveroom.simulator.site import Given, Simulator
from servers import Daemon
from service import PROGRAM, clean_env

APP_ID = 1_400_000_000
SECRET = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
TENANT = Tenant(name="default", sdk_app_id=APP_ID, secret=SECRET)
OTHER = Tenant(name="other", sdk_app_id=APP_ID + 1, secret=SECRET[::-1], administrator="boss")
SPECS = [AppSpec(APP_ID, SECRET), AppSpec(APP_ID + 1, SECRET[::-1], ("boss",))]
NOON_S = 1_700_000_000


class Moment:
    """A clock, in milliseconds, that stands until it is moved."""

    def __init__(self, now_s: float = NOON_S) -> None:
        self.now_s = now_s

    def __call__(self) -> int:
        return int(self.now_s * 1000)

    def seconds(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class ImSimulator(Daemon):
    """The simulator as the process that a developer runs."""

    def __init__(self, *args: str) -> None:
        super().__init__("im-simulator")
        given = [f"{spec.sdk_app_id}:{spec.secret}" for spec in SPECS[:1]]
        self.command = [*PROGRAM, "im-simulator", "--port", str(self.port), "--app", *given, *args]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        self._spawn(self.command, self.folder, clean_env())
        self._wait_ready(lambda: self.control("state") is not None, 30)

    def control(self, name: str, body: Any = None, method: str | None = None) -> Any:
        """One of the simulator's own calls; None while it does not answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        try:
            connection.request(
                method or ("GET" if body is None else "POST"), f"/simulator/{name}", json.dumps(body) if body else None
            )
            with connection.getresponse() as response:
                return json.load(response)
        except OSError:
            return None
        finally:
            connection.close()


class Embedded:
    """The messaging without a vendor."""

    def __init__(self) -> None:
        self.messaging = EmbeddedMessaging()

    async def connect(self, user_id: str, tenant: Tenant = TENANT) -> None:
        self.messaging.connect(tenant, user_id)

    def profile(self, user_id: str, tenant: Tenant = TENANT) -> tuple[str, str] | None:
        return self.messaging.profile(tenant, user_id)

    def notices(self, group_id: str, tenant: Tenant = TENANT) -> list[str]:
        return self.messaging.messages(tenant, group_id)

    async def close(self) -> None:
        await self.messaging.close()


class Simulated:
    """Tencent's adapter, and a simulator in the same process."""

    def __init__(self, clock: Moment | None = None, limiter: CallLimiter | None = None, **given: Any) -> None:
        self.clock = clock or Moment()
        self.simulator = Simulator(Given(SPECS, **given), self.clock.seconds)
        transport = httpx.ASGITransport(self.simulator)
        sign = usersig.sign
        self.messaging = TencentMessaging("im.example", sign, self.clock, limiter=limiter, transport=transport)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://im.example")

    @property
    def calls(self) -> dict[str, int]:
        return dict(self.simulator.cloud.calls)

    async def order(self, **fault: Any) -> None:
        assert (await self.client.post("/simulator/faults", json=fault)).status_code == 200

    async def connect(self, user_id: str, tenant: Tenant = TENANT) -> None:
        act = {"userId": user_id, "sdkAppId": tenant.sdk_app_id}
        assert (await self.client.post("/simulator/connect", json=act)).status_code == 200

    def profile(self, user_id: str, tenant: Tenant = TENANT) -> tuple[str, str] | None:
        account = self.simulator.cloud.apps[tenant.sdk_app_id].accounts.get(user_id)
        return None if account is None else (account.nick, account.face_url)

    def notices(self, group_id: str, tenant: Tenant = TENANT) -> list[str]:
        return list(self.simulator.cloud.apps[tenant.sdk_app_id].groups[group_id].notices)

    async def close(self) -> None:
        await self.messaging.close()
        await self.client.aclose()
        await self.simulator.close()


Seen = list[httpx.Request]


def answering(
    answer: Callable[[httpx.Request], httpx.Response | Exception], clock: Moment | None = None
) -> tuple[TencentMessaging, Seen]:
    """Tencent's adapter with a vendor that answers so, and the requests that it gets."""
    seen: Seen = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = answer(request)
        if isinstance(given, Exception):
            raise given
        return given

    transport = httpx.MockTransport(reply)
    return TencentMessaging("im.example", usersig.sign, clock or Moment(), transport=transport), seen


def said(code: int = 0, **extra: Any) -> httpx.Response:
    """An answer of the API."""
    status = "FAIL" if code else "OK"
    return httpx.Response(200, json={"ActionStatus": status, "ErrorCode": code, "ErrorInfo": "", **extra})
