"""From a batch to an assessed incident: what the daemon and `triaged scan` have in common.

Built over an open store and answering tiers; owns no process and no port.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence

from daemon.actions.requests import Requests
from daemon.config.settings import Settings
from daemon.escalation.attach import Attacher
from daemon.escalation.casebook import Actable, Casebook
from daemon.escalation.facts import host_facts
from daemon.escalation.holistic import HolisticReview
from daemon.escalation.judge import Judge
from daemon.escalation.worker import Worker, WorkerLimits
from daemon.intake.admit import Limits
from daemon.intake.fold import Fold, Folded
from daemon.intake.intake import Intake
from daemon.intake.patterns import PatternTable
from daemon.intake.refresh import Refresh
from daemon.intake.rules import RuleBook
from daemon.live import LiveHub
from daemon.store.pool import Database
from daemon.store.writer import Writer
from tiers.build import Tiers
from tiers.contracts import Recall
from tiers.ladder import LadderRules

_BUNDLED_SURE = 0.97
_LARGE_SURE = 0.7


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The parts. None of them runs yet."""

    fold: Fold
    table: PatternTable
    intake: Intake
    judge: Judge
    workers: tuple[Worker, ...]
    holistic: HolisticReview
    refresh: Refresh
    live: LiveHub

    def wake_workers(self) -> None:
        """There may be an incident to look at."""
        for worker in self.workers:
            worker.wake()

    def model_calls(self) -> dict[str, int]:
        """Calls by tier since the start."""
        return {
            "trigger": self.judge.counts.calls,
            "review": sum(w.counts.review for w in self.workers) + self.holistic.calls,
            "meta": sum(w.counts.meta for w in self.workers),
        }


def build_engine(
    *,
    settings: Settings,
    database: Database,
    tiers: Tiers,
    recall: Recall,
    rules: RuleBook,
    live: LiveHub,
    owner: str,
    on_folded: Callable[[Sequence[Folded]], None],
    mutes_changed: asyncio.Event,
    host: str = "",
    requests: Requests | None = None,
    gather_seconds: float = 1.0,
) -> Engine:
    """Wires the parts together. `on_folded` is told about every committed group;
    `mutes_changed` is set by whoever changes mutes. Without `requests` nothing is acted on."""
    intake_settings, escalation = settings.intake, settings.escalation
    table = PatternTable(max_patterns=intake_settings.max_patterns)
    fold = Fold(
        table=table,
        rules=rules,
        limits=Limits(
            rate_factor=intake_settings.rate_factor,
            rate_least=intake_settings.rate_least,
            verdict_age=intake_settings.verdict_days * 86_400,
        ),
        clock=time.time,
    )
    workers: tuple[Worker, ...] = ()

    def incident() -> None:
        for worker in workers:
            worker.wake()

    judge = Judge(
        database=database,
        trigger=tiers.trigger,
        attacher=Attacher(
            reopen_seconds=escalation.reopen_hours * 3600,
            max_new_per_minute=escalation.max_new_per_minute,
            clock=time.monotonic,
        ),
        rules=rules,
        on_verdict=fold.settle,
        on_incident=incident,
        live=live,
        owner=owner,
        parallel=settings.tiers.trigger.parallel,
        sure_from=_sure_from(settings),
    )

    def committed(groups: Sequence[Folded]) -> None:
        if any(entry.judge for entry in groups) or any(
            delta.unattached for entry in groups for delta in entry.prepared.patterns
        ):
            judge.wake()
        on_folded(groups)

    intake = Intake(
        fold=fold,
        writer=Writer(database=database),
        on_committed=committed,
        queue_batches=intake_settings.queue_batches,
        group_events=intake_settings.group_events,
    )
    casebook = Casebook(
        database=database,
        recall=recall,
        facts=host_facts,
        similar=settings.memory.limit,
        actable=Actable(
            host=host,
            paths=tuple(str(path) for path in settings.actions.paths),
            certificates=tuple(settings.actions.certificates),
        ),
    )
    limits = WorkerLimits(
        lease_seconds=escalation.lease_seconds,
        deadline_seconds=escalation.deadline_minutes * 60,
        max_attempts=escalation.max_attempts,
        ladder=LadderRules(meta_from=escalation.meta_from),
    )
    workers = tuple(
        Worker(
            database=database,
            casebook=casebook,
            review=tiers.review,
            meta=tiers.meta,
            live=live,
            owner=f"{owner}/{number}",
            limits=limits,
            requests=requests,
            gather_seconds=gather_seconds,
        )
        for number in range(escalation.workers)
    )
    holistic = HolisticReview(database=database, review=tiers.review, facts=host_facts, live=live)
    return Engine(
        fold=fold,
        table=table,
        intake=intake,
        judge=judge,
        workers=workers,
        holistic=holistic,
        refresh=Refresh(database=database, fold=fold, changed=mutes_changed),
        live=live,
    )


def _sure_from(settings: Settings) -> float:
    """The bundled model is wrong more often than a large one: it has to be surer."""
    named = settings.escalation.sure_from
    if named is not None:
        return named
    return _BUNDLED_SURE if settings.tiers.trigger.bundled else _LARGE_SURE
