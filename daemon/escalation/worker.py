"""Takes incidents under a lease, asks the tier, and commits what follows.

Claim, case and commit are short transactions of their own; none is open while a tier thinks. The
commit is a compare-and-set on state and fence: a worker that lost its lease writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from datetime import UTC, datetime, timedelta

import structlog

from daemon.actions.requests import Requests
from daemon.escalation import states
from daemon.escalation.asking import ask_for, ask_for_aid
from daemon.escalation.casebook import MAX_EVIDENCE, Casebook, CaseFile
from daemon.escalation.leading import left_of, may_ask_again, newcomer, recents, rested_on
from daemon.escalation.offers import says_down
from daemon.escalation.settle import (
    Settlement,
    settle_assessment,
    settle_plan,
    within_case,
)
from daemon.escalation.states import Happening, State
from daemon.live import LiveHub
from daemon.store import assessments, incident_queries, incidents, leases, transitions
from daemon.store.errors import StoreUnavailableError
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from daemon.store.transitions import Transition
from daemon.store.work import Work, run
from tiers.contracts import Assessment, Case, Disposition, MetaTier, Plan, ReviewTier
from tiers.errors import TierError, TierUnavailableError
from tiers.ladder import LadderRules

log = structlog.get_logger()

_CLAIMS = {waiting.value: leased.value for leased, waiting in states.LEASED.items()}
_EXPIRES = {leased.value: waiting.value for leased, waiting in states.LEASED.items()}
_POLL_SECONDS = 2.0
"""For what nobody here announces: other daemons' incidents, leases and pauses that end."""
_GATHER_SECONDS = 1.0
"""An incident this young may still be getting evidence: what belongs together comes together."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """Leases, deadlines and tries; seconds."""

    lease_seconds: float
    deadline_seconds: float
    max_attempts: int
    ladder: LadderRules


@dataclasses.dataclass(slots=True, kw_only=True)
class WorkerCounts:
    """Tier calls since the start, and answers that were used."""

    review: int = 0
    meta: int = 0
    settled: int = 0
    failures: int = 0


class Worker:
    """Moves incidents through review and meta. Any number of daemons may work."""

    def __init__(
        self,
        *,
        database: Database,
        casebook: Casebook,
        review: ReviewTier,
        meta: MetaTier,
        live: LiveHub,
        owner: str,
        limits: WorkerLimits,
        requests: Requests | None = None,
        gather_seconds: float = _GATHER_SECONDS,
    ) -> None:
        """Without `requests` nothing is acted on: what tiers want is recorded as a suggestion."""
        self._database = database
        self._casebook = casebook
        self._requests = requests
        self._review = review
        self._meta = meta
        self._live = live
        self._owner = owner
        self._limits = limits
        self._gather_seconds = gather_seconds
        self._wake = asyncio.Event()
        self.counts = WorkerCounts()

    def wake(self) -> None:
        """There may be an incident to work on: do not wait for the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Works until cancelled. The store being away is waited for."""
        while True:
            try:
                busy = await self.work_once()
            except StoreUnavailableError as error:
                log.debug("worker waits for the store", why=str(error))
                busy = 0
            if busy:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def work_once(self) -> int:
        """Takes one incident, if one waits, to its next state; returns how many were taken."""

        async def take(work: Work) -> list[Incident]:
            await leases.expire(work, states=_EXPIRES)
            return await leases.claim(
                work,
                owner=self._owner,
                states=_CLAIMS,
                limit=1,
                lease_seconds=self._limits.lease_seconds,
            )

        claimed = await run(self._database, take, seconds=5)
        for incident in claimed:
            await self._handle(incident)
        return len(claimed)

    async def _handle(self, incident: Incident) -> None:
        age = (datetime.now(tz=UTC) - incident.opened_at).total_seconds()
        if 0 <= age < self._gather_seconds:
            await asyncio.sleep(self._gather_seconds - age)
        try:
            async with asyncio.timeout(self._limits.deadline_seconds):
                await self._under_lease(incident)
        except TierUnavailableError as error:
            await self._postpone(incident, str(error), after=error.retry_after, counts=False)
        except TierError as error:
            self.counts.failures += 1
            await self._postpone(incident, str(error), after=5.0, counts=True)
        except StoreUnavailableError:
            raise
        except TimeoutError:
            self.counts.failures += 1
            why = f"no answer within {self._limits.deadline_seconds:.0f} s"
            await self._postpone(incident, why, after=5.0, counts=True)
        except Exception as error:
            # A defect that one incident brings out must not stop the others: it is tried again a
            # few times and then shown to a human, with the log.
            self.counts.failures += 1
            log.error("incident not assessed", incident=incident.id, exc_info=error)
            why = f"triaged made a mistake ({type(error).__name__}); its log has the details"
            await self._postpone(incident, why, after=30.0, counts=True)

    async def _think(self, incident: Incident) -> None:
        file = await self._casebook.open(incident)
        case = file.case
        answer: Assessment | Plan
        if incident.state == State.REVIEWING:
            self.counts.review += 1
            answer = within_case(await self._review.assess(case), case=case)
        else:
            self.counts.meta += 1
            answer = within_case(await self._meta.plan(case), case=case)
        await self._commit(incident, file, answer)

    async def _commit(self, incident: Incident, file: CaseFile, answer: Assessment | Plan) -> None:
        """What follows from an answer, in one transaction. What got worse while the tier thought
        counts: the answer is weighed at today's severity, and then looked at again."""
        case = file.case
        settled = self._settle(answer, case)
        target = states.after(State(incident.state), settled.happening)
        asked = 0

        async def commit(work: Work) -> bool:
            nonlocal settled, target, asked
            current = await incidents.lock(work, incident.id)
            if current is None or current.fence != incident.fence:
                return False
            settled = self._settle(answer, dataclasses.replace(case, severity=current.severity))
            target = states.after(State(incident.state), settled.happening)
            transition = Transition(
                incident_id=incident.id,
                from_state=incident.state,
                fence=incident.fence,
                to_state=target.value,
                happening=settled.happening.value,
                actor="tier/review" if isinstance(answer, Assessment) else "tier/meta",
                reason=settled.reason,
                severity=settled.severity,
                assessed=True,
                attempts=0,
                detail={"evidence": list(answer.evidence)},
            )
            if not await transitions.apply(work, [transition]):
                return False
            await _record(work, incident, answer, settled)
            asked = await self._ask(work, incident, file, answer, settled)
            news = await _news(work, current, case)
            if (target, Happening.WORSENED) in states.TRANSITIONS:
                leader = await _answered(work, incident.id, file)
                news = news or leader
            if news and (target, Happening.WORSENED) in states.TRANSITIONS:
                await transitions.apply(work, [_worsened(current, target, why=news)])
                target = states.after(target, Happening.WORSENED)
            return True

        if await run(self._database, commit):
            self.counts.settled += 1
            if asked and self._requests is not None:
                self._requests.made()
            self._live.publish(
                kind="assessment",
                severity=settled.severity,
                text=f"#{incident.id} {target.value}: {settled.reason}",
                incident=incident.id,
            )
        else:
            log.info("lease lost; the answer is not used", incident=incident.id)

    async def _ask(
        self,
        work: Work,
        incident: Incident,
        file: CaseFile,
        answer: Assessment | Plan,
        settled: Settlement,
    ) -> int:
        """Requests of what the tier wants done, or of what code would try where it wants nothing
        and no other tier is asked."""
        requests = self._requests
        if requests is None:
            return 0
        if settled.disposition is Disposition.ACT:
            return await ask_for(
                work, answer, incident_id=incident.id, offers=file.offers, requests=requests
            )
        then = states.after(State(incident.state), settled.happening)
        if then in (State.ATTENTION, State.WATCHING):
            return await ask_for_aid(work, incident_id=incident.id, file=file, requests=requests)
        return 0

    def _settle(self, answer: Assessment | Plan, case: Case) -> Settlement:
        if isinstance(answer, Assessment):
            return settle_assessment(answer, case=case, rules=self._limits.ladder)
        return settle_plan(answer, case=case)

    async def _postpone(self, incident: Incident, why: str, *, after: float, counts: bool) -> None:
        """Back to where it waited, or to a human when it has waited or failed for long enough.

        A tier that is down does not use up tries, only time.
        """
        now = datetime.now(tz=UTC)
        # From the first failure on, not from when the incident was opened: one that returns after
        # a week is not a week late.
        deadline = incident.deadline or now + timedelta(seconds=self._limits.deadline_seconds)
        tired = counts and incident.attempts >= self._limits.max_attempts
        happening = Happening.GAVE_UP if now >= deadline or tired else Happening.POSTPONED
        pause = min(after * (2 ** min(incident.attempts, 6) if counts else 1), 300.0)
        attempts = incident.attempts if counts else max(0, incident.attempts - 1)

        gave_up = happening is Happening.GAVE_UP
        file = await self._casebook.open(incident) if gave_up else None

        async def commit(work: Work) -> bool:
            moved = await transitions.apply(
                work,
                [
                    Transition(
                        incident_id=incident.id,
                        from_state=incident.state,
                        fence=incident.fence,
                        to_state=states.after(State(incident.state), happening).value,
                        happening=happening.value,
                        actor="daemon",
                        reason=why,
                        attempts=attempts,
                        next_at=now + timedelta(seconds=pause),
                        deadline=None if gave_up else deadline,
                    )
                ],
            )
            if moved and file is not None:
                await _answered(work, incident.id, file)
            if moved and file is not None and self._requests is not None:
                await ask_for_aid(work, incident_id=incident.id, file=file, requests=self._requests)
            return bool(moved)

        await run(self._database, commit)
        if gave_up:
            if self._requests is not None:
                self._requests.made()
            log.warning("no tier could settle an incident", incident=incident.id, why=why)
            self._live.publish(
                kind="incident",
                severity=incident.severity,
                text=f"#{incident.id} needs a human: {why}",
                incident=incident.id,
            )

    async def _under_lease(self, incident: Incident) -> None:
        """Thinks, and keeps the lease meanwhile; a lost lease ends the thinking."""
        thinking = asyncio.create_task(self._think(incident), name=f"incident {incident.id}")
        beating = asyncio.create_task(self._beat(incident), name=f"lease of {incident.id}")
        try:
            await asyncio.wait({thinking, beating}, return_when=asyncio.FIRST_COMPLETED)
            if not thinking.done() and beating.exception() is None:
                log.info("lease lost; the tier is not asked any further", incident=incident.id)
                return
            # Without a heart the commit's compare-and-set decides.
            await asyncio.wait({thinking})
            thinking.result()
        finally:
            beating.cancel()
            thinking.cancel()
            await asyncio.wait({thinking, beating})

    async def _beat(self, incident: Incident) -> None:
        """Renews the lease; returns when it is lost."""
        while True:
            await asyncio.sleep(self._limits.lease_seconds / 3)
            try:
                kept = await run(
                    self._database,
                    lambda work: leases.renew(
                        work,
                        incident_id=incident.id,
                        fence=incident.fence,
                        owner=self._owner,
                        lease_seconds=self._limits.lease_seconds,
                    ),
                    seconds=self._limits.lease_seconds / 3,
                )
            except StoreUnavailableError:
                continue  # the commit's compare-and-set decides
            if not kept:
                return


async def _record(
    work: Work, incident: Incident, answer: Assessment | Plan, settled: Settlement
) -> None:
    if isinstance(answer, Assessment):
        await assessments.record_assessment(work, incident_id=incident.id, assessment=answer)
        return
    await assessments.record_plan(
        work, incident_id=incident.id, plan=answer, disposition=settled.disposition.value
    )


async def _answered(work: Work, incident_id: int, file: CaseFile) -> str:
    """Notes what a settled incident was settled by. Returns who leads what came meanwhile, in a
    sentence, where that is somebody new and worth another answer already; else ""."""
    shown = await incident_queries.patterns_of(work.connection, incident_id)
    left = left_of(recents(shown), file.rests_on)
    leader = newcomer(left, answered=file.leading)
    answers = await assessments.of_incident(work.connection, incident_id)
    if leader is not None and not may_ask_again(
        [said.at for said in answers], now=datetime.now(tz=UTC)
    ):
        leader = None
    await incidents.set_answered(
        work, incident_id=incident_id, rests_on=rested_on(shown, file.rests_on), left=left
    )
    return f"{leader} leads now, which the answer did not know" if leader else ""


async def _news(work: Work, incident: Incident, case: Case) -> str:
    """What the tier did not know when it answered: why it is asked again, "" where nothing is."""
    if incident.severity.rank > case.severity.rank:
        return f"now {incident.severity.value}, which the answer did not know"
    known = any(says_down(provenance=e.provenance.value, text=e.text) for e in case.evidence)
    if known or len(case.evidence) >= MAX_EVIDENCE:  # then it may have been left out
        return ""
    evidence = await incident_queries.evidence_of(work.connection, incident.id)
    if any(says_down(provenance=row.provenance, text=row.text) for row in evidence):
        return "systemd says now that it is down, which the answer did not know"
    return ""


def _worsened(incident: Incident, state: State, *, why: str) -> Transition:
    """`incident` as it was before its answer; `state` is where that put it."""
    return Transition(
        incident_id=incident.id,
        from_state=state.value,
        fence=incident.fence + 1,
        to_state=states.after(state, Happening.WORSENED).value,
        happening=Happening.WORSENED.value,
        actor="daemon",
        reason=why,
        attempts=0,
    )
