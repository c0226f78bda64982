"""What the service writes to its log: enough to find a request by, and nothing that is secret."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from calls import CALLS
from wire import FORM, JSON, compact, fresh_name
from wire import Service as Client

from servers import MariaDB
from service import Service

SALT = "5a17c0de5a17c0de5a17c0de5a17c0de"
TAG_SECRET = "7a95ec2e77a95ec2e77a95ec2e77a95e"
PHONE = "18500002222"
JWT_SECRET = "Jw8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0"
APP_SECRET = "a995ec2efff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5"
PRODUCTION = {
    "JWT_SECRET": JWT_SECRET,
    "TRTC_TIM_APPID": "1400000000",
    "TRTC_TIM_SECRET": APP_SECRET,
    "LIVEROOM_OAUTH_SECRETS": f"portal:{TAG_SECRET}",
    "LIVEROOM_OAUTH_REGISTER": "on",
    "LIVEROOM_ACCESS_LOG": "on",
}


class Caller:
    """Calls a service with secrets in every place where a client might put them, and remembers them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = Client([service.url])
        self.secrets = {SALT, TAG_SECRET, PHONE, JWT_SECRET, APP_SECRET}
        self.token = "eyJhbGciOiJub25lIn0.not-yet-signed-in.c2ln"
        self.ids = {"userId": "10000000", "token": self.token}

    def signature(self, username: str, secret: str = SALT, tag: str = "") -> str:
        made = hashlib.md5(f"{username}-{tag}---{secret}".encode()).hexdigest()
        self.secrets.add(made)
        return made

    def sign_in(self) -> None:
        """By a registered salt, and vouched for by a back end that knows a tag's secret."""
        name = fresh_name()
        self.client.post_json("/base/v1/oauth/register", compact({"username": name, "salt": SALT}))
        self.login({"username": fresh_name(), "tag": "portal"}, TAG_SECRET)
        self.login({"username": name, "tag": ""}, SALT)

    def login(self, who: dict[str, str], secret: str) -> None:
        proof = {**who, "signature": self.signature(who["username"], secret, who["tag"])}
        data = self.client.post_json("/base/v1/oauth/signature", compact(proof)).json()["data"]
        self.token = data["token"]
        self.ids = {"userId": data["userId"], "token": self.token}
        self.secrets |= {data["token"], data["userSig"]}

    def everything(self) -> dict[str, object]:
        """Fitting for no call, and full of secrets for each."""
        proof = {"username": "alice", "salt": SALT, "signature": self.signature("alice", tag="x"), "tag": "x"}
        return {**self.ids, **proof, "searchPhone": f"+86{PHONE}", "roomId": "r", "appId": "0", "title": self.token}

    def well_formed(self) -> None:
        """Every call by query, form and JSON; user_delete and user_logout with a wrong user."""
        for call in CALLS:
            given = self.everything()
            if call.path.endswith(("user_delete", "user_logout")):
                given["userId"] = "10000001"
            query = "&".join(f"{name}={quote(str(value), '')}" for name, value in given.items())
            self.client.get(call.url, query)
            self.client.post_form(call.url, query)
            self.client.post_json(call.url, compact(given))

    def malformed(self) -> None:
        """Bodies and queries that cannot be read, or that a parser might quote in its complaint."""
        text = compact(self.everything())
        for call in CALLS:
            for body in (text[:-1], f"[{text}]", text.replace('"r"', "01"), "{" * 20_000 + text, f'{text}"{SALT}'):
                self.client.post_json(call.url, body)
            for body in (text.encode() + b"\xff", f"token={self.token}&salt={SALT}&x=%FF".encode(), b"[" * 90_000):
                for kind in (JSON, FORM, "multipart/form-data; boundary=x"):
                    self.client.send("POST", call.url, body, {"Content-Type": kind})
            self.client.get(call.url, f"token={self.token}&salt={SALT}&signature=%FF{SALT}&searchPhone={PHONE}")

    def out_of_bounds(self) -> None:
        """Types, lengths and numbers that a rule or a database might choke on."""
        odd: list[object] = [{"a": SALT}, [self.token], 10**30, -1, 1.5, True, SALT * 400, f"{PHONE}\x00", "\ud800"]
        for call in CALLS:
            for value in odd:
                given = {**dict.fromkeys(self.everything(), value), "token": self.token, "salt": SALT}
                self.client.send("POST", call.url, json.dumps(given).encode(), {"Content-Type": JSON})

    def beside_the_path(self) -> None:
        """Unknown paths and methods, headers, and requests that are no HTTP."""
        query = f"?token={self.token}&salt={SALT}&signature={SALT}&searchPhone={PHONE}"
        for path in ("/", "/docs", "/nothing", "/base/v1/nothing", "/prod//base/v1/rooms/x", "/metrics", "/readyz"):
            for method in ("GET", "POST", "PUT", "HEAD", "OPTIONS"):
                self.client.send(method, path + query, f"token={self.token}".encode())
        named = {"Authorization": f"Bearer {self.token}", "Cookie": f"token={self.token}", "X-Request-Id": self.token}
        self.client.send("GET", "/base/v1/rooms/query_room" + query, None, {**named, "Referer": f"/{query}"})
        for raw in (f"GET /{query} HTTP/9.9\r\n\r\n", f"{self.token}\r\n\r\n", f"GET /{query}\r\n: {SALT}\r\n\r\n"):
            with socket.create_connection((self.service.host, self.service.port), timeout=5) as connection:
                connection.sendall(raw.encode())
                connection.recv(4096)
        with socket.create_connection((self.service.host, self.service.port), timeout=5) as connection:
            connection.sendall(f"POST /{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{SALT}".encode())

    def leaked(self) -> list[str]:
        """The secrets of which twelve characters in a row are in the log."""
        log = settled_log(self.service)
        assert log, "there is a log to look at"
        return sorted(secret for secret in self.secrets if any(piece in log for piece in pieces(secret)))


def settled_log(service: Service) -> str:
    """The log once nothing is written any more: a line about a call may come after its answer."""
    before, log = "", service.log()
    while log != before:
        time.sleep(0.1)
        before, log = log, service.log()
    return log


def pieces(secret: str) -> Iterator[str]:
    """Its parts, without the beginning that all tokens share: a part is secret as well."""
    size = min(12, len(secret))
    start = secret.find(".") + 1 if secret.startswith("eyJ") else 0
    return (secret[at : at + size] for at in range(start, len(secret) - size + 1))


@pytest.fixture(scope="module")
def dev() -> Iterator[Service]:
    """A dev service, which logs every call by default."""
    more = {"LIVEROOM_OAUTH_SECRETS": f"portal:{TAG_SECRET}", "LIVEROOM_OAUTH_REGISTER": "on"}
    with Service(["--dev", "--data", "data"], more) as service:
        yield service


def test_calls_are_logged(dev: Service) -> None:
    """So that the tests below look at the right place."""
    Client([dev.url]).get("/base/v1/rooms/leave_room", f"token={SALT}")
    lines = [line for line in settled_log(dev).splitlines() if "rooms/leave_room" in line]
    assert lines
    assert all("2003" in line and "token" not in line and "?" not in line for line in lines)


def test_before_signing_in(dev: Service) -> None:
    caller = Caller(dev)
    caller.well_formed()
    assert caller.leaked() == []


@pytest.mark.parametrize("kind", ["well_formed", "malformed", "out_of_bounds", "beside_the_path"])
def test_signed_in(dev: Service, kind: str) -> None:
    caller = Caller(dev)
    caller.sign_in()
    getattr(caller, kind)()
    assert caller.leaked() == []


def test_what_a_dev_service_made_up(dev: Service) -> None:
    made = json.loads((dev.directory / "data" / "secrets").read_bytes())
    caller = Caller(dev)
    caller.secrets |= {made["JWT_SECRET"], made["TRTC_TIM_SECRET"]}
    assert caller.leaked() == []


def test_while_the_database_is_away(mariadb: MariaDB, mysql_url: str) -> None:
    """Drivers quote statements and values in their errors; here in the log of a production service."""
    settings = {**PRODUCTION, "LIVEROOM_DATABASE_URL": mysql_url}
    with Service(["--migrate"], settings) as service:
        caller = Caller(service)
        caller.sign_in()
        mariadb.kill()
        codes = {caller.client.post_json(call.url, compact(caller.everything())).json()["errorCode"] for call in CALLS}
        assert 103 in codes
        mariadb.heal()
        caller.well_formed()
        mariadb.execute("DROP TABLE rooms; DROP TABLE accounts", mysql_url.rpartition("/")[2])
        caller.well_formed()
        log = settled_log(service)
        assert caller.leaked() == []
    assert "root@" not in log, "nor where the database is, with its user"
    entries = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(entry["level"] == "error" and "database" in entry["event"] for entry in entries)
    assert all({"event", "level", "timestamp"} <= entry.keys() for entry in entries)
