"""The holistic reviews: when they ran, over what, and what came of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import class_row

from daemon.ledger import NewEntry
from daemon.store.pool import Connection
from daemon.store.values import clean, to_json
from daemon.store.work import Work
from tiers.contracts import Usage

BEGIN = """
insert into reviews (started_at, since, trigger) values (now(), %s, %s) returning id
"""
# State: running -> finished.
FINISH = """
update reviews set finished_at = now(), looked_at = %s::jsonb, summary = %s,
  incidents = %s::bigint[], error = %s, model = %s, prompt_tokens = %s, completion_tokens = %s,
  seconds = %s
where id = %s and finished_at is null returning id
"""
LIST = "select * from reviews order by id desc limit %s"
LAST_DONE = """
select * from reviews where finished_at is not null and error is null order by id desc limit 1
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """A row of `reviews`. Running while `finished_at` is None; `error` says why it failed."""

    id: int
    started_at: dt.datetime
    finished_at: dt.datetime | None
    since: dt.datetime
    trigger: str
    looked_at: dict[str, Any]
    summary: str | None
    incidents: list[int]
    error: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None


async def begin(work: Work, *, since: dt.datetime, trigger: str) -> int:
    """A review begins. `trigger`: schedule, operator or burst."""
    row = await (await work.connection.execute(BEGIN, (since, trigger))).fetchone()
    assert row is not None  # noqa: S101
    return int(row[0])


async def finish(
    work: Work,
    *,
    review_id: int,
    looked_at: Mapping[str, Any],
    summary: str | None,
    incidents: Sequence[int] = (),
    error: str | None = None,
    usage: Usage | None = None,
) -> bool:
    """A review ends, with a summary or an error, and is recorded. False when it had ended."""
    cursor = await work.connection.execute(
        FINISH,
        (
            to_json(looked_at),
            None if summary is None else clean(summary),
            list(incidents),
            None if error is None else clean(error),
            None if usage is None else usage.model,
            None if usage is None else usage.prompt_tokens,
            None if usage is None else usage.completion_tokens,
            None if usage is None else usage.seconds,
            review_id,
        ),
    )
    if await cursor.fetchone() is None:
        return False
    work.record(
        NewEntry(
            kind="review",
            actor="tier/review",
            body={
                "review": review_id,
                "looked_at": dict(looked_at),
                "summary": summary,
                "incidents": list(incidents),
                "error": error,
                "model": None if usage is None else usage.model,
            },
        )
    )
    return True


async def last_done(connection: Connection) -> ReviewRow | None:
    """The last review that succeeded."""
    async with connection.cursor(row_factory=class_row(ReviewRow)) as cursor:
        await cursor.execute(LAST_DONE)
        return await cursor.fetchone()


async def listing(connection: Connection, *, limit: int = 20) -> list[ReviewRow]:
    """Newest first."""
    async with connection.cursor(row_factory=class_row(ReviewRow)) as cursor:
        await cursor.execute(LIST, (limit,))
        return await cursor.fetchall()
