"""The whole ASGI app in this process: SQLite in a temporary folder, no socket."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from liveroom import app, config
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.migrate import migrate

from .sites import SETTINGS, Site, Start


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest revision, to be copied."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite"

    async def make() -> None:
        database = Database(f"sqlite:///{path}")
        await migrate(database)
        await database.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def start(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts apps in one empty folder, on one database."""
    monkeypatch.chdir(tmp_path)
    running = contextlib.AsyncExitStack()

    async def started(toml: str = "", **settings: str | None) -> Site:
        database = tmp_path / "liveroom.sqlite"
        if not database.exists():
            shutil.copyfile(empty_database, database)
        if toml:
            (tmp_path / "liveroom.toml").write_text(toml, encoding="utf-8")
        given = {**SETTINGS, "LIVEROOM_DATABASE_URL": f"sqlite:///{database}", **settings}
        asgi = app.asgi(config.load({name: value for name, value in given.items() if value is not None}))
        await running.enter_async_context(asgi.router.lifespan_context(asgi))
        transport = httpx.ASGITransport(app=asgi)
        client = httpx.AsyncClient(transport=transport, base_url="http://liveroom.test")
        return Site(asgi, await running.enter_async_context(client), database)

    yield started
    await running.aclose()


@pytest.fixture
async def site(start: Start) -> Site:
    """An app with plain settings."""
    return await start()
