"""Whether the process is alive and its back ends are there."""

import asyncio
from collections.abc import Sequence

from liveroom.endpoints.envelope import Answer
from liveroom.errors import Code, Refusal
from liveroom.ports.back_ends import BackEnd
from liveroom.ports.messaging import Messaging, MessagingTrouble


class HealthEndpoints:
    """Answers load balancers and whoever looks whether the service runs."""

    def __init__(self, back_ends: Sequence[BackEnd], messaging: Messaging) -> None:
        self._back_ends = back_ends
        self._messaging = messaging
        self._stopping = False

    def announce_stop(self) -> None:
        """From now on nobody is to send traffic here."""
        self._stopping = True

    async def here(self) -> Answer:
        return Answer(message="liveroom is running")

    async def ready(self) -> Answer:
        """200 once every back end answers, else 503 and which one does not. IM in trouble is only told.

        503 as well once the process is about to stop; calls go on being answered.
        """
        if self._stopping:
            code = Code.ServiceUnavailable
            return Answer(int(code), "This process is about to stop.", code.name, {"process": "stopping"}, status=503)
        found = await asyncio.gather(*(_state_of(back_end) for back_end in self._back_ends))
        data = {back_end.name: state for back_end, state in zip(self._back_ends, found, strict=True)}
        data[self._messaging.name] = await self._messaging_state()
        if all(state == "ok" for state in found):
            return Answer(message="ready", data=data)
        code = Code.ServiceUnavailable
        return Answer(int(code), "A back end is not available.", code.name, data, status=503)

    async def _messaging_state(self) -> str:
        try:
            await self._messaging.ping()
        except MessagingTrouble as trouble:
            return f"in trouble ({trouble.code})"
        return "ok"


async def _state_of(back_end: BackEnd) -> str:
    try:
        async with asyncio.timeout(3):
            await back_end.ping()
    except (Refusal, TimeoutError):
        return "away"
    return "ok"
