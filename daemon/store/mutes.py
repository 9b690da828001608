"""Mutes: "this is intentional", until they expire, are lifted, or rise again."""

from __future__ import annotations

import dataclasses
import datetime as dt

from psycopg.rows import class_row

from daemon.ledger import NewEntry
from daemon.store.pool import Connection
from daemon.store.values import clean
from daemon.store.work import Work
from tiers.vocabulary import Severity

ADD = """
insert into mutes (fingerprint, unit, contains, reason, created_by, expires_at, max_per_hour,
                   max_severity)
values (%s, %s, %s, %s, %s, %s, %s, %s) returning *
"""
IN_FORCE = """
select * from mutes where lifted_at is null and (expires_at is null or expires_at > now())
order by id
"""
LIST = "select * from mutes order by id desc limit %s"
# State: in force -> lifted.
LIFT = """
update mutes set lifted_at = now(), lifted_why = %s where id = %s and lifted_at is null returning *
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MuteRow:
    """A mute; what is not None must all fit. In force while `lifted_at` is None and not expired."""

    id: int
    fingerprint: str | None
    unit: str | None
    contains: str | None
    reason: str
    created_by: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    max_per_hour: int | None
    max_severity: str | None
    lifted_at: dt.datetime | None
    lifted_why: str | None


async def add(
    work: Work,
    *,
    reason: str,
    created_by: str,
    fingerprint: str | None = None,
    unit: str | None = None,
    contains: str | None = None,
    expires_at: dt.datetime | None = None,
    max_per_hour: int | None = None,
    max_severity: Severity | None = None,
) -> MuteRow:
    """Adds a mute and records it. Raises `StoreRejectedError` when nothing says what it is about,
    or the pattern is not known."""
    async with work.connection.cursor(row_factory=class_row(MuteRow)) as cursor:
        await cursor.execute(
            ADD,
            (
                fingerprint,
                unit,
                None if contains is None else clean(contains),
                clean(reason),
                created_by,
                expires_at,
                max_per_hour,
                None if max_severity is None else max_severity.value,
            ),
        )
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101
    work.record(
        NewEntry(
            kind="mute",
            actor=created_by,
            body={
                "mute": row.id,
                "fingerprint": fingerprint,
                "unit": unit,
                "contains": contains,
                "reason": reason,
                "expires_at": expires_at,
                "max_per_hour": max_per_hour,
                "max_severity": row.max_severity,
            },
        )
    )
    return row


async def lift(work: Work, *, mute_id: int, why: str, actor: str) -> MuteRow | None:
    """Ends a mute and records it. None when it is not there or was lifted before."""
    async with work.connection.cursor(row_factory=class_row(MuteRow)) as cursor:
        await cursor.execute(LIFT, (clean(why), mute_id))
        row = await cursor.fetchone()
    if row is not None:
        work.record(NewEntry(kind="unmute", actor=actor, body={"mute": mute_id, "why": why}))
    return row


async def in_force(connection: Connection) -> list[MuteRow]:
    """What counts now, oldest first."""
    async with connection.cursor(row_factory=class_row(MuteRow)) as cursor:
        await cursor.execute(IN_FORCE)
        return await cursor.fetchall()


async def listing(connection: Connection, *, limit: int = 100) -> list[MuteRow]:
    """Newest first, those that are over included."""
    async with connection.cursor(row_factory=class_row(MuteRow)) as cursor:
        await cursor.execute(LIST, (limit,))
        return await cursor.fetchall()
