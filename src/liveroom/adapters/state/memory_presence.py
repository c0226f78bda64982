"""Presence in the process, for one process."""

import heapq
from collections.abc import Mapping, Sequence

from liveroom.adapters.state.scores import (
    LEFT,
    QUIET,
    RESTORABLE,
    SPARED,
    SPARED_MS,
    STALE_MS,
    UNWATCHED_MS,
    Kind,
    first_after,
    from_name,
    from_score,
    moved,
    to_member,
    to_name,
    to_score,
)
from liveroom.ports.presence import Asked, Recorded, Sign, SignKind, Standing, Timeouts, User, Watched

# An order that holds this many times its entries is made anew; below so many nobody cares.
SLACK = 2
FEW = 1_000


class MemoryPresence:
    def __init__(self) -> None:
        self._entries: dict[str, int] = {}
        # By score; what is no longer an entry's score is passed over.
        self._order: list[tuple[int, str]] = []
        self._unsettled: dict[str, int] = {}
        self._alive: int | None = None
        self._since = 0

    async def record(self, signs: Sequence[Sign], now: int) -> Recorded:
        unsettled: dict[str, None] = {}
        began: dict[str, tuple[str, str]] = {}
        for sign in signs:
            kind, after = self._move(sign, now)
            if kind is Kind.ABSENT and (after is not Kind.ABSENT or sign.kind is SignKind.LOGGED_OUT):
                unsettled[to_name(sign.user)] = None
            if after is Kind.BEATING and kind is not after:
                began[to_member(sign)] = (sign.tenant, sign.sid)
        for name in unsettled:
            self._mark(name, now)
        return Recorded([from_name(name) for name in unsettled], list(began.values()))

    async def watch(self, now: int, longest: Timeouts, most: int) -> Watched:
        if self._is_unwatched(now):
            self._since, most = now, 0
        self._alive = max(self._alive or now, now)
        if not most:
            return Watched([], more=False, since=self._since)
        names: dict[str, None] = {}
        more = False
        if now >= self._since + longest.beat_ms:
            names, more = self._take(now, self._since + longest.silent_ms, most)
        for name in names:
            self._mark(name, now)
        left = self._left(now, most)
        self._unsettled.update(dict.fromkeys(left, now))
        unsettled = [from_name(name) for name in names | dict.fromkeys(left)]
        return Watched(unsettled, more or len(left) == most, self._since)

    async def look(self, asked: Sequence[Asked], now: int, longest: Timeouts) -> dict[User, Standing]:
        held = self._is_unwatched(now) or now < self._since + longest.beat_ms
        return {one.user: self._standing(one, now, held) for one in asked}

    async def clear(self, marks: Mapping[User, int]) -> list[User]:
        anew = [user for user, mark in marks.items() if self._unsettled.get(to_name(user), 0) != mark]
        for user in marks.keys() - set(anew):
            self._unsettled.pop(to_name(user), None)
        return anew

    async def restore(self, signs: Sequence[Sign], now: int) -> None:
        for sign in signs:
            if sign.kind in RESTORABLE and to_member(sign) not in self._entries:
                self._move(sign, now)

    def _move(self, sign: Sign, now: int) -> tuple[Kind, Kind]:
        """What the session was, and what it is."""
        kind, deadline = self._read(to_member(sign))
        move = moved(sign, kind, deadline, now)
        if move is None:
            return kind, kind
        after, to = move
        self._put(to_member(sign), after, to)
        if after is Kind.ENDED:
            left = f"{to_name(sign.user)}/{LEFT}"
            self._put(left, after, max(to, self._read(left)[1]))
        return kind, after

    def _is_unwatched(self, now: int) -> bool:
        return self._alive is None or now - self._alive > UNWATCHED_MS

    def _take(self, now: int, quiet_until: int, most: int) -> tuple[dict[str, None], bool]:
        """Whose entries are overdue, and whether there may be more; the quiet ones are spared until then."""
        names: dict[str, None] = {}
        taken = spared = 0
        while taken < most and spared < SPARED * most:
            member = self._next_overdue(now)
            if member is None:
                return names, False
            kind, _ = self._read(member)
            if kind in QUIET and now < quiet_until:
                self._put(member, kind, min(now + SPARED_MS, quiet_until))
                spared += 1
            else:
                del self._entries[member]
                names[member.rpartition("/")[0]] = None
                taken += 1
        return names, True

    def _next_overdue(self, now: int) -> str | None:
        """It is in the order no longer."""
        while self._order and self._order[0][0] < first_after(now):
            score, member = heapq.heappop(self._order)
            if self._entries.get(member) == score:
                return member
        return None

    def _left(self, now: int, most: int) -> list[str]:
        """Whom nobody settled, the oldest first."""
        left = ((mark, name) for name, mark in self._unsettled.items() if mark <= now - STALE_MS)
        return [name for _, name in heapq.nsmallest(most, left)]

    def _standing(self, asked: Asked, now: int, held: bool) -> Standing:
        name = to_name(asked.user)
        # While the store may have forgotten sessions, the grace of one that left says nothing of them.
        online = not held and f"{name}/{LEFT}" in self._entries
        for sid, beats in asked.sessions:
            kind, deadline = self._read(f"{name}/{sid}")
            online |= kind is not Kind.ABSENT
            if beats and kind in QUIET:
                self._put(f"{name}/{sid}", Kind.BEATING, min(deadline, now + asked.timeouts.beat_ms))
        return Standing(online, self._unsettled.get(name, 0), held)

    def _mark(self, name: str, now: int) -> None:
        # A mark made in the same millisecond must differ: somebody may just be settling the first.
        self._unsettled[name] = max(now, self._unsettled.get(name, 0) + 1)

    def _read(self, member: str) -> tuple[Kind, int]:
        score = self._entries.get(member)
        return (Kind.ABSENT, 0) if score is None else from_score(score)

    def _put(self, member: str, kind: Kind, deadline: int) -> None:
        self._entries[member] = to_score(kind, deadline)
        heapq.heappush(self._order, (self._entries[member], member))
        if len(self._order) > FEW + SLACK * len(self._entries):
            self._order = [(score, member) for member, score in self._entries.items()]
            heapq.heapify(self._order)
