"""The server process and its workers: how they stop without cutting anybody off.

On SIGTERM Granian refuses connections at once and waits for those that are open, streams included. So
its parent first asks the workers to announce it, and stops them a little later.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from granian.server import Server

# What the parent tells a worker by.
ANNOUNCE = signal.SIGUSR1


class AnnouncingServer(Server):  # type: ignore[misc, valid-type]
    """Stops `notice_s` seconds after it has announced it; told to stop once more, at once."""

    def __init__(self, *args: Any, notice_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._notice_s = notice_s
        self._stop: threading.Timer | None = None

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        if self._stop is not None:
            self._stop.cancel()
            super().signal_handler_interrupt(*args, **kwargs)
            return
        for worker in self.wrks:
            # One that ended by itself meanwhile need not be told.
            with suppress(ProcessLookupError):
                os.kill(worker._id(), ANNOUNCE)
        self._stop = threading.Timer(self._notice_s, super().signal_handler_interrupt)
        self._stop.daemon = True
        self._stop.start()


def prepare_workers() -> None:
    """Before any worker is made: it inherits the parent's handlers, and may be told to stop before it has its own."""
    os.register_at_fork(after_in_child=_as_a_worker)


def _as_a_worker() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(ANNOUNCE, signal.SIG_IGN)


def listen_for_stop(announced: Callable[[], None]) -> None:
    """In a worker: have it called once a stop is announced. Ctrl-C reaches every process, and is the parent's."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(ANNOUNCE, announced)
    loop.add_signal_handler(signal.SIGINT, _leave_to_the_parent)


def _leave_to_the_parent() -> None:
    return
