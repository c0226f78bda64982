"""What happened, written in the transaction that made it true, and read by whoever tells it.

Each room and each user has a log of its own. A `position` orders a log: its upper part is the event's
`version`, its lower part counts the unnumbered events since that version (see `position_of`).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from liveroom.events import About

HINT_BITS = 32

Log = tuple[str, About, str]


class Told(Struct, frozen=True):
    """An event as it was written: `body` is its JSON, `subject` the room or user whose log it stands in."""

    tenant: str
    about: About
    subject: str
    position: int
    kind: str
    at: int
    body: bytes

    @property
    def log(self) -> Log:
        return (self.tenant, self.about, self.subject)

    @property
    def version(self) -> int:
        return self.position >> HINT_BITS

    @property
    def numbered(self) -> bool:
        return not self.position & ((1 << HINT_BITS) - 1)


def position_of(version: int) -> int:
    """Where the event of this version stands in its log."""
    return version << HINT_BITS


# Called with what one committed transaction wrote, in order; has to return at once and raise nothing.
Ear = Callable[[Sequence[Told]], None]


class OutboxStore(Protocol):
    """The logs. The room and account stores write them."""

    async def after(self, log: Log, position: int, most: int) -> list[Told]:
        """What stands in a log behind this position, in order; at most so much."""

    async def versions(self, rooms: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The version that each room, as (tenant, room_id), is at; one that never opened is not named."""

    async def prune(self, before: int) -> int:
        """Delete some of what happened before this moment and every listener has; answers how many went.

        What nobody has taken yet stays, as do dead letters. Called again until it answers 0.
        """
