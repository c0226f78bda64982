"""Tellers: how a listener is told what stands in a log, and how far that got."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from liveroom.model import Tenant, Webhook
from liveroom.ports.back_ends import Clock
from liveroom.ports.deliveries import Delivery
from liveroom.ports.messaging import Messaging, MessagingTrouble, Remedy
from liveroom.ports.outbox import OutboxStore, Told
from liveroom.ports.webhooks import WebhookSender, WebhookTrouble

PAGE = 20
GROUP_PAGE = 100
# A group is told at most twice a second; what happens in between is told together.
GROUP_PAUSE_MS = 500
GROUP_BYTES = 8_192

log = logging.getLogger(__name__)


class Progress(Struct, frozen=True):
    """Told until `position`, where `trouble` ended it; the rest is due after `pause_ms`, and likely if `more`.

    `taken` says whether somebody took anything: it may be that nothing there was wanted.
    With trouble, `waiting_since` is when the first happened that could not be told.
    """

    position: int
    trouble: str = ""
    waiting_since: int = 0
    pause_ms: int = 0
    more: bool = False
    taken: bool = False


# Whether there is time for one more message.
GoOn = Callable[[], bool]


class Teller(Protocol):
    async def tell(self, delivery: Delivery, go_on: GoOn, /) -> Progress:
        """Tell in order what is there, while `go_on`; always a part of it, unless there is trouble."""


class WebhookTeller:
    """Posts events as they were written, or several of one log in a message.

    The id of a message follows from its events, so that what is sent again has the same.
    """

    def __init__(
        self, tenant: Tenant, name: str, webhook: Webhook, outbox: OutboxStore, sender: WebhookSender, clock: Clock
    ) -> None:
        self._listener = f"{tenant.name}/{name}"
        self._webhook = webhook
        self._outbox = outbox
        self._sender = sender
        self._clock = clock

    async def tell(self, delivery: Delivery, go_on: GoOn) -> Progress:
        size = self._webhook.max_batch
        most = max(PAGE, size)
        wanted, end, more = await _page(self._outbox, delivery, most, self._webhook.kinds)
        position = delivery.position
        for first in range(0, len(wanted), size):
            if first and not go_on():
                return Progress(position, more=True, taken=True)
            batch = wanted[first : first + size]
            message_id, body = message(batch, alone=size == 1)
            try:
                await self._sender.post(self._listener, self._webhook, message_id, self._clock() // 1000, body)
            except WebhookTrouble as trouble:
                return Progress(position, trouble.detail, batch[0].at, taken=first > 0)
            position = batch[-1].position
        return Progress(end, more=more, taken=bool(wanted))


class GroupTeller:
    """Tells a room's IM group, several events in one message; one that is too long for it is left out."""

    def __init__(self, tenant: Tenant, outbox: OutboxStore, messaging: Messaging) -> None:
        self._tenant = tenant
        self._outbox = outbox
        self._messaging = messaging

    async def tell(self, delivery: Delivery, _go_on: GoOn, /) -> Progress:
        wanted, end, _ = await _page(self._outbox, delivery, GROUP_PAGE, ())
        fitting = _fitting(wanted, GROUP_BYTES)
        if len(fitting) < len(wanted):
            end = fitting[-1].position if fitting else wanted[0].position
        if wanted and not fitting:
            log.warning("IM: an event of kind %s is too long to be told to a group", wanted[0].kind)
            return Progress(end, pause_ms=GROUP_PAUSE_MS)
        try:
            if fitting:
                await self._messaging.notify_group(self._tenant, delivery.subject, together(fitting).decode())
        except MessagingTrouble as trouble:
            if trouble.remedy is not Remedy.GIVE_UP:
                return Progress(delivery.position, str(trouble), fitting[0].at)
            log.warning("IM: a group is not told: %s", trouble)
        return Progress(end, pause_ms=GROUP_PAUSE_MS, taken=bool(fitting))


class _Id(Struct):
    id: str


def message(batch: Sequence[Told], *, alone: bool) -> tuple[str, bytes]:
    """A message's id and body."""
    ids = [msgspec.json.decode(told.body, type=_Id).id for told in batch]
    if alone:
        return ids[0], batch[0].body
    return "msg_" + hashlib.sha256(",".join(ids).encode()).hexdigest()[:32], together(batch)


def together(batch: Sequence[Told]) -> bytes:
    """The body of several events."""
    return b'{"events":[' + b",".join(told.body for told in batch) + b"]}"


async def _page(
    outbox: OutboxStore, delivery: Delivery, most: int, kinds: Sequence[str]
) -> tuple[list[Told], int, bool]:
    """The next that is wanted, where the listener stands once it has been told, whether there may be more."""
    page = await outbox.after(delivery.log, delivery.position, most)
    last = page[-1].position if page else delivery.position
    # Of what was owed, some may be pruned or never have been wanted.
    more = len(page) == most
    end = last if more else max(last, delivery.mark)
    return [told for told in page if not kinds or told.kind in kinds], end, more


def _fitting(events: Sequence[Told], most: int) -> list[Told]:
    """As many as fit into so many bytes together, from the first on."""
    size = len(together([]))
    fitting: list[Told] = []
    for told in events:
        size += len(told.body) + bool(fitting)
        if size > most:
            break
        fitting.append(told)
    return fitting
