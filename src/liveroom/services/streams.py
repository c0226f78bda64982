"""Streams: whoever follows rooms or a lobby live hears what happens on every process."""

import asyncio
import logging
import secrets
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from liveroom.errors import Code, Refusal, overloaded, room_gone
from liveroom.events import About
from liveroom.model import Caller
from liveroom.ports.back_ends import Clock
from liveroom.ports.outbox import OutboxStore, Told
from liveroom.ports.rooms import RoomStore
from liveroom.ports.wakeups import Wakeups
from liveroom.services.feeds import RoomFeed
from liveroom.services.lobbies import Lobby
from liveroom.services.presence import PresenceService
from liveroom.services.readers import Absent, Beat, Cursor, EndReason, Place, Reader
from liveroom.services.together import all_of
from liveroom.services.tokens import TokenService

MOST_READERS = 18_000
MOST_UNTOLD = 10_000
TELL_STEP = 500
HEAR_S = 0.5
CHECK_MS = 5_000
CHECK_DEAF_MS = 500
BEAT_MS = 15_000
TOKEN_MS = 60_000

Key = tuple[str, str]

log = logging.getLogger(__name__)


class _Due(Struct):
    """When a reader is to be told that nothing happened, noted as there, and its token looked at again."""

    beat_at: int
    seen_at: int
    token_at: int


class _Wake(Struct, array_like=True):
    """What one process tells the others."""

    node: str
    told: list[Told]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Wake).decode


class StreamService:
    """Holds the readers of this process. Nothing is missed: wake-ups may be lost, the log is not."""

    def __init__(
        self,
        rooms: RoomStore,
        outbox: OutboxStore,
        wakeups: Wakeups,
        presence: PresenceService,
        tokens: TokenService,
        clock: Clock,
    ) -> None:
        self._rooms = rooms
        self._outbox = outbox
        self._wakeups = wakeups
        self._presence = presence
        self._tokens = tokens
        self._clock = clock
        self._node = secrets.token_hex(8)
        self._readers: dict[Reader, _Due] = {}
        self._feeds: dict[Key, RoomFeed] = {}
        self._lobbies: dict[Key, Lobby] = {}
        self._dirty: dict[Key, None] = {}
        self._untold: list[Told] = []
        self._telling: asyncio.Task[None] | None = None
        self._deaf = wakeups.remote
        self._checked_at = 0
        self._stopping = False

    async def follow_rooms(
        self, caller: Caller, token: str, room_ids: Sequence[str], since: Sequence[Cursor]
    ) -> Reader:
        """Follow rooms, from where `since` says (one for each room, or none at all); without any, 2004."""
        keys = [(caller.tenant.name, room_id) for room_id in room_ids]
        reader = await self._admitted(caller, token, keys, len(keys))
        try:
            begun = await all_of(
                self._feed(key, reader, place).begin(reader, place, since[place.index] if since else None)
                for place, key in zip(reader.places, keys, strict=True)
            )
            if not any(begun):
                raise room_gone()
        except BaseException:
            self.leave(reader)
            raise
        for room_id, there in zip(room_ids, begun, strict=True):
            if not there:
                reader.open_places -= 1
                reader.put(Absent(room_id=room_id))
        if not reader.open_places:
            reader.end(EndReason.ROOM_CLOSED)
        return reader

    async def follow_lobby(self, caller: Caller, token: str, category: str) -> Reader:
        """Follow the list of a category's visible rooms."""
        key = (caller.tenant.name, category)
        reader = await self._admitted(caller, token, [key], 0)
        lobby = self._lobbies.setdefault(key, Lobby(*key, self._rooms))
        try:
            await lobby.begin(reader)
        except BaseException:
            self.leave(reader)
            raise
        return reader

    def leave(self, reader: Reader) -> None:
        """This reader is gone; what nobody follows any more is forgotten."""
        self._readers.pop(reader, None)
        reader.end(EndReason.GONE)
        for key in reader.follows:
            if feed := self._feeds.get(key):
                feed.readers.pop(reader, None)
                if not feed.readers:
                    feed.finish()
                    del self._feeds[key]
            if lobby := self._lobbies.get(key):
                lobby.readers.pop(reader, None)
                if lobby.idle:
                    del self._lobbies[key]

    def hear(self, told: Sequence[Told]) -> None:
        """This process has written these; told at once here, and to the other processes."""
        try:
            self._dispatch(told)
        except Exception:
            # It has committed, and whoever asked for it is to hear so.
            log.exception("a fault in telling streams")
        if self._wakeups.remote and len(self._untold) < MOST_UNTOLD:
            self._untold += told
        self._tell_others()

    async def listen(self) -> None:
        """Hear what other processes tell; called again and again, and waits by itself."""
        if not self._wakeups.remote:
            await asyncio.sleep(HEAR_S)
            return
        try:
            heard = await self._wakeups.hear(HEAR_S)
        except Refusal:
            self._deaf = True
            await asyncio.sleep(HEAR_S)
            raise
        for message in heard.messages:
            wake = _decode(message)
            if wake.node != self._node:
                self._dispatch(wake.told)
        self._deaf = False
        if heard.gap:
            self._checked_at = 0

    async def check(self) -> None:
        """Compare with the database, in case a wake-up was lost; called several times a second."""
        now = self._clock()
        if now - self._checked_at < (CHECK_DEAF_MS if self._deaf else CHECK_MS):
            return
        for lobby in self._lobbies.values():
            lobby.stale |= self._deaf or self._checked_at == 0
        self._checked_at = now
        self._tell_others()
        versions = await self._outbox.versions(list(self._feeds))
        for key, version in versions.items():
            if feed := self._feeds.get(key):
                feed.behind(version)
        await all_of(lobby.refresh() for lobby in list(self._lobbies.values()) if lobby.stale)

    async def show_lobbies(self) -> None:
        """Tell the lobbies what changed; called several times a second."""
        dirty, self._dirty = self._dirty, {}
        if not dirty or not self._lobbies:
            return
        try:
            rooms = await all_of(self._rooms.find(*key) for key in dirty)
        except Refusal:
            self._dirty = dirty | self._dirty
            raise
        now = self._clock()
        for key, room in zip(dirty, rooms, strict=True):
            if room is None:
                continue
            for lobby in [lobby for (tenant, _), lobby in self._lobbies.items() if tenant == key[0]]:
                if not lobby.consider(room, now):
                    self._dirty[key] = None

    async def tend(self) -> None:
        """Whoever is connected is there, as long as its token is good; called every second."""
        now = self._clock()
        for reader, due in list(self._readers.items()):
            if reader.ended is not None:
                continue
            if self._tokens.has_ended(reader.caller.sid):
                reader.end(EndReason.LOGGED_OUT)
            elif reader.expires_at <= now:
                reader.end(EndReason.TOKEN_EXPIRED)
            else:
                await self._keep(reader, due, now)

    def end_all(self) -> None:
        """The process is about to stop: every stream ends with the reason, and no new one begins."""
        self._stopping = True
        for reader in list(self._readers):
            reader.end(EndReason.STOPPING)

    async def close(self) -> None:
        """Tell what has not been told yet, and hear nothing more."""
        self.end_all()
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=1)
        await self._wakeups.close()

    @property
    def readers(self) -> int:
        """How many streams this process has."""
        return len(self._readers)

    async def _admitted(self, caller: Caller, token: str, follows: list[Key], places: int) -> Reader:
        if self._stopping or len(self._readers) >= MOST_READERS:
            raise overloaded()
        claims = await self._tokens.check(token, caller.user_id, caller.tenant)
        reader = Reader(caller, token, claims.exp * 1000, follows, places)
        now = self._clock()
        self._readers[reader] = _Due(now + BEAT_MS, now, now + TOKEN_MS)
        return reader

    async def _keep(self, reader: Reader, due: _Due, now: int) -> None:
        """What is due for a reader that is to stay."""
        if due.beat_at <= now:
            due.beat_at = now + BEAT_MS
            reader.put(Beat())
        if due.seen_at <= now:
            due.seen_at = now + reader.seen_every_ms
            self._presence.called(reader.caller)
        if due.token_at <= now:
            due.token_at = now + TOKEN_MS
            await self._check_token(reader)

    async def _check_token(self, reader: Reader) -> None:
        """A process that could not read which sessions ended asks about the session itself."""
        try:
            await self._tokens.check(reader.token, reader.caller.user_id, reader.caller.tenant)
        except Refusal as refusal:
            if refusal.code in {Code.UserTokenInvalid, Code.UserTokenExpired, Code.UserNotExists}:
                reader.end(EndReason.LOGGED_OUT)
            else:
                log.warning("a stream's token is looked at later: %s", refusal.message)

    def _feed(self, key: Key, reader: Reader, place: Place) -> RoomFeed:
        """The feed of a room, which from now on somebody follows."""
        feed = self._feeds.setdefault(key, RoomFeed(key, self._rooms, self._outbox))
        feed.readers[reader] = place
        return feed

    def _dispatch(self, told: Sequence[Told]) -> None:
        if not self._feeds and not self._lobbies:
            return
        tenants = {tenant for tenant, _ in self._lobbies}
        for one in told:
            if one.about is not About.ROOM:
                continue
            key = (one.tenant, one.subject)
            if feed := self._feeds.get(key):
                feed.hear([one])
            if one.numbered and one.tenant in tenants:
                self._dirty[key] = None

    def _tell_others(self) -> None:
        if self._untold and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        """While one message is under way, what happens gathers in the next."""
        while self._untold:
            told, self._untold = self._untold[:TELL_STEP], self._untold[TELL_STEP:]
            try:
                await self._wakeups.tell(_encode(_Wake(self._node, told)))
            except Refusal as refusal:
                # The others find it when they compare with the database, but for their lobbies.
                log.warning("other processes are told later: %s", refusal.message)
                self._untold = told + self._untold
                return
