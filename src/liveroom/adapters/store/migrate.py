"""Bringing the schema up to date (`liveroom migrate`)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from liveroom.adapters.store.engine import Database

_HERE = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The newest revision that this version of the service knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def revision(database: Database) -> str | None:
    """The revision that the database is at; None: it is empty."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


async def migrate(database: Database) -> None:
    """Run every migration that the database has not seen."""

    def upgrade(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with database.engine.begin() as connection:
        await connection.run_sync(upgrade)
