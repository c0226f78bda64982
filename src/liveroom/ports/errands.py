"""What is to be done outside after a change: written in its transaction, done until it is."""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class ErrandKind(StrEnum):
    """Whose state has to be carried over: a room's to its group, an account's to its IM account."""

    GROUP = "group"
    ACCOUNT = "account"


class Errand(Struct, frozen=True):
    """A subject whose state outside may differ from ours; `mark` grows with each change of ours.

    `taken_until` is until when whoever took it has it to itself.
    """

    tenant: str
    kind: ErrandKind
    subject: str
    mark: int
    tries: int
    taken_until: int


class ErrandStore(Protocol):
    """At most one errand a subject, and at most one process at it; the room and account stores write them.

    An errand says that something is to be compared, never what is to be done: whoever takes it reads
    the state as it is then.
    """

    async def take(self, now: int, until: int, most: int) -> list[Errand]:
        """Take errands that are due; until `until` nobody else is given them."""

    async def take_one(self, tenant: str, kind: ErrandKind, subject: str, now: int, until: int) -> Errand | None:
        """Take this errand, due or not. None: there is none, or somebody is at it."""

    async def waiting(self, tenant: str, kind: ErrandKind, subject: str) -> bool:
        """Whether there is such an errand, taken or not."""

    async def done(self, errand: Errand) -> bool:
        """It is done. False: our side changed meanwhile, so it stays, due at once."""

    async def put_off(self, errand: Errand, due_at: int) -> None:
        """It could not be done; not before `due_at`."""

    async def add(self, tenant: str, kind: ErrandKind, subject: str, due_at: int) -> None:
        """An errand without a change of ours; one that is there stays as it is."""
