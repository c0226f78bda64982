"""How much memory presence takes in Redis: loads users with a session each and tells bytes per user."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from liveroom.adapters.state.redis import RedisState, connect
from liveroom.adapters.state.redis_presence import RedisPresence
from liveroom.ports.presence import Sign, SignKind, Timeouts
from servers import Redis

STEP = 8_000


def used_memory(server: Redis) -> int:
    lines = dict(line.split(":", 1) for line in server.ask("INFO memory", timeout=60).splitlines() if ":" in line)
    return int(lines["used_memory"])


async def load(url: str, users: int) -> None:
    """As calls of users who are known already: nobody is unsettled."""
    state = RedisState(connect(url))
    presence, now, times = RedisPresence(state), time.time_ns() // 1_000_000, Timeouts()
    for first in range(0, users, STEP):
        numbers = range(first, min(first + STEP, users))
        kinds = (SignKind.CALL, SignKind.BEAT)
        signs = [
            Sign("default", str(10_000_000 + number), secrets.token_urlsafe(16), kinds[number % 2], now + number, times)
            for number in numbers
        ]
        await presence.restore(signs, now)
    await state.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("users", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="tell it as JSON")
    options = parser.parse_args()
    with Redis() as server:
        before, started = used_memory(server), time.monotonic()
        asyncio.run(load(server.url, options.users))
        took_s = time.monotonic() - started
        used = used_memory(server) - before
    found = {
        "users": options.users,
        "used_bytes": used,
        "bytes_per_user": round(used / options.users, 1),
        "loaded_in_s": round(took_s, 1),
    }
    text = json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items())
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
