"""How long after its last beat a killed app is out, and what the sweep costs, with many users online.

Starts a MySQL server and a Redis of its own. One process takes the keepalives of all users, every 10 s
each; another does nothing but sweep, so that its processor time is the sweep's. Then some apps die.

    python bench/presence.py [--users 100000] [--die 1000] [--json]
"""

import argparse
import asyncio
import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from liveroom.adapters.state import redis
from liveroom.adapters.state.redis_presence import RedisPresence
from liveroom.adapters.store.absence import SqlAbsence
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.migrate import migrate
from liveroom.adapters.store.outbox import Outbox
from liveroom.adapters.store.rooms import SqlRooms
from liveroom.adapters.store.sessions import SqlSessions
from liveroom.adapters.store.tables import members, rooms, sessions
from liveroom.app import now_ms
from liveroom.loops import every
from liveroom.model import DEFAULT_TENANT, Caller, Tenant
from liveroom.services.presence import PresenceService
from liveroom.services.settling import SettleService, times_of
from liveroom.services.tenants import Tenants
from servers import MariaDB, Redis

TENANT = Tenant(name=DEFAULT_TENANT)
BEAT_EVERY_S = 10
TURNS = BEAT_EVERY_S * 10
WARM_UP_S = 40
LONGEST_S = 60
ROOM_SIZE = 100
FIRST_ID = 10_000_000


class Node:
    """A process of the service, as far as presence goes."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database = Database(database_url)
        self.state = redis.RedisState(redis.connect(redis_url))
        presence, sessions, absence = RedisPresence(self.state), SqlSessions(self.database), SqlAbsence(self.database)
        times = times_of(Tenants({DEFAULT_TENANT: TENANT}, unknown_is_default=False))
        turns, room_store = (
            redis.RedisLimits(self.state),
            SqlRooms(self.database, Outbox(self.database.dialect), now_ms),
        )
        self.settling = SettleService(presence, sessions, absence, room_store, turns, times, now_ms)
        self.presence = PresenceService(presence, sessions, self.settling, times, now_ms)

    async def offline(self) -> set[str]:
        rows = await self.database.read(select(members.c.user_id).where(members.c.offline_since.is_not(None)))
        return {user_id for (user_id,) in rows}


class Beats:
    """Apps that send a keepalive every 10 s, spread evenly, until they die."""

    def __init__(self, presence: PresenceService, callers: list[Caller]) -> None:
        self._presence = presence
        self._turns = [callers[turn::TURNS] for turn in range(TURNS)]
        self._began = time.monotonic()
        self._turn = 0
        self.dead: set[str] = set()
        self.last: dict[str, float] = {}

    async def beat(self) -> None:
        """The beats that are due by now."""
        due = int((time.monotonic() - self._began) * TURNS / BEAT_EVERY_S)
        for turn in range(self._turn, due):
            now = time.time()
            for caller in self._turns[turn % TURNS]:
                if caller.user_id not in self.dead:
                    self._presence.beat(caller)
                    self.last[caller.user_id] = now
        self._turn = due


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--die", type=int, default=1_000, help="how many apps are killed")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweep", nargs=2, metavar=("DATABASE", "REDIS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sweep:
        asyncio.run(sweep(*arguments.sweep))
        return
    with MariaDB() as mariadb, Redis() as server:
        node = Node(mariadb.url(mariadb.new_database()), server.url)
        found = asyncio.run(measure(arguments, node, [mariadb.url("x"), server.url]))
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:44} {value}" for name, value in found.items()))


async def sweep(database_url: str, redis_url: str) -> None:
    """Watch for ever; for each line of standard input tell the processor time used so far."""
    settling = Node(database_url, redis_url).settling
    loops = [
        asyncio.create_task(every(1.0, settling.watch, asyncio.Event())),
        asyncio.create_task(every(0.1, settling.settle_missed, asyncio.Event())),
    ]
    while await asyncio.to_thread(sys.stdin.readline):
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(used.ru_utime + used.ru_stime, flush=True)
    for loop in loops:
        loop.cancel()


async def measure(arguments: argparse.Namespace, node: Node, urls: list[str]) -> dict[str, Any]:
    await migrate(node.database)
    callers = await settle_in(node, arguments.users)
    urls[0] = node.database.engine.url.set(drivername="mysql", query={}).render_as_string(hide_password=False)
    pipe = asyncio.subprocess.PIPE
    sweeper = await asyncio.create_subprocess_exec(sys.executable, __file__, "--sweep", *urls, stdin=pipe, stdout=pipe)
    beats = Beats(node.presence, callers)
    jobs = (node.presence.flush, node.settling.settle_returned, beats.beat)
    loops = [asyncio.create_task(every(0.1, job, asyncio.Event())) for job in jobs]
    progress(f"everybody beats for {WARM_UP_S} s")
    await asyncio.sleep(WARM_UP_S)
    wrongly = len(await node.offline())
    before, began = await used_by(sweeper), time.monotonic()
    beats.dead |= {caller.user_id for caller in random.sample(callers, arguments.die)}
    out = await until_out(node, beats)
    core = (await used_by(sweeper) - before) / (time.monotonic() - began)
    sweeper.kill()
    await sweeper.wait()
    for loop in loops:
        loop.cancel()
    await node.database.close()
    await node.state.close()
    delays = sorted(out.get(user_id, float("inf")) for user_id in beats.dead)
    return {
        "users online": arguments.users,
        "apps killed": arguments.die,
        "last beat to out, p50 / p99 / max (s)": " / ".join(f"{at(delays, share):.1f}" for share in (0.5, 0.99, 1)),
        "wrongly offline": wrongly + len(out.keys() - beats.dead),
        "sweep, share of one core (%)": round(core * 100, 2),
    }


async def settle_in(node: Node, users: int) -> list[Caller]:
    """Everybody inside a room, with a session that is known to beat."""
    callers = [Caller(TENANT, str(FIRST_ID + number), f"session-{number}") for number in range(users)]
    now = now_ms()
    for first in range(0, users, 5_000):
        progress(f"making rows: {first} of {users}")
        chosen = callers[first : first + 5_000]
        inside = [member_row(first + number, caller, now) for number, caller in enumerate(chosen)]
        async with node.database.engine.begin() as connection:
            await connection.execute(insert(sessions), [session_row(caller, now) for caller in chosen])
            await connection.execute(insert(members), inside)
            await connection.execute(
                insert(rooms), [room_row(room_id, now) for room_id in sorted({row["room_id"] for row in inside})]
            )
    return callers


def session_row(caller: Caller, now: int) -> dict[str, Any]:
    key = {"tenant": DEFAULT_TENANT, "sid": caller.sid, "user_id": caller.user_id}
    return key | {"expires_at": now * 2, "used_at": now, "beats": 1}


def member_row(number: int, caller: Caller, now: int) -> dict[str, Any]:
    key = {"tenant": DEFAULT_TENANT, "room_id": f"room-{number // ROOM_SIZE}", "opening": 1}
    return key | {"user_id": caller.user_id, "place": number % ROOM_SIZE + 1, "entered_at": now}


def room_row(room_id: str, now: int) -> dict[str, Any]:
    owner = str(FIRST_ID + int(room_id.removeprefix("room-")) * ROOM_SIZE)
    key = {"tenant": DEFAULT_TENANT, "room_id": room_id, "opening": 1, "state": 0, "owned_by": owner}
    counters = {"inside": ROOM_SIZE, "joined": ROOM_SIZE, "places": ROOM_SIZE, "owner_online": 1, "owner_seen": 1}
    return key | counters | {"opened_at": now}


async def until_out(node: Node, beats: Beats) -> dict[str, float]:
    """Seconds from the last beat of each user to being offline in SQL."""
    out: dict[str, float] = {}
    progress("waiting until the killed apps are out")
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline and not beats.dead <= out.keys():
        for user_id in await node.offline() - out.keys():
            out[user_id] = time.time() - beats.last[user_id]
        await asyncio.sleep(0.1)
    return out


def at(delays: list[float], share: float) -> float:
    return delays[min(len(delays) - 1, int(len(delays) * share))]


async def used_by(sweeper: asyncio.subprocess.Process) -> float:
    assert sweeper.stdin is not None
    assert sweeper.stdout is not None
    sweeper.stdin.write(b"\n")
    return float(await sweeper.stdout.readline())


def progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what} …", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
