"""Limits: how often one may do what; counted in the state store, in the process while that is away."""

from liveroom.errors import Refusal, limit_reached
from liveroom.ports.limits import LimitStore


class Limits:
    """Counts uses against limits; switched off, it lets everything pass."""

    def __init__(self, shared: LimitStore, own: LimitStore, on: bool) -> None:
        self._shared = shared
        self._own = own
        self._on = on

    async def spend(self, what: str, tenant: str, who: str, *, most: int, window_s: int) -> None:
        """Use up one of `most` per window; raises UserQueryLimit when none is left."""
        if not self._on:
            return
        key = f"{what}:{tenant}:{who}"
        try:
            wait_s = await self._shared.hit(key, most, window_s)
        except Refusal:
            wait_s = await self._own.hit(key, most, window_s)
        if wait_s:
            raise limit_reached(wait_s)

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        """When `key` was first shown, `now` if only now; counted whether limits are on or off."""
        # Noted here as well: the state store may be away the next time, or have come back empty.
        first_here = await self._own.first_seen(key, now, keep_s)
        try:
            return min(first_here, await self._shared.first_seen(key, now, keep_s))
        except Refusal:
            return first_here
