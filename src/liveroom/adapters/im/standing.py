"""How the IM REST API is doing: what is counted, what is logged, and what `ping` answers."""

import logging

from prometheus_client import Counter

from liveroom.adapters.im.codes import ADVICE
from liveroom.model import Tenant
from liveroom.ports.messaging import MessagingTrouble, Remedy

CALLS = Counter("liveroom_im_calls", "Calls of the IM REST API", ["command", "outcome"])

log = logging.getLogger(__name__)


class Standing:
    """The trouble there is, if the last call that ended was in one; faults of configuration are logged once."""

    def __init__(self) -> None:
        self._trouble: tuple[Remedy, int, str] | None = None
        self._told: set[tuple[str, int]] = set()

    def well(self, tenant: Tenant) -> None:
        self._trouble = None
        self._told = {(name, code) for name, code in self._told if name != tenant.name}

    def in_trouble(self, tenant: Tenant, trouble: MessagingTrouble) -> None:
        # Giving up is about one request: whoever refuses it is there and listens.
        told = None if trouble.remedy is Remedy.GIVE_UP else (trouble.remedy, trouble.code, str(trouble))
        self._trouble = told
        if trouble.remedy is not Remedy.CONFIGURE or (tenant.name, trouble.code) in self._told:
            return
        self._told.add((tenant.name, trouble.code))
        advice = ADVICE.get(trouble.code, "see the error codes of the IM REST API")
        log.error("IM does not work for tenant %s: %s; %s", tenant.name, trouble, advice)

    def check(self) -> None:
        if self._trouble is not None:
            raise MessagingTrouble(*self._trouble)
