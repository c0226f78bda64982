"""Bugs and slowness: 99 with a log id and a stack in the log, 100 after the deadline, and nothing secret told."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from liveroom import logs
from liveroom.endpoints import envelope
from liveroom.services.accounts import AccountService
from liveroom.services.rooms import RoomService

from .golden import BUSY, TOO_SLOW, refused, told
from .sites import Site, Start, User

SECRET = "0ca175b9c0f726a831d895e269332461"
FAULT = re.compile(r"Something went wrong here \(([A-Za-z0-9._-]{1,64})\)\.")


class Broken(Exception):
    """What no rule expects."""


async def broken(*_: object) -> Any:
    raise Broken("not foreseen")


async def stuck(*_: object) -> Any:
    await asyncio.sleep(30)


@pytest.fixture(params=[True, False], ids=["dev", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The service's own log, as a terminal or a collector gets it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed):
        logs.set_up(pretty=request.param)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the caller here, no part of the service
    yield printed
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.NOTSET)


def leaks(printed: str, secret: str) -> bool:
    """Whether a piece of the secret is there, be it wrapped, framed or coloured."""
    plain = re.sub(r"\x1b\[[0-9;]*m|[^A-Za-z0-9._-]", "", printed)
    pieces = {secret[start : start + 10] for start in range(len(secret) - 9)}
    return any(piece in plain for piece in pieces)


async def detail(site: Site, user: User, **headers: str) -> Any:
    return await site.http.post(
        "/base/v1/rooms/room_detail",
        params={"userId": user.user_id, "token": user.token},
        json={"roomId": "r", "searchPhone": "+8618500002222", "salt": SECRET},
        headers=headers,
    )


@pytest.mark.parametrize("status", [200, 500])
async def test_a_fault_is_99(start: Start, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    site = await start(LIVEROOM_ERROR_STATUS=str(status))
    user = await site.sign_up()
    monkeypatch.setattr(RoomService, "detail", broken)
    reply = await detail(site, user)
    message = reply.json()["errorMessage"]
    assert (reply.status_code, told(reply.json())) == (status, refused(99, "SystemError", message))
    assert FAULT.fullmatch(message)
    assert "requestId" not in reply.json()
    monkeypatch.undo()
    assert (await detail(site, user)).json()["errorCode"] == 2004, "the next call is none the worse"


async def test_a_fault_is_logged_with_its_stack(site: Site, monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    user = await site.sign_up()
    monkeypatch.setattr(RoomService, "detail", broken)
    made = FAULT.fullmatch((await detail(site, user)).json()["errorMessage"])
    given = (await detail(site, user, **{"X-Request-Id": "trace-77"})).json()
    printed = log.getvalue()
    assert made is not None
    assert made[1] in printed
    assert "trace-77" in given["errorMessage"]
    assert given["requestId"] == "trace-77"
    assert "trace-77" in printed
    assert "Traceback" in printed
    assert "Broken" in printed
    assert "test_faults.py" in printed
    assert "rooms/room_detail" in printed


async def test_a_fault_logs_nothing_secret(site: Site, monkeypatch: pytest.MonkeyPatch, log: io.StringIO) -> None:
    """Not the parameters in the frames of the stack either, whatever formatter is installed."""
    user = await site.sign_up()
    monkeypatch.setattr(RoomService, "detail", broken)
    monkeypatch.setattr(AccountService, "register", broken)
    monkeypatch.setattr(AccountService, "sign_in", broken)
    await detail(site, user)
    await site.ask("oauth/register", username="secretive", salt=SECRET)
    await site.ask("oauth/signature", username="secretive", signature=SECRET)
    printed = log.getvalue()
    assert printed.count("Broken") >= 3
    assert [secret for secret in (user.token, SECRET, "18500002222") if leaks(printed, secret)] == []


async def test_a_fault_is_counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await site.sign_up()
    monkeypatch.setattr(RoomService, "detail", broken)
    await detail(site, user)
    text = (await site.http.get("/metrics")).text
    assert re.search(r'liveroom_calls_total\{call="rooms/room_detail",code="99"\} [1-9]', text)


async def test_the_deadline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await site.sign_up()
    assert envelope.DEADLINE_S == 5
    monkeypatch.setattr(envelope, "DEADLINE_S", 0.05)
    monkeypatch.setattr(RoomService, "detail", stuck)
    reply = await detail(site, user)
    assert (reply.status_code, told(reply.json())) == (200, BUSY)
    assert int(reply.headers["retry-after"]) >= 1


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("came", [[], [b"{"], [b"x" * 600_000] * 3], ids=["nothing", "a bit", "too much"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/base/v1/oauth/register"), ("GET", "/healthz"), ("PUT", "/"), ("GET", "/nothing")]
)
async def test_a_body_that_does_not_end(
    start: Start, monkeypatch: pytest.MonkeyPatch, method: str, path: str, came: list[bytes], status: int
) -> None:
    """It is waited for so long, and no longer, be it to be read or to be drained."""
    site = await start(LIVEROOM_ERROR_STATUS=str(status))
    assert envelope.BODY_S == 15
    monkeypatch.setattr(envelope, "BODY_S", 0.05)
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": body, "more_body": True} for body in came])

    async def receive() -> Any:
        return next(messages, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    async with asyncio.timeout(5):
        await site.asgi(scope, receive, send)
    head, body = sent
    assert (head["status"], told(json.loads(body["body"]))) == (status, TOO_SLOW)
    assert (b"connection", b"close") in head["headers"], "what comes late is no request of its own"


async def test_a_client_that_went_away(site: Site) -> None:
    """Nobody is there to be answered, nothing is done and nothing goes wrong."""
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/base/v1/oauth/register", "query_string": b"", "headers": []}
    await site.asgi(scope, receive, send)
    assert sent == []
