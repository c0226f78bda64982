"""Settling: silence, and its end, become facts in SQL."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from liveroom.errors import Refusal
from liveroom.model import PresencePolicy, Tenant
from liveroom.ports.absence import AbsenceStore, Sides
from liveroom.ports.back_ends import Clock
from liveroom.ports.limits import LimitStore
from liveroom.ports.presence import NEVER, Asked, PresenceStore, Sign, SignKind, Standing, Timeouts, User
from liveroom.ports.rooms import RoomOrder, RoomStore
from liveroom.ports.sessions import SessionStore
from liveroom.services.absence import came_online, went_offline
from liveroom.services.tenants import Tenants
from liveroom.services.together import all_of

# By each of the store's parts, at each watch.
MOST_TAKEN = 200
# So many are waited for before more are taken: whoever waits for 5 s is taken over.
MOST_MISSED = 2_000
MOST_RETURNED = 200_000
STEP = 500
ROUNDS = 5
WATCHED_MS = 5_000
AUDIT_EVERY_S = 300
AFTER_GAP_S = 60

# Nobody is silent for longer: after so long a session's tokens have expired.
SESSION_MS = 30 * 86_400_000

log = logging.getLogger(__name__)

TenantTimes = tuple[Tenant, Timeouts]


def times_of(tenants: Tenants) -> dict[str, TenantTimes]:
    """Each tenant, with its times as the store takes them; 0 is never."""
    return {tenant.name: (tenant, _timeouts(tenant.presence)) for tenant in tenants.all()}


def _timeouts(policy: PresencePolicy) -> Timeouts:
    return Timeouts(
        policy.beat_timeout_s * 1000 or NEVER,
        policy.silent_timeout_s * 1000 or SESSION_MS,
        policy.grace_s * 1000 or NEVER,
    )


class SettleService:
    """Finds who has been silent for too long, and makes the facts in SQL what the state store says.

    Any process may do it, for anybody, at any time: marks in the store say who is unsettled. While the
    store may have forgotten people, nobody is held to be offline.
    """

    def __init__(
        self,
        presence: PresenceStore,
        sessions: SessionStore,
        absence: AbsenceStore,
        rooms: RoomStore,
        turns: LimitStore,
        tenants: Mapping[str, TenantTimes],
        clock: Clock,
    ) -> None:
        self._presence = presence
        self._sessions = sessions
        self._absence = absence
        self._rooms = rooms
        self._turns = turns
        self._tenants = tenants
        self._clock = clock
        self._longest = _longest(timeouts for _, timeouts in tenants.values())
        self._returned: dict[User, None] = {}
        self._missed: dict[User, None] = {}
        self._watched_at = -WATCHED_MS
        self._held_until = 0
        self._since = 0
        self._audited = 0

    def returned(self, users: Iterable[User]) -> None:
        """To be settled soon; whom this process forgets, any process finds by its mark."""
        if len(self._returned) < MOST_RETURNED:
            self._returned |= dict.fromkeys(users)

    async def ask(self) -> None:
        """Answer if the whole store does; raises ServiceUnavailable."""
        await self._presence.watch(self._clock(), self._longest, 0)

    async def watch(self) -> None:
        """Find who has been silent for too long; called every second."""
        more = True
        while more:
            most = MOST_TAKEN if len(self._missed) < MOST_MISSED else 0
            try:
                watched = await self._presence.watch(self._clock(), self._longest, most)
            except Refusal:
                self._watched_at = -WATCHED_MS
                raise
            self._watched_at = self._clock()
            self._held_until = watched.since + self._longest.beat_ms
            if watched.since > self._since:
                log.warning("the state store was empty or unwatched: everybody has a full timeout from then on")
                self._since = watched.since
            self._missed |= dict.fromkeys(watched.unsettled)
            more = watched.more

    def held(self) -> bool:
        """Whether nobody may be sent away now, since those who came back may not have been heard yet."""
        now = self._clock()
        return now - self._watched_at > WATCHED_MS or now < self._held_until

    async def settle_returned(self) -> None:
        """Who was heard again is online again; called several times a second."""
        while self._returned:
            await self.settle(_some_of(self._returned))

    async def settle_missed(self) -> None:
        """Who fell silent is offline; called several times a second."""
        while self._missed:
            await self.settle(_some_of(self._missed))

    async def settle(self, users: Sequence[User]) -> None:
        """Make the facts in SQL what the state store says of these users."""
        known = [user for user in users if user[0] in self._tenants]
        for at in range(0, len(known), STEP):
            unsettled: Sequence[User] = known[at : at + STEP]
            for _ in range(ROUNDS):
                unsettled = await self._settle_once(unsettled)
                if not unsettled:
                    break

    async def online(self, users: Sequence[User]) -> set[User]:
        """Which of these users the state store holds to be online."""
        return {user for user, standing in (await self._look(users)).items() if standing.online}

    async def audit(self) -> None:
        """Compare everybody inside with the state store: after a gap, else one process every few minutes."""
        since = self._since
        turn = (f"turn:audit:{since}", AFTER_GAP_S) if since > self._audited else ("turn:audit", AUDIT_EVERY_S)
        if not await self._turns.hit(turn[0], 1, turn[1]):
            await self._audit_all()
        self._audited = since

    async def _look(self, users: Sequence[User]) -> dict[User, Standing]:
        known = [user for user in users if user[0] in self._tenants]
        sessions = await self._sessions.of_users(known)
        asked = [Asked(user, sessions[user], self._tenants[user[0]][1]) for user in known]
        return await self._presence.look(asked, self._clock(), self._longest) if asked else {}

    async def _settle_once(self, users: Sequence[User]) -> list[User]:
        """Answers those who were heard of anew meanwhile."""
        standings = await self._look(users)
        inside = await self._absence.inside(users)
        # Online as far as SQL knows, and perhaps forgotten by the store: heard anew, or missed later.
        unsure = {
            user
            for user, standing in standings.items()
            if standing.held and not standing.online and any(online for _, online in inside.get(user, ()))
        }
        await self._restore(unsure)
        sure = {user: standing for user, standing in standings.items() if user not in unsure}
        # Gathered, they share transactions.
        await all_of(
            self._rooms.change(self._order(user, room_id, standing.online))
            for user, standing in sure.items()
            for room_id, online in inside.get(user, ())
            if online != standing.online
        )
        return await self._presence.clear({user: standing.mark for user, standing in sure.items()})

    def _order(self, user: User, room_id: str, online: bool) -> RoomOrder:
        (name, user_id), now = user, self._clock()
        tenant, rule = self._tenants[name][0], came_online if online else went_offline
        return RoomOrder(name, user_id, room_id, lambda rows: rule(rows, tenant, user_id, room_id, now))

    async def _audit_all(self) -> None:
        user: User = ("", "")
        while page := await self._absence.inside_after(user, STEP):
            user = page[-1][0]
            standings = await self._look([user for user, _ in page])
            differing = [(user, standings[user]) for user, sides in page if _differs(sides, standings.get(user))]
            # Whoever is marked has been missed, and is not to be given a new timeout.
            lost = {user for user, found in differing if not found.online and not found.mark}
            sessionless = await self._restore(lost)
            await self.settle([*sessionless, *(user for user, _ in differing if user not in lost)])

    async def _restore(self, users: Iterable[User]) -> list[User]:
        """Give the sessions of these users a full timeout from now; answers who has none left."""
        sessions = await self._sessions.of_users(list(users))
        now = self._clock()
        signs = [
            Sign(*user, sid, SignKind.BEAT if beats else SignKind.CALL, now, self._tenants[user[0]][1])
            for user, of_user in sessions.items()
            for sid, beats in of_user
        ]
        if signs:
            await self._presence.restore(signs, now)
        return [user for user, of_user in sessions.items() if not of_user]


def _longest(timeouts: Iterable[Timeouts]) -> Timeouts:
    """The longest that anybody's silence may last; one that may last for ever is waited for by nobody."""
    usual, every = Timeouts(), list(timeouts)
    beat_ms = max((times.beat_ms for times in every if times.beat_ms < NEVER), default=usual.beat_ms)
    silent_ms = max((times.silent_ms for times in every if times.silent_ms < SESSION_MS), default=usual.silent_ms)
    return Timeouts(beat_ms, silent_ms)


def _differs(sides: Sides, standing: Standing | None) -> bool:
    """A user of a tenant that this process does not know is left to those that do."""
    return standing is not None and (sides.offline if standing.online else sides.online)


def _some_of(queue: dict[User, None]) -> list[User]:
    """Take the first few out of the queue."""
    taken = list(islice(queue, STEP))
    for user in taken:
        del queue[user]
    return taken
