"""How soon those who follow live hear of a change, how many of them a worker carries, and what one costs.

Starts a MySQL server, a Redis and the service (one worker) of its own, and a process of readers beside
them. A latency is the time a reader got an event, less the moment `at` that the event was committed.

    python bench/stream.py [--seconds 10] [--json]
"""

import argparse
import asyncio
import json
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "scenarios"))

from envelopes import Account, code_of, sign_up
from wire import Service as Wire

from servers import MariaDB, Redis
from service import Service, backend_env, run

DESCRIPTORS = 20_000
ROOMS, OWNERS = 1_000, 25
AT_ONCE = 200
SETTLE_S = 3.0
COMMITTED_AT = re.compile(rb'"at":(\d{13})')
VERSION = re.compile(rb"id: \d+\.(\d+)\n")


class Stream(asyncio.Protocol):
    """One reader: it notes when each event came, and the last version."""

    def __init__(self, request: bytes, delays: list[float], begun: "asyncio.Future[None]") -> None:
        self._request = request
        self._delays = delays
        self._begun = begun
        self._transport: Any = None
        self.version = 0
        self.messages = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time() * 1000
        self._delays += [now - int(at) for at in COMMITTED_AT.findall(data)]
        ids = VERSION.findall(data)
        self.messages += len(ids)
        if ids:
            self.version = int(ids[-1])
            if not self._begun.done():
                self._begun.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        if not self._begun.done():
            self._begun.set_exception(ConnectionError("refused"))

    def close(self) -> None:
        self._transport.abort()


async def read(url: str) -> None:
    """The process of readers: each line of standard input is an order, each of standard output its answer."""
    host = urlsplit(url)
    streams: list[Stream] = []
    delays: list[float] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        answer: dict[str, Any] = {}
        if order["do"] == "open":
            await open_all(host.hostname or "", host.port or 0, order["queries"], streams, delays)
        elif order["do"] == "close":
            for stream in streams:
                stream.close()
            streams.clear()
            await asyncio.sleep(1)
        elif order["do"] == "clear":
            delays.clear()
            for stream in streams:
                stream.messages = 0
        else:
            answer = {
                "delays": percentiles(delays),
                "events": len(delays),
                "messages": sum(stream.messages for stream in streams),
                "versions": sorted({stream.version for stream in streams}),
                "lost": sum(stream.lost for stream in streams),
            }
        print(json.dumps(answer), flush=True)


async def open_all(host: str, port: int, queries: list[str], streams: list[Stream], delays: list[float]) -> None:
    loop = asyncio.get_running_loop()
    turns = asyncio.Semaphore(AT_ONCE)

    async def open_one(query: str) -> None:
        async with turns:
            request = f"GET /base/v1/rooms/stream?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            begun: asyncio.Future[None] = loop.create_future()
            _, stream = await loop.create_connection(lambda: Stream(request, delays, begun), host, port)
            await begun
            streams.append(stream)

    await asyncio.gather(*map(open_one, queries))


def percentiles(delays: list[float]) -> dict[str, float]:
    ranked = sorted(delays) or [0.0]
    return {name: round(ranked[int((len(ranked) - 1) * share)], 1) for name, share in (("p50", 0.5), ("p99", 0.99))}


class Readers:
    """The process of readers, from outside."""

    def __init__(self, process: asyncio.subprocess.Process, account: Account) -> None:
        self._process = process
        self._account = account

    async def ask(self, do: str, **more: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        return dict(json.loads(await self._process.stdout.readline()))

    async def open(self, rooms: list[str]) -> None:
        who = {"userId": self._account.user_id, "token": self._account.token}
        await self.ask("open", queries=[urlencode({**who, "roomId": room}) for room in rooms])


class Changes:
    """Rooms and their owners, and a steady number of changes a second."""

    def __init__(self, url: str, owners: list[Account], rooms: dict[str, Account]) -> None:
        self._client = httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=64))
        self.owners = owners
        self.rooms = rooms

    async def make(self, rooms: list[str], per_second: int, seconds: float) -> int:
        """Change the rooms in turn; answers how many changes were acknowledged."""
        began, made = time.monotonic(), 0
        tasks: set[asyncio.Task[None]] = set()
        while (passed := time.monotonic() - began) < seconds:
            while made < passed * per_second:
                room = rooms[made % len(rooms)]
                tasks.add(task := asyncio.create_task(self._change(room, f"title {made}")))
                task.add_done_callback(tasks.discard)
                made += 1
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)
        return made

    async def _change(self, room: str, title: str) -> None:
        owner = self.rooms[room].credentials
        reply = await self._client.post("/base/v1/rooms/update_room", data={**owner, "roomId": room, "title": title})
        assert reply.json()["errorCode"] == 0, reply.text

    async def close(self) -> None:
        await self._client.aclose()


async def measure(arguments: argparse.Namespace, service: Service) -> dict[str, Any]:
    wire = Wire([service.url])
    owners = [sign_up(wire) for _ in range(OWNERS)]
    rooms = {f"room-{number}": owners[number % OWNERS] for number in range(ROOMS)}
    for room, owner in rooms.items():
        assert code_of(wire, "rooms/enter_room", **owner.credentials, roomId=room, appId="0", role="anchor") == 0
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--read", service.url, stdin=pipe, stdout=pipe, limit=1 << 26
    )
    readers, changes = Readers(process, sign_up(wire)), Changes(service.url, owners, rooms)
    found: dict[str, Any] = {}
    found |= await many_rooms(readers, changes, arguments.seconds)
    found |= await idle(readers, service, arguments.idle)
    for number in (1_000, 5_000):
        found |= await one_room(readers, changes, number, arguments.seconds)
    await changes.close()
    process.kill()
    await process.wait()
    return found


async def many_rooms(readers: Readers, changes: Changes, seconds: float) -> dict[str, Any]:
    progress("1,000 rooms, a reader each")
    await readers.open(list(changes.rooms))
    await readers.ask("clear")
    made = await changes.make(list(changes.rooms), 300, seconds)
    await asyncio.sleep(SETTLE_S)
    told = await readers.ask("tell")
    await readers.ask("close")
    return {
        "1,000 rooms: changes / heard": f"{made} / {told['events']}",
        "1,000 rooms: p50, p99 (ms; asked p99 100)": _both(told),
    }


async def idle(readers: Readers, service: Service, number: int) -> dict[str, Any]:
    progress(f"{number} idle readers")
    await asyncio.sleep(2)
    before = memory_kib(service)
    await readers.open([f"room-{index % ROOMS}" for index in range(number)])
    await asyncio.sleep(5)
    each = (memory_kib(service) - before) / number
    lost = (await readers.ask("tell"))["lost"]
    await readers.ask("close")
    return {f"{number} idle readers: KiB each (asked 40)": round(each, 1), f"{number} idle readers: lost": lost}


async def one_room(readers: Readers, changes: Changes, number: int, seconds: float) -> dict[str, Any]:
    progress(f"one room with {number} readers")
    await asyncio.sleep(2)
    await readers.open(["room-0"] * number)
    await readers.ask("clear")
    made = await changes.make(["room-0"], 10, seconds)
    await asyncio.sleep(SETTLE_S)
    told = await readers.ask("tell")
    await readers.ask("close")
    name = f"one room, {number} readers"
    return {
        f"{name}: events heard a second": round(told["events"] / seconds),
        f"{name}: messages to each for {made} changes": round(told["messages"] / number, 1),
        f"{name}: p50, p99 (ms)": _both(told),
        f"{name}: all at the same version, none lost": len(told["versions"]) == 1 and not told["lost"],
    }


def _both(told: dict[str, Any]) -> str:
    return f"{told['delays']['p50']}, {told['delays']['p99']}"


def memory_kib(service: Service) -> int:
    """Of the largest process of the service, its worker."""
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    return max(_resident_kib(pid) for pid in children)


def _resident_kib(pid: str) -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what} …", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--read", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        asyncio.run(read(arguments.read))
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))
    with MariaDB() as mariadb, Redis() as redis:
        env = backend_env(mariadb, mariadb.new_database(), redis)
        service = Service([], env)
        try:
            run(["migrate"], env, service.directory)
            service.start()
            service.wait_ready()
            found = asyncio.run(measure(arguments, service))
        finally:
            service.close()
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:58} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
