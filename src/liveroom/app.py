"""The composition root: back ends → services → endpoints → ASGI app, and the background loops."""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from msgspec import Struct
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from liveroom import config, logs
from liveroom.adapters.state import memory
from liveroom.adapters.store.keys import check_data_keys
from liveroom.back_ends import BackEnds
from liveroom.config import Settings
from liveroom.endpoints.accounts import AccountEndpoints
from liveroom.endpoints.callbacks import CallbackEndpoints
from liveroom.endpoints.envelope import Envelope
from liveroom.endpoints.health import HealthEndpoints
from liveroom.endpoints.members import MemberEndpoints
from liveroom.endpoints.pages import pages
from liveroom.endpoints.presence import PresenceEndpoints
from liveroom.endpoints.rooms import RoomEndpoints
from liveroom.endpoints.routes import Endpoints, routes
from liveroom.endpoints.site import Site
from liveroom.endpoints.stream import StreamEndpoints
from liveroom.endpoints.streaming import StreamCall
from liveroom.errors import Refusal
from liveroom.loops import every
from liveroom.ports.back_ends import Clock, IdSource
from liveroom.server import listen_for_stop
from liveroom.services.accounts import AccountService, SignInPolicy
from liveroom.services.callbacks import CallbackService
from liveroom.services.delivery import DeliveryService
from liveroom.services.limits import Limits
from liveroom.services.members import MemberService
from liveroom.services.messaging import MessagingService
from liveroom.services.presence import PresenceService
from liveroom.services.reconcile import ReconcileService
from liveroom.services.rooms import RoomService
from liveroom.services.settling import SettleService, times_of
from liveroom.services.streams import StreamService
from liveroom.services.sweeps import SweepService
from liveroom.services.tenants import Tenants
from liveroom.services.together import all_of
from liveroom.services.tokens import TokenService

FIRST_ID, LAST_ID = 10_000_000, 2**31 - 1
LAST_ROUND_S = 3.0
HOUR_MS = 3_600_000

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
    streams: StreamService
    delivery: DeliveryService


class Liveroom:
    """One process of the service: what it holds open, what it serves, what it does by itself."""

    def __init__(self, settings: Settings, clock: Clock = now_ms, ids: IdSource = random_id) -> None:
        self.settings = settings
        self._clock = clock
        self.back = BackEnds(settings, clock)
        self.services = self._wire(ids)
        self.back.written.hear = self.services.streams.hear
        self.routes = routes(self._endpoints())
        services = self.services
        self._health = HealthEndpoints([self.back.database, self.back.state], self.back.im)
        self._callbacks = CallbackEndpoints(services.callbacks, services.tenants, clock, unsigned=settings.is_dev)
        self._loops: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def _wire(self, ids: IdSource) -> Services:
        settings, clock, back = self.settings, self._clock, self.back
        limits = Limits(back.limits, memory.MemoryLimits(), settings.limited)
        tenants = Tenants(settings.tenants, unknown_is_default=settings.unknown_tenant == "default")
        tokens = TokenService(settings.jwt_secrets, back.sessions, clock, revocation=settings.token_revocation == "on")
        times = times_of(tenants)
        settling = SettleService(back.presence, back.sessions, back.absence, back.rooms, back.limits, times, clock)
        presence = PresenceService(back.presence, back.sessions, settling, times, clock)
        messaging = MessagingService(back.im, back.errands, back.rooms, back.accounts, tenants, clock)
        rooms = RoomService(back.rooms, limits, ids, clock)
        members = MemberService(back.rooms, rooms, messaging, clock)
        policy = SignInPolicy(settings.oauth_register == "on", settings.signature_max_age, settings.usersig_ttl)
        return Services(
            tenants,
            tokens,
            AccountService(back.accounts, tokens, members, presence, limits, policy, ids=ids, clock=clock),
            rooms,
            members,
            presence,
            settling,
            SweepService(back.rooms, back.absence, settling, tenants, clock),
            messaging,
            ReconcileService(back.im, back.errands, back.absence, presence, back.limits, tenants, clock),
            CallbackService(presence, back.rooms, back.absence, back.im, clock),
            StreamService(back.rooms, back.outbox, back.wakeups, presence, tokens, clock),
            DeliveryService(back.deliveries, back.outbox, back.webhooks, back.im, tenants, clock),
        )

    def _endpoints(self) -> Endpoints:
        services = self.services
        return Endpoints(
            AccountEndpoints(services.accounts, services.tenants),
            PresenceEndpoints(services.presence, self._clock),
            RoomEndpoints(services.rooms),
            MemberEndpoints(services.members),
            StreamEndpoints(services.streams),
        )

    async def start(self) -> None:
        """Check what has to be right before the first call, then start the background loops."""
        await check_data_keys(self.back.database, self.back.seal)
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
            (0.0, services.streams.listen),
            (0.1, services.streams.show_lobbies),
            (0.25, services.streams.check),
            (1.0, services.streams.tend),
            (0.2, services.delivery.run),
            (600.0, services.delivery.forget),
        ]

    def announce_stop(self) -> None:
        """No more traffic, please: `/readyz` says so, and streams end. Calls go on being answered."""
        self._health.announce_stop()
        self.services.streams.end_all()

    async def stop(self) -> None:
        # A round that is cut leaves a statement behind that nobody waits for.
        self._stopping.set()
        self.announce_stop()
        if self._loops:
            await asyncio.wait(self._loops, timeout=LAST_ROUND_S)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._callbacks.finish()
        await all_of([self.services.messaging.finish(), self.services.delivery.finish()])
        await self._tell_last()
        await self.services.streams.close()
        await self.back.close()

    async def _tell_last(self) -> None:
        """What was heard last is written down, unless nobody takes it."""
        try:
            await self.services.presence.flush()
        except Refusal as refusal:
            log.warning("the last signs of life are lost: %s", refusal.message)

    async def _prune(self) -> None:
        """Delete what is over; step by step, so that nobody waits behind it."""
        back, now = self.back, self._clock()
        kept_since = now - self.settings.events_kept_hours * HOUR_MS
        while (
            await back.rooms.prune()
            + await back.sessions.prune(now)
            + await back.outbox.prune(kept_since)
            + await back.deliveries.prune(kept_since)
        ):
            await asyncio.sleep(0.02)

    def site(self) -> Site:
        settings, services = self.settings, self.services
        refusal_status = int(settings.error_status)
        envelopes = {
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
        stream = StreamCall(envelopes["rooms/stream"], services.streams.leave)
        return Site(
            {**envelopes, "rooms/stream": stream},
            pages(self._health, self.routes),
            {"callbacks/im": self._callbacks.im, "callbacks/trtc": self._callbacks.trtc},
            stage=settings.stage,
            configured=settings.trtc_configured,
            refusal_status=refusal_status,
        )


def asgi(settings: Settings, *, own_process: bool = False) -> Starlette:
    """The ASGI app of one process; in `own_process` it hears what the server tells that."""
    liveroom = Liveroom(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await liveroom.start()
        if own_process:
            listen_for_stop(liveroom.announce_stop)
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
    app.state.liveroom = liveroom
    app.router.default = liveroom.site()
    return app


def worker() -> Starlette:
    """What each server process loads: the settings come with its environment."""
    settings = config.load(os.environ)
    logs.set_up(pretty=settings.is_dev)
    return asgi(settings, own_process=True)
