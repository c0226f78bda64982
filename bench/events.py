"""What writing events costs `enter_room`: how many enter a second with events, and without.

Starts a MySQL server of its own and runs the store's verb in this process, as one worker does: many
callers at once, each enter the first of a user in a room. "written" is the service as it is, "owed" with
one webhook configured (that nobody delivers), "not written" decides and encodes events and inserts none,
"none" does not even do that. They take turns, so that all meet the same tables and the same machine.

    python bench/events.py [--enters 10000] [--rounds 6] [--json]
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from contract.nodes import Node
from liveroom.adapters.store.deliveries import Listener
from liveroom.adapters.store.migrate import migrate
from liveroom.adapters.store.outbox import Outbox
from liveroom.app import now_ms
from liveroom.model import Caller
from liveroom.ports.outbox import Told
from liveroom.ports.rooms import Change, RoomRows
from liveroom.services import members
from liveroom.services.telling import Cause
from servers import MariaDB

WARM_UP = 2_000
TELLING = members.told


class Silent(Outbox):
    """Writes nothing, and owes nobody anything."""

    async def write(self, connection: AsyncConnection, told: Sequence[Told]) -> None:
        pass


def nothing_told(_: RoomRows, change: Change, __: Cause) -> Change:
    """The change as a rule made it, without events."""
    return change


class Variant:
    """One way to enter rooms."""

    def __init__(self, url: str, *, webhook: bool = False, silent: bool = False, told: Any = TELLING) -> None:
        self.node = Node(url, now_ms, listeners=(Listener("bench"),) if webhook else ())
        if silent:
            self.node.outbox.__class__ = Silent
        self._told = told
        self.rates: list[float] = []

    async def enter(self, wishes: Iterator[tuple[Caller, str]], enters: int, callers: int) -> float:
        """So many enters; how many a second."""
        # Every rule finds it there; patched for this round only.
        members.told = self._told
        mine = itertools.islice(wishes, enters)

        async def call() -> None:
            for caller, room_id in mine:
                await self.node.enter(caller, room_id)

        began = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        return enters / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--enters", type=int, default=10_000, help="in a round of each")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rooms", type=int, default=2_000)
    parser.add_argument("--callers", type=int, default=256, help="calls under way at once")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with MariaDB() as mariadb:
        found = asyncio.run(measure(arguments, mariadb.url(mariadb.new_database())))
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:44} {value}" for name, value in found.items()))


async def measure(arguments: argparse.Namespace, url: str) -> dict[str, Any]:
    variants = {
        "none": Variant(url, silent=True, told=nothing_told),
        "written": Variant(url),
        "owed": Variant(url, webhook=True),
        "not written": Variant(url, silent=True),
    }
    first = variants["written"]
    await migrate(first.node.database)
    wishes = pairs(await settle_in(first, arguments), arguments.rooms)
    order = list(variants.values())
    for number in range(arguments.rounds):
        progress(f"round {number + 1} of {arguments.rounds}")
        for variant in order:
            await variant.enter(wishes, WARM_UP, arguments.callers)
            variant.rates.append(await variant.enter(wishes, arguments.enters, arguments.callers))
        # Whoever comes first in one round comes last in another.
        order = [*order[1:], order[0]]
    for variant in order:
        await variant.node.database.close()
    return summary({name: variant.rates for name, variant in variants.items()})


async def settle_in(variant: Variant, arguments: argparse.Namespace) -> list[Caller]:
    """Users, and rooms that are open, each with its owner inside."""
    progress("making users and rooms")
    callers: list[Caller] = []
    while len(callers) < arguments.users:
        callers += await variant.node.callers(min(5_000, arguments.users - len(callers)))
    owners = ((callers[number % len(callers)], f"room-{number}") for number in range(arguments.rooms))
    await variant.enter(owners, arguments.rooms, arguments.callers)
    return callers


def pairs(callers: list[Caller], rooms: int) -> Iterator[tuple[Caller, str]]:
    """Each user and room at most once, rooms and users spread; without the owners' own."""
    for shift in range(1, rooms):
        for number, caller in enumerate(callers):
            yield caller, f"room-{(number + shift) % rooms}"


def summary(rates: dict[str, list[float]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"enters a second, {name}": round(statistics.harmonic_mean(measured)) for name, measured in rates.items()
    }
    for name in ("written", "owed", "not written"):
        lost = [100 * (1 - mine / none) for mine, none in zip(rates[name], rates["none"], strict=True)]
        mean = 100 * (1 - statistics.harmonic_mean(rates[name]) / statistics.harmonic_mean(rates["none"]))
        found[f"throughput lost, {name}: mean / rounds (%)"] = f"{mean:.1f} / {min(lost):.0f} to {max(lost):.0f}"
    return found


def progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what} …", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
