"""The database: its connections, its transactions, and what its failures mean."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from liveroom.adapters.batch import Batch
from liveroom.adapters.store import dialect
from liveroom.adapters.store.dialect import several
from liveroom.errors import Refusal, database_away

T = TypeVar("T")
Order = TypeVar("Order")
Outcome = TypeVar("Outcome")
Work = Callable[[AsyncConnection, list[Order]], Awaitable[list[Outcome | Exception]]]
Run = Callable[[list[Order]], Awaitable[list[Outcome | Exception]]]
RERUNS = 6
VERB_S = 2.4
KEYS_STEP = 100
# What a driver says of a value that it cannot write: a lone surrogate, a number beyond 64 bits.
UNWRITABLE = (UnicodeError, OverflowError)

log = logging.getLogger(__name__)


class Database:
    """Two pools: reads commit by themselves and see all that was committed before; writes transact."""

    name = "database"

    def __init__(self, url: str) -> None:
        target = dialect.async_url(url)
        reads, writes = dialect.pool_sizes(target)
        common: dict[str, Any] = {
            "max_overflow": 0,
            "pool_timeout": 2,
            "hide_parameters": True,
            **dialect.engine_options(target),
        }
        self._reads = create_async_engine(
            target, pool_size=reads, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **common
        )
        self._writes = create_async_engine(target, pool_size=writes, **common, **dialect.write_options(target))
        dialect.prepare(self._reads.sync_engine, writes=False)
        dialect.prepare(self._writes.sync_engine, writes=True)
        self.dialect = target.get_backend_name()
        self.read_lanes = reads

    @property
    def engine(self) -> AsyncEngine:
        return self._writes

    async def read(self, statement: Executable, values: Mapping[str, Any] | None = None) -> list[Any]:
        """The rows of one statement."""
        try:
            async with asyncio.timeout(VERB_S):
                return await self._read_again(statement, values)
        except TimeoutError as error:
            raise _refusal(error) from error

    async def _read_again(self, statement: Executable, values: Mapping[str, Any] | None) -> list[Any]:
        try:
            return await self._read(statement, values)
        except (DBAPIError, PoolTimeout, OSError) as error:
            # A connection that died while it lay in the pool says nothing about the database.
            if not (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise _refusal(error) from error
        try:
            return await self._read(statement, values)
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise _refusal(error) from error

    async def transact(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one transaction, again if it met another one, and commit."""
        for rerun in range(RERUNS):
            try:
                async with self._writes.begin() as connection:
                    return await work(connection)
            except DBAPIError as error:
                if rerun == RERUNS - 1 or not (dialect.may_rerun(error) or error.connection_invalidated):
                    raise
            except (PoolTimeout, OSError) as error:
                raise _refusal(error) from error
            await asyncio.sleep(random.uniform(0, 0.01) * 2**rerun)  # noqa: S311
        raise AssertionError("unreachable")

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """`transact` with the database's failures told as a refusal."""
        try:
            async with asyncio.timeout(VERB_S):
                return await self.transact(work)
        except (DBAPIError, TimeoutError, *UNWRITABLE) as error:
            raise _refusal(error) from error

    async def together(self, work: Work[Order, Outcome], orders: list[Order]) -> list[Outcome | Exception]:
        """Group commit: one transaction for all orders.

        When a statement fails, each order runs again in a transaction of its own.
        """
        try:
            return await self.transact(lambda connection: work(connection, orders))
        except (DBAPIError, *UNWRITABLE) as error:
            if len(orders) == 1 or (isinstance(error, DBAPIError) and dialect.is_away(error)):
                raise _refusal(error) from error
            log.warning("a batch of %d runs again one by one: %s", len(orders), _brief(error))
        return [await self._alone(work, order) for order in orders]

    async def _alone(self, work: Work[Order, Outcome], order: Order) -> Outcome | Exception:
        try:
            return (await self.together(work, [order]))[0]
        except Refusal as refusal:
            return refusal

    def grouped(self, work: Work[Order, Outcome]) -> Batch[Order, Outcome]:
        """Writes that share a transaction."""
        return self.batch(lambda orders: self.together(work, orders))

    def batch(self, run: Run[Order, Outcome]) -> Batch[Order, Outcome]:
        """One batch in flight: two would wait for each other's row locks."""
        return Batch(run, away=database_away)

    def looked_up(
        self, work: Callable[[list[Order]], Awaitable[list[Outcome | Exception]]], lanes: int = 2
    ) -> Batch[Order, Outcome]:
        """Reads that share statements."""
        return Batch(work, in_flight=min(lanes, self.read_lanes), away=database_away)

    async def ping(self) -> None:
        await self.read(text("SELECT 1"))

    async def close(self) -> None:
        await self._reads.dispose()
        await self._writes.dispose()

    async def _read(self, statement: Executable, values: Mapping[str, Any] | None) -> list[Any]:
        async with self._reads.connect() as connection:
            result = await connection.execute(statement, values)
            return list(result.all())


async def in_steps(
    connection: AsyncConnection, statement: Executable, keys: Sequence[Any], values: Mapping[str, Any] | None = None
) -> list[Any]:
    """The rows of a statement for many keys: beyond a hundred or so MariaDB reads whole tables for them."""
    rows: list[Any] = []
    for at in range(0, len(keys), KEYS_STEP):
        result = await connection.execute(statement, {"keys": several(keys[at : at + KEYS_STEP]), **(values or {})})
        rows += result.all() if result.returns_rows else []
    return rows


def _refusal(error: Exception) -> Refusal:
    log.error("database: %s", _brief(error))
    return database_away()


def _brief(error: Exception) -> str:
    """The kind and number of the failure; the driver's words quote values, which may be secrets."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    number = origin.args[0] if origin.args and isinstance(origin.args[0], int) else ""
    return f"{type(origin).__name__} {number}".strip()
