"""Short-lived state in the process; for one process, and while Redis is away."""

import time
from collections.abc import Callable
from math import ceil

MOST_LIMITS = 10_000
MOST_SHOWINGS = 100_000


class MemoryLimits:
    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._uses: dict[str, tuple[int, float]] = {}
        self._seen: dict[str, tuple[int, float]] = {}

    async def hit(self, key: str, most: int, window_s: int) -> int:
        now = self._clock_s()
        uses, ends = self._uses.get(key, (0, 0.0))
        if ends <= now:
            _make_room(self._uses, MOST_LIMITS)
            uses, ends = 0, now + window_s
        self._uses[key] = (uses + 1, ends)
        return ceil(ends - now) if uses >= most else 0

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        clock = self._clock_s()
        first, ends = self._seen.get(key, (now, 0.0))
        if ends > clock:
            return first
        _make_room(self._seen, MOST_SHOWINGS)
        self._seen[key] = (now, clock + keep_s)
        return now


def _make_room(table: dict[str, tuple[int, float]], most: int) -> None:
    """When it is full, the tenth goes that is over or is the first to be: nobody resets a limit by a flood."""
    if len(table) >= most:
        for key in sorted(table, key=lambda key: table[key][1])[: most // 10]:
            del table[key]


class MemoryState:
    """The state store of one process; it is never away."""

    name = "state"

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return
