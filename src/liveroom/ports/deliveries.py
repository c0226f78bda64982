"""What listeners have not been told yet: for each of them and each log, how far it has got."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from liveroom.events import About
from liveroom.ports.outbox import Log

# The listener that is a room's own IM group; no webhook can have this name.
IM_GROUP = "@im"


class Delivery(Struct, frozen=True):
    """A log of which a listener has been told until `position`, and of which `mark` is the last it wants.

    `tries` have failed since something was told, the first at `failing_since` (0: none has).
    `taken_until` is until when whoever took it has it to itself.
    """

    tenant: str
    listener: str
    about: About
    subject: str
    position: int
    mark: int
    tries: int
    failing_since: int
    taken_until: int

    @property
    def log(self) -> Log:
        return (self.tenant, self.about, self.subject)


class DeadLetter(Struct, frozen=True):
    """What a listener was not told of a log, after it had been tried for long: (`first`, `last`]."""

    tenant: str
    listener: str
    about: About
    subject: str
    first: int
    last: int
    died_at: int
    reason: str


class Backlog(Struct, frozen=True):
    """How a listener is doing: logs waiting, and failing; dead letters."""

    waiting: int = 0
    failing: int = 0
    failing_since: int = 0
    dead: int = 0


class DeliveryStore(Protocol):
    """At most one delivery a listener and log, and at most one process at it; the outbox makes them.

    It goes once the listener has been told everything, so that there are as many as there is to do.
    """

    async def take(self, tenant: str, listener: str, now: int, until: int, most: int) -> list[Delivery]:
        """Take deliveries of this listener that are due; until `until` nobody else is given them."""

    async def told(self, delivery: Delivery, position: int, due_at: int) -> None:
        """The listener has been told until `position`; the rest, if any, is due at `due_at`.

        Nothing happens once somebody else has taken it.
        """

    async def put_off(self, delivery: Delivery, now: int, due_at: int) -> None:
        """It could not be told; not before `due_at`."""

    async def bury(self, delivery: Delivery, now: int, reason: str) -> None:
        """What it waits for becomes a dead letter; what comes later is told again. Idempotent."""

    async def hurry(self, tenant: str, listener: str, now: int) -> None:
        """Whatever of this listener was put off is due now."""

    async def dead(self, tenant: str, listener: str, most: int) -> list[DeadLetter]:
        """Dead letters of this listener, the oldest first."""

    async def revive(self, letters: Sequence[DeadLetter], now: int) -> None:
        """These are to be told again, at once; each log is told from its earliest on."""

    async def backlogs(self) -> Mapping[tuple[str, str], Backlog]:
        """Of each (tenant, listener) that has any."""

    async def prune(self, before: int) -> int:
        """Delete dead letters that died before this moment, in small steps; answers how many went."""
