"""What a verb costs does not grow with the rows of others: it finds its own by an index."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select, text

from contract.conftest import StoreBackEnd
from contract.nodes import NOON, Node, query
from contract.verbs import READS, WRITES, own, settle
from liveroom.adapters.store.tables import accounts, endings, ids, members, metadata, rooms, sessions

ROWS = 1_500
# Short for ever: what waits to be pruned, and a row a data key.
SHORT = {"finished", "canaries", "alembic_version"}
Asked = tuple[str, Any]


@pytest.fixture
def asked() -> Iterator[list[Asked]]:
    """The statements that any engine runs, with their values."""
    found: list[Asked] = []

    def listen(_c: Any, _r: Any, statement: str, values: Any, _x: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            found.append((statement, values[0] if many else values))

    event.listen(Engine, "before_cursor_execute", listen)
    yield found
    event.remove(Engine, "before_cursor_execute", listen)


async def fill(node: Node) -> None:
    """Rows of others, enough of them that no planner takes a scan for cheap."""
    room: dict[str, Any] = {"tenant": "default", "opening": 1, "state": 0, "joined": 5}
    member: dict[str, Any] = {"tenant": "default", "opening": 1}
    lately = time.time_ns() // 1_000_000 - 1_800_000
    numbers = range(ROWS)
    rows: dict[Any, list[dict[str, Any]]] = {
        accounts: [{"tenant": "default", "user_id": f"u{n}", "username": f"name {n}"} for n in numbers],
        sessions: [{"tenant": "default", "sid": f"x{n}", "user_id": f"u{n}", "expires_at": NOON * 2} for n in numbers],
        endings: [{"tenant": "default", "sid": f"y{n}", "ended_at": lately + n} for n in numbers],
        ids: [{"tenant": "default", "id": f"u{n}", "kind": "account", "user_id": f"u{n}"} for n in numbers],
        rooms: [room | {"room_id": f"x{n}", "owned_by": f"u{n}", "opened_at": n} for n in numbers],
        members: [member | {"room_id": f"x{n % 50}", "user_id": f"u{n}", "place": n} for n in numbers],
    }
    for table, values in rows.items():
        async with node.database.engine.begin() as connection:
            await connection.execute(insert(table), values)
    async with node.database.engine.connect() as connection:
        for name in metadata.tables:
            await connection.execute(text(f"ANALYZE TABLE {name}" if connection.dialect.name == "mysql" else "ANALYZE"))


async def scanned(node: Node, asked: list[Asked]) -> list[str]:
    """The tables that the planner means to read from end to end."""
    found = []
    async with node.database.engine.connect() as connection:
        for statement, values in asked:
            if connection.dialect.name == "mysql":
                plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", values)
                found += [row.table for row in plan if row.type in {"ALL", "index"} and row.table in metadata.tables]
                continue
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            steps = [row.detail.split() for row in plan]
            found += [step[1] for step in steps if step[0] == "SCAN" and step[1] in metadata.tables]
    return [table for table in found if table not in SHORT]


@pytest.mark.parametrize("crowd", [1, 3])
async def test_no_verb_reads_a_table_from_end_to_end(node: Node, asked: list[Asked], crowd: int) -> None:
    """Neither for one caller nor for several who travel in one batch."""
    callers = [await settle(node, f"user {number}") for number in range(crowd)]
    await fill(node)
    verbs = READS | WRITES | {"rooms.change on deleting": lambda node, who: node.depart(who)}
    costs = {}
    for name, verb in verbs.items():
        asked.clear()
        await asyncio.gather(*(verb(node, caller) for caller in callers))
        costs[name] = await scanned(node, list(asked))
    assert {name: tables for name, tables in costs.items() if tables} == {}


async def test_pruning_reads_no_more_than_it_deletes(node: Node, asked: list[Asked]) -> None:
    """In full steps too: MariaDB takes a long list of keys for a table to be joined."""
    ann = await settle(node)
    await fill(node)
    aged = {"tenant": "default", "user_id": "1", "expires_at": 1}
    member: dict[str, Any] = {"tenant": "default", "room_id": own("open", ann), "opening": 1, "place": 9}
    async with node.database.engine.begin() as connection:
        await connection.execute(insert(sessions), [aged | {"sid": f"aged{n}"} for n in range(1_100)])
        await connection.execute(insert(members), [member | {"user_id": f"gone{n}"} for n in range(1_100)])
    await node.destroy(ann, own("open", ann))
    asked.clear()
    while await node.sessions.prune(NOON) + await node.rooms.prune():
        assert await scanned(node, list(asked)) == []
        asked.clear()
    assert len(await node.rows(select(sessions).where(sessions.c.expires_at == 1))) == 0
    assert len(await node.rows(select(members).where(members.c.place == 9, members.c.user_id.startswith("gone")))) == 0


@pytest.mark.parametrize("by_joined", [False, True])
@pytest.mark.parametrize("wish", [{}, {"category": ""}, {"since": NOON, "until": NOON + 9}, {"room_ids": ("x1", "x2")}])
async def test_no_page_of_rooms_reads_them_all(
    node: Node, asked: list[Asked], wish: dict[str, Any], by_joined: bool
) -> None:
    await fill(node)
    asked.clear()
    await node.rooms.page(query(by_joined=by_joined, limit=10, **wish))
    assert len(asked) == 1
    assert await scanned(node, list(asked)) == []


async def test_one_logout_waits_for_nobody_elses_row(store: StoreBackEnd, node: Node, other: Node) -> None:
    """A transaction elsewhere holds the row of a stranger's session, for longer than any verb would wait."""
    ann, ben = await settle(node, "ann"), await settle(node, "ben")
    if store.reads_while_away:
        return  # SQLite has one writer at a time
    async with other.database.engine.begin() as rival:
        await rival.execute(select(sessions).where(sessions.c.user_id == ben.user_id).with_for_update())
        await node.sessions.end("default", ann.user_id, own("s1", ann))
