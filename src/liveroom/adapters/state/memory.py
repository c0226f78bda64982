"""Short-lived state in the process; for one process, and while Redis is away."""

import time
from collections.abc import Callable
from math import ceil

SWEEP_AT = 10_000


class MemoryLimits:
    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._uses: dict[str, tuple[int, float]] = {}
        self._seen: dict[str, tuple[int, float]] = {}

    async def hit(self, key: str, most: int, window_s: int) -> int:
        now = self._clock_s()
        uses, ends = self._uses.get(key, (0, 0.0))
        if ends <= now:
            uses, ends = 0, now + window_s
        self._make_room(now)
        self._uses[key] = (uses + 1, ends)
        return ceil(ends - now) if uses >= most else 0

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        clock = self._clock_s()
        first, ends = self._seen.get(key, (now, 0.0))
        if ends > clock:
            return first
        self._make_room(clock)
        self._seen[key] = (now, clock + keep_s)
        return now

    def _make_room(self, now: float) -> None:
        """Bounded: what is over goes, and if that is not enough everything does."""
        for table in (self._uses, self._seen):
            if len(table) < SWEEP_AT:
                continue
            for key in [key for key, (_, ends) in table.items() if ends <= now]:
                del table[key]
            if len(table) >= SWEEP_AT:
                table.clear()


class MemoryState:
    """The state store of one process; it is never away."""

    name = "state"

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return
