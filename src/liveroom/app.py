"""The composition root: settings → adapters → services → endpoints → ASGI app, and the background loops."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, json
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from liveroom import config, logs
from liveroom.adapters.im.embedded import EmbeddedMessaging
from liveroom.adapters.im.tencent import TencentMessaging
from liveroom.adapters.state import memory, redis
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.adapters.state.redis_presence import RedisPresence
from liveroom.adapters.store.absence import SqlAbsence
from liveroom.adapters.store.accounts import SqlAccounts
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.errands import SqlErrands
from liveroom.adapters.store.keys import check_data_keys
from liveroom.adapters.store.rooms import SqlRooms
from liveroom.adapters.store.sealing import Seal
from liveroom.adapters.store.sessions import SqlSessions
from liveroom.config import Settings
from liveroom.endpoints import metrics, openapi
from liveroom.endpoints.accounts import AccountEndpoints
from liveroom.endpoints.callbacks import CallbackEndpoints
from liveroom.endpoints.envelope import Envelope
from liveroom.endpoints.health import HealthEndpoints
from liveroom.endpoints.members import MemberEndpoints
from liveroom.endpoints.presence import PresenceEndpoints
from liveroom.endpoints.rooms import RoomEndpoints
from liveroom.endpoints.routes import Endpoints, Route, routes
from liveroom.endpoints.site import Page, Site
from liveroom.errors import Refusal
from liveroom.loops import every
from liveroom.ports.back_ends import Clock, IdSource
from liveroom.ports.limits import LimitStore
from liveroom.ports.messaging import Messaging
from liveroom.ports.presence import PresenceStore
from liveroom.services import usersig
from liveroom.services.accounts import AccountService, SignInPolicy
from liveroom.services.callbacks import CallbackService
from liveroom.services.limits import Limits
from liveroom.services.members import MemberService
from liveroom.services.messaging import MessagingService
from liveroom.services.presence import PresenceService
from liveroom.services.reconcile import ReconcileService
from liveroom.services.rooms import RoomService
from liveroom.services.settling import SettleService, times_of
from liveroom.services.sweeps import SweepService
from liveroom.services.tenants import Tenants
from liveroom.services.tokens import TokenService

FIRST_ID, LAST_ID = 10_000_000, 2**31 - 1
LAST_ROUND_S = 3.0
DOCS = Path(__file__).parent / "static" / "docs"

log = logging.getLogger(__name__)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def random_id() -> str:
    return str(FIRST_ID + secrets.randbelow(LAST_ID - FIRST_ID + 1))


class Services(Struct, frozen=True):
    """The rules, wired to their back ends."""

    tenants: Tenants
    tokens: TokenService
    accounts: AccountService
    rooms: RoomService
    members: MemberService
    presence: PresenceService
    settling: SettleService
    sweeps: SweepService
    messaging: MessagingService
    reconcile: ReconcileService
    callbacks: CallbackService


class Liveroom:
    """One process of the service: what it holds open, what it serves, what it does by itself."""

    def __init__(self, settings: Settings, clock: Clock = now_ms, ids: IdSource = random_id) -> None:
        self.settings = settings
        self._seal = Seal(settings.data_keys)
        self._clock = clock
        self.database = Database(settings.database)
        self.state, self._limits, self._presence = _state(settings)
        self.sessions = SqlSessions(self.database)
        self.rooms = SqlRooms(self.database)
        self._accounts = SqlAccounts(self.database, self._seal)
        self._absence = SqlAbsence(self.database)
        self.errands = SqlErrands(self.database)
        self.im = _messaging(settings, clock)
        self.services = self._wire(ids)
        self.routes = routes(self._endpoints())
        services = self.services
        self._callbacks = CallbackEndpoints(services.callbacks, services.tenants, clock, unsigned=settings.is_dev)
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def _wire(self, ids: IdSource) -> Services:
        settings, clock, absence = self.settings, self._clock, self._absence
        counted = Limits(self._limits, memory.MemoryLimits(), settings.limited)
        tenants = Tenants(settings.tenants, unknown_is_default=settings.unknown_tenant == "default")
        tokens = TokenService(settings.jwt_secrets, self.sessions, clock, revocation=settings.token_revocation == "on")
        times = times_of(tenants)
        settling = SettleService(self._presence, self.sessions, absence, self.rooms, self._limits, times, clock)
        presence = PresenceService(self._presence, self.sessions, settling, times, clock)
        messaging = MessagingService(self.im, self.errands, self.rooms, self._accounts, tenants, clock)
        rooms = RoomService(self.rooms, counted, ids, clock)
        members = MemberService(self.rooms, rooms, messaging, clock)
        policy = SignInPolicy(settings.oauth_register == "on", settings.signature_max_age, settings.usersig_ttl)
        return Services(
            tenants,
            tokens,
            AccountService(self._accounts, tokens, members, presence, counted, policy, ids=ids, clock=clock),
            rooms,
            members,
            presence,
            settling,
            SweepService(self.rooms, absence, settling, tenants, clock),
            messaging,
            ReconcileService(self.im, self.errands, absence, presence, self._limits, tenants, clock),
            CallbackService(presence, self.rooms, absence, self.im, clock),
        )

    def _endpoints(self) -> Endpoints:
        services = self.services
        return Endpoints(
            AccountEndpoints(services.accounts, services.tenants),
            PresenceEndpoints(services.presence, self._clock),
            RoomEndpoints(services.rooms),
            MemberEndpoints(services.members),
        )

    async def start(self) -> None:
        """Check what has to be right before the first call, then start the background loops."""
        await check_data_keys(self.database, self._seal)
        await self.services.tokens.follow_endings()
        self._loops = [asyncio.create_task(every(seconds, job, self._stopping)) for seconds, job in self._jobs()]

    def _jobs(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """What goes on by itself, and how many seconds lie between two rounds."""
        services = self.services
        return [
            (0.4, services.tokens.follow_endings),
            (60.0, services.tokens.note_uses),
            (5.0, self._prune),
            (0.1, services.presence.flush),
            (0.1, services.settling.settle_returned),
            (0.1, services.settling.settle_missed),
            (1.0, services.settling.watch),
            (5.0, services.presence.note_beating),
            (5.0, services.settling.audit),
            (1.0, services.sweeps.evict),
            (1.0, services.sweeps.close),
            (1.0, services.messaging.run),
            (30.0, services.reconcile.reconcile),
        ]

    async def stop(self) -> None:
        # A round that is cut leaves a statement behind that nobody waits for.
        self._stopping.set()
        if self._loops:
            await asyncio.wait(self._loops, timeout=LAST_ROUND_S)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._callbacks.finish()
        await self.services.messaging.finish()
        await self._tell_last()
        await self.im.close()
        await self.database.close()
        await self.state.close()

    async def _tell_last(self) -> None:
        """What was heard last is written down, unless nobody takes it."""
        try:
            await self.services.presence.flush()
        except Refusal as refusal:
            log.warning("the last signs of life are lost: %s", refusal.message)

    async def _prune(self) -> None:
        """Delete what is over; step by step, so that nobody waits behind it."""
        while await self.rooms.prune() + await self.sessions.prune(self._clock()):
            await asyncio.sleep(0.02)

    def site(self) -> Site:
        settings, services = self.settings, self.services
        refusal_status = int(settings.error_status)
        calls = {
            route.path: Envelope(
                route,
                services.tokens,
                services.tenants,
                services.presence,
                refusal_status=refusal_status,
                logs_access=settings.logs_access,
            )
            for route in self.routes
        }
        return Site(
            calls,
            _pages(HealthEndpoints([self.database, self.state], self.im), self.routes),
            {"callbacks/im": self._callbacks.im, "callbacks/trtc": self._callbacks.trtc},
            stage=settings.stage,
            configured=settings.trtc_configured,
            refusal_status=refusal_status,
        )


def _state(settings: Settings) -> tuple[Any, LimitStore, PresenceStore]:
    if settings.state.startswith("memory"):
        return memory.MemoryState(), memory.MemoryLimits(), MemoryPresence()
    state = redis.RedisState(redis.connect(settings.state, settings.redis_password or None))
    return state, redis.RedisLimits(state), RedisPresence(state)


def _messaging(settings: Settings, clock: Clock) -> Messaging:
    if settings.messages_remotely:
        return TencentMessaging(settings.tim_domain, usersig.sign, clock)
    return EmbeddedMessaging()


def _pages(health: HealthEndpoints, table: list[Route]) -> dict[str, Page]:
    document = json.encode(openapi.document(table))

    async def described() -> Response:
        return Response(document, media_type="application/json")

    async def measured() -> Response:
        body, media_type = metrics.exposition()
        return Response(body, media_type=media_type)

    pages: dict[str, Page] = dict.fromkeys(("/", "/helloworld", "/base/v1", "/healthz"), health.here)
    pages |= {"/readyz": health.ready, "/metrics": measured, "/openapi.json": described}
    return pages | {"/docs": _docs()}


def _docs() -> Page:
    """One page with everything in it: it loads nothing, from wherever it is reached."""
    page = (DOCS / "index.html").read_text(encoding="utf-8")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        page = page.replace(f"/* {name} */", (DOCS / name).read_text(encoding="utf-8"))
    body = page.encode()

    async def docs() -> Response:
        return Response(body, media_type="text/html")

    return docs


def asgi(settings: Settings) -> Starlette:
    """The ASGI app of one process."""
    liveroom = Liveroom(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await liveroom.start()
        try:
            yield
        finally:
            await liveroom.stop()

    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins.split(),
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        max_age=86_400,
    )
    app = Starlette(lifespan=lifespan, middleware=[cors])
    # Routing is the site's: one dict, no list of patterns.
    app.router.default = liveroom.site()
    return app


def worker() -> Starlette:
    """What each server process loads: the settings come with its environment."""
    settings = config.load(os.environ)
    logs.set_up(pretty=settings.is_dev)
    return asgi(settings)
