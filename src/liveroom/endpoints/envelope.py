"""Decode, check the caller, call, encode: the one way of every call of the contract."""

import asyncio
import logging
import re
import secrets
import time
from typing import Any

import msgspec
from msgspec import Struct

from liveroom import __version__
from liveroom.endpoints.asgi import Receive, Scope, Send
from liveroom.endpoints.metrics import CALLS, SECONDS
from liveroom.endpoints.parameters import Reader, layers
from liveroom.endpoints.routes import Route, Who
from liveroom.endpoints.wire import Signed
from liveroom.errors import Code, Refusal, overloaded, token_invalid
from liveroom.model import Caller
from liveroom.services.presence import PresenceService
from liveroom.services.tenants import Tenants
from liveroom.services.tokens import TokenService

BODY_LIMIT = 1 << 20
DRAIN_LIMIT = 16 << 20
BODY_S = 15
DEADLINE_S = 5
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_REQUEST_ID_HEADERS = {b"x-request-id", b"x-scf-request-id", b"x-api-requestid"}
_JSON = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_encode = msgspec.json.Encoder().encode
_VERSION = _encode(__version__)

log = logging.getLogger(__name__)


class Gone(Exception):  # noqa: N818 - nobody is there to be answered
    """The client went away in the middle of its request."""


class Head(Struct):
    """What of a request's headers matters here."""

    request_id: str
    content_type: bytes = b""
    last_event_id: str = ""


class Answer(Struct):
    """What to send: the envelope's parts, the HTTP status, more headers."""

    code: int = 0
    message: str = ""
    name: str = ""
    data: Any = None
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Unread(Exception):  # noqa: N818 - becomes an answer
    """A body that is not read to its end: too large (413), or too slow to arrive."""

    def __init__(self, message: str, status: int | None = None, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self._parts = (message, status, headers)

    def answer(self, refusal_status: int) -> Answer:
        message, status, headers = self._parts
        name = Code.SystemVerifyError.name
        return Answer(int(Code.SystemVerifyError), message, name, None, status or refusal_status, headers)


def head_of(scope: Scope) -> Head:
    head = Head("")
    for name, value in scope["headers"]:
        if name in _REQUEST_ID_HEADERS:
            text = value.decode("latin-1")
            if not head.request_id and _REQUEST_ID.fullmatch(text):
                head.request_id = text
        elif name == b"content-type":
            head.content_type = value
        elif name == b"last-event-id":
            head.last_event_id = value.decode("latin-1")
    return head


def refused(refusal: Refusal, status: int = 200) -> Answer:
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if refusal.retry_after_s is not None:
        headers = ((b"retry-after", str(refusal.retry_after_s).encode()),)
    return Answer(int(refusal.code), refusal.message, refusal.code.name, None, status, headers)


def encoded(answer: Answer, request_id: str) -> bytes:
    """The envelope as JSON. `data` is there only where there is data."""
    parts = [b'{"errorCode":%d,"errorMessage":%b,"version":%b' % (answer.code, _encode(answer.message), _VERSION)]
    if answer.name:
        parts.append(b',"codeStr":"%b"' % answer.name.encode())
    if request_id:
        parts.append(b',"requestId":"%b"' % request_id.encode())
    if answer.data is not None:
        parts += (b',"data":', _encode(answer.data))
    parts.append(b"}")
    return b"".join(parts)


async def send_answer(scope: Scope, send: Send, answer: Answer, request_id: str) -> None:
    body = encoded(answer, request_id)
    headers = [_JSON, _NO_STORE, (b"content-length", str(len(body)).encode()), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def connected(receive: Receive) -> bytes:
    """A WebSocket comes without a body."""
    if (await receive())["type"] != "websocket.connect":
        raise Gone
    return b""


async def read_body(receive: Receive) -> bytes:
    """The whole body; one that is too large is drained as far as it is reasonable."""
    try:
        async with asyncio.timeout(BODY_S):
            return await _whole_body(receive)
    except TimeoutError:
        # What still arrives must not be taken for the connection's next request.
        raise Unread("The request took too long to arrive.", None, (b"connection", b"close")) from None


async def _whole_body(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) <= BODY_LIMIT:
            return body
    chunks, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= BODY_LIMIT:
            chunks.append(chunk)
        if size > DRAIN_LIMIT or not message.get("more_body"):
            break
        message = await receive()
    if size > BODY_LIMIT:
        raise Unread("The request is too large.", 413)
    return b"".join(chunks)


class Envelope:
    """Answers one route, whatever happens, with the envelope."""

    def __init__(
        self,
        route: Route,
        tokens: TokenService,
        tenants: Tenants,
        presence: PresenceService,
        *,
        refusal_status: int,
        logs_access: bool,
    ) -> None:
        self._route = route
        self._reader = Reader(route.params, route.code)
        self._tokens = tokens
        self._tenants = tenants
        self._presence = presence
        self._refusal_status = refusal_status
        self._logs_access = logs_access
        self._seconds = SECONDS.labels(route.path)
        self._done = CALLS.labels(route.path, "0")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        head = head_of(scope)
        try:
            answer = await self.answer(scope, head, receive)
        except Gone:
            return
        await send_answer(scope, send, answer, head.request_id)
        self.count(scope, answer, time.perf_counter() - began)

    def count(self, scope: Scope, answer: Answer, took_s: float) -> None:
        """Note that a call was answered."""
        self._seconds.observe(took_s)
        (self._done if answer.code == 0 else CALLS.labels(self._route.path, str(answer.code))).inc()
        if self._logs_access:
            method = scope.get("method", "WEBSOCKET")
            log.info("%s %s %d in %.1f ms", method, self._route.path, answer.code, took_s * 1000)

    async def answer(self, scope: Scope, head: Head, receive: Receive) -> Answer:
        """What the call is answered, whatever happens; raises `Gone`."""
        try:
            body = await (read_body if scope["type"] == "http" else connected)(receive)
            given = layers(scope.get("method", "GET"), scope["query_string"], head.content_type, body)
            if self._route.resumes and head.last_event_id:
                given = [{"since": head.last_event_id}, *given]
            async with asyncio.timeout(DEADLINE_S):
                data = await self._call(self._reader.read(*given))
        except Refusal as refusal:
            if refusal.code == Code.UserNotExists and self._route.gone_is_done:
                return Answer(message=self._route.done)
            return refused(refusal, self._refusal_status)
        except Unread as unread:
            return unread.answer(self._refusal_status)
        except TimeoutError:
            return refused(overloaded(), self._refusal_status)
        except Gone:
            raise
        except Exception:
            return self._fault(head)
        return Answer(message=self._route.done, data=data)

    async def _call(self, wish: Any) -> Any:
        if self._route.who is Who.ANYBODY:
            return await self._route.answer(wish)
        return await self._route.answer(await self._caller(wish), wish)

    async def _caller(self, wish: Signed) -> Caller:
        user_id = wish.user_id or wish.apaas_user_id
        if not user_id or not wish.token:
            if self._route.who is Who.ACCOUNT:
                raise token_invalid()
            raise Refusal(self._route.code, "userId or token is missing.")
        tenant = self._tenants.claimed(wish.apaas_app_id)
        claims = await self._tokens.check(wish.token, user_id, tenant)
        of_token = self._tenants.by_name(claims.tenant)
        if of_token is None:
            raise token_invalid()
        caller = Caller(of_token, claims.user_id, claims.sid)
        self._presence.called(caller)
        return caller

    def _fault(self, head: Head) -> Answer:
        log_id = head.request_id or secrets.token_hex(8)
        log.exception("a fault while answering %s, request id %s", self._route.path, log_id)
        message = f"Something went wrong here ({log_id})."
        return refused(Refusal(Code.SystemError, message), self._refusal_status)
