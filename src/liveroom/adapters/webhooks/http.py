"""Webhooks over HTTP, signed as Standard Webhooks says.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import ssl
from functools import cached_property

import httpx

from liveroom import __version__
from liveroom.adapters.webhooks.addresses import Address, Addresses, is_public
from liveroom.model import Webhook
from liveroom.ports.webhooks import WebhookTrouble
from liveroom.tenancy import webhook_key

DEADLINE_S = 10.0
MOST_READ = 65_536
# Of a host with several addresses, how many are tried.
TRIED = 3
# How many are in flight is the deliverer's to say: a bound here would let a slow one delay others.
POOL = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=30)
PORTS = {"http": 80, "https": 443}


class HttpWebhooks:
    def __init__(self, deadline_s: float = DEADLINE_S, addresses: Addresses | None = None) -> None:
        # These libraries write URLs to the log.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)
        self._deadline_s = deadline_s
        self._addresses = addresses or Addresses()
        self._clients: dict[tuple[str, str, int], httpx.AsyncClient] = {}

    async def post(self, _: str, webhook: Webhook, message_id: str, at_s: int, body: bytes, /) -> int:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._posted(webhook, _headers(webhook, message_id, at_s, body), body)
        except TimeoutError:
            raise WebhookTrouble(f"no answer within {self._deadline_s:g} s") from None

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._addresses.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Of the environment, only further certificates count (SSL_CERT_FILE).
        return httpx.create_ssl_context()

    async def _posted(self, webhook: Webhook, headers: dict[str, str], body: bytes) -> int:
        try:
            url = httpx.URL(webhook.url)
            port = url.port or PORTS[url.scheme]
            host = url.raw_host.decode("ascii")
            addresses = await self._checked(webhook, host, port)
            status = await self._sent(url, host, port, addresses, headers | {"Host": url.netloc.decode("ascii")}, body)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # Not with its message or cause: either may hold the URL.
            raise WebhookTrouble(f"not reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise WebhookTrouble(f"HTTP status {status}", status)
        return status

    async def _checked(self, webhook: Webhook, host: str, port: int) -> list[Address]:
        """The host's addresses, if they may be called."""
        addresses = await self._addresses.of(host.strip("[]"), port)
        if not webhook.allow_private and not all(is_public(address) for address in addresses):
            raise WebhookTrouble("its address is none of the public internet; allow_private would allow it")
        return addresses[:TRIED]

    async def _sent(
        self, url: httpx.URL, host: str, port: int, addresses: list[Address], headers: dict[str, str], body: bytes
    ) -> int:
        # Connections know no name here, so those of one host are not lent to another at the same address.
        client = self._client((url.scheme, host, port))
        for last, address in enumerate(addresses, 1 - len(addresses)):
            target = url.copy_with(host=str(address))
            request = client.build_request("POST", target, headers=headers, content=body)
            request.extensions["sni_hostname"] = host
            try:
                return await _status(client, request)
            except httpx.ConnectError:
                if last == 0:
                    raise
        raise OSError("a host without an address")

    def _client(self, key: tuple[str, str, int]) -> httpx.AsyncClient:
        client = self._clients.get(key)
        if client is None:
            client = httpx.AsyncClient(
                verify=self._tls, trust_env=False, follow_redirects=False, limits=POOL, timeout=self._deadline_s
            )
            self._clients[key] = client
        return client


def _headers(webhook: Webhook, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    signed = f"{message_id}.{at_s}.".encode() + body
    keys = [webhook_key(secret) for secret in webhook.secret.split()]
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"liveroom/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


async def _status(client: httpx.AsyncClient, request: httpx.Request) -> int:
    """The answer's status, with no more of the answer read than need be; what is cut costs the connection."""
    reply = await client.send(request, stream=True)
    try:
        read = 0
        async for part in reply.aiter_raw():
            read += len(part)
            if read > MOST_READ:
                break
        return reply.status_code
    finally:
        await reply.aclose()
