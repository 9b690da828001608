"""What the tools read of triaged's own records."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from api.ports import EventFilter, EventView, IncidentFilter, IncidentView
from daemon.sources.metrics import Metric
from daemon.store import metrics, pattern_search
from daemon.store.errors import StoreError, StoreUnavailableError
from daemon.store.pattern_search import PatternHit
from daemon.store.pool import Database
from daemon.tools.toolbox import ToolError
from daemon.views.events import EventsView
from daemon.views.incidents import IncidentsView

log = structlog.get_logger()

_BUCKETS = 60


class RecordsView:
    """Satisfies `daemon.tools.incidents.Records`."""

    def __init__(self, *, database: Database, incidents: IncidentsView, events: EventsView) -> None:
        self._database = database
        self._incidents = incidents
        self._events = events

    async def find_incidents(self, wanted: IncidentFilter) -> Sequence[IncidentView]:
        return await self._incidents.find(wanted)

    async def find_events(self, wanted: EventFilter) -> Sequence[EventView]:
        return await self._events.query(wanted)

    async def find_patterns(self, *, text: str, since: datetime, limit: int) -> list[PatternHit]:
        try:
            async with self._database.connection() as connection:
                return await pattern_search.search(connection, words=text, since=since, limit=limit)
        except StoreUnavailableError as error:
            raise ToolError(str(error)) from error


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeries:
    """A metric of one target over a window. Satisfies `daemon.tools.metrics.Series`."""

    target: str
    least: float
    mean: float
    most: float
    latest: float
    first: float
    samples: int


class MetricsView:
    """Metric samples in and out. Satisfies `daemon.sources.metrics.MetricSink` and
    `daemon.tools.metrics.MetricRecords`."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self.lost = 0
        self._said = False  # that samples are refused, until some are stored again

    async def record(self, samples: Sequence[Metric]) -> None:
        """Stores samples; what the store is away for, or refuses, is counted as lost: the next
        samples come soon, and measuring must not stop."""
        rows = [
            metrics.Sample(
                at=datetime.fromtimestamp(sample.at, tz=UTC),
                name=sample.name,
                target=sample.target,
                value=sample.value,
            )
            for sample in samples
        ]
        try:
            async with self._database.connection() as connection:
                await metrics.record(connection, rows)
        except StoreUnavailableError:
            self.lost += len(rows)  # the pool has said that the store is away
        except StoreError as error:
            self.lost += len(rows)
            if not self._said:
                log.error("metric samples were lost: PostgreSQL refuses them", why=str(error))
            self._said = True
        else:
            self._said = False

    async def history(self, *, name: str, hours: float) -> list[MetricSeries]:
        now = datetime.now(tz=UTC)
        since = now - timedelta(hours=hours)
        try:
            async with self._database.connection() as connection:
                present = await metrics.latest(
                    connection, name=name, within_seconds=hours * 3600, limit=50
                )
                found = []
                for sample in present:
                    buckets = await metrics.history(
                        connection,
                        name=name,
                        target=sample.target,
                        since=since,
                        until=now + timedelta(seconds=1),
                        buckets=_BUCKETS,
                    )
                    if buckets:
                        found.append(_series(sample.target, buckets))
        except StoreUnavailableError as error:
            raise ToolError(str(error)) from error
        return found


def _series(target: str, buckets: Sequence[metrics.Bucket]) -> MetricSeries:
    samples = sum(bucket.samples for bucket in buckets)
    return MetricSeries(
        target=target,
        least=min(bucket.lowest for bucket in buckets),
        mean=sum(bucket.average * bucket.samples for bucket in buckets) / samples,
        most=max(bucket.highest for bucket in buckets),
        latest=buckets[-1].latest,
        first=buckets[0].average,
        samples=samples,
    )
