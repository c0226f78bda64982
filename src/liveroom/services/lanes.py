"""Lanes: each listener is told on its own, so that a slow or dead one delays no other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from liveroom.errors import Refusal
from liveroom.ports.back_ends import Clock
from liveroom.ports.deliveries import Delivery, DeliveryStore
from liveroom.services.health import Health
from liveroom.services.tellers import Progress, Teller

IN_FLIGHT = 16
# A message is begun in the first 10 s that a log is ours, and may take 10 s; then it has to be written down.
LEASE_MS, TURN_MS = 30_000, 10_000
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 1_000, 300_000
GIVE_UP_MS = 24 * 3_600_000
# How long is waited for half of what is in flight, so that deliveries are taken several at a time.
GATHER_S = 0.05

log = logging.getLogger(__name__)


class Lane:
    """One listener. At most `IN_FLIGHT` logs are being told, each in order; while it is down, one is.

    What fails comes again with growing pauses, and becomes a dead letter after a day. Once a day has
    passed with nothing taken, what is as old as that gets one try.
    """

    def __init__(
        self,
        key: tuple[str, str],
        teller: Teller,
        deliveries: DeliveryStore,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._key = key
        self._name = "/".join(key)
        self._teller = teller
        self._deliveries = deliveries
        self._clock = clock
        self._jitter = jitter
        self._health = Health(jitter)
        self._given_up = False
        self._stopping = False
        self._taking: asyncio.Task[None] | None = None
        self._going: set[asyncio.Task[None]] = set()
        self._said = ""

    def wake(self) -> None:
        """Look for what is due, unless that goes on already."""
        if not self._stopping and (self._taking is None or self._taking.done()):
            self._taking = asyncio.create_task(self._guarded(self._take()))

    async def finish(self, longest_s: float) -> None:
        """Take nothing more and wait for what is in flight; what is cut is told again by whoever comes next."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        ends = loop.time() + longest_s
        # What was taken just now is told, too: one message of each log.
        while (tasks := self._unfinished()) and (left := ends - loop.time()) > 0:
            await asyncio.wait(tasks, timeout=left)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _unfinished(self) -> set[asyncio.Task[None]]:
        return {task for task in (self._taking, *self._going) if task is not None and not task.done()}

    async def _take(self) -> None:
        while not self._stopping and (room := self._room()):
            now = self._clock()
            taken = await self._deliveries.take(*self._key, now, now + LEASE_MS, room)
            for delivery in taken:
                task = asyncio.create_task(self._guarded(self._carry(delivery)))
                self._going.add(task)
                task.add_done_callback(self._going.discard)
            if len(taken) < room:
                return
            await self._gather()

    def _room(self) -> int:
        if self._health.down:
            return 1 if not self._going and self._health.may_probe(self._clock()) else 0
        return IN_FLIGHT - len(self._going)

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + GATHER_S
        while len(self._going) > IN_FLIGHT // 2 and (left := ends - loop.time()) > 0:
            await asyncio.wait(self._going, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def _carry(self, delivery: Delivery) -> None:
        ends = delivery.taken_until - LEASE_MS + TURN_MS
        progress = await self._teller.tell(delivery, lambda: not self._stopping and self._clock() < ends)
        now = self._clock()
        if progress.taken:
            await self._went_well(now)
        if progress.trouble:
            await self._failed(delivery, progress, now)
            return
        await self._deliveries.told(delivery, progress.position, now + progress.pause_ms)
        if progress.more:
            self.wake()

    async def _went_well(self, now: int) -> None:
        self._given_up = False
        if self._health.went_well():
            log.info("%s is there again", self._name)
            await self._deliveries.hurry(*self._key, now)

    async def _failed(self, delivery: Delivery, progress: Progress, now: int) -> None:
        was_down = self._health.down
        self._health.failed(now)
        if self._health.down and not was_down:
            log.warning("%s is down: %s", self._name, progress.trouble)
        if progress.position > delivery.position:
            await self._deliveries.told(delivery, progress.position, now + self._pause_ms(0))
        elif self._is_over(delivery, progress, now):
            log.error("%s is not told of %s %s: %s", self._name, delivery.about, delivery.subject, progress.trouble)
            await self._deliveries.bury(delivery, now, progress.trouble)
            self._health.probe_now(now)
        else:
            await self._deliveries.put_off(delivery, now, now + self._pause_ms(delivery.tries))

    def _is_over(self, delivery: Delivery, progress: Progress, now: int) -> bool:
        """Whether it has been tried for long enough; a dead listener's crowd of logs is not tried for a day each."""
        failed_long = delivery.failing_since > 0 and now - delivery.failing_since >= GIVE_UP_MS
        if failed_long and self._health.down:
            self._given_up = True
        return failed_long or (self._given_up and now - progress.waiting_since >= GIVE_UP_MS)

    def _pause_ms(self, tries: int) -> int:
        pause = min(FIRST_PAUSE_MS * 2 ** min(tries, 16), LONGEST_PAUSE_MS)
        return int(pause * self._jitter())

    async def _guarded(self, work: Awaitable[None]) -> None:
        """What cannot be written down is told again once the lease has passed."""
        try:
            await work
        except Refusal as refusal:
            if refusal.message != self._said:
                log.warning("%s: %s", self._name, refusal.message)
            self._said = refusal.message
        except Exception:
            log.exception("a fault in telling %s", self._name)
        else:
            self._said = ""
