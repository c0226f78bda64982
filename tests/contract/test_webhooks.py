"""Webhooks over HTTP: what the port promises, with a receiver that verifies as its owner would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from liveroom.adapters.webhooks.addresses import Addresses
from liveroom.adapters.webhooks.counted import WEBHOOKS, CountedWebhooks
from liveroom.adapters.webhooks.http import HttpWebhooks
from liveroom.model import Webhook
from liveroom.ports.webhooks import WebhookTrouble
from receivers import OTHER_SECRET, SECRET, Answer, Message, Receiver
from service import free_port

BODY = '{"kind":"room.opened","title":"房间"}'.encode()
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.0.1",
    "172.16.9.9",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
]
PRIVATE += [
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[fe80::1]",
    "[fd00::1]",
    "[fec0::1]",
    "[ff02::1]",
]
PRIVATE += [
    "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
    "[::127.0.0.1]",
    "255.255.255.255",
    "localhost",
    "2130706433",
    "127.1",
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def sender() -> AsyncIterator[HttpWebhooks]:
    sender = HttpWebhooks(deadline_s=1.0)
    yield sender
    await sender.close()


async def post(sender: HttpWebhooks, webhook: Webhook, message_id: str = "evt_1") -> int:
    return await sender.post("default/test", webhook, message_id, int(time.time()), BODY)


async def trouble(sender: HttpWebhooks, webhook: Webhook) -> WebhookTrouble:
    with pytest.raises(WebhookTrouble) as caught:
        await post(sender, webhook)
    text = str(caught.value)
    assert not [secret for secret in ("hush", "whsec_", "pass", "evt_1") if secret in text], text
    return caught.value


def resolving(*addresses: str) -> Addresses:
    """A resolver to which every name has these addresses."""
    families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(family, 1, 6, "", (address, port)) for family, address in zip(families, addresses, strict=True)]

    return Addresses(resolve)


async def test_a_message_arrives_and_verifies(sender: HttpWebhooks, receiver: Receiver) -> None:
    assert await post(sender, receiver.webhook()) == 204
    (message,) = receiver.messages
    assert message.id == "evt_1"
    assert message.body == json.loads(BODY)
    assert message.path == "/hooks?key=hush"
    assert message.headers["Content-Type"] == "application/json"
    assert message.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert receiver.faults == []


async def test_each_secret_signs(sender: HttpWebhooks, receiver: Receiver) -> None:
    await post(sender, receiver.webhook(secret=f"{OTHER_SECRET} {SECRET}"))
    (message,) = receiver.messages
    assert len(message.headers["webhook-signature"].split()) == 2
    Verifier(OTHER_SECRET).verify(BODY.decode(), dict(message.headers))
    with pytest.raises(WebhookVerificationError):
        Verifier(OTHER_SECRET).verify(BODY.decode() + " ", dict(message.headers))


async def test_another_secret_does_not_verify(sender: HttpWebhooks, receiver: Receiver) -> None:
    assert (await trouble(sender, receiver.webhook(secret=OTHER_SECRET))).status == 401
    assert receiver.messages == []


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_taken(sender: HttpWebhooks, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: Answer(status)
    assert await post(sender, receiver.webhook()) == status


@pytest.mark.parametrize("status", [304, 400, 401, 404, 410, 429, 500, 503])
async def test_whatever_else_is_not(sender: HttpWebhooks, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: Answer(status)
    assert (await trouble(sender, receiver.webhook())).status == status


async def test_outcomes_are_counted(sender: HttpWebhooks, receiver: Receiver) -> None:
    for status, outcome, wait_s in ((204, "taken", 0), (500, "500", 0), (204, "no answer", 1.5)):
        receiver.answer = lambda _, status=status, wait_s=wait_s: Answer(status, wait_s)  # type: ignore[misc]
        counter = WEBHOOKS.labels("default/counted", outcome)
        before = counter._value.get()
        with contextlib.suppress(WebhookTrouble):
            await CountedWebhooks(sender).post("default/counted", receiver.webhook(), "evt_1", int(time.time()), BODY)
        assert counter._value.get() == before + 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(sender: HttpWebhooks, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: Answer(status, headers={"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"})
    assert (await trouble(sender, receiver.webhook())).status == status
    assert [message.path for message in receiver.messages] == ["/hooks?key=hush"]


async def test_it_waits_no_longer_than_it_says(sender: HttpWebhooks, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(wait_s=2)
    began = time.monotonic()
    told = await trouble(sender, receiver.webhook())
    assert told.status == 0
    assert "1 s" in str(told)
    assert time.monotonic() - began < 1.8


async def test_an_endless_answer_is_cut(sender: HttpWebhooks, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(200, endless=True)
    assert await post(sender, receiver.webhook()) == 200
    await asyncio.sleep(0.1)
    assert receiver.sent < 20_000_000  # what the sockets hold
    receiver.answer = lambda _: Answer()
    assert await post(sender, receiver.webhook(), "evt_2") == 204


async def test_a_connection_is_used_again(sender: HttpWebhooks, receiver: Receiver) -> None:
    for number in range(5):
        await post(sender, receiver.webhook(), f"evt_{number}")
    (client,) = sender._clients.values()
    assert len(client._transport._pool.connections) == 1  # type: ignore[attr-defined]


async def test_nobody_listens(sender: HttpWebhooks) -> None:
    webhook = Webhook(url=f"http://user:pass@127.0.0.1:{free_port()}/?key=hush", secret=SECRET, allow_private=True)
    assert (await trouble(sender, webhook)).status == 0


@pytest.mark.parametrize("host", PRIVATE)
async def test_an_address_of_this_network_is_refused(sender: HttpWebhooks, receiver: Receiver, host: str) -> None:
    told = await trouble(sender, receiver.webhook(host, allow_private=False))
    assert "public" in str(told)
    assert receiver.messages == []


async def test_one_private_address_is_enough_to_refuse(receiver: Receiver) -> None:
    sender = HttpWebhooks(1.0, resolving("93.184.216.34", "127.0.0.1"))
    assert "public" in str(await trouble(sender, receiver.webhook("rebound.example", allow_private=False)))
    await sender.close()


async def test_what_is_connected_to_is_what_was_looked_at(receiver: Receiver) -> None:
    """A name that would be resolved again could have another address by then."""
    sender = HttpWebhooks(1.0, resolving("127.0.0.1"))
    assert await post(sender, receiver.webhook("no.such.name.example")) == 204
    assert receiver.messages[0].headers["Host"] == f"no.such.name.example:{receiver.port}"
    await sender.close()


async def test_a_second_address_is_tried(receiver: Receiver) -> None:
    sender = HttpWebhooks(2.0, resolving("127.0.0.9", "127.0.0.1"))
    assert await post(sender, receiver.webhook("two.example")) == 204
    await sender.close()


async def test_a_name_that_nobody_knows(sender: HttpWebhooks) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    sender = HttpWebhooks(1.0, Addresses(resolve))
    assert "gaierror" in str(await trouble(sender, Webhook(url="http://hush.example/", secret=SECRET)))
    await sender.close()


async def test_a_name_that_takes_for_ever_takes_one_thread(receiver: Receiver) -> None:
    asked, free = [], threading.Event()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if host == "hangs.example":
            free.wait(10)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    sender = HttpWebhooks(1.0, Addresses(resolve))
    hanging = [asyncio.create_task(post(sender, receiver.webhook("hangs.example"))) for _ in range(100)]
    await asyncio.sleep(0.1)
    assert await post(sender, receiver.webhook("quick.example")) == 204
    assert asked == ["hangs.example", "quick.example"]
    outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(outcome, WebhookTrouble) for outcome in outcomes)
    free.set()
    await sender.close()


async def test_the_certificate_has_to_be_of_the_name() -> None:
    """The TLS handshake asks for the host, not for its address, and believes nobody else."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: names.append(name)  # type: ignore[assignment, misc]

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    sender = HttpWebhooks(1.0, resolving("127.0.0.1"))
    webhook = Webhook(url=f"https://named.example:{port}/", secret=SECRET, allow_private=True)
    assert "ConnectError" in str(await trouble(sender, webhook))
    assert names == ["named.example"]
    await sender.close()
    server.close()
    await server.wait_closed()


async def test_a_proxy_of_the_environment_counts_for_nothing(
    sender: HttpWebhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert await post(sender, receiver.webhook()) == 204


async def test_many_at_once(sender: HttpWebhooks, receiver: Receiver) -> None:
    seen: list[Message] = receiver.messages
    await asyncio.gather(*(post(sender, receiver.webhook(), f"evt_{number}") for number in range(64)))
    assert {message.id for message in seen} == {f"evt_{number}" for number in range(64)}
