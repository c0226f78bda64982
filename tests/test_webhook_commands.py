"""`liveroom webhooks` as an operator runs it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from liveroom import config
from liveroom.__main__ import main
from liveroom.adapters.store.deliveries import SqlDeliveries
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.migrate import migrate
from liveroom.adapters.store.outbox import Outbox, written
from liveroom.back_ends import _listeners
from liveroom.events import MemberRoleChanged
from liveroom.ports.outbox import position_of
from receivers import OTHER_SECRET, SECRET, Answer, Receiver
from service import clean_env

ENV = {"JWT_SECRET": "kT8-2vXq9_Lw4zRb7Nc1Yp6Hd3Js5Gf0", "TRTC_TIM_APPID": "1400000000", "TRTC_TIM_SECRET": "x" * 32}
NOON = 1_700_000_000_000
Told = Callable[..., str]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, receiver: Receiver
) -> Told:
    """Run a command here, with two webhooks, and answer what it printed."""
    monkeypatch.chdir(tmp_path)
    url = f"http://user:pass@127.0.0.1:{receiver.port}/hooks?key=hush"
    (tmp_path / "liveroom.toml").write_text(
        f"""
        [tenants.acme]
        sdk_app_id = 1400000002
        secret = "another key of another application"
        im_events = true
        [tenants.acme.webhooks.backend]
        url = "{url}"
        secret = "{SECRET}"
        kinds = ["member.role_changed"]
        allow_private = true
        [tenants.default.webhooks.board]
        url = "{url}"
        secret = "{SECRET}"
        max_batch = 10
        """,
        encoding="utf-8",
    )

    def run_here(*args: str, status: int = 0) -> str:
        monkeypatch.setattr(os, "environ", clean_env(ENV))
        try:
            ended = main(["webhooks", *args])
        except SystemExit as ending:
            ended = int(ending.code or 0)
        printed = "".join(capsys.readouterr())
        assert ended == status, printed
        assert not [secret for secret in ("Traceback", "hush", "user:pass", SECRET) if secret in printed], printed
        return printed

    return run_here


async def prepare(folder: Path, rooms: int = 0, dead: int = 0) -> None:
    """A database in which rooms wait for acme's webhook, and some of their letters are dead."""
    database = Database(f"sqlite:///{folder}/data/liveroom.sqlite")
    await migrate(database)
    tenant = config.load(ENV).tenants["acme"]
    outbox, deliveries = Outbox(database.dialect, {"acme": _listeners(tenant)}), SqlDeliveries(database)
    for number in range(rooms):
        event = MemberRoleChanged(tenant="acme", room_id=f"room{number}", opening=1, user_id="u", role="anchor")
        row = written(event, event.room_id, position_of(1), NOON)
        await database.write(lambda connection, row=row: outbox.write(connection, [row]))  # type: ignore[misc]
    for delivery in await deliveries.take("acme", "backend", NOON, NOON + 1, dead) if dead else []:
        await deliveries.bury(delivery, NOON, "HTTP status 500")
    for delivery in await deliveries.take("acme", "backend", NOON, NOON + 2, 1):
        await deliveries.put_off(delivery, NOON, NOON + 1_000)
    await database.close()


def test_the_list(told: Told, tmp_path: Path, receiver: Receiver) -> None:
    asyncio.run(prepare(tmp_path, rooms=5, dead=2))
    shown = json.loads(told("list", "--json"))
    url = f"http://127.0.0.1:{receiver.port}/hooks"
    assert {one["tenant"] + "/" + one["name"] for one in shown} == {"acme/backend", "acme/@im", "default/board"}
    backend = next(one for one in shown if one["name"] == "backend")
    assert backend == {
        "tenant": "acme",
        "name": "backend",
        "url": url,
        "kinds": ["member.role_changed"],
        "waiting": 3,
        "failing": 1,
        "failingSince": NOON,
        "dead": 2,
    }
    text = told("list")
    assert f"acme/backend  {url}\n" in text
    assert "waiting  3 logs, failing since 2023-11-14 22:13:20 UTC\n" in text
    assert "dead     2 letters\n" in text


def test_replay(told: Told, tmp_path: Path) -> None:
    asyncio.run(prepare(tmp_path, rooms=250, dead=230))
    assert "230 dead letters of acme/backend" in told("replay", "backend", "--tenant", "acme")
    shown = {one["name"]: one for one in json.loads(told("list", "--json"))}
    assert (shown["backend"]["waiting"], shown["backend"]["dead"]) == (250, 0)
    again = json.loads(told("replay", "backend", "--tenant", "acme", "--json"))
    assert again == {"tenant": "acme", "name": "backend", "replayed": 0}


def test_replay_shows_on_a_terminal_how_far_it_is(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(prepare(tmp_path, rooms=150, dead=150))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    printed = told("replay", "backend", "--tenant", "acme")
    assert "[####################..........] 100/150" in printed
    assert "[##############################] 150/150\n" in printed


def test_test_that_is_taken(told: Told, receiver: Receiver) -> None:
    assert "took it with HTTP status 204" in told("test", "backend", "--tenant", "acme")
    assert json.loads(told("test", "backend", "--tenant", "acme", "--json")) == {"status": 204, "trouble": ""}
    message = receiver.messages[0]
    assert (message.body["kind"], message.body["tenant"], message.body["id"]) == ("webhook.test", "acme", message.id)
    assert receiver.faults == []


def test_test_that_is_refused(told: Told, receiver: Receiver) -> None:
    receiver.answer = lambda _: Answer(500)
    assert "HTTP status 500" in told("test", "backend", "--tenant", "acme", status=1)
    shown = json.loads(told("test", "backend", "--tenant", "acme", "--json", status=1))
    assert shown == {"status": 500, "trouble": "HTTP status 500"}


def test_test_of_a_private_address(told: Told) -> None:
    assert "public internet" in told("test", "board", status=1)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["test", "none"], "board"),
        (["test", "backend", "--tenant", "none"], "acme"),
        (["replay", "none", "--tenant", "acme"], "backend"),
        (["replay", "@im"], "@im"),
        ([], "VERB"),
    ],
)
def test_names_that_are_none(told: Told, args: list[str], word: str) -> None:
    assert word in told(*args, status=2)


def test_a_schema_of_another_version(told: Told, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "liveroom migrate" in told("list", status=2)


def test_secrets_are_fresh_and_long_enough(told: Told) -> None:
    first, second = told("secret").strip(), told("secret").strip()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize("args", [["--help"], ["list", "--help"], ["replay", "--help"], ["test", "--help"]])
def test_help(told: Told, args: list[str]) -> None:
    assert "usage: liveroom webhooks" in told(*args)


def test_help_teaches(told: Told) -> None:
    printed = told("--help")
    for word in ("liveroom.toml", "whsec_", "Standard Webhooks", "liveroom webhooks test"):
        assert word in printed
    assert OTHER_SECRET not in printed
