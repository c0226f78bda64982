"""Counters of uses."""

from typing import Protocol


class LimitStore(Protocol):
    """Short-lived counters, shared by all processes; lost without harm."""

    async def hit(self, key: str, most: int, window_s: int) -> int:
        """Count one use of `key`. 0: allowed; else the seconds until the window of `most` uses ends."""

    async def first_seen(self, key: str, now: int, keep_s: int) -> int:
        """When `key` was first shown within the last `keep_s` seconds; `now` if this is the first time."""
