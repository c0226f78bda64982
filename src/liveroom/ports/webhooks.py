"""Messages to the addresses that a tenant wants to be told at."""

from typing import Protocol

from liveroom.model import Webhook


class WebhookTrouble(Exception):  # noqa: N818 - told as trouble, never raised to a caller
    """A message that was not taken; `status` is the HTTP status of the answer (0: there was none).

    `detail` is for operators and holds neither a secret nor anything of the URL.
    """

    def __init__(self, detail: str, status: int = 0) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


class WebhookSender(Protocol):
    """Posts signed JSON. May raise `WebhookTrouble`, and nothing else.

    The signature is that of Standard Webhooks: HMAC-SHA256 of "id.timestamp.body" by each secret. A
    message is taken once an answer with a status 2xx has come, or its first 64 KiB; all of it within
    10 s. Redirects are not followed. Unless the webhook may be private, a host of which any address is
    not one of the public internet is refused; what is connected to is an address that was looked at.
    """

    async def post(self, listener: str, webhook: Webhook, message_id: str, at_s: int, body: bytes, /) -> int:
        """Send a message, once; the status it was taken with. `listener` is what metrics call the webhook.

        Whether a message that made trouble arrived is not known: it is sent again under the same id.
        """

    async def close(self) -> None:
        """Give back the connections."""
