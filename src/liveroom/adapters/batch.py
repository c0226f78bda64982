"""Natural batching: while one batch is in flight, callers gather in the next."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from liveroom.errors import Refusal, overloaded

Order = TypeVar("Order")
Outcome = TypeVar("Outcome")


class Batch(Generic[Order, Outcome]):
    """Runs orders together, `most` at a time, with `in_flight` batches at once.

    `run` answers one outcome per order; an outcome that is an exception is raised to its caller, one
    that `run` raises to all of the batch. No timers: an order leaves as soon as there is room for it.
    """

    def __init__(
        self,
        run: Callable[[list[Order]], Awaitable[list[Outcome | Exception]]],
        *,
        most: int = 256,
        in_flight: int = 1,
        waiting: int = 10_000,
        deadline_s: float = 2.4,
        away: Callable[[], Refusal],
    ) -> None:
        self._run = run
        self._most = most
        self._idle = in_flight
        self._waiting = waiting
        self._deadline_s = deadline_s
        self._away = away
        self._queue: list[tuple[Order, asyncio.Future[Outcome]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, order: Order) -> "asyncio.Future[Outcome]":
        """The order's outcome, as a future. A caller that goes away cancels its wait, never the batch."""
        if len(self._queue) >= self._waiting:
            raise overloaded()
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append((order, future))
        if self._idle:
            self._idle -= 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _work(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[: self._most], self._queue[self._most :]
                # Whoever gave up before its batch left is not asked for.
                batch = [(order, future) for order, future in batch if not future.done()]
                if batch:
                    await self._answer(batch)
        finally:
            self._idle += 1

    async def _answer(self, batch: list[tuple[Order, "asyncio.Future[Outcome]"]]) -> None:
        outcomes: list[Outcome | Exception]
        try:
            async with asyncio.timeout(self._deadline_s):
                outcomes = await self._run([order for order, _ in batch])
        except TimeoutError:
            # Whoever waits behind a back end that does not answer has waited long enough.
            batch, self._queue = batch + self._queue, []
            outcomes = [self._away() for _ in batch]
        except Exception as error:
            outcomes = [error for _ in batch]
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def each(
    run: Callable[[Order], Awaitable[Outcome]],
) -> Callable[[list[Order]], Awaitable[list[Outcome | Exception]]]:
    """A `run` that answers equal orders of a batch with one call."""

    async def run_each(orders: list[Order]) -> list[Outcome | Exception]:
        distinct = list(dict.fromkeys(orders))
        outcomes = await asyncio.gather(*(run(order) for order in distinct), return_exceptions=True)
        by_order = dict(zip(distinct, outcomes, strict=True))
        return [_told(by_order[order]) for order in orders]

    return run_each


def _told(outcome: Outcome | BaseException) -> Outcome | Exception:
    if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
        raise outcome
    return outcome
