"""The way to PostgreSQL: a pool of connections that outlives the server's restarts.

Losing the server is the normal case here, not the exception. Every driver error that waiting can
heal becomes `StoreUnavailableError`, with the cause kept; a connection is checked before it is
handed out; the pool reconnects by itself. State changes are logged once, not every retry.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import psycopg
import structlog
import tenacity
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from daemon.store.errors import (
    StoreClosedError,
    StoreError,
    StoreRejectedError,
    StoreSetupError,
    StoreUnavailableError,
)
from daemon.store.settings import StoreSettings

Connection = psycopg.AsyncConnection[TupleRow]
T = TypeVar("T")

_log = structlog.get_logger(__name__)
_RECONNECT_SECONDS = 3.0
"""How long the pool's own backoff runs before it starts over; short, so that waits stay short."""
_SLICE_SECONDS = 1.0
"""A client that waits asks again this often, which starts a connection attempt where none runs."""
_REFUSALS = re.compile(
    r"authentication failed|no pg_hba\.conf entry|no password supplied|permission denied"
    r"|(database|role) \"[^\"]*\" does not exist|is not permitted to log in"
)
"""What waiting does not heal. A failed connection carries no SQLSTATE, only the server's words."""


class Database:
    """Connections in autocommit mode; `transaction` opens a transaction. One per process."""

    def __init__(
        self, *, conninfo: str, settings: StoreSettings, application_name: str = "triaged"
    ) -> None:
        self._settings = settings
        self._conninfo = conninfo
        self._lost_at: float | None = None
        self._kwargs: dict[str, Any] = {
            "autocommit": True,
            "application_name": application_name,
            "connect_timeout": max(2, round(settings.connect_seconds)),
        }
        # Its warnings come with every retry; what an operator must know is logged here, once.
        for name in ("psycopg", "psycopg.pool"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            kwargs=self._kwargs,
            min_size=settings.pool_min,
            max_size=settings.pool_max,
            open=False,
            check=AsyncConnectionPool.check_connection,
            configure=self._configure,
            timeout=settings.acquire_seconds,
            reconnect_timeout=_RECONNECT_SECONDS,
            max_idle=120,
            name=application_name,
        )

    @property
    def available(self) -> bool:
        """False from the first failure until something has worked again."""
        return self._lost_at is None

    @property
    def size(self) -> int:
        """The most connections that are opened at once."""
        return self._settings.pool_max

    def stats(self) -> dict[str, int]:
        """The pool's counters, by psycopg_pool's names."""
        return self._pool.get_stats()

    async def open(self, *, wait_seconds: float) -> None:
        """Returns when PostgreSQL has answered.

        Raises `StoreSetupError` when it refuses us, `StoreUnavailableError` when it does not
        answer in time.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                await (await self.connect()).close()
            except StoreUnavailableError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                break
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection. Work that waits for one gets `StoreClosedError`."""
        await self._pool.close(timeout=5.0)

    async def connect(self) -> Connection:
        """A connection of its own, outside the pool; the caller closes it."""
        with translated():
            try:
                connection = await psycopg.AsyncConnection.connect(self._conninfo, **self._kwargs)
            except psycopg.ProgrammingError:
                # Not quoted, and its cause cut off: it may be the password that was not understood.
                msg = (
                    "store.dsn is no connection string that PostgreSQL understands; write"
                    " postgresql://USER:PASSWORD@HOST/DATABASE, with %XX for special characters"
                )
                raise StoreSetupError(msg) from None
            except psycopg.OperationalError as error:
                if _REFUSALS.search(str(error)):
                    msg = (
                        f"PostgreSQL does not let triaged in ({_first_line(error)}); check"
                        " the host, database, user and password in store.dsn"
                    )
                    raise StoreSetupError(msg) from error
                raise
            await self._configure(connection)
        return connection

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode. Raises `StoreUnavailableError`, `StoreRejectedError`."""
        try:
            with translated():
                connection = await self._acquire()
                try:
                    yield connection
                finally:
                    await self._pool.putconn(connection)
        except StoreUnavailableError as error:
            self._note_lost(error)
            raise
        self._note_back()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that is committed at the end of the block.

        `StoreUnavailableError` out of the end of the block leaves open whether it was committed.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def retry(
        self, work: Callable[[Connection], Awaitable[T]], *, seconds: float | None = 60.0
    ) -> T:
        """Runs `work` in a transaction, again and again while PostgreSQL is unavailable.

        `work` must be idempotent: when the connection breaks during the commit, it may run again
        although it was committed. `seconds` bounds the whole; None waits for ever.
        """
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(StoreUnavailableError),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=1),
            stop=tenacity.stop_never if seconds is None else tenacity.stop_after_delay(seconds),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                async with self.transaction() as connection:
                    return await work(connection)
        raise AssertionError  # tenacity returns or raises

    async def _acquire(self) -> Connection:
        deadline = time.monotonic() + self._settings.acquire_seconds
        while True:
            left = deadline - time.monotonic()
            try:
                return await self._pool.getconn(timeout=max(0.05, min(left, _SLICE_SECONDS)))
            except PoolTimeout:
                if left <= _SLICE_SECONDS:
                    raise

    async def _configure(self, connection: Connection) -> None:
        settings = self._settings
        await connection.execute(
            """
            select set_config('TimeZone', 'UTC', false),
                   set_config('statement_timeout', %s, false),
                   set_config('lock_timeout', %s, false),
                   set_config('idle_in_transaction_session_timeout', '60s', false)
            """,
            (f"{settings.statement_seconds * 1000:.0f}", f"{settings.lock_seconds * 1000:.0f}"),
        )

    def _note_lost(self, error: StoreUnavailableError) -> None:
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            _log.warning("the store does not answer; work waits", problem=str(error))

    def _note_back(self) -> None:
        if self._lost_at is not None:
            seconds = time.monotonic() - self._lost_at
            self._lost_at = None
            _log.info("the store answers again", after_seconds=round(seconds, 2))


@contextlib.contextmanager
def translated() -> Any:
    """Turns the driver's errors into the store's, by what the caller can do."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, PoolClosed) as error:
        raise translate(error) from error


def translate(error: Exception) -> StoreError:
    """The store's error for one of the driver's."""
    said = _first_line(error)
    match error:
        case PoolClosed():
            return StoreClosedError("the store is closed; triaged is stopping")
        case PoolTimeout():
            return StoreUnavailableError(
                "no connection to PostgreSQL became free in time; it is down or overloaded:"
                " triaged keeps trying",
                retry_after=1.0,
            )
        case psycopg.errors.DeadlockDetected() | psycopg.errors.SerializationFailure():
            return StoreUnavailableError(f"another transaction was faster ({said})", retry_after=0)
        case psycopg.errors.QueryCanceled() | psycopg.errors.LockNotAvailable():
            return StoreUnavailableError(
                f"PostgreSQL was too slow ({said}); look at its load, or raise"
                " store.statement_seconds"
            )
        case psycopg.errors.ProgramLimitExceeded() | psycopg.errors.StatementTooComplex():
            # Called operational, but it is the data: waiting mends nothing.
            return StoreRejectedError(f"PostgreSQL refused the data ({said})")
        case (
            psycopg.OperationalError()
            | psycopg.InterfaceError()
            | psycopg.errors.ReadOnlySqlTransaction()
            | psycopg.errors.IdleInTransactionSessionTimeout()
        ):
            return StoreUnavailableError(
                f"PostgreSQL is not available ({said}); triaged keeps trying"
            )
        case psycopg.DataError() | psycopg.IntegrityError():
            return StoreRejectedError(f"PostgreSQL refused the data ({said})")
        case _:
            return StoreError(f"PostgreSQL refused a statement, which is a defect ({said})")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
