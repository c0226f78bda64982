"""Telling the other processes that something has happened: quick, and allowed to fail."""

from typing import Protocol

from msgspec import Struct


class Heard(Struct, frozen=True):
    """What others told; `gap`: something may have been missed before it."""

    messages: list[bytes]
    gap: bool = False


class Wakeups(Protocol):
    """One channel that all processes share. Whoever listens also checks the facts from time to time."""

    # Whether there are other processes; else nobody has to be told, and nothing is ever heard.
    remote: bool

    async def tell(self, message: bytes) -> None:
        """Tell whoever listens now, this process included."""

    async def hear(self, longest_s: float) -> Heard:
        """What has been told since the last call, waited for at most so long.

        The first call subscribes, and so does the next after ServiceUnavailable was raised.
        """

    async def close(self) -> None:
        """Give back the connection."""
