"""The simulator as an ASGI app: a call's way to its command, and the answer's way back."""

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from liveroom.simulator import checks
from liveroom.simulator.accounts import AccountCommands
from liveroom.simulator.checks import Fault
from liveroom.simulator.cloud import App, AppSpec, Cloud
from liveroom.simulator.control import Control
from liveroom.simulator.faults import Faults
from liveroom.simulator.groups import GroupCommands
from liveroom.simulator.webhooks import Webhooks

# Where `made` finds what the command line said.
VARIABLE = "IM_SIMULATOR"
Command = Callable[[App, str, dict[str, Any]], dict[str, Any]]


class Given(Struct, frozen=True):
    """What the simulator is started with."""

    apps: list[AppSpec]
    callback: str = ""


class Simulator:
    """One vendor, in memory."""

    def __init__(self, given: Given, clock_s: Callable[[], float] = time.time) -> None:
        self.cloud = Cloud(given.apps)
        self.faults = Faults()
        self.webhooks = Webhooks(given.callback)
        self._control = Control(self.cloud, self.faults, self.webhooks)
        self._commands: dict[str, Command] = {
            **AccountCommands(self.webhooks).by_path,
            **GroupCommands(self.webhooks).by_path,
        }
        self._clock_s = clock_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request = Request(scope, receive)
        stage, _, rest = request.url.path.strip("/").partition("/")
        if stage == "simulator":
            response = await self._control.answer(request, rest)
        else:
            response = await self._answer(request, stage, rest)
        await response(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.webhooks.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, request: Request, version: str, path: str) -> Response:
        try:
            command = path.rpartition("/")[2]
            number = self._count(request.query_params.get("sdkappid", ""), command)
            struck = await self.faults.strike(request, command)
            if struck is not None:
                return struck
            if request.method != "POST":
                raise Fault(60002, "only POST")
            if version != "v4" or path not in self._commands:
                raise Fault(60009, "no such command")
            return _told(0, "", await self._done(request, path, number))
        except Fault as fault:
            return _told(fault.code, fault.info, fault.extra)

    def _count(self, app_id: str, command: str) -> int:
        number = int(app_id) if app_id.isascii() and app_id.isdigit() else 0
        return self.cloud.count(number, command, int(self._clock_s()))

    async def _done(self, request: Request, path: str, number: int) -> dict[str, Any]:
        app, caller = checks.caller(self.cloud.apps, request.query_params, int(self._clock_s()))
        asked = checks.body(await request.body())
        if self._control.rate and number > self._control.rate:
            raise Fault(60007, "too many calls")
        return self._commands[path](app, caller, asked)

    async def close(self) -> None:
        await self.webhooks.close()


def _told(code: int, info: str, extra: dict[str, Any]) -> Response:
    answer = {"ActionStatus": "FAIL" if code else "OK", "ErrorInfo": info, "ErrorCode": code, **extra}
    return Response(msgspec.json.encode(answer), media_type="application/json")


def made() -> Simulator:
    """What the server process loads."""
    return Simulator(msgspec.json.decode(os.environ[VARIABLE], type=Given))
