"""Events in and out: posted ones through intake, stored ones from PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from api.ports import Accepted, BusyError, EventFilter, EventView, NewEvent
from daemon.events import Batch, Event
from daemon.sources.base import Emit, Receipt
from daemon.store import events as stored
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.views.giving_up import PATIENCE, GivingUp
from tiers.vocabulary import Provenance, Severity, SourceKind

SOURCE = "http"

_COMMIT_SECONDS = 15.0
_LOOK_BACK = timedelta(days=30)
_PRIORITY = {Severity.INFO: 6, Severity.NOTICE: 5, Severity.WARNING: 4, Severity.CRITICAL: 2}


class EventsView:
    """Satisfies `api.ports.Events`."""

    def __init__(
        self,
        *,
        database: Database,
        emit: Emit,
        host: str,
        text_limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._giving_up = GivingUp(name="events", seconds=PATIENCE)
        self._database = database
        self._emit = emit
        self._host = host
        self._text_limit = text_limit
        self._clock = clock

    async def post(self, events: Sequence[NewEvent]) -> Accepted:
        """Durable when it returns: whoever posts need not post again."""
        batch = Batch(
            source=SOURCE,
            events=tuple(self._event(event) for event in events),
            cursor=None,
        )
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                receipt = await self._emit(batch)
                await _stored(receipt)
        except TimeoutError:
            raise BusyError(
                "The events could not be stored in time; they may be stored yet. Post them again "
                "with an id each, then nothing is doubled.",
                retry_after=5.0,
            ) from None
        return Accepted(accepted=len(batch.events))

    async def query(self, wanted: EventFilter) -> Sequence[EventView]:
        return await self._giving_up.or_busy(self._query(wanted))

    async def _query(self, wanted: EventFilter) -> Sequence[EventView]:
        now = datetime.now(tz=UTC)
        since = wanted.since or now - _LOOK_BACK
        if since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        try:
            async with self._database.connection() as connection:
                rows = await stored.query(
                    connection,
                    stored.EventFilter(
                        since=since,
                        until=now + timedelta(days=1),
                        contains=wanted.text,
                        unit=wanted.unit,
                        fingerprint=wanted.fingerprint,
                    ),
                    limit=wanted.limit,
                )
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        return [
            EventView(
                id=row.id,
                occurred_at=row.occurred_at,
                source=row.source,
                unit=row.unit,
                provenance=row.provenance,
                fingerprint=row.fingerprint,
                text=row.text,
            )
            for row in rows
        ]

    def _event(self, posted: NewEvent) -> Event:
        attributes = dict(posted.attributes)
        unit = posted.unit
        if posted.host and posted.host != self._host:
            attributes["host"] = posted.host
            unit = f"{unit or 'unknown'}@{posted.host}"
        at = posted.occurred_at
        return Event(
            text=posted.text[: self._text_limit],
            unit=unit,
            kind=SourceKind.HTTP,
            source=SOURCE,
            provenance=Provenance.TEXT,
            occurred_at=self._clock() if at is None else _unix(at),
            priority=None if posted.severity is None else _PRIORITY[posted.severity],
            key=posted.key,
            attributes=attributes or None,
        )


async def _stored(receipt: Receipt) -> None:
    """Raises `BusyError` when intake stops first, which is no cancellation of whoever posts."""
    try:
        await receipt.committed()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BusyError("triaged is stopping; post the events again.", retry_after=5.0) from None


def _unix(at: datetime) -> float:
    """A time without a zone is UTC; one that is out of range becomes "now" in intake."""
    try:
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
