"""Health of somebody who is told things: whether anything has gone well lately."""

from collections import deque
from collections.abc import Callable

OUTCOMES = 10
FIRST_PROBE_MS, LONGEST_PROBE_MS = 1_000, 60_000


class Health:
    """Down once the last ten outcomes were all failures; then it is time for a probe now and again."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._outcomes: deque[bool] = deque(maxlen=OUTCOMES)
        self._probes = 0
        self._probe_at = 0

    @property
    def down(self) -> bool:
        return len(self._outcomes) == OUTCOMES and not any(self._outcomes)

    def may_probe(self, now: int) -> bool:
        # A clock that was put back makes nobody wait for longer than the longest pause.
        return not 0 < self._probe_at - now <= LONGEST_PROBE_MS

    def went_well(self) -> bool:
        """Note it; whether it was down until now."""
        was_down = self.down
        if was_down:
            self._outcomes.clear()
        self._outcomes.append(True)
        self._probes = 0
        return was_down

    def failed(self, now: int) -> None:
        self._outcomes.append(False)
        # Of what was on its way when it went down, one failure counts.
        if self.down and self.may_probe(now):
            pause = min(FIRST_PROBE_MS * 2 ** min(self._probes, 16), LONGEST_PROBE_MS)
            self._probe_at = now + int(pause * self._jitter())
            self._probes += 1

    def probe_now(self, now: int) -> None:
        """The next probe need not wait."""
        self._probe_at = now
