"""Whether every event arrives, in order, while the service is killed and the receiver is away.

Starts MariaDB, Redis and the service, with one webhook that this script receives. Many users enter and
leave many rooms until there are as many events as wanted. Meanwhile the service is killed every ten
seconds (kill -9) and started again, and the receiver refuses connections for a while.

    python bench/outbox.py [--events 100000] [--down 120] [--kill-every 10] [--json]
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from servers import MariaDB, Redis, free_port
from service import Service, backend_env, run

HOST = "127.0.0.1"
APP_ID = "1400000000"
SECRET = "whsec_" + base64.b64encode(b"a key for the webhook of a bench").decode()
SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"
DOWN_AFTER_S = 5.0
LONGEST_WAIT_S = 900.0
HINTS = {"user.online", "user.offline"}
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
MESSAGE_ID = re.compile(rb"webhook-id: *(\S+)", re.IGNORECASE)


class Event(msgspec.Struct, rename="camel"):
    """As much of an event as is looked at."""

    id: str
    kind: str
    version: int
    room_id: str = ""
    user_id: str = ""


class Receiver:
    """Takes whatever comes, while it is up; notes first arrivals and repeats."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._decode = msgspec.json.Decoder(Event).decode
        self.arrived: dict[str, str] = {}
        self._reached: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.last_at = 0.0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self._port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length, message_id = LENGTH.search(head), MESSAGE_ID.search(head)
                assert length is not None
                assert message_id is not None
                body = await reader.readexactly(int(length[1]))
                self._note(message_id[1].decode(), self._decode(body))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # Also when the script ends with connections open.
            writer.close()
        finally:
            self._writers.discard(writer)

    def _note(self, message_id: str, event: Event) -> None:
        self.last_at = time.monotonic()
        if event.id in self.arrived:
            same = self.arrived[event.id] == message_id
            self.counts["repeats" if same else "repeats with another id"] += 1
            return
        self.arrived[event.id] = message_id
        log = event.room_id or event.user_id
        before = self._reached.get(log, 0)
        wanted = before if event.kind in HINTS else before + 1
        if event.version != wanted:
            self.counts["order violations"] += 1
        self._reached[log] = max(before, event.version)


class Client:
    """One connection to the service, made again whenever it breaks."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, call: str, **parameters: str) -> dict[str, Any] | None:
        """The answer; None if the service went away meanwhile."""
        try:
            async with asyncio.timeout(10):
                return await self._posted(call, json.dumps(parameters).encode())
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self.close()
            await asyncio.sleep(0.1)
            return None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _posted(self, call: str, body: bytes) -> dict[str, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        head = f"POST /base/v1/{call} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        length = LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
        assert length is not None
        answer: dict[str, Any] = json.loads(await reader.readexactly(int(length[1])))
        return answer


class Load:
    """Users who enter rooms and leave them, as quickly as they are answered."""

    def __init__(self, port: int, users: int, rooms: int, seed: int) -> None:
        self._clients = [Client(port) for _ in range(users)]
        self._rooms = [f"room{number}" for number in range(rooms)]
        self._random = random.Random(seed)
        self.over = False
        self.calls = 0

    async def run(self) -> None:
        me = await asyncio.gather(*(self._signed_in(client, f"bench{n}") for n, client in enumerate(self._clients)))
        await asyncio.gather(*(self._live(client, who) for client, who in zip(self._clients, me, strict=True)))
        for client in self._clients:
            client.close()

    async def _signed_in(self, client: Client, username: str) -> dict[str, str]:
        signature = hashlib.md5(f"{username}----{SALT}".encode()).hexdigest()
        while True:
            await client.post("oauth/register", username=username, salt=SALT)
            answer = await client.post("oauth/signature", username=username, signature=signature)
            if answer is not None and answer["errorCode"] == 0:
                return {"userId": answer["data"]["userId"], "token": answer["data"]["token"]}

    async def _live(self, client: Client, me: dict[str, str]) -> None:
        while not self.over:
            room = self._random.choice(self._rooms)
            await client.post("rooms/enter_room", appId=APP_ID, roomId=room, **me)
            await client.post("rooms/leave_room", roomId=room, **me)
            self.calls += 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--down", type=float, default=120, help="seconds that the receiver is down")
    parser.add_argument("--kill-every", type=float, default=10, help="seconds between kills; 0: none")
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--rooms", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    port = free_port()
    with MariaDB() as mariadb, Redis() as redis:
        env = backend_env(mariadb, mariadb.new_database(), redis)
        toml = f'[tenants.default.webhooks.bench]\nurl = "http://{HOST}:{port}/"\nsecret = "{SECRET}"\n'
        service = Service([], env, toml=toml + "allow_private = true\n")
        try:
            run(["migrate"], env, service.directory)
            service.start()
            service.wait_ready()
            found = asyncio.run(measure(arguments, service, mariadb, Receiver(port)))
        finally:
            service.kill()
            service.close()
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:44} {value}" for name, value in found.items()))


async def measure(
    arguments: argparse.Namespace, service: Service, mariadb: MariaDB, receiver: Receiver
) -> dict[str, Any]:
    database = service.env["MYSQL_DB"]
    await receiver.start()
    load = Load(service.port, arguments.users, arguments.rooms, arguments.seed)
    began = time.monotonic()
    loading = asyncio.create_task(load.run())
    outage = asyncio.create_task(be_away(receiver, arguments.down))
    enough = asyncio.Event()
    killing = asyncio.create_task(kill_again_and_again(service, arguments.kill_every, enough))
    while (written := await count(mariadb, database)) < arguments.events and not loading.done():
        progress(f"{written} events, {len(receiver.arrived)} arrived")
        await asyncio.sleep(1)
    load.over = True
    await loading
    ended = time.monotonic()
    while not outage.done():
        progress(f"load ended; the receiver is still away; {len(receiver.arrived)} arrived")
        await asyncio.sleep(1)
    await outage
    back = time.monotonic()
    enough.set()
    kills = await killing
    ids = set(
        (await asked(mariadb, "SELECT JSON_VALUE(CONVERT(body USING utf8mb4), '$.id') FROM events", database)).split()
    )
    while len(ids - receiver.arrived.keys()) and time.monotonic() - back < LONGEST_WAIT_S:
        progress(f"{len(receiver.arrived)} of {len(ids)} arrived")
        await asyncio.sleep(0.5)
    await asyncio.sleep(3)
    waiting = (await asked(mariadb, "SELECT COUNT(*) FROM deliveries", database)).strip()
    counts = receiver.counts
    return {
        "events written": len(ids),
        "arrived": len(receiver.arrived),
        "missing": len(ids - receiver.arrived.keys()),
        "arrived, but not in SQL": len(receiver.arrived.keys() - ids),
        "order violations": counts["order violations"],
        "repeats with the same webhook-id": counts["repeats"],
        "repeats with another webhook-id": counts["repeats with another id"],
        "deliveries still waiting": int(waiting),
        "kills": kills,
        "receiver down (s)": arguments.down,
        "load (s)": round(ended - began, 1),
        "calls made": load.calls,
        "all arrived after load and outage had ended (s)": round(max(0.0, receiver.last_at - max(ended, back)), 1),
        "all arrived after the load ended (s)": round(max(0.0, receiver.last_at - ended), 1),
    }


async def be_away(receiver: Receiver, down_s: float) -> None:
    await asyncio.sleep(DOWN_AFTER_S)
    if down_s:
        await receiver.stop()
        await asyncio.sleep(down_s)
        await receiver.start()


async def kill_again_and_again(service: Service, every_s: float, enough: asyncio.Event) -> int:
    """Until it is enough, when the service is up; how often."""
    kills = 0
    while every_s and not enough.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await enough.wait()
                break
        await asyncio.to_thread(restart, service)
        kills += 1
    return kills


def restart(service: Service) -> None:
    service.kill()
    service.start()
    service.wait_ready()


async def count(mariadb: MariaDB, database: str) -> int:
    return int(await asked(mariadb, "SELECT COUNT(*) FROM events", database))


async def asked(mariadb: MariaDB, sql: str, database: str) -> str:
    return await asyncio.to_thread(mariadb.execute, sql, database)


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:70}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
