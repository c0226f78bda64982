"""The call by which a client says that it is there."""

from msgspec import Struct

from liveroom.endpoints.wire import Signed, utc
from liveroom.model import Caller
from liveroom.ports.back_ends import Clock
from liveroom.services.presence import PresenceService


class Kept(Struct, rename="camel"):
    """Who was heard, and when."""

    user_id: str
    update_utc: str


class PresenceEndpoints:
    """Answers heartbeats."""

    def __init__(self, presence: PresenceService, clock: Clock) -> None:
        self._presence = presence
        self._clock = clock

    async def keepalive(self, caller: Caller, _: Signed) -> Kept:
        self._presence.beat(caller)
        return Kept(caller.user_id, utc(self._clock() // 1000))
