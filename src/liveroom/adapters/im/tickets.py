"""The administrator's UserSig of each tenant, kept until it is near its end."""

from collections.abc import Callable

from msgspec import Struct

from liveroom.model import Tenant
from liveroom.ports.back_ends import Clock

TTL_S = 86_400
RENEW_MS = TTL_S * 800

# Signs for (sdk_app_id, secret, user_id, now_s, ttl_s).
Sign = Callable[[int, str, str, int, int], str]


class Ticket(Struct, frozen=True):
    """A UserSig, and when it was made."""

    user_sig: str
    made_at: int


class Tickets:
    def __init__(self, sign: Sign, clock: Clock) -> None:
        self._sign = sign
        self._clock = clock
        self._tickets: dict[tuple[int, str, str], Ticket] = {}

    def user_sig(self, tenant: Tenant) -> str:
        """One that is good for hours yet."""
        ticket = self._tickets.get(_key(tenant))
        # A clock that was put back makes a ticket look young for too long, and to the vendor not yet made.
        if ticket is None or not 0 <= self._clock() - ticket.made_at < RENEW_MS:
            ticket = self._renewed(tenant)
        return ticket.user_sig

    def refused(self, tenant: Tenant, user_sig: str) -> None:
        """The vendor will not have this one; of many callers that hear so, the first makes a new one."""
        ticket = self._tickets.get(_key(tenant))
        if ticket is not None and ticket.user_sig == user_sig:
            self._renewed(tenant)

    def _renewed(self, tenant: Tenant) -> Ticket:
        now = self._clock()
        user_sig = self._sign(tenant.sdk_app_id, tenant.secret, tenant.administrator, now // 1000, TTL_S)
        ticket = self._tickets[_key(tenant)] = Ticket(user_sig, now)
        return ticket


def _key(tenant: Tenant) -> tuple[int, str, str]:
    return tenant.sdk_app_id, tenant.administrator, tenant.secret
