"""The schema: from empty to head is what the declared tables say, however often it is run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from contract.conftest import StoreBackEnd
from contract.nodes import Node
from liveroom.adapters.store.engine import Database
from liveroom.adapters.store.migrate import head, migrate, revision
from liveroom.adapters.store.tables import metadata


@pytest.fixture
async def empty(empty_store: StoreBackEnd) -> AsyncIterator[Database]:
    """A database without tables."""
    database = Database(empty_store.url)
    yield database
    await database.close()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def schema(connection: Connection) -> dict[str, list[str]]:
    """Each declared table as the database itself writes it down, its lines in no particular order."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
        written = {row.name: row.sql for row in rows if not row.name.startswith("alembic")}
    else:
        written = {name: connection.execute(text(f"SHOW CREATE TABLE {name}")).one()[1] for name in metadata.tables}
    return {name: sorted(parts(sql)) for name, sql in written.items()}


def parts(sql: str) -> list[str]:
    """What stands between the outermost parentheses, and before and after; SQLite appends an added column anywhere."""
    head, _, rest = sql.partition("(")
    inside, _, tail = rest.rpartition(")")
    found = re.split(r",(?![^()]*\))", " ".join(inside.split()))
    return [head.strip(), tail.strip(), *(part.strip() for part in found)]


async def test_empty_to_head_equals_the_declared_tables(empty: Database) -> None:
    await migrate(empty)
    async with empty.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_migrated_schema_is_the_declared_one_to_the_letter(empty: Database) -> None:
    """Lengths, character sets and defaults too, which the comparison above takes lightly."""
    await migrate(empty)
    async with empty.engine.connect() as connection:
        migrated = await connection.run_sync(schema)
    async with empty.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    async with empty.engine.connect() as connection:
        declared = await connection.run_sync(schema)
    assert set(metadata.tables) <= set(migrated)
    assert migrated == declared


async def test_the_revision_tells_how_far_a_database_is(empty: Database) -> None:
    assert await revision(empty) is None
    await migrate(empty)
    assert await revision(empty) == head()


async def test_migrating_again_changes_nothing(node: Node, other: Node) -> None:
    ann = await node.caller("ann")
    await node.enter(ann, "r", title="kept")
    await migrate(node.database)
    await migrate(other.database)
    assert await revision(other.database) == head()
    assert (await other.room("r")).title == "kept"
    assert await other.inside("r") == [ann.user_id]


async def test_a_migration_does_not_disturb_who_is_at_work(node: Node, other: Node) -> None:
    callers = await node.callers(5)
    await asyncio.gather(migrate(other.database), *(node.enter(caller, "r") for caller in callers))
    assert (await node.room("r")).inside == 5
