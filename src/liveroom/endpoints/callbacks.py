"""The vendor's callbacks: believed once signed, answered in the vendor's own format and within its time.

Transport and signatures: https://cloud.tencent.com/document/product/269/1522 (IM) and
https://trtc.io/document/39558 (TRTC).
"""

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from liveroom.endpoints.asgi import Scope
from liveroom.endpoints.metrics import CALLBACKS
from liveroom.endpoints.vendor_events import VendorEvent, im_event, trtc_event
from liveroom.errors import Refusal
from liveroom.model import Tenant
from liveroom.ports.back_ends import Clock
from liveroom.services.callbacks import CallbackService
from liveroom.services.tenants import Tenants

# The vendor gives up after 2 s (IM) and 5 s (TRTC).
IM_ANSWER_S = 1.8
TRTC_ANSWER_S = 4.5
FRESH_S = 60
FINISH_S = 2
MOST_RUNNING = 1_000

log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class CallbackEndpoints:
    """Unpacks callbacks. Without a configured token or key they are refused, except in dev mode."""

    def __init__(self, callbacks: CallbackService, tenants: Tenants, clock: Clock, *, unsigned: bool) -> None:
        self._callbacks = callbacks
        self._tenants = tenants
        self._clock = clock
        self._unsigned = unsigned
        self._running: set[asyncio.Task[bool]] = set()

    async def finish(self) -> None:
        """Wait for what goes on; not for long."""
        if self._running:
            await asyncio.wait(self._running, timeout=FINISH_S)

    async def im(self, scope: Scope, body: bytes) -> Response:
        """What happened in IM: logins, groups and their members."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        believed = self._of_application(query.get("SdkAppid", ""), lambda tenant: self._signed_im(tenant, query))
        command = query.get("CallbackCommand", "")
        status = await self._told("im", believed, body, lambda facts: im_event(command, facts, self._clock()))
        told = {"ActionStatus": "OK" if status == 200 else "FAIL", "ErrorInfo": "", "ErrorCode": int(status != 200)}
        return Response(msgspec.json.encode(told), status, media_type="application/json")

    async def trtc(self, scope: Scope, body: bytes) -> Response:
        """What happened in TRTC rooms."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        sign = headers.get(b"sign", "")
        believed = self._of_application(
            headers.get(b"sdkappid", ""), lambda tenant: self._signed_trtc(tenant, body, sign)
        )
        status = await self._told("trtc", believed, body, lambda facts: trtc_event(facts, self._clock()))
        return Response(b'{"code":%d}' % (status != 200), status, media_type="application/json")

    def _of_application(self, sdk_app_id: str, signed: Callable[[Tenant], bool]) -> list[Tenant]:
        """The tenants of this application whose key signed."""
        return [tenant for tenant in self._tenants.all() if str(tenant.sdk_app_id) == sdk_app_id and signed(tenant)]

    def _signed_im(self, tenant: Tenant, query: Mapping[str, str]) -> bool:
        """`Sign` covers the token and the moment, not the body; so the moment has to be now."""
        if not tenant.im_callback_token:
            return self._unsigned
        moment = query.get("RequestTime", "")
        if not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
            return False
        expected = hashlib.sha256((tenant.im_callback_token + moment).encode()).hexdigest()
        genuine = hmac.compare_digest(expected.encode(), query.get("Sign", "").lower().encode())
        return genuine and abs(self._clock() // 1000 - int(moment)) <= FRESH_S

    def _signed_trtc(self, tenant: Tenant, body: bytes, sign: str) -> bool:
        """`Sign` covers the body as it came."""
        if not tenant.trtc_callback_key:
            return self._unsigned
        digest = hmac.new(tenant.trtc_callback_key.encode(), body, hashlib.sha256).digest()
        return hmac.compare_digest(base64.b64encode(digest), sign.encode())

    async def _told(
        self,
        source: str,
        believed: list[Tenant],
        body: bytes,
        read: Callable[[dict[str, Any]], VendorEvent | None],
    ) -> int:
        """The HTTP status: 401 not believed, 400 no JSON object, 503 to be sent again."""
        status, outcome = 401, "refused"
        if believed:
            try:
                event = read(_decode(body))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                status, outcome = 400, "malformed"
            else:
                answer_s = IM_ANSWER_S if source == "im" else TRTC_ANSWER_S
                status, outcome = await self._done(believed, event, answer_s) if event else (200, "ignored")
        CALLBACKS.labels(source, outcome).inc()
        return status

    async def _done(self, believed: list[Tenant], event: VendorEvent, answer_s: float) -> tuple[int, str]:
        """What takes longer than the vendor waits goes on, and is sent again."""
        if len(self._running) >= MOST_RUNNING:
            return 503, "overloaded"
        task = asyncio.create_task(self._effect(believed, event))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        finished, _ = await asyncio.wait([task], timeout=answer_s)
        return (200, "done") if finished and task.result() else (503, "failed")

    async def _effect(self, believed: list[Tenant], event: VendorEvent) -> bool:
        try:
            await self._apply(believed, event)
        except Refusal as refusal:
            log.warning("a callback had no effect (%s): %s", event.verb, refusal.message)
            return False
        except Exception:
            log.exception("a fault in a callback (%s)", event.verb)
            return False
        return True

    async def _apply(self, believed: list[Tenant], event: VendorEvent) -> None:
        for tenant in believed:
            user_ids = [user_id for user_id in event.user_ids if _whose(believed, user_id) is tenant]
            if event.verb == "connected":
                await self._callbacks.connected(tenant, user_ids, event.at)
            elif event.verb == "disconnected":
                await self._callbacks.disconnected(tenant, user_ids, event.at)
            elif event.verb == "exited":
                await self._callbacks.exited(tenant, event.room_id, user_ids, event.at)
            elif event.verb == "dismissed":
                await self._callbacks.dismissed(tenant, event.room_id, event.at)
            else:
                await self._callbacks.group_destroyed(tenant, event.room_id, event.at)


def _whose(tenants: list[Tenant], name: str) -> Tenant:
    """Tenants may share an application; the prefix of an id tells them apart."""
    prefixed = (tenant for tenant in tenants if tenant.id_prefix and name.startswith(tenant.id_prefix))
    return next(prefixed, next((tenant for tenant in tenants if not tenant.id_prefix), tenants[0]))
