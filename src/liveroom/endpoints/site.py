"""The site: which path is whose, and what paths and methods that are nobody's are told."""

import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from liveroom.endpoints.asgi import Receive, Scope, Send
from liveroom.endpoints.envelope import (
    Answer,
    Envelope,
    Gone,
    Unread,
    head_of,
    read_body,
    send_answer,
)
from liveroom.endpoints.pages import Page
from liveroom.endpoints.routes import PREFIX
from liveroom.endpoints.streaming import StreamCall
from liveroom.errors import Code

STAGES = ("prod", "test", "release", "prepub", "local")
_SLASHES = re.compile("//+")

Callback = Callable[[Scope, bytes], Awaitable[Response]]


class Site:
    """Dispatches exact paths by a dict, after stage prefixes and stray slashes are gone."""

    def __init__(
        self,
        calls: Mapping[str, Envelope | StreamCall],
        pages: Mapping[str, Page],
        callbacks: Mapping[str, Callback],
        *,
        stage: str,
        configured: bool,
        refusal_status: int,
    ) -> None:
        self._calls = {PREFIX + path: envelope for path, envelope in calls.items()}
        self._pages = pages
        self._callbacks = {PREFIX + path: callback for path, callback in callbacks.items()}
        self._stages = frozenset({*STAGES, stage.strip("/")} - {""})
        self._configured = configured
        self._refusal_status = refusal_status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        call = self._calls.get(scope["path"])
        if call is not None and self._configured and scope["method"] in {"POST", "GET"}:
            await call(scope, receive, send)
            return
        path = self.plain(scope["path"])
        call = self._calls.get(path)
        if call is not None and self._configured and scope["method"] in {"POST", "GET"}:
            await call(scope, receive, send)
            return
        await self._other(path, scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only the stream is told over a WebSocket; elsewhere the handshake is refused."""
        call = self._calls.get(self.plain(scope["path"]))
        if isinstance(call, StreamCall) and self._configured:
            await call(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})

    def plain(self, path: str) -> str:
        """The path without stage prefix, doubled and trailing slashes."""
        path = _SLASHES.sub("/", path)
        first, _, rest = path[1:].partition("/")
        if first in self._stages:
            path = "/" + rest
        return path.rstrip("/") or "/"

    async def _other(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # A body that nobody reads resets the connection before the client has its answer.
            body = await read_body(receive)
            answer = await self._answer(path, scope, body)
        except Unread as unread:
            answer = unread.answer(self._refusal_status)
        except Gone:
            return
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        await send_answer(scope, send, answer, head_of(scope).request_id)

    async def _answer(self, path: str, scope: Scope, body: bytes) -> Answer | Response:
        method = scope["method"]
        below = path == PREFIX[:-1] or path.startswith(PREFIX)
        if not self._configured and (below or path in {"/", "/helloworld"}):
            return _fault(Code.SystemError, "Invalid TRTC config", 503)
        if path in self._calls:
            return _not_allowed(b"GET, POST")
        if path in self._callbacks:
            return await self._callbacks[path](scope, body) if method == "POST" else _not_allowed(b"POST")
        page = self._pages.get(path)
        if page is None:
            return _fault(Code.SystemError, "There is no such call.", self._refusal_status if below else 404)
        if method != "GET" and not (method == "POST" and path in {"/", "/helloworld", PREFIX[:-1]}):
            return _not_allowed(b"GET")
        return await page()


def _fault(code: Code, message: str, status: int, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(int(code), message, code.name, None, status, headers)


def _not_allowed(methods: bytes) -> Answer:
    return _fault(Code.SystemVerifyError, "This method is not for this path.", 405, (b"allow", methods))
