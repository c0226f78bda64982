"""Presence as the tests talk to it: short timeouts, and moments told as milliseconds after noon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contract.nodes import NOON
from liveroom.ports.presence import (
    Asked,
    PresenceStore,
    Recorded,
    Sign,
    SignKind,
    Standing,
    Timeouts,
    User,
    Watched,
)

TIMES = Timeouts(beat_ms=300, silent_ms=2_000, grace_ms=100)
CALL, BEAT, CONNECTED, DISCONNECTED, LOGGED_OUT, NOT_CONNECTED = SignKind
ANN: User = ("acme", "acme-1")
BEN: User = ("acme", "acme-2")


def sign(kind: SignKind, at: int = 0, user: User = ANN, sid: str = "s", times: Timeouts = TIMES) -> Sign:
    return Sign(*user, sid, kind, NOON + at, times)


def people(number: int) -> list[User]:
    """Users enough to be in every part of the store."""
    return [("acme", f"acme-{100 + turn}") for turn in range(number)]


class Seen(Watched, frozen=True):
    """What a watch found, and when that was."""

    at: int

    @property
    def gap(self) -> bool:
        """Whether a gap ended with this watch."""
        return self.since == self.at


class Ear:
    """One process's connection to presence."""

    def __init__(self, store: PresenceStore) -> None:
        self.store = store
        self.now = NOON

    async def hear(self, *signs: Sign, now: int | None = None) -> Recorded:
        """Record; unless told otherwise at the moment of the latest sign ever."""
        self.now = max([self.now, *(one.at for one in signs)])
        return await self.store.record(signs, self.now if now is None else NOON + now)

    async def watch(self, at: int, longest: Timeouts = TIMES, most: int = 1_000) -> Seen:
        watched = await self.store.watch(NOON + at, longest, most)
        return Seen(watched.unsettled, watched.more, watched.since, NOON + at)

    async def found(self, at: int, longest: Timeouts = TIMES, most: int = 1_000) -> list[User]:
        """Who is to be settled, sorted; nobody is named twice, and there was no gap."""
        watched = await self.watch(at, longest, most)
        assert not watched.gap
        assert len(set(watched.unsettled)) == len(watched.unsettled)
        return sorted(watched.unsettled)

    async def look(
        self,
        *users: User,
        at: int = 0,
        sids: Iterable[str] = ("s",),
        beats: bool = False,
        times: Timeouts = TIMES,
        longest: Timeouts = TIMES,
    ) -> dict[User, Standing]:
        sessions = [(sid, beats) for sid in sids]
        return await self.store.look([Asked(user, sessions, times) for user in users], NOON + at, longest)

    async def held(self, at: int, user: User = ANN, longest: Timeouts = TIMES) -> bool:
        return (await self.look(user, at=at, longest=longest))[user].held

    async def online(self, user: User = ANN, sids: Iterable[str] = ("s",)) -> bool:
        return (await self.look(user, sids=sids))[user].online

    async def mark(self, user: User = ANN) -> int:
        return (await self.look(user))[user].mark

    async def clear(self, marks: Mapping[User, int]) -> list[User]:
        return await self.store.clear(marks)

    async def settle(self, *users: User) -> None:
        """Clear whatever marks they have."""
        standings = await self.look(*users)
        assert await self.clear({user: standing.mark for user, standing in standings.items()}) == []

    async def restore(self, *signs: Sign, now: int = 0) -> None:
        await self.store.restore(signs, NOON + now)
