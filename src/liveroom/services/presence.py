"""Presence: signs of life are gathered and written down."""

from collections.abc import Mapping, Sequence

from liveroom.errors import overloaded, state_away
from liveroom.model import Caller, Tenant
from liveroom.ports.back_ends import Clock
from liveroom.ports.presence import PresenceStore, Sign, SignKind
from liveroom.ports.sessions import SessionStore
from liveroom.services.settling import SettleService, TenantTimes

MOST_SIGNS = 200_000


class PresenceService:
    """Hears who is there. A user is online while one of its sessions is.

    Signs wait in memory for at most one flush. While the store is away keepalives are refused, and
    nobody is declared offline before everybody had the time to be heard again.
    """

    def __init__(
        self,
        presence: PresenceStore,
        sessions: SessionStore,
        settling: SettleService,
        times: Mapping[str, TenantTimes],
        clock: Clock,
    ) -> None:
        self._presence = presence
        self._sessions = sessions
        self._settling = settling
        self._clock = clock
        self._timeouts = {name: timeouts for name, (_, timeouts) in times.items()}
        self._signs: dict[tuple[str, str, str], Sign] = {}
        self._told: list[Sign] = []
        self._away = False
        self._beating: set[tuple[str, str]] = set()

    def called(self, caller: Caller) -> None:
        """The caller made an authenticated call; costs no waiting."""
        key = (caller.tenant.name, caller.user_id, caller.sid)
        known = self._signs.get(key)
        if known is not None or len(self._signs) < MOST_SIGNS:
            kind = SignKind.CALL if known is None else known.kind
            self._signs[key] = Sign(*key, kind, self._clock(), self._timeouts[key[0]])

    def beat(self, caller: Caller) -> None:
        """The caller sent a keepalive; raises ServiceUnavailable where it could not be written down."""
        key = (caller.tenant.name, caller.user_id, caller.sid)
        if len(self._signs) >= MOST_SIGNS and key not in self._signs:
            raise overloaded()
        self._signs[key] = Sign(*key, SignKind.BEAT, self._clock(), self._timeouts[key[0]])
        if self._away:
            raise state_away()

    def logged_out(self, tenant: str, user_id: str, sid: str, *, ended: bool) -> None:
        """The user stays online for a grace, unless a session that has not ended is heard again."""
        if tenant in self._timeouts:
            kind = SignKind.LOGGED_OUT if ended else SignKind.DISCONNECTED
            self._tell([Sign(tenant, user_id, sid, kind, self._clock(), self._timeouts[tenant])])

    async def connected(self, tenant: Tenant, user_ids: Sequence[str], at: int) -> None:
        """The vendor saw these users connect."""
        await self._vendor_saw(tenant, user_ids, SignKind.CONNECTED, at)

    async def disconnected(self, tenant: Tenant, user_ids: Sequence[str], at: int) -> None:
        """The vendor saw these users go; whoever beats is judged by its beats."""
        await self._vendor_saw(tenant, user_ids, SignKind.DISCONNECTED, at)

    async def not_connected(self, tenant: Tenant, user_ids: Sequence[str], at: int) -> None:
        """The vendor does not see these users; it is believed of those whom it saw before."""
        await self._vendor_saw(tenant, user_ids, SignKind.NOT_CONNECTED, at)

    async def flush(self) -> None:
        """Write down the signs gathered; called several times a second, by one at a time."""
        signs, self._signs = self._signs, {}
        told, self._told = self._told, []
        try:
            if signs or told:
                await self._record([*signs.values(), *told])
            elif self._away:
                await self._settling.ask()
        except BaseException:
            self._away = True
            self._keep(signs, told)
            raise
        self._away = False

    async def note_beating(self) -> None:
        """Write down which sessions beat; nobody waits for it."""
        noted, self._beating = self._beating, set()
        try:
            await self._sessions.mark_beating(sorted(noted))
        except BaseException:
            self._beating |= noted
            raise

    async def _record(self, signs: Sequence[Sign]) -> None:
        recorded = await self._presence.record(signs, self._clock())
        if len(self._beating) < MOST_SIGNS:
            self._beating.update(recorded.began_to_beat)
        self._settling.returned(recorded.unsettled)

    def _keep(self, signs: dict[tuple[str, str, str], Sign], told: list[Sign]) -> None:
        """For the next try, unless something newer was heard meanwhile."""
        self._signs = {**signs, **self._signs}
        self._told = (told + self._told)[:MOST_SIGNS]
        # Which of them began to beat may have been answered, and lost.
        beats = {(sign.tenant, sign.sid) for sign in signs.values() if sign.kind is SignKind.BEAT}
        if len(self._beating) < MOST_SIGNS:
            self._beating |= beats

    def _tell(self, signs: Sequence[Sign]) -> None:
        """In the order of the moments, which every sign carries; so they can wait for the flush."""
        if len(self._told) < MOST_SIGNS:
            self._told += signs

    async def _vendor_saw(self, tenant: Tenant, user_ids: Sequence[str], kind: SignKind, at: int) -> None:
        users = [(tenant.name, user_id) for user_id in dict.fromkeys(user_ids)]
        sessions = await self._sessions.of_users(users)
        # A vendor's clock that runs ahead must not make a sign count for longer.
        at = min(at, self._clock())
        self._tell(
            [
                Sign(*user, sid, kind, at, self._timeouts[tenant.name])
                for user, of_user in sessions.items()
                for sid, beats in of_user
                if kind is SignKind.CONNECTED or not beats
            ]
        )
        if self._away:
            raise state_away()
