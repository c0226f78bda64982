"""`python -m liveroom` as an operator runs it: starts, refusals to start, and the small commands."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from calls import CALLS
from wire import Service as Client
from wire import compact

from liveroom import __version__, config
from liveroom.__main__ import main
from liveroom.services import usersig
from servers import Redis, wait_until
from service import PROGRAM, Service, clean_env, free_port, run

SECRET = "kT8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0"
APP_SECRET = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
ENV = {"JWT_SECRET": SECRET, "TRTC_TIM_APPID": "1400000000", "TRTC_TIM_SECRET": APP_SECRET}
PASSWORD = "hunter2-and-nobody-else-knows-it"
KEY, OTHER_KEY = "Zx8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0", "Qy8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0"
SALT = "1e80a39bf9e1cb8e97cdaee2ace85281"
Told = Callable[..., str]
# More settings, more arguments, what the refusal has to say.
STARTS: list[tuple[dict[str, str], list[str], list[str]]] = [
    ({"JWT_SECRET": ""}, [], ["JWT_SECRET"]),
    ({"JWT_SECRET": "default"}, [], ["JWT_SECRET"]),
    ({"LIVEROOM_LIMIT": "on"}, [], ["LIVEROOM_LIMIT", "LIVEROOM_LIMITS?"]),
    ({}, ["--workers", "2"], ["--workers", "MySQL", "Redis"]),
    ({"MYSQL_HOST": "127.0.0.1"}, ["--workers", "2"], ["Redis"]),
    ({"REDIS_HOST": "127.0.0.1"}, ["--workers", "2"], ["MySQL"]),
    ({"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": "1", "MYSQL_PASSWORD": PASSWORD}, [], ["database"]),
    ({"LIVEROOM_DATABASE_URL": f"nonsense {PASSWORD}"}, [], ["LIVEROOM_DATABASE_URL"]),
    ({"LIVEROOM_DATABASE_URL": f"postgresql://u:{PASSWORD}@h/d"}, [], ["LIVEROOM_DATABASE_URL"]),
]


def begun(args: list[str], env: Mapping[str, str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *args],
        env=clean_env(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def complaint(process: subprocess.Popen[str]) -> str:
    """What a command printed that ended by itself, having refused."""
    try:
        printed, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode not in (0, None), printed
    return hiding(printed)


def hiding(printed: str) -> str:
    assert "Traceback" not in printed
    assert not [secret for secret in (SECRET, APP_SECRET, PASSWORD, KEY, OTHER_KEY) if secret in printed]
    return printed


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Told:
    """Run a command that ends by itself, here: an interpreter of its own costs most of a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("liveroom.__main__.AnnouncingServer", None)  # nothing is ever served from here

    def run_here(args: list[str], env: Mapping[str, str], refused: bool = False) -> str:
        monkeypatch.setattr(os, "environ", clean_env(env))
        try:
            status = main(args)
        except SystemExit as ending:
            status = int(ending.code or 0)
        printed = "".join(capsys.readouterr())
        assert (status != 0) is refused, printed
        return hiding(printed) if refused else printed

    return run_here


def post(service: Service, call: str, **parameters: object) -> dict[str, Any]:
    return dict(Client([service.url]).post_json(f"/base/v1/{call}", compact(parameters)).json())


def signed_in(service: Service, username: str) -> dict[str, Any]:
    signature = hashlib.md5(f"{username}----{SALT}".encode()).hexdigest()
    return post(service, "oauth/signature", username=username, signature=signature)


@pytest.mark.parametrize(("env", "args", "words"), STARTS)
def test_starts_that_are_refused(told: Told, env: dict[str, str], args: list[str], words: list[str]) -> None:
    printed = told(["serve", "--port", "0", *args], {**ENV, **env}, refused=True)
    assert [word for word in words if word not in printed] == []


def test_a_refused_start_as_a_process(tmp_path: Path) -> None:
    """One line, an exit status, no trace; also where only the workers would notice."""
    settings = ({"JWT_SECRET": ""}, {"LIVEROOM_STATE_URL": f"http://:{PASSWORD}@h:1"})
    starts = [begun(["serve", "--port", "0"], {**ENV, **wrong}, tmp_path) for wrong in settings]
    no_secret, no_state = map(complaint, starts)
    assert no_secret.startswith("liveroom: JWT_SECRET")
    assert no_secret.count("\n") == 1
    assert "LIVEROOM_STATE_URL" in no_state


@pytest.mark.parametrize("command", ["serve", "check-config", "migrate", "usersig x"])
def test_a_typo_in_the_file_of_the_tenants(told: Told, tmp_path: Path, command: str) -> None:
    (tmp_path / "liveroom.toml").write_text("[tenants.acme]\nsdk_appid = 1\n")
    printed = told(command.split(), ENV, refused=True)
    assert "liveroom.toml" in printed
    assert "sdk_appid" in printed


def test_a_fresh_mysql(mysql_url: str) -> None:
    """`serve` says what to do, or does it when told to."""
    env = {**ENV, "LIVEROOM_DATABASE_URL": mysql_url}
    service = Service([], env)
    with contextlib.closing(service):
        printed = complaint(begun(service.command[3:], env, service.directory))
        assert "liveroom migrate" in printed
    with Service(["--migrate"], env) as service:
        assert post(service, "oauth/register", username="alice", salt=SALT)["errorCode"] == 0


def test_migrate_twice(told: Told, mysql_url: str, tmp_path: Path) -> None:
    mysql = {"LIVEROOM_DATABASE_URL": mysql_url}
    first, second = (json.loads(run(["migrate", "--json"], mysql, tmp_path)) for _ in range(2))
    assert (first["from"], second["from"]) == (None, first["to"])
    assert second["to"] == first["to"]

    sqlite = {"LIVEROOM_DATABASE_URL": f"sqlite:///{tmp_path}/new/folder/rooms.sqlite"}
    assert json.loads(told(["migrate", "--json"], sqlite)) == first
    assert json.loads(told(["migrate", "--json"], sqlite)) == second
    assert first["to"] in told(["migrate"], sqlite)


def test_two_workers(mysql_url: str, redis_server: Redis) -> None:
    env = {**ENV, "LIVEROOM_DATABASE_URL": mysql_url, "LIVEROOM_STATE_URL": redis_server.url}
    with Service(["--workers", "2", "--migrate"], env) as service:
        wait_until(lambda: service.log().count("Started worker-") == 2, "both workers")
        assert post(service, "oauth/register", username="alice", salt=SALT)["errorCode"] == 0
        login = signed_in(service, "alice")["data"]
        ids = {"userId": login["userId"], "token": login["token"]}
        assert {post(service, "auth_users/user_keepalive", **ids)["errorCode"] for _ in range(20)} == {0}
        assert b'code="0"} 20' in Client([service.url]).send("GET", "/metrics").body, "of both workers"


def test_a_stop_while_a_worker_starts() -> None:
    """It ends at once, rather than coming up, not knowing of the stop, and being killed."""
    service = Service(["--dev", "--data", "kept"])
    with contextlib.closing(service):
        for turn in range(1, 6):
            service.start()
            wait_until(lambda turn=turn: service.log().count("Spawning worker-") == turn, "a worker")
            time.sleep(turn / 50)
            assert service.stop() == 0
            assert "Killing" not in service.log()


def test_a_wrong_data_key(told: Told, tmp_path: Path) -> None:
    """Refused before it can lock everybody out; the data stays good."""
    env = {**ENV, "LIVEROOM_DATABASE_URL": f"sqlite:///{tmp_path}/rooms.sqlite", "LIVEROOM_DATA_KEY": KEY}
    with Service([], env) as service:
        assert post(service, "oauth/register", username="alice", salt=SALT)["errorCode"] == 0
    for wrong in (OTHER_KEY, ""):
        printed = told(["serve", "--port", "0"], {**env, "LIVEROOM_DATA_KEY": wrong}, refused=True)
        assert "LIVEROOM_DATA_KEY" in printed
    with Service([], {**env, "LIVEROOM_DATA_KEY": f"{OTHER_KEY} {KEY}"}) as service:
        assert signed_in(service, "alice")["errorCode"] == 0


@pytest.fixture(scope="module")
def dev() -> Iterator[Service]:
    with Service(["--dev", "--data", "kept"]) as service:
        yield service


def test_dev_secrets_and_data_are_kept(dev: Service) -> None:
    path = dev.directory / "kept" / "secrets"
    made = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert post(dev, "oauth/register", username="alice", salt=SALT)["errorCode"] == 0
    before = signed_in(dev, "alice")["data"]
    ids = {"userId": before["userId"], "token": before["token"]}
    assert post(dev, "rooms/enter_room", **ids, appId="0", roomId=before["userId"], title="kept")["errorCode"] == 0

    assert dev.stop() == 0
    dev.start()
    dev.wait_ready()

    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (made, 0o600)
    assert signed_in(dev, "alice")["data"]["userId"] == before["userId"]
    assert post(dev, "auth_users/user_keepalive", **ids)["errorCode"] == 0, "the old token is still good"
    assert post(dev, "rooms/room_detail", **ids, roomId=before["userId"])["data"]["title"] == "kept"


def test_what_a_dev_start_prints(dev: Service) -> None:
    printed = dev.log()
    made = json.loads((dev.directory / "kept" / "secrets").read_bytes())
    assert not [name for name, secret in made.items() if name.endswith("SECRET") and secret in printed]
    assert f"{dev.url}/docs" in printed
    (target,) = {line.split("'")[1] for line in printed.splitlines()[:6] if "curl '" in line}
    reply = Client([dev.url]).send("GET", target.removeprefix(dev.url))
    assert reply.json()["errorCode"] == 0, "the curl line works"
    app_id = next(line.split()[-1] for line in printed.splitlines() if "sdkAppId" in line)
    assert signed_in(dev, target.split("username=")[1].split("&")[0])["data"]["sdkAppId"] == int(app_id)


def test_usersig_in_dev_mode(dev: Service) -> None:
    """It signs as the dev service does."""
    made = json.loads((dev.directory / "kept" / "secrets").read_bytes())
    env = {"LIVEROOM_DEV": "on", "LIVEROOM_DATA": "kept"}
    printed = json.loads(run(["usersig", "alice", "--json"], env, dev.directory))
    secret = made["TRTC_TIM_SECRET"]
    assert usersig.verify(printed["userSig"], printed["sdkAppId"], secret, "alice", int(time.time()))


def test_usersig(told: Told, tmp_path: Path) -> None:
    (tmp_path / "liveroom.toml").write_text('[tenants.acme]\nsdk_app_id = 7\nsecret = "acme-secret"\n')
    now = int(time.time())
    printed = run(["usersig", "user-1"], ENV, tmp_path)
    sig = printed.strip()
    assert printed == f"{sig}\n"
    assert usersig.verify(sig, 1400000000, APP_SECRET, "user-1", now)
    assert usersig.read(sig)["TLS.expire"] == 172_800
    assert not usersig.verify(sig, 1400000000, APP_SECRET, "user-2", now)

    acme = json.loads(told(["usersig", "acme-1", "--tenant", "acme", "--ttl", "60", "--json"], ENV))
    assert (acme["sdkAppId"], acme["userId"]) == (7, "acme-1")
    assert usersig.verify(acme["userSig"], 7, "acme-secret", "acme-1", now)
    assert usersig.read(acme["userSig"])["TLS.expire"] == 60
    assert "nobody" in told(["usersig", "x", "--tenant", "nobody"], ENV, refused=True)
    told(["usersig", "x"], {}, refused=True)
    assert [path.name for path in tmp_path.iterdir()] == ["liveroom.toml"], "nothing else is left behind"


def test_check_config(told: Told, tmp_path: Path) -> None:
    hidden = {
        names[0]: f"{PASSWORD}{number}"
        for number, (field, names) in enumerate(config.setting_names().items())
        if (config.setting_meta()[field].extra or {})["secret"]
    }
    hidden["LIVEROOM_DATABASE_URL"] = f"mysql://u:{PASSWORD}@h/d"
    hidden["LIVEROOM_STATE_URL"] = f"redis://:{PASSWORD}@h:1/0"
    hidden["LIVEROOM_OAUTH_SECRETS"] = f"tag:{PASSWORD}"
    (tmp_path / "liveroom.toml").write_text(f'[tenants.acme]\nsdk_app_id = 7\nsecret = "{PASSWORD}"\n')
    env = {**hidden, "TRTC_TIM_APPID": "1400000000", "PORT": "9001"}
    text, as_json = told(["check-config"], env), run(["check-config", "--json"], env, tmp_path)
    assert PASSWORD not in text + as_json
    assert "acme" in text
    shown = json.loads(as_json)
    assert shown.keys() == {names[0] for names in config.setting_names().values()}
    assert (str(shown["PORT"]), str(shown["TRTC_TIM_APPID"])) == ("9001", "1400000000")
    assert all(shown[name] and name in text for name in hidden), "that it is set is shown"
    for missing in ("JWT_SECRET", "TRTC_TIM_APPID", "TRTC_TIM_SECRET"):
        printed = told(["check-config"], {**env, missing: ""}, refused=True)
        (complaining,) = [line for line in printed.splitlines() if line.startswith("liveroom: ")]
        assert missing in complaining


def test_sigterm(dev: Service) -> None:
    """Stops within seconds, also while somebody is connected."""
    idle = http.client.HTTPConnection(dev.host, dev.port, timeout=5)
    with contextlib.closing(idle):
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        began = time.monotonic()
        code = dev.stop()
        took = time.monotonic() - began
    dev.start()
    dev.wait_ready()
    assert code == 0
    assert took < 5


def test_without_trtc() -> None:
    with Service([], {"JWT_SECRET": SECRET}) as service:
        client = Client([service.url])
        for path in ["/", "/helloworld", "/base/v1/", *(call.url for call in CALLS)]:
            for reply in (client.send("GET", path), client.post_json(path, "{}")):
                body = reply.json()
                assert (reply.status, body["errorCode"], body["errorMessage"]) == (503, 99, "Invalid TRTC config")
        assert "Invalid TRTC config" in service.log(), "the operator is told"


def test_help_and_version(told: Told, tmp_path: Path) -> None:
    assert run(["--version"], {}, tmp_path).split() == ["liveroom", __version__]
    commands, options = told(["-h"], {}), told(["serve", "-h"], {})
    assert [word for word in ("serve", "migrate", "check-config", "usersig") if word not in commands] == []
    wanted = ("--dev", "--host", "--port", "--workers", "--data", "--migrate")
    assert [option for option in wanted if option not in options] == []
    assert "COMMAND" in told([], {}, refused=True)
    assert list(tmp_path.iterdir()) == []


def test_im_simulator(told: Told, tmp_path: Path) -> None:
    """It teaches, and started where `serve --dev` was it has that application."""
    shown = told(["im-simulator", "-h"], {})
    taught = (
        "--host",
        "--port",
        "--app",
        "--admin",
        "--callback",
        "--callback-token",
        "TIM_DOMAIN",
        "/simulator/faults",
    )
    assert [word for word in taught if word not in shown] == []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secrets").write_text(json.dumps({"JWT_SECRET": SECRET, "TRTC_TIM_SECRET": APP_SECRET}))
    port = free_port()
    process = begun(["im-simulator", "--port", str(port)], {}, tmp_path)
    try:
        wait_until(lambda: answers(port, "/simulator/state"), "the simulator")
        sig = usersig.sign(1_400_000_000, APP_SECRET, "administrator", int(time.time()), 60)
        query = f"sdkappid=1400000000&identifier=administrator&usersig={sig}&random=1&contenttype=json"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(connection):
            connection.request("POST", f"/v4/im_open_login_svc/account_import?{query}", '{"UserID": "u1"}')
            assert json.load(connection.getresponse())["ErrorCode"] == 0
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"TIM_DOMAIN=http://127.0.0.1:{port}" in printed
    assert APP_SECRET not in printed


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False
