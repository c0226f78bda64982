"""What SQLite and MySQL say differently; the only place that knows which one it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import json
from sqlalchemy import (
    BigInteger,
    Dialect,
    Engine,
    Text,
    Unicode,
    bindparam,
    event,
    literal_column,
    tuple_,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.mysql import VARBINARY, VARCHAR
from sqlalchemy.dialects.mysql import insert as mysql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

# Lock wait over, deadlock, record changed since it was read (MariaDB).
_MYSQL_RERUN = {1205, 1213, 1020}
_MYSQL_SESSION = (
    "SET SESSION innodb_lock_wait_timeout = 2, time_zone = '+00:00', "
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
)


class _Octets(VARBINARY):
    """VARBINARY that takes and gives text; the connection's charset is UTF-8, so the driver encodes."""

    def bind_processor(self, dialect: Dialect) -> None:  # noqa: ARG002
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002
        return lambda value: value.decode() if type(value) is bytes else value


class ByteText(TypeDecorator[str]):
    """Text that compares byte for byte: TEXT on SQLite, VARBINARY on MySQL.

    `length` is in code points. Even under utf8mb4_bin MariaDB holds 'a' and 'a ' to be equal.
    """

    impl = Unicode
    cache_ok = True

    def __init__(self, length: int, *, ascii_only: bool = False) -> None:
        super().__init__(length)
        self.octets = length if ascii_only else 4 * length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(_Octets(self.octets))
        return dialect.type_descriptor(Text())


class among(FunctionElement[Any]):  # noqa: N801 - reads as a function
    """`among(column, …, keys)`: the columns' values together are one of `keys`, a list of tuples.

    SQLite searches an index for a row IN a subquery, but reads the whole table for one IN (VALUES …).
    Its JSON ends a text at a NUL: for ids, not for what a user types.
    """

    inherit_cache = True
    # A Boolean would be compared with 1, and no index searched.
    type = NullType()

    def __init__(self, *columns: ColumnElement[Any]) -> None:
        super().__init__(*columns, bindparam("keys", expanding=True))


@compiles(among)
def _among(element: among, compiler: SQLCompiler, **kwargs: Any) -> str:
    *columns, keys = element.clauses
    return compiler.process(tuple_(*columns).in_(keys), **kwargs)


@compiles(among, "sqlite")
def _among_in_sqlite(element: among, compiler: SQLCompiler, **kwargs: Any) -> str:
    *columns, keys = element.clauses
    names = ", ".join(compiler.process(column, **kwargs) for column in columns)
    values = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(len(columns)))
    listed = compiler.process(bindparam(keys.key, type_=_Listed()), **kwargs)
    return f"({names}) IN (SELECT {values} FROM json_each({listed}))"  # noqa: S608 - names only


class beyond(FunctionElement[Any]):  # noqa: N801 - reads as a function
    """`beyond(first, second)`: the two columns together come after `first_after`, `second_after`.

    SQLite searches an index for a comparison of rows and MySQL does not; with OR it is the other way.
    """

    inherit_cache = True
    type = NullType()

    def __init__(self, first: ColumnElement[Any], second: ColumnElement[Any]) -> None:
        super().__init__(first, second, bindparam("first_after"), bindparam("second_after"))


@compiles(beyond)
def _beyond(element: beyond, compiler: SQLCompiler, **kwargs: Any) -> str:
    one, two, first, second = (compiler.process(clause, **kwargs) for clause in element.clauses)
    # Each parameter as often as the driver finds it.
    again = compiler.process(list(element.clauses)[2], **kwargs)
    return f"({one} > {first} OR ({one} = {again} AND {two} > {second}))"


@compiles(beyond, "sqlite")
def _beyond_in_sqlite(element: beyond, compiler: SQLCompiler, **kwargs: Any) -> str:
    one, two, first, second = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({one}, {two}) > ({first}, {second})"


class _Listed(TypeDecorator[list[Any]]):
    """A list of keys as one JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.encode(value).decode()


def several(keys: Sequence[Any]) -> list[Any]:
    """The keys of a DELETE or UPDATE, two at least: MariaDB finds no index for a list of one."""
    return list(keys) if len(keys) > 1 else [*keys, *keys]


def free_text(length: int) -> TypeEngine[str]:
    """Text in any script, with emoji, that nobody compares."""
    return Text().with_variant(VARCHAR(length, charset="utf8mb4"), "mysql", "mariadb")


def async_url(url: str) -> URL:
    """The URL as SQLAlchemy's asyncio engine takes it."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return parsed.set(drivername="sqlite+aiosqlite")
    return parsed.set(drivername="mysql+asyncmy", query={"charset": "utf8mb4", **parsed.query})


def engine_options(url: URL) -> dict[str, Any]:
    """How connections of this dialect are made."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 2}}
    return {
        "connect_args": {"connect_timeout": 2, "init_command": _MYSQL_SESSION},
        "pool_recycle": 1800,
    }


def pool_sizes(url: URL) -> tuple[int, int]:
    """How many connections read and how many write; SQLite has one writer."""
    return (4, 1) if url.get_backend_name() == "sqlite" else (8, 8)


def write_options(url: URL) -> dict[str, Any]:
    """The isolation of write transactions; SQLite has but one."""
    return {} if url.get_backend_name() == "sqlite" else {"isolation_level": "READ COMMITTED"}


def prepare(engine: Engine, *, writes: bool) -> None:
    """Set up each new connection of an engine."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        # Transactions are begun below, not by the driver on the first write.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 2000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if writes:

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def may_rerun(error: DBAPIError) -> bool:
    """Whether the transaction failed for having met another one, and would succeed if run again."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return code in _MYSQL_RERUN or "database is locked" in str(code)


def is_away(error: DBAPIError) -> bool:
    """Whether the database is not there, rather than there and refusing."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    lost = isinstance(code, int) and (2000 <= code < 3000 or code in {1040, 1053, 1152, 1205, 1290, 3024})
    return error.connection_invalidated or lost


def missing_table(error: DBAPIError) -> bool:
    """Whether the statement named a table that is not there."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return code == 1146 or "no such table" in str(code)


def upsert(dialect: str, table: SqlTable, columns: Sequence[str], counted: Sequence[str] = ()) -> Insert:
    """Insert rows; of those that are there set `columns` and raise `counted` by one, or leave them alone."""
    # Written out: where many rows go at once, the MySQL driver takes no parameter behind VALUES.
    raised: dict[str, Any] = {name: table.c[name] + literal_column("1") for name in counted}
    if dialect == "sqlite":
        insert = sqlite_insert(table)
        if not columns and not counted:
            return insert.on_conflict_do_nothing()
        key = list(table.primary_key.columns)
        return insert.on_conflict_do_update(key, set_={name: insert.excluded[name] for name in columns} | raised)
    statement = mysql_insert(table)
    # Setting a key column to itself ignores a duplicate and, unlike IGNORE, nothing else.
    kept = {name: statement.inserted[name] for name in columns} | raised
    first = next(iter(table.primary_key.columns))
    return statement.on_duplicate_key_update(kept or {first.name: first})


def now_ms(dialect: str) -> ColumnElement[int]:
    """The database's clock: nodes need not agree on the time."""
    if dialect == "sqlite":
        text = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    else:
        text = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
    return literal_column(text, BigInteger)
