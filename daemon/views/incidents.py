"""Incidents as the facade shows them, and what operators do with them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from api.ports import (
    AssessmentView,
    BusyError,
    ConflictError,
    EvidenceView,
    IncidentDetail,
    IncidentFilter,
    IncidentView,
    NotFoundError,
    TransitionView,
    VerdictView,
)
from daemon.escalation import states
from daemon.escalation.casebook import counts_of
from daemon.escalation.leading import leading_values
from daemon.escalation.remembered import remembered
from daemon.escalation.states import Happening, IllegalTransitionError, State
from daemon.ledger import Entry
from daemon.memory.index import IndexUnusableError
from daemon.memory.recall import Memory
from daemon.store import (
    assessments,
    incident_queries,
    incidents,
    ledger,
    mutes,
    patterns,
    transitions,
    verdicts,
)
from daemon.store.assessments import AssessmentRow
from daemon.store.errors import StoreUnavailableError
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from daemon.store.transitions import Transition
from daemon.store.verdicts import VerdictRow
from daemon.store.work import Work, run
from daemon.views.choices import require_known
from daemon.views.giving_up import PATIENCE, GivingUp
from tiers.vocabulary import Category, Severity, TierName

log = structlog.get_logger()

_PATIENCE = 10.0
"""Seconds that an operator waits for the store."""


class IncidentsView:
    """Satisfies `api.ports.Incidents`."""

    def __init__(
        self, *, database: Database, memory: Memory | None, on_mutes: Callable[[], None]
    ) -> None:
        """`on_mutes` is called when the mutes have changed."""
        self._giving_up = GivingUp(name="incidents", seconds=PATIENCE)
        self._database = database
        self._memory = memory
        self._on_mutes = on_mutes

    async def find(self, wanted: IncidentFilter) -> Sequence[IncidentView]:
        """Raises `WrongParameterError` where a state is none."""
        require_known(wanted.states, State, param="state")
        return await self._giving_up.or_busy(self._find(wanted))

    async def _find(self, wanted: IncidentFilter) -> Sequence[IncidentView]:
        severities = None
        if wanted.min_severity is not None:
            least = wanted.min_severity.rank
            severities = [severity for severity in Severity if severity.rank >= least]
        try:
            async with self._database.connection() as connection:
                found = await incident_queries.listing(
                    connection,
                    incident_queries.IncidentFilter(
                        states=list(wanted.states) or None,
                        severities=severities,
                        contains=wanted.text,
                        since=wanted.since,
                        before=wanted.before_id,
                    ),
                    limit=wanted.limit,
                )
                said = await assessments.latest(connection, [i.id for i in found])
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        return [view_of(incident, said.get(incident.id)) for incident in found]

    async def show(self, incident_id: int) -> IncidentDetail:
        return await self._giving_up.or_busy(self._show(incident_id))

    async def _show(self, incident_id: int) -> IncidentDetail:
        try:
            async with self._database.connection() as connection:
                incident = await incident_queries.get(connection, incident_id)
                if incident is None:
                    raise NotFoundError(f"There is no incident {incident_id}.")
                shown = await incident_queries.patterns_of(connection, incident_id)
                evidence = await incident_queries.evidence_of(connection, incident_id)
                judged = await verdicts.of_incident(connection, incident_id)
                said = await assessments.of_incident(connection, incident_id)
                entries = await ledger.read(connection, incident_id=incident_id, limit=1_000)
                children = await incident_queries.listing(
                    connection, incident_queries.IncidentFilter(parent=incident_id), limit=100
                )
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        counts = counts_of(evidence, shown)
        return IncidentDetail(
            incident=view_of(incident, said[-1] if said else None),
            evidence=[
                EvidenceView(
                    ref=row.ref,
                    provenance=row.provenance,
                    source=row.source,
                    text=row.text,
                    at=row.at,
                    count=counts[row.ref],
                )
                for row in evidence
            ],
            verdicts=[_verdict(row) for row in judged],
            assessments=[_assessment(row) for row in said],
            timeline=[_step(entry) for entry in entries],
            leading=leading_values(shown),
            children=[child.id for child in children],
        )

    async def close(self, incident_id: int, *, by: str, reason: str) -> IncidentView:
        with _busy():
            closed = await self._operator_close(incident_id, by=by, reason=reason, extra=None)
            await self._remember(closed)
        return view_of(closed, None)

    async def mute(
        self,
        incident_id: int,
        *,
        by: str,
        reason: str,
        hours: float | None,
        max_per_hour: int | None,
    ) -> IncidentView:
        until = None if hours is None else datetime.now(tz=UTC) + timedelta(hours=hours)
        with _busy():
            async with self._database.connection() as connection:
                shown = await incident_queries.patterns_of(connection, incident_id)
            fingerprints = [entry.fingerprint for entry in shown]

            async def add(work: Work) -> None:
                for fingerprint in fingerprints:
                    await mutes.add(
                        work,
                        reason=reason,
                        created_by=by,
                        fingerprint=fingerprint,
                        expires_at=until,
                        max_per_hour=max_per_hour,
                    )

            async def quieten(work: Work) -> None:
                # What waits to be counted would only open the incident again.
                await patterns.take_unattached(work, fingerprints=fingerprints)

            muted = await self._operator_close(
                incident_id, by=by, reason=f"muted: {reason}", extra=add, first=quieten
            )
        self._on_mutes()
        return view_of(muted, None)

    async def _operator_close(
        self,
        incident_id: int,
        *,
        by: str,
        reason: str,
        extra: transitions.FollowUp | None,
        first: transitions.FollowUp | None = None,
    ) -> Incident:
        """Closes whatever the incident's state is; a worker that has it finds its fence moved.
        `first` locks patterns, which everybody does before incidents."""

        async def commit(work: Work) -> None:
            if first is not None:
                await first(work)
            incident = await incidents.lock(work, incident_id)
            if incident is None:
                raise NotFoundError(f"There is no incident {incident_id}.")
            try:
                target = states.after(State(incident.state), Happening.OPERATOR_CLOSED)
            except IllegalTransitionError:
                raise ConflictError(f"Incident {incident_id} is closed already.") from None
            transition = Transition(
                incident_id=incident.id,
                from_state=incident.state,
                fence=incident.fence,
                to_state=target.value,
                happening=Happening.OPERATOR_CLOSED.value,
                actor=by,
                reason=reason,
            )
            await transitions.apply(work, [transition])
            if extra is not None:
                await extra(work)

        await run(self._database, commit, seconds=_PATIENCE)
        async with self._database.connection() as connection:
            closed = await incident_queries.get(connection, incident_id)
        if closed is None:
            raise NotFoundError(f"There is no incident {incident_id}.")
        return closed

    async def _remember(self, incident: Incident) -> None:
        if self._memory is None:
            return
        async with self._database.connection() as connection:
            entry = await remembered(connection, incident)
        try:
            await self._memory.remember(entry)
        except IndexUnusableError as error:
            # Closed it is; `triaged memory rebuild` brings back what is missing.
            log.warning("incident not remembered", incident=incident.id, why=str(error))


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """A store that is away is something to try again, not a defect."""
    try:
        yield
    except StoreUnavailableError as error:
        raise BusyError(str(error), retry_after=error.retry_after) from error


def view_of(incident: Incident, said: AssessmentRow | None) -> IncidentView:
    """An incident as listings show it; `said` is the last assessment."""
    return IncidentView(
        id=incident.id,
        state=incident.state,
        severity=incident.severity,
        category=incident.category,
        title=incident.title,
        unit=incident.unit,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        last_event_at=incident.last_event_at,
        closed_at=incident.closed_at,
        close_reason=incident.close_reason,
        reopened=incident.reopened,
        event_count=incident.event_count,
        assessed=incident.assessed,
        cause=said.cause if said is not None else None,
        parent_id=incident.parent_id,
    )


def _verdict(row: VerdictRow) -> VerdictView:
    return VerdictView(
        fingerprint=row.fingerprint,
        pattern=row.pattern,
        escalate=row.escalate,
        probability=row.probability,
        severity=Severity(row.severity),
        category=Category(row.category),
        reason=row.reason,
        model=row.model,
        endpoint=row.endpoint,
        seconds=row.seconds,
        at=row.at,
    )


def _assessment(row: AssessmentRow) -> AssessmentView:
    return AssessmentView(
        tier=TierName(row.tier),
        cause=row.cause,
        severity=Severity(row.severity),
        disposition=row.disposition,
        confidence=row.confidence,
        summary=row.summary,
        evidence=row.evidence,
        actions=row.actions,
        advice=row.advice,
        success=row.success,
        tool_calls=row.tool_calls,
        repaired=row.repaired,
        model=row.model,
        endpoint=row.endpoint,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        seconds=row.seconds,
        at=row.at,
    )


def _step(entry: Entry) -> TransitionView:
    return TransitionView(
        at=entry.at, actor=entry.actor, kind=entry.kind, summary=_words(entry.kind, entry.content)
    )


def _words(kind: str, body: Mapping[str, Any]) -> str:
    if kind == "transition":
        reason = f": {body['reason']}" if body.get("reason") else ""
        start = f"{body['from']} to " if body.get("from") else ""
        return f"{start}{body.get('to')} ({body.get('happening')}){reason}"
    if kind in ("assessment", "plan"):
        return f"{kind}: {body.get('cause')}, {body.get('disposition')}: {body.get('summary')}"
    if kind == "parent":
        return f"follows from incident #{body.get('parent')}"
    if kind.startswith("action_"):
        return _action_words(kind, body)
    return kind


_ACTION_WORDS = {
    "action_request": "asked for",
    "action_intent": "about to begin",
    "action_started": "begun",
    "action_expired": "expired",
    "action_withdrawn": "withdrawn",
    "action_confirmed": "confirmed, so it stays",
    "action_reversal": "reversed",
    "action_inverse": "to be taken back",
}
_VERDICTS = {"allow": "allowed", "ask": "proposed", "deny": "refused"}


def _action_words(kind: str, body: Mapping[str, Any]) -> str:
    """Like "action 3 failed: nginx.service is failed"."""
    word = _ACTION_WORDS.get(kind, kind)
    if kind == "action_decision":
        word = _VERDICTS.get(str(body.get("verdict")), word)
    elif kind == "action_approval":
        word = "approved" if body.get("approved") else "denied"
    elif kind == "action_result":
        word = str(body.get("outcome", word))
    said = body.get("detail") or body.get("why")
    if kind == "action_request":
        said = f"{body.get('action')} {body.get('target')}"
    number = f"action {body['action_id']} " if body.get("action_id") else ""
    return f"{number}{word}" + (f": {said}" if said else "")
