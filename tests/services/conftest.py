"""The rules on SQLite and memory: processes of the service that share a database, and a clock that stands."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.migrate import migrate
from liveroom.model import Caller
from services.following import Air, Site
from services.rig import Clock, Process, Setup, counted_ids


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the service's tables and no row, to be copied."""
    path = tmp_path_factory.mktemp("services") / "empty.sqlite"

    async def make() -> None:
        database = Database(f"sqlite:///{path}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def start(clock: Clock, tmp_path: Path, empty_database: Path) -> AsyncIterator[Callable[..., Process]]:
    """Starts processes on the test's database, with the given setup."""
    path, ids = tmp_path / "liveroom.sqlite", counted_ids()
    shutil.copy(empty_database, path)
    processes: list[Process] = []

    def start(**setup: Any) -> Process:
        processes.append(Process(path, clock, ids, Setup(**setup)))
        return processes[-1]

    yield start
    for process in processes:
        await process.database.close()


@pytest.fixture
def process(start: Callable[..., Process]) -> Process:
    """A process as it comes."""
    return start()


@pytest.fixture
def other(start: Callable[..., Process]) -> Process:
    """Another process on the same database."""
    return start()


@pytest.fixture
def air() -> Air:
    """What the processes of a test tell each other."""
    return Air()


@pytest.fixture
async def site(start: Callable[..., Process], air: Air) -> AsyncIterator[Site]:
    """A process with streams."""
    site = Site(start(), air)
    yield site
    await site.streams.close()


@pytest.fixture
async def far(start: Callable[..., Process], air: Air) -> AsyncIterator[Site]:
    """Another process with streams, on the same database."""
    site = Site(start(), air)
    yield site
    await site.streams.close()


@pytest.fixture
async def ann(site: Site) -> Caller:
    return await site.sign_up("ann")


@pytest.fixture
async def ben(site: Site) -> Caller:
    return await site.sign_up("ben")
