"""The private servers do what the other tests lean on: start, restart, suspend, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncmy
import pytest
from redis.asyncio import Redis as RedisClient
from redis.asyncio import RedisCluster as ClusterClient

from servers import MariaDB, Redis, RedisCluster, ServerError, free_port, need, wait_until


def test_a_missing_binary_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install no-such-binary"):
        need("no-such-binary")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install no-such-binary"):
        need("no-such-binary")


def test_ports_are_handed_out_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


async def test_mariadb_takes_a_driver_without_a_password(mariadb: MariaDB, mysql_url: str) -> None:
    database = mysql_url.rsplit("/", 1)[1]
    assert mysql_url == f"mysql://root@127.0.0.1:{mariadb.port}/{database}"
    connection = await asyncmy.connect(host=mariadb.host, port=mariadb.port, user="root", db=database)
    async with connection, connection.cursor() as cursor:
        await cursor.execute("SELECT @@character_set_database, @@innodb_flush_log_at_trx_commit")
        assert await cursor.fetchone() == ("utf8mb4", 1)


def test_mariadb_keeps_commits_over_a_kill_and_a_stop(mariadb: MariaDB, mysql_url: str) -> None:
    database = mysql_url.rsplit("/", 1)[1]
    mariadb.execute("CREATE TABLE t (v VARCHAR(9)); INSERT INTO t VALUES ('🎤')", database)
    mariadb.kill()
    mariadb.start()
    assert mariadb.execute("SELECT v FROM t", database) == "🎤\n"
    assert mariadb.stop() == 0
    with pytest.raises(ServerError, match="Can't connect"):
        mariadb.execute("SELECT 1")
    mariadb.heal()
    assert mariadb.execute("SELECT v FROM t", database) == "🎤\n"


def test_mariadb_goes_on_after_a_suspension(mariadb: MariaDB) -> None:
    mariadb.suspend()
    assert mariadb.running
    mariadb.heal()
    assert mariadb.execute("SELECT 1") == "1\n"


async def test_redis_starts_empty_each_time(redis_server: Redis, redis_url: str) -> None:
    async with RedisClient.from_url(redis_url) as client:
        await client.set("k", "v")
    await asyncio.to_thread(redis_server.kill)
    await asyncio.to_thread(redis_server.start)
    assert redis_server.ask("DBSIZE") == ":0\r\n"


def test_redis_is_emptied(redis_server: Redis, redis_url: str) -> None:
    assert redis_server.ask("SET k v") == "+OK\r\n"
    redis_server.flush()
    assert redis_server.ask("GET k") == "$-1\r\n"


def test_redis_is_silent_while_suspended(redis_server: Redis) -> None:
    redis_server.suspend()
    with pytest.raises(TimeoutError):
        redis_server.ask("PING", timeout=0.1)
    redis_server.resume()
    assert redis_server.ask("PING") == "+PONG\r\n"


async def test_a_cluster_heals_after_a_killed_node(redis_cluster: RedisCluster) -> None:
    redis_cluster.flush()
    assert redis_cluster.url.startswith("redis+cluster://127.0.0.1:")
    async with ClusterClient.from_url(f"redis://127.0.0.1:{redis_cluster.nodes[0].port}") as client:
        await client.set("k", "v")
    owner = redis_cluster.owner("k")
    assert owner.ask("GET k").endswith("v\r\n")
    owner.kill()
    redis_cluster.heal()
    assert redis_cluster.owner("k") is owner
    assert owner.ask("EXISTS k") == ":0\r\n"


def test_a_server_that_cannot_start_shows_its_log() -> None:
    with pytest.raises(ServerError, match="no-such-option"), Redis("--no-such-option", "1"):
        pass


def test_a_killed_test_run_leaves_nothing_behind(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from servers import Redis
        server = Redis()
        server.start()
        print(server.port, server.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    need("redis-server")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        cwd=Path(__file__).parent,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    port, folder = done.stdout.split()
    wait_until(lambda: not Path(folder).exists(), "the folder to go", timeout=10)
    # The kernel closes a killed server's socket in its own time, after the signal was sent.
    wait_until(lambda: not _listens(int(port)), "the port to be free", timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
