"""Patterns to the trigger tier, and its verdicts into the store.

The queue is the database: a pattern that has a `judge_reason` waits. No transaction is open while
the model thinks; verdict, ledger row and the incident are one transaction afterwards.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import datetime

import structlog

from daemon.escalation.attach import Attached, Attacher
from daemon.intake.correlate import UNSURE_KEY, judged_key
from daemon.intake.rules import RuleBook
from daemon.intake.state import BURST_SECONDS, KnownVerdict
from daemon.live import LiveHub
from daemon.store import patterns
from daemon.store.errors import StoreUnavailableError
from daemon.store.incidents import How
from daemon.store.patterns import PatternRow
from daemon.store.pool import Database
from daemon.store.work import Work, run
from tiers.contracts import Sighting, TriggerTier, Usage, Verdict
from tiers.errors import TierError, TierUnavailableError
from tiers.vocabulary import Category, Provenance, Severity, SourceKind, Urgency

log = structlog.get_logger()

_LEASE_SECONDS = 120.0
_PAUSE_SECONDS = 15.0
_REFUSED_PAUSE_SECONDS = 3600.0
_POLL_SECONDS = 2.0
"""For what nobody here announces: other daemons' patterns, leases and pauses that end."""
_BY_RULE = "rule"
_VOUCHED = frozenset((Provenance.MEASURED.value, Provenance.SYSTEMD.value))
_URGENCY = {
    Severity.INFO: Urgency.NONE,
    Severity.NOTICE: Urgency.DAYS,
    Severity.WARNING: Urgency.TODAY,
    Severity.CRITICAL: Urgency.NOW,
}

OnVerdict = Callable[[str, KnownVerdict], None]
"""Told about every verdict that is durable: (fingerprint, verdict). Intake folds by it."""


@dataclasses.dataclass(slots=True, kw_only=True)
class JudgeCounts:
    """What was done since the start."""

    calls: int = 0
    claimed: int = 0
    verdicts: int = 0
    by_rule: int = 0
    failures: int = 0


class Judge:
    """Takes patterns that need a verdict and gets them one. Any number of daemons may judge."""

    def __init__(
        self,
        *,
        database: Database,
        trigger: TriggerTier,
        attacher: Attacher,
        rules: RuleBook,
        on_verdict: OnVerdict,
        on_incident: Callable[[], None],
        live: LiveHub,
        owner: str,
        parallel: int,
        sure_from: float = 0.0,
    ) -> None:
        """`on_incident` is told that an incident was opened, reopened or joined."""
        self._database = database
        self._trigger = trigger
        self._attacher = attacher
        self._rules = rules
        self._on_verdict = on_verdict
        self._on_incident = on_incident
        self._live = live
        self._owner = owner
        self._parallel = parallel
        self._sure_from = sure_from
        self._wake = asyncio.Event()
        self._down = False
        self._unattachable: set[str] = set()
        # Attaching in one order keeps storms bounded and titles stable.
        self._attaching = asyncio.Lock()
        self.counts = JudgeCounts()

    def wake(self) -> None:
        """There may be something to judge: do not wait for the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Judges until cancelled. The store being away is waited for."""
        while True:
            try:
                busy = await self.judge_some() + await self.attach_some()
            except StoreUnavailableError:
                busy = 0
            if busy:
                continue
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def judge_some(self) -> int:
        """Judges up to twice as many patterns as the tier answers at once; returns how many got
        their verdict from it."""
        async with self._database.connection() as connection:
            rows = await patterns.claim_to_judge(
                connection,
                owner=self._owner,
                limit=2 * self._parallel,
                lease_seconds=_LEASE_SECONDS,
            )
        self.counts.claimed += len(rows)
        done = await asyncio.gather(
            *(self._judge_safely(row) for row in rows), return_exceptions=True
        )
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(1 for outcome in done if outcome is True)

    async def attach_some(self) -> int:
        """Counts new occurrences of escalated patterns on their incidents; returns of how many."""
        async with self._database.connection() as connection:
            rows = await patterns.to_attach(connection, limit=200)
            quiet = await patterns.settle_quiet(connection)
        return quiet + sum([await self._attach_safely(row) for row in rows])

    async def _judge_safely(self, row: PatternRow) -> bool:
        """A defect that one pattern brings out must not stop the judging of all others."""
        try:
            return await self._judge(row)
        except StoreUnavailableError:
            raise
        except Exception as error:
            self.counts.failures += 1
            log.error("pattern not judged", fingerprint=row.fingerprint, exc_info=error)
            await self._release(row, pause=_REFUSED_PAUSE_SECONDS)
            return False

    async def _attach_safely(self, row: PatternRow) -> bool:
        """As above: what cannot be counted stays uncounted, and is said once."""
        severity = Severity(row.severity or row.floor).at_least(Severity(row.floor))
        category = Category(row.category) if row.category else Category.APPLICATION
        try:
            await self._attach(row, severity, category)
        except StoreUnavailableError:
            raise
        except Exception as error:
            if row.fingerprint not in self._unattachable:
                self._unattachable.add(row.fingerprint)
                log.error("pattern not counted", fingerprint=row.fingerprint, exc_info=error)
            return False
        self._unattachable.discard(row.fingerprint)
        return True

    async def _judge(self, row: PatternRow) -> bool:
        self.counts.calls += 1
        try:
            verdict = await self._trigger.judge(sighting_of(row))
        except TierUnavailableError as error:
            self.counts.calls -= 1
            self._say_down(str(error))
            await self._without_model(row, pause=max(_PAUSE_SECONDS, error.retry_after))
            return False
        except TierError as error:
            self.counts.failures += 1
            log.warning(
                "pattern not judged", unit=row.unit, sample=row.sample[:200], why=str(error)
            )
            await self._without_model(row, pause=_REFUSED_PAUSE_SECONDS)
            return False
        self._say_down(None)
        return await self._settle(row, verdict, reason=row.judge_reason or "new")

    async def _without_model(self, row: PatternRow, *, pause: float) -> None:
        """What a rule says is bad is an incident even while no model answers; the model looks
        later."""
        floor = Severity(row.floor)
        if floor.rank < Severity.WARNING.rank or row.verdict_id is not None:
            await self._release(row, pause=pause)
            return
        rule = self._rules.named(row.rule)
        verdict = Verdict(
            fingerprint=row.fingerprint,
            escalate=True,
            probability=1.0,
            severity=floor,
            category=rule.category if rule is not None else Category.APPLICATION,
            urgency=_URGENCY[floor],
            usage=Usage(
                model=_BY_RULE,
                endpoint=row.rule or "measured",
                prompt_tokens=0,
                completion_tokens=0,
                seconds=0.0,
                calls=0,
            ),
        )
        if await self._settle(row, verdict, reason="rule", again_after=pause):
            self.counts.by_rule += 1

    def _key(self, row: PatternRow, verdict: Verdict) -> str:
        """What the pattern's incident is known by. What a rule or a measurement says has its own;
        else the model must be sure to open one for the pattern alone."""
        vouched = row.provenance in _VOUCHED or Severity(row.floor).rank >= Severity.WARNING.rank
        if vouched and row.correlation is not None and row.correlation != UNSURE_KEY:
            return row.correlation
        if not vouched and verdict.probability < self._sure_from:
            return UNSURE_KEY
        return judged_key(unit=row.unit, category=verdict.category)

    async def _release(self, row: PatternRow, *, pause: float) -> None:
        async with self._database.connection() as connection:
            await patterns.release(
                connection, fingerprint=row.fingerprint, owner=self._owner, pause_seconds=pause
            )

    async def _settle(
        self, row: PatternRow, verdict: Verdict, *, reason: str, again_after: float | None = None
    ) -> bool:
        """Verdict and incident in one transaction; `again_after` asks for another one in it.

        False when the claim had run out: then another daemon judges, and nothing is written.
        """
        key = self._key(row, verdict)
        in_force = verdict
        attached: Attached | None = None

        async def commit(work: Work) -> int | None:
            nonlocal attached, in_force
            attached = None
            floor = await patterns.hold(work, fingerprint=row.fingerprint, owner=self._owner)
            if floor is None:
                return None
            in_force = at_floor(verdict, floor)
            verdict_id = await patterns.record_verdict(
                work, verdict=in_force, reason=reason, burst=row.burst, correlation=key
            )
            if verdict_id is None:
                return None
            if again_after is not None:
                await patterns.ask_later(
                    work,
                    fingerprint=row.fingerprint,
                    reason=row.judge_reason or "new",
                    pause_seconds=again_after,
                )
            if in_force.escalate:
                attached = await self._attacher.attach(
                    work,
                    row=dataclasses.replace(row, correlation=key),
                    severity=in_force.severity,
                    category=in_force.category,
                )
            else:
                await patterns.take_unattached(work, fingerprints=[row.fingerprint])
            return verdict_id

        async with self._attaching:
            verdict_id = await run(self._database, commit)
        if verdict_id is None:
            # Somebody else's verdict, or our own of a commit whose outcome was unknown: intake is
            # told by `Refresh`, from the store.
            return False
        self.counts.verdicts += 1
        self._on_verdict(
            row.fingerprint,
            KnownVerdict(
                escalate=in_force.escalate,
                severity=in_force.severity,
                category=in_force.category,
                at=datetime.now(tz=row.last_seen.tzinfo).timestamp(),
                verdict_id=verdict_id,
            ),
        )
        if attached is not None:
            self._on_incident()
        self._say_verdict(row, in_force, attached)
        return True

    async def _attach(self, row: PatternRow, severity: Severity, category: Category) -> None:
        async def commit(work: Work) -> Attached | None:
            return await self._attacher.attach(work, row=row, severity=severity, category=category)

        async with self._attaching:
            attached = await run(self._database, commit)
        if attached is not None:
            self._on_incident()
            if attached.opened.how is not How.JOINED:
                self._say_incident(attached)

    def _say_verdict(self, row: PatternRow, verdict: Verdict, attached: Attached | None) -> None:
        answer = "escalate" if verdict.escalate else "nothing to do"
        self._live.publish(
            kind="verdict",
            severity=verdict.severity,
            text=f"{answer} ({verdict.probability:.2f}, {verdict.category.value}) "
            f"{row.unit}: {row.sample[:160]}",
            incident=attached.opened.incident.id if attached else None,
        )
        if attached is not None and attached.opened.how is not How.JOINED:
            self._say_incident(attached)

    def _say_incident(self, attached: Attached) -> None:
        incident = attached.opened.incident
        self._live.publish(
            kind="incident",
            severity=incident.severity,
            text=f"#{incident.id} {attached.opened.how.value}: {incident.title}",
            incident=incident.id,
        )

    def _say_down(self, why: str | None) -> None:
        """One line when the tier goes away and one when it is back."""
        if why is not None and not self._down:
            log.warning("the trigger tier does not answer; rules go on without it", why=why)
        elif why is None and self._down:
            log.info("the trigger tier answers again")
        self._down = why is not None


def at_floor(verdict: Verdict, floor: Severity) -> Verdict:
    """The verdict with what rules say by now. Pure. A tier applies the floor that it was shown;
    this one may have risen while it thought."""
    if verdict.severity.rank >= floor.rank:
        return verdict
    return dataclasses.replace(
        verdict,
        severity=floor,
        escalate=verdict.escalate or floor.rank >= Severity.WARNING.rank,
        urgency=_URGENCY[floor],
    )


def sighting_of(row: PatternRow) -> Sighting:
    """A pattern as the trigger tier is shown it: by its worst minute since it was last judged."""
    return Sighting(
        fingerprint=row.fingerprint,
        source_kind=SourceKind(row.source_kind),
        unit=row.unit,
        pattern=row.pattern,
        text=row.sample,
        provenance=Provenance(row.provenance),
        count=max(row.burst, 1),
        span_seconds=BURST_SECONDS if row.burst > 1 else 0.0,
        values=tuple((str(k), str(v), int(n)) for k, v, n in row.top_values),
        floor=Severity(row.floor),
        reason=row.judge_reason or "new",
    )
