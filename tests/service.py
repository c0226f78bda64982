"""The service as the real processes an operator runs, for the tests."""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from servers import DEADLINE, Daemon, MariaDB, Redis, RedisCluster, ServerError, free_port

__all__ = ["PROGRAM", "Service", "Topology", "embedded", "free_port", "run", "two_processes"]

PROGRAM = (sys.executable, "-m", "liveroom")


def clean_env(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment of PATH, HOME and what is given, nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **(given or {})}


class Service(Daemon):
    """One process of the service, in a clean environment and an empty working directory.

    `with Service(...)` starts it, waits until it is ready, stops it and removes its folder. `toml` is its
    `liveroom.toml`, if any.
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
        name: str = "service",
        toml: str = "",
    ) -> None:
        super().__init__(name)
        self.command = [*program, "serve", "--port", str(self.port), *args]
        self.env = clean_env(env)
        self.directory = self.folder / "cwd"
        self.directory.mkdir()
        if toml:
            (self.directory / "liveroom.toml").write_text(toml, encoding="utf-8")

    def __enter__(self) -> Service:
        super().__enter__()
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    @property
    def url(self) -> str:
        """The URL it serves at, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Start the process, also again after a stop or a kill, without waiting: see `wait_ready`."""
        self._spawn(self.command, self.directory, self.env)

    def wait_ready(self, timeout: float = DEADLINE) -> None:
        """Wait until `GET /readyz` answers 200, or raise with the log's tail."""
        self._wait_ready(lambda: self.status("/readyz") == 200, timeout)

    def status(self, path: str) -> int | None:
        """Return the HTTP status of a GET, or None when there is no answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", path)
            with connection.getresponse() as response:
                return response.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the process in good order and remove its folder."""
        self.stop()
        super().close()


def run(args: Sequence[str], env: Mapping[str, str], cwd: os.PathLike[str], program: Sequence[str] = PROGRAM) -> str:
    """Run one command of the service to its end in a clean environment and return what it printed."""
    command = [*program, *args]
    done = subprocess.run(
        command,
        check=False,
        env=clean_env(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )
    if done.returncode != 0:
        printed = f"{done.stdout}{done.stderr}"
        raise ServerError(f"{' '.join(command)} ended with exit code {done.returncode}:\n{printed}")
    return done.stdout


@dataclass(frozen=True)
class Topology:
    """A running deployment: the URL of each of its processes, which all serve the same rooms."""

    name: str
    urls: list[str]
    services: list[Service]


@contextlib.contextmanager
def embedded(program: Sequence[str] = PROGRAM, toml: str = "") -> Iterator[Topology]:
    """Run one process on SQLite and memory."""
    with Service(["--dev", "--data", "data"], program=program, toml=toml) as service:
        yield Topology("embedded", [service.url], [service])


@contextlib.contextmanager
def two_processes(
    mariadb: MariaDB, redis: Redis | RedisCluster, program: Sequence[str] = PROGRAM, toml: str = ""
) -> Iterator[Topology]:
    """Run two processes that share one fresh MySQL database and one Redis."""
    env = backend_env(mariadb, mariadb.new_database(), redis)
    services = [Service([], env, program, toml=toml) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        for service in services:
            stack.callback(service.close)
        run(["migrate"], env, services[0].directory, program)
        for service in services:
            service.start()
        for service in services:
            service.wait_ready()
        yield Topology("two-processes", [service.url for service in services], services)


def backend_env(mariadb: MariaDB, database: str, redis: Redis | RedisCluster) -> dict[str, str]:
    """Return the settings of a production process on these servers, with a fresh JWT secret."""
    return {
        "MYSQL_HOST": mariadb.host,
        "MYSQL_PORT": str(mariadb.port),
        "MYSQL_USER": "root",
        "MYSQL_PASSWORD": "",
        "MYSQL_DB": database,
        **state_env(redis),
        "JWT_SECRET": secrets.token_urlsafe(36),
        "TRTC_TIM_APPID": "1400000000",
        "TRTC_TIM_SECRET": "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e",
        "TIM_ADMINISTRATOR": "administrator",
        "LIVEROOM_LIMITS": "off",
        "LIVEROOM_IM": "embedded",
    }


def state_env(redis: Redis | RedisCluster) -> dict[str, str]:
    """Return the settings that name the state store."""
    if isinstance(redis, RedisCluster):
        return {"LIVEROOM_STATE_URL": redis.url}
    return {"REDIS_HOST": redis.host, "REDIS_PORT": str(redis.port)}
