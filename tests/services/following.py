"""Processes whose streams hear each other, and who follows on them, for the tests of streams and lobbies."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from msgspec import json

from liveroom.adapters.store.outbox import SqlOutbox
from liveroom.endpoints.stream import lines
from liveroom.model import Caller, Tenant
from liveroom.ports.wakeups import Heard
from liveroom.services.readers import Cursor, Reader
from liveroom.services.streams import StreamService
from services.days import Meddle, Meddled
from services.rig import DEFAULT, TOKENS, Process


async def _nothing(_: str) -> None:
    return


class Air:
    """What processes tell each other; a test may hold it back, repeat it, mix it up or lose it."""

    remote = True

    def __init__(self) -> None:
        self.boxes: list[list[bytes]] = []
        self.lossy: random.Random | None = None

    def join(self) -> Any:
        """One process's end."""
        box: list[bytes] = []
        self.boxes.append(box)
        air = self

        class End:
            remote = True

            async def tell(self, message: bytes) -> None:
                for other in air.boxes:
                    for _ in range(air.copies()):
                        other.append(message)

            async def hear(self, longest_s: float) -> Heard:
                await asyncio.sleep(0)
                messages, box[:] = list(box), []
                if air.lossy is not None:
                    air.lossy.shuffle(messages)
                return Heard(messages)

            async def close(self) -> None:
                return

        return End()

    def copies(self) -> int:
        return 1 if self.lossy is None else self.lossy.choice((0, 1, 1, 2))


class Site:
    """A process with its streams."""

    def __init__(self, process: Process, air: Air) -> None:
        self.process = process
        # Tests may stand between the streams and the store: see `meddle`.
        self.meddle: Meddle = _nothing
        room_store, outbox = (Meddled(port, self._meddle) for port in (process.room_store, SqlOutbox(process.database)))
        self.streams = StreamService(room_store, outbox, air.join(), process.presence, process.tokens, process.clock)
        process.outbox.hear = self.streams.hear

    async def _meddle(self, moment: str) -> None:
        await self.meddle(moment)

    async def sign_up(self, name: str, tenant: Tenant = DEFAULT) -> Caller:
        return await self.process.sign_up(name, tenant)

    async def follow(self, caller: Caller, *room_ids: str, since: str = "") -> Client:
        cursors = [Cursor(*map(int, text.split("."))) for text in since.split("_")] if since else []
        return Client(await self.streams.follow_rooms(caller, TOKENS[caller.sid], room_ids, cursors))

    async def lobby(self, caller: Caller, category: str) -> Client:
        return Client(await self.streams.follow_lobby(caller, TOKENS[caller.sid], category))

    async def settle(self) -> None:
        """Let everything that was told arrive."""
        for _ in range(3):
            await asyncio.sleep(0.01)
            await self.streams.listen()
            await self.streams.show_lobbies()


class Client:
    """A reader as an app is one: it keeps what it was told."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.told: list[dict[str, Any]] = []
        self.id = ""

    async def read(self) -> list[dict[str, Any]]:
        """What has come since, merged messages taken apart."""
        fresh: list[dict[str, Any]] = []
        while self.reader._queue:
            for line in lines(self.reader, await self.reader.read()):
                body = json.decode(line.body)
                fresh += body["events"] if body["kind"] == "changes" else [body]
                self.id = line.id or self.id
        self.told += fresh
        return fresh

    async def kinds(self) -> list[str]:
        return [body["kind"] for body in await self.read()]
