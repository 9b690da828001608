"""Keeps the big tables in days: made ahead, and dropped when they are past their retention.

`events` and `metrics` are partitioned by day (UTC). A default partition catches rows for which no
day was made, so that nothing is refused; rows in it raise an alarm and are moved to days of their
own. PostgreSQL cannot detach a partition concurrently where there is a default partition, so a day
is detached under a short lock: when that is not granted in seconds, the next run tries again.

Where TimescaleDB with its Community licence is present, an empty database gets hypertables instead.
The extension alone is not enough: its Apache edition refuses what we need.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import re
from collections.abc import Callable

import structlog
from psycopg import sql

from daemon.store import notices
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Connection, Database
from daemon.store.pruning import prune_patterns, prune_verdicts
from daemon.store.responses import prune_old
from daemon.store.settings import StoreSettings

_log = structlog.get_logger(__name__)
_LOCK = 0x7472_6961_6765_6402  # "triaged", 2
_LOCK_WAIT = "2s"
_CHUNK = 10_000
_DAY = dt.timedelta(days=1)
_COMMITS_KEPT = "1 day"
"""How long intake remembers what it committed: longer than any writer keeps trying."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Partitioned:
    """A table that is kept in days of `column`."""

    table: str
    column: str
    kept_days: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceReport:
    """What one run did. `alarms` are sentences for the operator."""

    made: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    keys_deleted: int = 0
    patterns_deleted: int = 0
    verdicts_deleted: int = 0
    responses_deleted: int = 0
    alarms: tuple[str, ...] = ()


class Maintenance:
    """`prepare` at the start, `run` every hour. Both may run in several daemons at once."""

    def __init__(
        self,
        *,
        database: Database,
        settings: StoreSettings,
        bound_log: Callable[[], None] | None = None,
    ) -> None:
        """`bound_log` cuts the embedded server's log when it has grown too large."""
        self._database = database
        self._bound_log = bound_log
        self._ahead = settings.partitions_ahead_days
        self._keys_days = settings.retention.event_keys_days
        self._patterns_days = settings.retention.patterns_days
        self._responses_days = settings.retention.responses_days
        self._tables = (
            Partitioned(
                table="events", column="observed_at", kept_days=settings.retention.events_days
            ),
            Partitioned(table="metrics", column="at", kept_days=settings.retention.metrics_days),
        )

    async def prepare(self) -> tuple[str, ...]:
        """Makes the days ahead that are missing, and returns their names."""
        made: list[str] = []
        for table in self._tables:
            async with self._database.transaction() as connection:
                await _begin(connection)
                if await community_timescale(connection):
                    await _make_hypertable(connection, table)
                if not await _is_partitioned(connection, table.table):
                    continue
                present = await _days(connection, table.table)
                today = await _today(connection)
                for offset in range(-1, self._ahead + 1):  # yesterday: a clock set back a little
                    day = today + offset * _DAY
                    if day not in present:
                        made.append(await _make_day(connection, table, day))
        return tuple(made)

    async def run(self) -> MaintenanceReport:
        """Everything that has to be done now and then. Raises `StoreUnavailableError`."""
        alarms: list[str] = []
        dropped: list[str] = []
        if self._bound_log is not None:
            await asyncio.to_thread(self._bound_log)
        for table in self._tables:
            alarms += await self._rescue(table)
        made = await self.prepare()
        for table in self._tables:
            try:
                dropped += await self._drop_old(table)
            except StoreUnavailableError as error:
                _log.warning("old days stay until the next run", table=table.table, why=str(error))
        keys = await self._delete_old("event_keys", "seen_at", f"{self._keys_days} days")
        await self._delete_old("intake_commits", "at", _COMMITS_KEPT)
        verdicts = await prune_verdicts(self._database, days=self._patterns_days)
        patterns = await prune_patterns(self._database, days=self._patterns_days)
        old = await prune_old(self._database, days=self._responses_days)
        async with self._database.transaction() as connection:
            await notices.prune(connection)
        return MaintenanceReport(
            made=made,
            dropped=tuple(dropped),
            keys_deleted=keys,
            patterns_deleted=patterns,
            verdicts_deleted=verdicts,
            responses_deleted=old,
            alarms=tuple(alarms),
        )

    async def _rescue(self, table: Partitioned) -> list[str]:
        """Moves what the default partition caught to days of its own."""
        names = {
            "column": sql.Identifier(table.column),
            "default": sql.Identifier(f"{table.table}_default"),
        }
        async with self._database.transaction() as connection:
            if not await _is_partitioned(connection, table.table):
                return []
            cursor = await connection.execute(
                sql.SQL(
                    "select ({column} at time zone 'UTC')::date, count(*) from {default}"
                    " group by 1 order by 1 limit 100"
                ).format(**names)
            )
            caught: list[tuple[dt.date, int]] = await cursor.fetchall()
        for day, _ in caught:
            async with self._database.transaction() as connection:
                await _begin(connection)
                await _move_day(connection, table, day)
        if not caught:
            return []
        rows = sum(count for _, count in caught)
        alarm = (
            f"{rows} rows of {table.table} came for days without a partition ({caught[0][0]} to"
            f" {caught[-1][0]}); they are kept and were moved. Check this host's clock and that"
            " maintenance runs every hour"
        )
        return [alarm]

    async def _drop_old(self, table: Partitioned) -> list[str]:
        async with self._database.transaction() as connection:
            if not await _is_partitioned(connection, table.table):
                return await _drop_chunks(connection, table)
            oldest = await _today(connection) - table.kept_days * _DAY
            old = [day for day in await _days(connection, table.table) if day < oldest]
        dropped = []
        for day in sorted(old):
            name = _name(table.table, day)
            async with self._database.transaction() as connection:
                await _begin(connection)
                if day not in await _days(connection, table.table):
                    continue  # another daemon was faster
                await connection.execute(
                    sql.SQL("alter table {} detach partition {}").format(
                        sql.Identifier(table.table), sql.Identifier(name)
                    )
                )
                await connection.execute(sql.SQL("drop table {}").format(sql.Identifier(name)))
            dropped.append(name)
        return dropped

    async def _delete_old(self, table: str, column: str, age: str) -> int:
        statement = sql.SQL(
            "delete from {table} where ctid = any(array("
            "select ctid from {table} where {column} < now() - %s::interval limit %s))"
        ).format(table=sql.Identifier(table), column=sql.Identifier(column))
        deleted = 0
        while True:
            async with self._database.connection() as connection:
                cursor = await connection.execute(statement, (age, _CHUNK))
            deleted += cursor.rowcount
            if cursor.rowcount < _CHUNK:
                return deleted


async def community_timescale(connection: Connection) -> bool:
    """Whether TimescaleDB is here with the licence under which retention works."""
    cursor = await connection.execute(
        "select current_setting('timescaledb.license', true) = 'timescale'"
        " and exists (select from pg_extension where extname = 'timescaledb')"
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _begin(connection: Connection) -> None:
    """One daemon at a time, and never in anybody's way for long."""
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    await connection.execute(sql.SQL("set local lock_timeout = {}").format(_LOCK_WAIT))


async def _is_partitioned(connection: Connection, table: str) -> bool:
    cursor = await connection.execute(
        "select relkind = 'p' from pg_class where oid = %s::regclass", (table,)
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _today(connection: Connection) -> dt.date:
    """The server's day: rows are stamped by its clock."""
    row = await (await connection.execute("select (now() at time zone 'UTC')::date")).fetchone()
    assert row is not None  # noqa: S101
    day: dt.date = row[0]
    return day


async def _days(connection: Connection, table: str) -> set[dt.date]:
    cursor = await connection.execute(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = %s::regclass",
        (table,),
    )
    pattern = re.compile(rf"^{table}_(\d{{4}})(\d\d)(\d\d)$")
    found = [pattern.match(row[0]) for row in await cursor.fetchall()]
    return {dt.date(*(int(part) for part in match.groups())) for match in found if match}


def _name(table: str, day: dt.date) -> str:
    return f"{table}_{day:%Y%m%d}"


async def _make_day(connection: Connection, table: Partitioned, day: dt.date) -> str:
    name = _name(table.table, day)
    await connection.execute(
        sql.SQL("create table {} partition of {} for values from ({}) to ({})").format(
            sql.Identifier(name),
            sql.Identifier(table.table),
            f"{day} 00:00:00+00",
            f"{day + _DAY} 00:00:00+00",
        )
    )
    return name


async def _move_day(connection: Connection, table: Partitioned, day: dt.date) -> None:
    """Takes a day's rows out of the default partition and attaches them as that day."""
    names = {
        "name": sql.Identifier(_name(table.table, day)),
        "table": sql.Identifier(table.table),
        "default": sql.Identifier(f"{table.table}_default"),
        "column": sql.Identifier(table.column),
        "start": sql.Literal(f"{day} 00:00:00+00"),
        "end": sql.Literal(f"{day + _DAY} 00:00:00+00"),
    }
    await connection.execute(
        # Nobody may add rows of that day to the default while they are moved.
        sql.SQL("lock table {default} in access exclusive mode").format(**names)
    )
    for statement in (
        "create table {name} (like {table} including defaults including constraints)",
        (
            "with moved as (delete from {default} where {column} >= {start} and {column} < {end}"
            " returning *) insert into {name} select * from moved"
        ),
        "alter table {table} attach partition {name} for values from ({start}) to ({end})",
    ):
        await connection.execute(sql.SQL(statement).format(**names))


async def _make_hypertable(connection: Connection, table: Partitioned) -> None:
    """Turns an empty, partitioned table into a hypertable."""
    names = {"table": sql.Identifier(table.table), "old": sql.Identifier(f"{table.table}_old")}
    if not await _is_partitioned(connection, table.table):
        return
    cursor = await connection.execute(
        sql.SQL("select exists (select from {table})").format(**names)
    )
    row = await cursor.fetchone()
    if row and row[0]:
        return  # stays as it is: days do the same job
    for statement in (
        "alter table {table} rename to {old}",
        "create table {table} (like {old} including all)",
        "drop table {old}",
    ):
        await connection.execute(sql.SQL(statement).format(**names))
    await connection.execute(
        "select create_hypertable(%s, by_range(%s, interval '1 day'))",
        (table.table, table.column),
    )


async def _drop_chunks(connection: Connection, table: Partitioned) -> list[str]:
    cursor = await connection.execute(
        "select drop_chunks(%s, older_than => now() - %s * interval '1 day')",
        (table.table, table.kept_days),
    )
    return [str(row[0]) for row in await cursor.fetchall()]
