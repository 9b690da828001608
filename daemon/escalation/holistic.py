"""The holistic review: everything since the last time, in one case, to the review tier.

Single events are judged as they come; slow trouble shows only in the whole.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from daemon.escalation import states
from daemon.escalation.casebook import HostFacts
from daemon.escalation.settle import within_case
from daemon.escalation.titles import title_of
from daemon.live import LiveHub
from daemon.store import incident_queries, incidents, patterns, reviews
from daemon.store.errors import StoreUnavailableError
from daemon.store.incident_queries import IncidentFilter
from daemon.store.incidents import Incident, NewEvidence, NewIncident
from daemon.store.patterns import PatternRow
from daemon.store.pool import Database
from daemon.store.work import Work, run
from tiers.causes import all_causes
from tiers.contracts import Assessment, Case, Disposition, Evidence, ReviewTier
from tiers.errors import TierError
from tiers.vocabulary import Category, Provenance, Severity

log = structlog.get_logger()

_FIRST_WINDOW = timedelta(hours=24)
_MAX_PATTERNS = 15
_MAX_INCIDENTS = 10
_KEY = "holistic"
_LIVE = [state.value for state in states.LIVE]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReviewResult:
    """What came of a review. `summary` is always a sentence; `error` says why there was none from
    the tier."""

    since: datetime
    summary: str
    cause: str | None
    incidents: tuple[int, ...]
    looked_at: dict[str, Any]
    error: str | None = None


class HolisticReview:
    """Runs one review at a time."""

    def __init__(
        self, *, database: Database, review: ReviewTier, facts: HostFacts, live: LiveHub
    ) -> None:
        self._database = database
        self._review = review
        self._facts = facts
        self._live = live
        self._one = asyncio.Lock()
        self.calls = 0

    async def run_now(self, *, trigger: str) -> ReviewResult:
        """Reviews everything since the last review that succeeded. `trigger`: schedule, operator or
        burst. A tier that does not answer is a result with `error`. Raises
        `StoreUnavailableError`."""
        async with self._one:
            started = datetime.now(tz=UTC)
            async with self._database.connection() as connection:
                last = await reviews.last_done(connection)
                since = last.started_at if last is not None else started - _FIRST_WINDOW
                recent = [
                    row
                    for row in await patterns.load_recent(connection, limit=500)
                    if row.last_seen >= since
                ]
                live = await incident_queries.listing(
                    connection, IncidentFilter(states=_LIVE), limit=_MAX_INCIDENTS
                )
            review_id = await run(
                self._database, lambda work: reviews.begin(work, since=since, trigger=trigger)
            )
            looked_at = {"patterns": len(recent), "incidents": [i.id for i in live]}
            if not recent and not live:
                summary = "Nothing new since the last review."
                await self._finish(review_id, looked_at, summary, (), None, None)
                return ReviewResult(
                    since=since, summary=summary, cause=None, incidents=(), looked_at=looked_at
                )
            case = build_case(recent, live, facts=await self._facts(), now=started)
            self.calls += 1
            why: str | None = None
            try:
                answer = within_case(await self._review.assess(case), case=case)
            except TierError as error:
                why = str(error)
            except Exception as error:
                # Ended and shown, instead of taking the daemon down with it.
                log.error("review failed", exc_info=error)
                why = f"triaged made a mistake ({type(error).__name__}); its log has the details"
            if why is not None:
                await self._finish(review_id, looked_at, None, (), why, None)
                return ReviewResult(
                    since=since,
                    summary=f"The review tier did not answer: {why}",
                    cause=None,
                    incidents=tuple(i.id for i in live),
                    looked_at=looked_at,
                    error=why,
                )
            opened = await self._open_if_new(case, answer)
            numbers = tuple(i.id for i in live) + ((opened,) if opened else ())
            await self._finish(review_id, looked_at, answer.summary, numbers, None, answer)
        self._live.publish(kind="assessment", text=f"review of the whole: {answer.summary}")
        return ReviewResult(
            since=since,
            summary=answer.summary,
            cause=answer.cause,
            incidents=numbers,
            looked_at=looked_at,
        )

    async def _open_if_new(self, case: Case, answer: Assessment) -> int | None:
        """An incident of its own, only for trouble that no incident has yet, with evidence."""
        cited = [e for e in case.evidence if e.ref in answer.evidence]
        wanted = answer.disposition in (Disposition.ESCALATE, Disposition.ACT)
        fresh = [e for e in cited if not e.source.startswith("incident")]
        # One incident for each known cause at most: what a model calls it otherwise opens none.
        known = any(cause.code == answer.cause for cause in all_causes())
        if not wanted or answer.insufficient or not fresh or not known:
            return None
        if answer.severity.rank < Severity.WARNING.rank:
            return None

        async def commit(work: Work) -> int:
            opened = await incidents.open_or_join(
                work,
                NewIncident(
                    severity=answer.severity,
                    category=_category_of(answer.cause),
                    title=title_of(unit="", text=f"Review of the whole: {answer.summary}"),
                    unit="",
                    correlation=f"{_KEY}:{answer.cause}",
                    at=fresh[0].at,
                    holistic=True,
                ),
                reopen_seconds=24 * 3600,
                actor="tier/review",
            )
            if opened.how is not incidents.How.JOINED:
                await incidents.add_evidence(
                    work,
                    incident_id=opened.incident.id,
                    items=[
                        NewEvidence(
                            provenance=e.provenance.value,
                            source=e.source,
                            text=e.text,
                            at=e.at,
                            count=e.count,
                        )
                        for e in fresh
                    ],
                )
            return opened.incident.id

        return await run(self._database, commit)

    async def _finish(
        self,
        review_id: int,
        looked_at: dict[str, Any],
        summary: str | None,
        numbers: Sequence[int],
        error: str | None,
        answer: Assessment | None,
    ) -> None:
        await run(
            self._database,
            lambda work: reviews.finish(
                work,
                review_id=review_id,
                looked_at=looked_at,
                summary=summary,
                incidents=numbers,
                error=error,
                usage=answer.usage if answer is not None else None,
            ),
        )


class BurstReview:
    """Starts a review when many incidents were opened within ten minutes."""

    def __init__(self, *, database: Database, review: HolisticReview, threshold: int) -> None:
        self._database = database
        self._review = review
        self._threshold = threshold

    async def run(self) -> None:
        """Looks every half minute until cancelled; after a review it rests for ten minutes."""
        while True:
            await asyncio.sleep(30)
            try:
                if await self._burst():
                    await self._review.run_now(trigger="burst")
                    await asyncio.sleep(600)
            except StoreUnavailableError as error:
                log.debug("burst review waits for the store", why=str(error))

    async def _burst(self) -> bool:
        since = datetime.now(tz=UTC) - timedelta(minutes=10)
        async with self._database.connection() as connection:
            found = await incident_queries.listing(
                connection, IncidentFilter(since=since), limit=self._threshold * 4
            )
        return sum(1 for i in found if i.opened_at >= since) >= self._threshold


def build_case(
    recent: Sequence[PatternRow],
    live: Sequence[Incident],
    *,
    facts: tuple[tuple[str, str], ...],
    now: datetime,
) -> Case:
    """One case over everything: live incidents first, then patterns by severity and rate."""
    evidence = [
        Evidence(
            ref=f"E{number}",
            provenance=Provenance.TEXT,  # its title is what a log line said
            source=f"incident #{incident.id}",
            text=f"{incident.severity.value} incident, {incident.state}: {incident.title}",
            at=incident.opened_at,
            count=incident.event_count,
        )
        for number, incident in enumerate(live, start=1)
    ]
    ranked = sorted(recent, key=_interest, reverse=True)[:_MAX_PATTERNS]
    evidence += [
        Evidence(
            ref=f"E{number}",
            provenance=Provenance(row.provenance),
            source=f"{row.source_kind}/{row.unit or 'unknown'}",
            text=row.sample[:400],
            at=row.last_seen,
            count=row.count,
        )
        for number, row in enumerate(ranked, start=len(evidence) + 1)
    ]
    worst = max((i.severity for i in live), key=lambda s: s.rank, default=Severity.NOTICE)
    return Case(
        incident_id=0,
        title="Review of everything since the last time",
        severity=worst,
        category=Category.SERVICE,
        opened_at=now,
        evidence=tuple(evidence),
        facts=(("patterns since the last review", str(len(recent))), *facts),
        causes=all_causes(),
    )


def _interest(row: PatternRow) -> tuple[int, float, float]:
    severity = Severity(row.severity or row.floor).at_least(Severity(row.floor))
    return (severity.rank, row.rate, row.last_seen.timestamp())


def _category_of(cause: str) -> Category:
    for entry in all_causes():
        if entry.code == cause and entry.categories:
            return entry.categories[0]
    return Category.SERVICE
