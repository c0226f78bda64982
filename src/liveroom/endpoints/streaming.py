"""How a stream goes over the wire: Server-Sent Events, or a WebSocket at the same path.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from liveroom.endpoints.asgi import Receive, Scope, Send
from liveroom.endpoints.envelope import Answer, Envelope, Gone, Head, encoded, head_of, send_answer
from liveroom.endpoints.stream import Line, lines
from liveroom.services.readers import Beat, Ended, EndReason, Message, Reader

_SSE = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Proxies that gather what they pass on would hold events back.
    (b"x-accel-buffering", b"no"),
]
_COMMENT = b": beat\n\n"
POLICY_VIOLATION = 1008


class StreamCall:
    """The call whose answer does not end: refused like any other, else a stream."""

    def __init__(self, envelope: Envelope, leave: Callable[[Reader], None]) -> None:
        self._envelope = envelope
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        head = head_of(scope)
        socket = scope["type"] == "websocket"
        try:
            answer = await self._envelope.answer(scope, head, receive)
        except Gone:
            return
        self._envelope.count(scope, answer, time.perf_counter() - began)
        reader = answer.data
        if not isinstance(reader, Reader):
            await _refuse(scope, send, answer, head)
            return
        try:
            await (self._talk if socket else self._stream)(reader, receive, send)
        finally:
            self._leave(reader)

    async def _stream(self, reader: Reader, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _SSE})

        async def tell(messages: list[Message]) -> None:
            body = b"".join(_sse(reader, messages))
            await send({"type": "http.response.body", "body": body, "more_body": True})

        await _told_all(reader, receive, tell)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _talk(self, reader: Reader, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

        async def tell(messages: list[Message]) -> None:
            for line in lines(reader, messages):
                await send({"type": "websocket.send", "text": _with_id(line).decode()})

        await _told_all(reader, receive, tell)
        await send({"type": "websocket.close", "code": 1000, "reason": str(reader.ended or "")})


async def _told_all(reader: Reader, receive: Receive, tell: Callable[[list[Message]], Awaitable[None]]) -> None:
    """Send what comes until it ends, or until nobody is there any more."""
    watching = asyncio.ensure_future(_until_gone(receive))
    watching.add_done_callback(lambda _: reader.end(EndReason.GONE))
    try:
        while True:
            messages = await reader.read()
            if reader.ended is EndReason.GONE:
                return
            await tell(messages)
            if isinstance(messages[-1], Ended):
                return
    finally:
        watching.cancel()


async def _until_gone(receive: Receive) -> None:
    """What a client says after its request is of no interest, but for its going."""
    while (await receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
        continue


def _sse(reader: Reader, messages: list[Message]) -> list[bytes]:
    first = messages[0]
    if first.frame is not None and len(messages) == 1 and len(reader.places) == 1:
        return [first.frame]
    frames = _frames(reader, messages)
    if len(messages) == len(reader.places) == 1:
        first.frame = frames[0]
    return frames


def _frames(reader: Reader, messages: list[Message]) -> list[bytes]:
    beats = [_COMMENT] if any(isinstance(message, Beat) for message in messages) else []
    told = [message for message in messages if not isinstance(message, Beat)]
    return beats + [_frame(line) for line in lines(reader, told)]


def _frame(line: Line) -> bytes:
    if line.id:
        return b"id: %b\ndata: %b\n\n" % (line.id.encode(), line.body)
    return b"data: %b\n\n" % line.body


def _with_id(line: Line) -> bytes:
    """A WebSocket's message has no place for the id, so that it stands beside the event."""
    if not line.id:
        return b'{"data":%b}' % line.body
    return b'{"id":"%b","data":%b}' % (line.id.encode(), line.body)


async def _refuse(scope: Scope, send: Send, answer: Answer, head: Head) -> None:
    if scope["type"] != "websocket":
        await send_answer(scope, send, answer, head.request_id)
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": encoded(answer, head.request_id).decode()})
    await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": answer.name})
