"""Webhooks that are counted."""

from prometheus_client import Counter

from liveroom.model import Webhook
from liveroom.ports.webhooks import WebhookSender, WebhookTrouble

WEBHOOKS = Counter("liveroom_webhooks", "Messages to webhooks", ["listener", "outcome"])


class CountedWebhooks:
    """Apart from the sending: the command line sends too, and may not load this before workers are made."""

    def __init__(self, sender: WebhookSender) -> None:
        self._sender = sender

    async def post(self, listener: str, webhook: Webhook, message_id: str, at_s: int, body: bytes, /) -> int:
        try:
            status = await self._sender.post(listener, webhook, message_id, at_s, body)
        except WebhookTrouble as trouble:
            WEBHOOKS.labels(listener, str(trouble.status or "no answer")).inc()
            raise
        WEBHOOKS.labels(listener, "taken").inc()
        return status

    async def close(self) -> None:
        await self._sender.close()
