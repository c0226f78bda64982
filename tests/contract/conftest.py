"""Every port on every back end it has: what takes these fixtures runs on all of them, none may opt out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from contract.ears import Ear
from contract.nodes import Node, Ticks
from liveroom.adapters.state import redis
from liveroom.adapters.state.memory import MemoryLimits, MemoryState
from liveroom.adapters.state.memory_presence import MemoryPresence
from liveroom.adapters.state.redis_presence import RedisPresence
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.migrate import migrate
from liveroom.adapters.store.tables import metadata
from liveroom.ports.back_ends import BackEnd
from liveroom.ports.limits import LimitStore
from liveroom.ports.presence import PresenceStore
from servers import MariaDB, Redis, RedisCluster


class SqliteFile:
    """A database file; it is away while another process holds its write lock, and can only be read then."""

    reads_while_away = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite:///{path}"

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        other = sqlite3.connect(self._path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.close()

    async def restart(self) -> None:
        """Nothing to restart."""


class MySqlDatabase:
    """A database of the test run's MySQL server; it is away while that is suspended."""

    reads_while_away = False

    def __init__(self, url: str, server: MariaDB) -> None:
        self._server = server
        self.url = url

    @contextlib.asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        self._server.suspend()
        try:
            yield
        finally:
            self._server.resume()

    async def restart(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)


StoreBackEnd = SqliteFile | MySqlDatabase


BACK_ENDS = ["sqlite", "mysql"]


@pytest.fixture(params=BACK_ENDS)
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreBackEnd:
    """A database without tables."""
    if request.param == "sqlite":
        return SqliteFile(tmp_path / "liveroom.sqlite")
    return MySqlDatabase(request.getfixturevalue("mysql_url"), request.getfixturevalue("mariadb"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the service's tables and no row."""
    path = tmp_path_factory.mktemp("template") / "liveroom.sqlite"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_database(mariadb: MariaDB) -> str:
    """A MySQL database with the service's tables."""
    mariadb.heal()
    name = mariadb.new_database()
    asyncio.run(_migrate(mariadb.url(name)))
    return name


async def _migrate(url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()


@pytest.fixture(params=BACK_ENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreBackEnd:
    """A database with the service's tables and no row."""
    if request.param == "sqlite":
        path = tmp_path / "liveroom.sqlite"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return SqliteFile(path)
    server: MariaDB = request.getfixturevalue("mariadb")
    name: str = request.getfixturevalue("migrated_database")
    server.heal()
    server.execute(";".join(f"DELETE FROM {table}" for table in metadata.tables), name)
    return MySqlDatabase(server.url(name), server)


@pytest.fixture
def clock() -> Ticks:
    """The clock that all nodes of a test read."""
    return Ticks()


@pytest.fixture
async def new_node(store: StoreBackEnd, clock: Ticks) -> AsyncIterator[Callable[..., Node]]:
    """Starts processes on the database, which end with the test."""
    nodes: list[Node] = []

    def start(**options: Any) -> Node:
        nodes.append(Node(store.url, clock, **options))
        return nodes[-1]

    yield start
    for node in nodes:
        await node.database.close()


@pytest.fixture
def node(new_node: Callable[..., Node]) -> Node:
    """A process on the database."""
    return new_node()


@pytest.fixture
def other(new_node: Callable[..., Node]) -> Node:
    """Another process on the same database."""
    return new_node()


StateServer = Redis | RedisCluster
StateClient = tuple[BackEnd, LimitStore]


@pytest.fixture(params=["redis", "redis-cluster"])
def state_server(request: pytest.FixtureRequest) -> StateServer:
    """An emptied Redis that a test may stop."""
    names = {"redis": "redis_server", "redis-cluster": "redis_cluster"}
    server: StateServer = request.getfixturevalue(names[request.param])
    server.heal()
    server.flush()
    return server


@pytest.fixture(params=["memory", "redis", "redis-cluster"])
def state_url(request: pytest.FixtureRequest) -> str:
    """Where the state of a test is, emptied."""
    if request.param == "memory":
        return "memory://"
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    cluster: RedisCluster = request.getfixturevalue("redis_cluster")
    cluster.heal()
    cluster.flush()
    return cluster.url


@pytest.fixture
async def connect_state() -> AsyncIterator[Callable[[str], StateClient]]:
    """Connects to a state store as a process does; the processes of memory are but one."""
    states: list[Any] = []
    memory = MemoryState(), MemoryLimits()

    def connect(url: str) -> StateClient:
        if url.startswith("memory"):
            return memory
        states.append(redis.RedisState(redis.connect(url)))
        return states[-1], redis.RedisLimits(states[-1])

    yield connect
    for state in states:
        await state.close()
    if states:
        # Whatever connection was left open is told of here, not in some later test.
        gc.collect()


@pytest.fixture
def limits(state_url: str, connect_state: Callable[[str], StateClient]) -> LimitStore:
    """The limits as one process counts them."""
    return connect_state(state_url)[1]


@pytest.fixture
def other_limits(state_url: str, connect_state: Callable[[str], StateClient]) -> LimitStore:
    """The limits as another process counts them."""
    return connect_state(state_url)[1]


@pytest.fixture
async def connect_presence() -> AsyncIterator[Callable[[str], PresenceStore]]:
    """Connects to presence as a process does; the processes of memory are but one."""
    states: list[redis.RedisState] = []
    memory = MemoryPresence()

    def connect(url: str) -> PresenceStore:
        if url.startswith("memory"):
            return memory
        states.append(redis.RedisState(redis.connect(url)))
        return RedisPresence(states[-1])

    yield connect
    for state in states:
        await state.close()


@pytest.fixture
async def ear(state_url: str, connect_presence: Callable[[str], PresenceStore]) -> Ear:
    """Presence as one process knows it, watched for longer than any timeout of the tests."""
    ear = Ear(connect_presence(state_url))
    assert (await ear.watch(-4_000)).gap
    assert not (await ear.watch(0)).gap
    return ear


@pytest.fixture
def other_ear(ear: Ear, state_url: str, connect_presence: Callable[[str], PresenceStore]) -> Ear:
    """The same presence as another process knows it."""
    return Ear(connect_presence(state_url))


@pytest.fixture
def new_ear(state_url: str, connect_presence: Callable[[str], PresenceStore]) -> Ear:
    """Presence that nobody has watched so far."""
    return Ear(connect_presence(state_url))
