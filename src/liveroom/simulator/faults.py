"""Faults that a test or a developer asks for: what they do to which calls, and how often."""

import asyncio
from typing import Annotated

from msgspec import Meta, Struct, field
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from liveroom.simulator.checks import Fault

HANG_S = 60.0


class OrderedFault(Struct, forbid_unknown_fields=True):
    """One fault: at least one of code, status, delay and drop; without `times` it stays until it is removed."""

    command: str = "*"
    code: int = 0
    info: str = "as ordered"
    status: Annotated[int, Meta(ge=0, le=599)] = 0
    delay_ms: Annotated[int, Meta(ge=0)] = 0
    drop: bool = False
    times: Annotated[int, Meta(ge=1)] | None = None
    sdk_app_id: int | None = field(default=None, name="sdkAppId")


class Faults:
    """Those in force; the one ordered last comes first."""

    def __init__(self) -> None:
        self.ordered: list[OrderedFault] = []

    def order(self, fault: OrderedFault) -> None:
        self.ordered.insert(0, fault)

    async def strike(self, request: Request, command: str) -> Response | None:
        """What this call gets instead of an answer; None: an answer. Raises `Fault` for an ErrorCode."""
        fault = self._next(command, request.query_params.get("sdkappid", ""))
        if fault is None:
            return None
        await asyncio.sleep(fault.delay_ms / 1000)
        if fault.drop:
            return await _hung(request)
        if fault.status:
            return PlainTextResponse("<html>as ordered</html>", fault.status)
        if fault.code:
            raise Fault(fault.code, fault.info)
        return None

    def _next(self, command: str, app_id: str) -> OrderedFault | None:
        for fault in self.ordered:
            if fault.command in ("*", command) and str(fault.sdk_app_id or app_id) == app_id:
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self.ordered.remove(fault)
                return fault
        return None


async def _hung(request: Request) -> Response:
    """No answer for as long as the caller waits for one, and a minute at most."""
    for _ in range(int(HANG_S * 10)):
        if await request.is_disconnected():
            break
        await asyncio.sleep(0.1)
    return PlainTextResponse("", 504)
