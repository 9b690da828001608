"""Scripted tiers and a small engine over a real database."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from daemon.actions.requests import Requests
from daemon.escalation.attach import Attacher
from daemon.escalation.casebook import Casebook
from daemon.escalation.judge import Judge
from daemon.escalation.worker import Worker, WorkerLimits
from daemon.events import Batch, Event
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import RuleBook, built_in_rules
from daemon.live import LiveHub
from daemon.memory.none import NoRecall
from daemon.store import incident_queries
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from daemon.store.prepared import Group
from daemon.store.writer import Writer
from tiers.contracts import (
    Assessment,
    Case,
    Disposition,
    MetaTier,
    Plan,
    ReviewTier,
    Sighting,
    TriggerTier,
    Usage,
    Verdict,
)
from tiers.errors import TierUnavailableError
from tiers.ladder import LadderRules
from tiers.vocabulary import Category, Provenance, Severity, SourceKind, Urgency

USAGE = Usage(model="scripted", endpoint="test", prompt_tokens=1, completion_tokens=1, seconds=0.01)
LIMITS = WorkerLimits(lease_seconds=30, deadline_seconds=3600, max_attempts=3, ladder=LadderRules())


def event(text: str, *, unit: str = "app", at: float | None = None, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "text": text,
        "unit": unit,
        "kind": SourceKind.FILE,
        "source": "test",
        "provenance": Provenance.TEXT,
        "occurred_at": time.time() if at is None else at,
    }
    return Event(**{**values, **changes})


_ABOUT = {"Out of memory": Category.MEMORY, "EXT4": Category.STORAGE}


class ScriptedTrigger:
    """Escalates what contains "bad". `down` makes it unavailable; `before` is awaited first."""

    def __init__(self) -> None:
        self.down = False
        self.seen: list[Sighting] = []
        self.before: Callable[[Sighting], Awaitable[None]] | None = None
        self.severity = Severity.WARNING

    async def judge(self, sighting: Sighting) -> Verdict:
        if self.before is not None:
            await self.before(sighting)
        if self.down:
            raise TierUnavailableError("it is down", retry_after=0.01)
        self.seen.append(sighting)
        bad = "bad" in sighting.text or sighting.floor.rank >= Severity.WARNING.rank
        severity = self.severity if bad else Severity.INFO
        return Verdict(
            fingerprint=sighting.fingerprint,
            escalate=bad,
            probability=0.9 if bad else 0.1,
            severity=severity.at_least(sighting.floor),
            category=next(
                (category for word, category in _ABOUT.items() if word in sighting.text),
                Category.APPLICATION,
            ),
            urgency=Urgency.TODAY,
            usage=USAGE,
        )


def assessment(**changes: Any) -> Assessment:
    values: dict[str, Any] = {
        "cause": "service_crash",
        "severity": Severity.WARNING,
        "disposition": Disposition.WATCH,
        "confidence": 0.9,
        "summary": "it is understood",
        "evidence": ("E1",),
        "actions": (),
        "usage": USAGE,
    }
    return Assessment(**{**values, **changes})


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "cause": "service_crash",
        "severity": Severity.WARNING,
        "summary": "do this",
        "steps": (),
        "advice": ("look at it",),
        "success": "it runs",
        "confidence": 0.9,
        "evidence": ("E1",),
        "usage": USAGE,
    }
    return Plan(**{**values, **changes})


Script = Callable[[Case], Awaitable[Any]]


class ScriptedReview:
    def __init__(self, answer: Assessment | Exception | Script) -> None:
        self.answer = answer
        self.cases: list[Case] = []
        self.asked = asyncio.Event()

    async def assess(self, case: Case) -> Assessment:
        self.cases.append(case)
        self.asked.set()
        return await _answered(self.answer, case)  # type: ignore[no-any-return]


class ScriptedMeta:
    def __init__(self, answer: Plan | Exception | Script) -> None:
        self.answer = answer
        self.cases: list[Case] = []

    async def plan(self, case: Case) -> Plan:
        self.cases.append(case)
        return await _answered(self.answer, case)  # type: ignore[no-any-return]


async def _answered(answer: Any, case: Case) -> Any:
    if isinstance(answer, Exception):
        raise answer
    if callable(answer):
        return await answer(case)
    return answer


@dataclasses.dataclass
class Bench:
    """Intake and judge of one daemon."""

    database: Database
    fold: Fold
    judge: Judge
    trigger: TriggerTier

    async def take(self, events: Sequence[Event], *, source: str = "test") -> Folded:
        folded = self.fold.batch(Batch(source=source, events=tuple(events), cursor=None))
        await Writer(database=self.database).commit(Group.of([folded.prepared]))
        return folded

    async def settle(self) -> None:
        """Judges and attaches until nothing is left that can be done now."""
        while await self.judge.judge_some() + await self.judge.attach_some():
            pass


def bench(
    database: Database,
    trigger: TriggerTier,
    *,
    owner: str = "one",
    rules: RuleBook | None = None,
    max_new: int = 1000,
    parallel: int = 4,
    clock: Callable[[], float] = time.time,
    sure_from: float = 0.0,
) -> Bench:
    book = rules or built_in_rules()
    fold = Fold(table=PatternTable(), rules=book, limits=Limits(), clock=clock)
    judge = Judge(
        database=database,
        trigger=trigger,
        attacher=Attacher(reopen_seconds=3600, max_new_per_minute=max_new, clock=time.monotonic),
        rules=book,
        on_verdict=fold.settle,
        on_incident=lambda: None,
        live=LiveHub(),
        owner=owner,
        parallel=parallel,
        sure_from=sure_from,
    )
    return Bench(database=database, fold=fold, judge=judge, trigger=trigger)


async def no_facts() -> tuple[tuple[str, str], ...]:
    return (("host", "test"),)


def worker(
    database: Database,
    *,
    review: ReviewTier | None = None,
    meta: MetaTier | None = None,
    limits: WorkerLimits = LIMITS,
    owner: str = "w",
    requests: Requests | None = None,
) -> Worker:
    return Worker(
        database=database,
        casebook=Casebook(database=database, recall=NoRecall(), facts=no_facts, similar=3),
        review=review or ScriptedReview(assessment()),
        meta=meta or ScriptedMeta(plan()),
        live=LiveHub(),
        owner=owner,
        limits=limits,
        requests=requests,
        gather_seconds=0,
    )


async def incidents(database: Database, **wanted: Any) -> list[Incident]:
    """Oldest first."""
    async with database.connection() as connection:
        found = await incident_queries.listing(
            connection, incident_queries.IncidentFilter(**wanted), limit=500
        )
    return found[::-1]


async def execute(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with database.connection() as connection:
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


async def forever(_: object) -> None:
    await asyncio.Event().wait()
