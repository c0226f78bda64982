"""Private MySQL and Redis servers: free ports on 127.0.0.1, temporary folders, gone after the tests."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Self

import pytest

HOST = "127.0.0.1"
DEADLINE = 30.0
WORKERS = 4

PACKAGES = {
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "mariadb": "mariadb-client",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "chromium": "chromium",
}


class ServerError(RuntimeError):
    """A server did not do what a test asked of it; the message ends with its log's tail."""


def find(binary: str) -> str | None:
    """Return the path of an installed binary, or None."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(binary, path=os.pathsep.join([path, "/usr/sbin", "/usr/local/sbin"]))


def need(binary: str) -> str:
    """Return the path of an installed binary; without it skip the test, or fail it where CI is set."""
    found = find(binary)
    if found is not None:
        return found
    hint = f"apt-get install {PACKAGES.get(binary, binary)}"
    message = f"MISSING BINARY {binary!r}: this test needs it; install it with: {hint}"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


_handed_out: set[int] = set()


def free_port() -> int:
    """Return a new port that is free, as is the port 10000 higher that Redis Cluster's bus takes.

    It lies below the range the kernel takes client ports from, so that no connection can take
    a server's port while that server is down (a client retrying on localhost could even meet itself).
    Each process of a test run has a part of the range to itself, and takes no port that another looks at.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10_000 + worker % WORKERS * (10_000 // WORKERS)
    while True:
        port = first + secrets.randbelow(10_000 // WORKERS)
        if port not in _handed_out and _bindable(port) and _bindable(port + 10_000):
            _handed_out.add(port)
            return port


def _bindable(port: int) -> bool:
    """Tell whether nothing holds this port."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_until(condition: Callable[[], bool], what: str, timeout: float = DEADLINE) -> None:
    """Poll a condition until it is true, or raise TimeoutError naming what was waited for."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(0.05)


_GUARDIAN = """
import contextlib, os, shutil, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
groups, folders = set(), set()
for line in sys.stdin:
    verb, value = line.rstrip("\\n").split(" ", 1)
    if verb == "folder":
        folders.add(value)
    elif verb == "watch":
        groups.add(int(value))
    else:
        groups.discard(int(value))
for group in groups:
    with contextlib.suppress(OSError):
        os.killpg(group, signal.SIGKILL)
for folder in folders:
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            break
        time.sleep(0.05)
"""


class Guardian:
    """A helper process that kills the servers and removes their folders once this process is gone.

    It notices by the end of its standard input, however this process ended. PR_SET_PDEATHSIG would
    not do: it fires when the thread that started the server ends, for a worker thread far too soon.
    """

    def folder(self, path: Path) -> None:
        """Have a folder removed at the end."""
        self._tell(f"folder {path}")

    def watch(self, group: int) -> None:
        """Have a process group killed at the end."""
        self._tell(f"watch {group}")

    def forget(self, group: int) -> None:
        """Leave a process group alone from now on, since its number may be used again."""
        self._tell(f"forget {group}")

    def _tell(self, line: str) -> None:
        self._pipe.write(line + "\n")
        self._pipe.flush()

    @cached_property
    def _pipe(self) -> IO[str]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARDIAN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None
        atexit.register(process.communicate)
        return process.stdin


guardian = Guardian()


class Daemon:
    """A child process with a process group, a port, a temporary folder and a log file of its own."""

    stop_timeout = 15.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = HOST
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"liveroom-{name}-"))
        guardian.folder(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._group_ended = True

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The number of the process and of its group."""
        if self._process is None:
            raise ServerError(f"{self.name} was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive, suspended or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, also again after a stop or a kill, and wait until it is ready."""
        raise NotImplementedError

    def stop(self) -> int:
        """End the process with SIGTERM, after `stop_timeout` with SIGKILL, and return its exit code."""
        if self._process is None:
            return 0
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_timeout)
        return self.kill()

    def kill(self) -> int:
        """End the whole process group with SIGKILL and return the exit code of the process."""
        if self._process is None:
            return 0
        if self._group_ended:
            return self._process.returncode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self._group_ended = True
        guardian.forget(self.pid)
        return code

    def suspend(self) -> None:
        """Stop the process group from running until `resume`: connections stay open, nothing answers."""
        os.killpg(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let a suspended process group go on."""
        if self.running:
            os.killpg(self.pid, signal.SIGCONT)

    def heal(self) -> None:
        """Resume a suspended process, start a dead one, leave a healthy one alone."""
        self.resume()
        if not self.running:
            self.start()

    def close(self) -> None:
        """End the process and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Return what the process wrote to its standard output and error, over all its starts."""
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def error(self, problem: str) -> ServerError:
        """Return an error that says what is wrong and ends with the log's tail."""
        tail = "\n".join(self.log().splitlines()[-40:])
        return ServerError(f"{self.name}: {problem}; the end of its log:\n{tail}")

    def wait_exit(self, timeout: float = DEADLINE) -> int:
        """Wait until the process ends by itself and return its exit code."""
        try:
            wait_until(lambda: not self.running, "its end", timeout)
        except TimeoutError as error:
            raise self.error(str(error)) from None
        return self.kill()

    def _spawn(self, command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> None:
        if self.running:
            raise ServerError(f"{self.name} is running already")
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._group_ended = False
        guardian.watch(self._process.pid)

    def _wait_ready(self, ready: Callable[[], bool], timeout: float = DEADLINE) -> None:
        try:
            wait_until(lambda: not self.running or ready(), "it to be ready", timeout)
        except TimeoutError as error:
            raise self.error(str(error)) from None
        if not self.running:
            raise self.error(f"ended with exit code {self.kill()} before it was ready")


class MariaDB(Daemon):
    """A MariaDB server (or a MySQL one where only that is installed) with durable commits.

    User `root` without a password over TCP.
    """

    def __init__(self) -> None:
        self._server = find("mariadbd") or find("mysqld") or need("mariadbd")
        self._client = find("mariadb") or find("mysql") or need("mariadb")
        self._mysql = find("mariadbd") is None
        super().__init__("mariadb")
        self._data = self.folder / "data"
        self._temporary = self.folder / "tmp"
        self._temporary.mkdir()

    def start(self) -> None:
        """Start the server, also again on its folder and port, and wait until it accepts connections."""
        if not self._data.exists():
            self._install()
        self._spawn([self._server, *self._options()], self.folder)
        self._wait_ready(self._greets)

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"mysql://root@{self.host}:{self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty utf8mb4 database and return its name."""
        name = f"liveroom_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database; a transaction left open on it makes this fail after 10 s."""
        self.execute(f"SET lock_wait_timeout = 10; DROP DATABASE IF EXISTS {name}")

    def execute(self, sql: str, database: str = "mysql") -> str:
        """Run SQL with the command-line client and return its output: tab-separated rows, no header."""
        address = ["--no-defaults", "--protocol=tcp", f"--host={self.host}", f"--port={self.port}"]
        text = ["--default-character-set=utf8mb4", "-NBe", sql]
        command = [self._client, *address, "--user=root", *text, database]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE)
        if done.returncode != 0:
            raise self.error(f"{sql!r} gave {done.stderr.strip()!r}")
        return done.stdout

    def _basics(self) -> list[str]:
        """The options that installing and serving share; MariaDB refuses to run as root unless told to."""
        options = ["--no-defaults", f"--datadir={self._data}", "--skip-name-resolve"]
        return [*options, "--user=root"] if os.geteuid() == 0 else options

    def _options(self) -> list[str]:
        options = [
            *self._basics(),
            f"--bind-address={self.host}",
            f"--port={self.port}",
            "--socket=mysqld.sock",
            f"--tmpdir={self._temporary}",
            "--character-set-server=utf8mb4",
            "--max-connections=400",
            "--innodb-buffer-pool-size=256M",
            "--innodb-flush-log-at-trx-commit=1",
            "--skip-log-bin",
        ]
        return [*options, *self._mysql_options()] if self._mysql else options

    def _install(self) -> None:
        """Make the data folder; `--rpm` keeps the installer out of the system's plugin folder."""
        if self._mysql:
            command = [self._server, *self._basics(), "--initialize-insecure"]
        else:
            account = ["--auth-root-authentication-method=normal", "--skip-test-db"]
            command = [need("mariadb-install-db"), *self._basics(), *account, "--rpm"]
        self._spawn(command, self.folder)
        if self.wait_exit() != 0:
            raise self.error("its data folder could not be made")

    def _mysql_options(self) -> list[str]:
        """MySQL's own options: its first account is root@localhost, which names no address."""
        accounts = self.folder / "accounts.sql"
        root = f"'root'@'{self.host}'"
        accounts.write_text(f"CREATE USER IF NOT EXISTS {root};\nGRANT ALL ON *.* TO {root} WITH GRANT OPTION;\n")
        return ["--mysqlx=OFF", f"--init-file={accounts}"]

    def _greets(self) -> bool:
        """Tell whether the server sends its handshake, which it does once it is up."""
        try:
            with socket.create_connection((self.host, self.port), timeout=5) as connection:
                return len(connection.recv(5)) > 4
        except OSError:
            return False


class Redis(Daemon):
    """A Redis server that keeps nothing on disk."""

    def __init__(self, *options: str) -> None:
        self._server = need("redis-server")
        self._options = options
        super().__init__("redis")

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        """Start the server, empty, on the same port as before, if any, and wait until it answers."""
        command = [self._server, "--port", str(self.port), "--bind", self.host]
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        self._spawn([*command, *self._options], self.folder)
        self._wait_ready(self._pongs)

    def ask(self, command: str, timeout: float = 5.0) -> str:
        """Send one command line and return the reply as it came."""
        with socket.create_connection((self.host, self.port), timeout=timeout) as connection:
            connection.sendall(f"{command}\r\nQUIT\r\n".encode())
            with connection.makefile("rb") as replies:
                return replies.read().decode().removesuffix("+OK\r\n")

    def flush(self) -> None:
        """Remove every key of every database."""
        reply = self.ask("FLUSHALL")
        if not reply.startswith("+OK"):
            raise self.error(f"FLUSHALL gave {reply!r}")

    def _pongs(self) -> bool:
        try:
            return self.ask("PING").startswith("+PONG")
        except OSError:
            return False


class RedisCluster:
    """A Redis Cluster of three masters, at first the first three of `nodes`, each with this many replicas."""

    def __init__(self, replicas: int = 0) -> None:
        self._cli = need("redis-cli")
        self._replicas = replicas
        self._created = False
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        options += ["--repl-diskless-sync-delay", "0"]
        self.nodes = [Redis(*options) for _ in range(3 * (1 + replicas))]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL that names the three first nodes."""
        return "redis+cluster://" + ",".join(f"{node.host}:{node.port}" for node in self.nodes[:3])

    def start(self) -> None:
        """Start every node that is down, make them one cluster the first time, and wait until it serves."""
        for node in self.nodes:
            node.heal()
        if not self._created:
            self._create()
        wait_until(lambda: all(map(self._serves, self.nodes)), "every node to say cluster_state:ok")

    def heal(self) -> None:
        """Resume and start again what was suspended or killed, and wait until the cluster serves."""
        self.start()

    def stop(self) -> None:
        """End every node with SIGTERM."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """End every node with SIGKILL."""
        for node in self.nodes:
            node.kill()

    def suspend(self) -> None:
        """Suspend every node."""
        for node in self.nodes:
            node.suspend()

    def resume(self) -> None:
        """Let every suspended node go on."""
        for node in self.nodes:
            node.resume()

    def flush(self) -> None:
        """Remove every key from every master."""
        for node in self.nodes:
            if "role:master" in node.ask("INFO replication"):
                node.flush()

    def owner(self, key: str) -> Redis:
        """Return the node that serves a key now."""
        for node in self.nodes:
            if node.running and node.ask(f"EXISTS {key}").startswith(":"):
                return node
        raise ServerError(f"no node serves {key!r}")

    def close(self) -> None:
        """End every node and remove their folders."""
        for node in self.nodes:
            node.close()

    def _create(self) -> None:
        addresses = [f"{node.host}:{node.port}" for node in self.nodes]
        command = [self._cli, "--cluster", "create", *addresses]
        command += ["--cluster-replicas", str(self._replicas), "--cluster-yes"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE)
        if done.returncode != 0:
            raise ServerError(f"{' '.join(command)} gave:\n{done.stdout}{done.stderr}")
        self._created = True

    def _serves(self, node: Redis) -> bool:
        """Tell whether a node sees the whole cluster and, as a replica, has its master's data."""
        try:
            info = node.ask("CLUSTER INFO") + node.ask("INFO replication")
        except OSError:
            return False
        known = re.search(r"cluster_known_nodes:(\d+)", info)
        complete = known is not None and int(known[1]) == len(self.nodes)
        return complete and "cluster_state:ok" in info and "master_link_status:down" not in info
