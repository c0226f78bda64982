"""What holds of every port, and what all of them need.

Every verb may raise `Refusal`: ServiceDBFailed when the database is away or refuses, ServiceUnavailable
when another back end is away or a queue is full. Every verb answers within 5 s. A caller that gives up
never cancels work that others share. Moments are milliseconds since the Unix epoch.
"""

from typing import Protocol


class Clock(Protocol):
    def __call__(self) -> int:
        """Now, in milliseconds since the Unix epoch."""


class IdSource(Protocol):
    def __call__(self) -> str:
        """A fresh, unpredictable candidate for a userId or roomId, without tenant prefix."""


class BackEnd(Protocol):
    """Something the service leans on."""

    name: str

    async def ping(self) -> None:
        """Answer while it is reachable; raises `Refusal` when not."""
