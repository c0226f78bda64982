"""Delivery: whoever listens is told what happened, at least once and in order for each room and user."""

import logging
import random
from collections.abc import Callable, Iterator

from liveroom.ports.back_ends import Clock
from liveroom.ports.deliveries import IM_GROUP, DeliveryStore
from liveroom.ports.messaging import Messaging
from liveroom.ports.outbox import OutboxStore
from liveroom.ports.webhooks import WebhookSender
from liveroom.services.lanes import LEASE_MS, Lane
from liveroom.services.tellers import GroupTeller, Teller, WebhookTeller
from liveroom.services.tenants import Tenants
from liveroom.services.together import all_of

STEP = 100
FINISH_S = 2.0
# Longer than anything is tried, also in another process that knows more listeners.
FORGOTTEN_MS = 72 * 3_600_000

log = logging.getLogger(__name__)


def jittered() -> float:
    """By how much a pause is shortened, so that what failed together does not come back together."""
    return random.uniform(0.5, 1)  # noqa: S311


class DeliveryService:
    """The webhooks and groups of the tenants that this process knows, each in a lane of its own."""

    def __init__(
        self,
        deliveries: DeliveryStore,
        outbox: OutboxStore,
        sender: WebhookSender,
        messaging: Messaging,
        tenants: Tenants,
        clock: Clock,
        jitter: Callable[[], float] = jittered,
    ) -> None:
        self._deliveries = deliveries
        self._outbox = outbox
        self._sender = sender
        self._messaging = messaging
        self._tenants = tenants
        self._clock = clock
        self._lanes = {key: Lane(key, teller, deliveries, clock, jitter) for key, teller in self._tellers()}

    async def run(self) -> None:
        """Have each listener told what is due; waits for none of them. Called several times a second."""
        for lane in self._lanes.values():
            lane.wake()

    async def finish(self) -> None:
        """Begin nothing more, and wait for what is on its way; not for long."""
        await all_of(lane.finish(FINISH_S) for lane in self._lanes.values())

    async def forget(self) -> None:
        """What nobody has taken for three days, of a listener that is unknown here, is owed no longer."""
        now = self._clock()
        before = now - FORGOTTEN_MS
        for key in (await self._deliveries.backlogs()).keys() - self._lanes.keys():
            while taken := await self._deliveries.take(*key, before, now + LEASE_MS, STEP):
                await all_of(self._deliveries.told(delivery, delivery.mark, now) for delivery in taken)
                log.warning("%s is no listener any more; %d logs are not told to it", "/".join(key), len(taken))

    def _tellers(self) -> Iterator[tuple[tuple[str, str], Teller]]:
        outbox, clock = self._outbox, self._clock
        for tenant in self._tenants.all():
            for name, webhook in tenant.webhooks.items():
                yield (tenant.name, name), WebhookTeller(tenant, name, webhook, outbox, self._sender, clock)
            if tenant.im_events:
                yield (tenant.name, IM_GROUP), GroupTeller(tenant, outbox, self._messaging)
