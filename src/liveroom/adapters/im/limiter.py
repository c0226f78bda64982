"""How often a process calls each command: the vendor counts, and refuses what is above."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

WINDOW_S = 1.0
CALLS = 200
FEWER_CALLS = {"account_delete": 100, "account_check": 100, "multiaccount_import": 100}


class CallLimiter:
    """Grants at most `CALLS` calls of a command of an application in any second; more wait their turn.

    A turn is promised on arrival, so whoever would wait longer than `longest_s` hears it at once; that
    bounds how many wait.
    """

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        longest_s: float = 1.5,
    ) -> None:
        self._clock_s = clock_s
        self._sleep = sleep
        self._longest_s = longest_s
        self._turns: dict[tuple[int, str], deque[float]] = {}

    async def turn(self, sdk_app_id: int, command: str) -> bool:
        """Wait for the next turn; False, at once, if that would take too long."""
        most = FEWER_CALLS.get(command, CALLS)
        turns = self._turns.setdefault((sdk_app_id, command), deque(maxlen=most))
        now = self._clock_s()
        at = max(now, turns[0] + WINDOW_S) if len(turns) == most else now
        if at - now > self._longest_s:
            return False
        turns.append(at)
        if at > now:
            await self._sleep(at - now)
        return True
