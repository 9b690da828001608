"""What review and meta said about an incident, with what it cost and rests on."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg.rows import class_row

from daemon.ledger import NewEntry
from daemon.store.pool import Connection
from daemon.store.values import clean, to_json
from daemon.store.work import Work
from tiers.contracts import ActionRequest, Assessment, Plan, ToolTrace
from tiers.vocabulary import TierName

INSERT = """
insert into assessments (incident_id, tier, cause, severity, disposition, confidence, summary,
  evidence, actions, advice, success, tool_calls, repaired, model, endpoint, prompt_tokens,
  completion_tokens, seconds)
values (%s, %s, %s, %s, %s, %s, %s, %s::text[], %s::jsonb, %s::text[], %s, %s::jsonb, %s, %s, %s,
  %s, %s, %s)
returning id
"""
OF_INCIDENT = "select * from assessments where incident_id = %s order by id"
LATEST = """
select distinct on (incident_id) * from assessments where incident_id = any(%s::bigint[])
order by incident_id, id desc
"""
_TOOL_TEXT = 2_000
"""Characters of a tool's summary that are kept."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentRow:
    """A row of `assessments`; `tier` is review or meta."""

    id: int
    incident_id: int
    tier: str
    cause: str
    severity: str
    disposition: str
    confidence: float
    summary: str
    evidence: list[str]
    actions: list[dict[str, Any]]
    advice: list[str]
    success: str | None
    tool_calls: list[dict[str, Any]]
    repaired: bool
    model: str
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    at: dt.datetime


async def record_assessment(work: Work, *, incident_id: int, assessment: Assessment) -> int:
    """Stores and records what the review tier said. Returns its id."""
    return await _record(
        work,
        incident_id=incident_id,
        tier=TierName.REVIEW,
        answer=assessment,
        disposition=assessment.disposition.value,
        requests=assessment.actions,
        advice=(),
        success=None,
    )


async def record_plan(work: Work, *, incident_id: int, plan: Plan, disposition: str) -> int:
    """Stores and records what the meta tier said. `disposition` is what was made of it."""
    return await _record(
        work,
        incident_id=incident_id,
        tier=TierName.META,
        answer=plan,
        disposition=disposition,
        requests=plan.steps,
        advice=plan.advice,
        success=plan.success,
    )


async def _record(
    work: Work,
    *,
    incident_id: int,
    tier: TierName,
    answer: Assessment | Plan,
    disposition: str,
    requests: Sequence[ActionRequest],
    advice: Sequence[str],
    success: str | None,
) -> int:
    usage = answer.usage
    actions = [
        {"code": request.code, "reason": request.reason, "evidence": list(request.evidence)}
        for request in requests
    ]
    cursor = await work.connection.execute(
        INSERT,
        (
            incident_id,
            tier.value,
            clean(answer.cause),
            answer.severity.value,
            disposition,
            answer.confidence,
            clean(answer.summary),
            [clean(ref) for ref in answer.evidence],
            to_json(actions),
            [clean(line) for line in advice],
            None if success is None else clean(success),
            to_json([_call(trace) for trace in answer.tool_calls]),
            answer.repaired,
            usage.model,
            usage.endpoint,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.seconds,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101
    assessment_id: int = row[0]
    work.record(
        NewEntry(
            kind="assessment" if tier is TierName.REVIEW else "plan",
            actor=f"tier/{tier.value}",
            incident_id=incident_id,
            body={
                "assessment": assessment_id,
                "cause": answer.cause,
                "severity": answer.severity.value,
                "disposition": disposition,
                "confidence": answer.confidence,
                "summary": answer.summary,
                "evidence": list(answer.evidence),
                "actions": [request.code for request in requests],
                "actions_evidence": [list(request.evidence) for request in requests],
                "tool_calls": [trace.name for trace in answer.tool_calls],
                "repaired": answer.repaired,
                "model": usage.model,
                "endpoint": usage.endpoint,
            },
        )
    )
    return assessment_id


async def of_incident(connection: Connection, incident_id: int) -> list[AssessmentRow]:
    """Oldest first."""
    async with connection.cursor(row_factory=class_row(AssessmentRow)) as cursor:
        await cursor.execute(OF_INCIDENT, (incident_id,))
        return await cursor.fetchall()


async def latest(connection: Connection, incident_ids: Sequence[int]) -> dict[int, AssessmentRow]:
    """The last answer about each incident."""
    async with connection.cursor(row_factory=class_row(AssessmentRow)) as cursor:
        await cursor.execute(LATEST, (list(incident_ids),))
        return {row.incident_id: row for row in await cursor.fetchall()}


def _call(trace: ToolTrace) -> dict[str, Any]:
    return {
        "name": trace.name,
        "arguments": dict(trace.arguments),
        "ok": trace.result.ok,
        "summary": trace.result.summary[:_TOOL_TEXT],
        "provenance": trace.result.provenance.value,
        "seconds": trace.seconds,
    }
