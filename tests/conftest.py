"""Fixtures: private servers, a fresh database or an emptied Redis, and the service as real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers import MariaDB, Redis, RedisCluster
from service import Topology, embedded, two_processes


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """The test run's MySQL server; a test may kill or suspend it, `mysql_url` heals it."""
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """The test run's Redis server; a test may kill or suspend it, `redis_url` heals it."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """The test run's Redis Cluster of three masters, as earlier tests left it: `heal` and `flush` it."""
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def mysql_url(mariadb: MariaDB) -> Iterator[str]:
    """The URL of a fresh database, dropped afterwards."""
    mariadb.heal()
    database = mariadb.new_database()
    yield mariadb.url(database)
    mariadb.heal()
    mariadb.drop_database(database)


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The URL of the test run's Redis server, emptied."""
    redis_server.heal()
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session", params=["embedded", "two-processes"])
def topology(request: pytest.FixtureRequest) -> Iterator[Topology]:
    """A deployment to play scenarios against, on servers of its own that no other test flushes or kills."""
    if request.param == "embedded":
        with embedded() as deployment:
            yield deployment
        return
    with MariaDB() as mariadb, Redis() as redis, two_processes(mariadb, redis) as deployment:
        yield deployment
