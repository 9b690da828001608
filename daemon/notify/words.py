"""How notices read. Pure.

Titles and evidence come from logs, where anybody may have written them, and messages go to programs
that act on what they show: mentions ring everybody's phone, links can be touched, control
characters hide. All three are made harmless.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from daemon.notify.message import Letter, Notice, Topic
from daemon.store.assessments import AssessmentRow
from daemon.store.incidents import Incident
from tiers.vocabulary import Severity

_TITLE_CHARS = 160
_BODY_CHARS = 1_500
_LISTED = 20
_LINK = re.compile(r"(?:ht|f)tps?://", re.IGNORECASE)
_MENTION = re.compile(r"@(?=\w)|<(?=[!@#])|\[(?=[^\]]*\]\()")
_ZERO_WIDTH = "\u200b"


def harmless(text: str, most: int) -> str:
    """Text from a host as a person may safely see it in a chat: one line, no mention, no link."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = " ".join(plain.split())
    plain = _LINK.sub(lambda match: match[0].replace("t", "x").replace("T", "X"), plain)
    plain = _MENTION.sub(lambda match: match[0] + _ZERO_WIDTH, plain)
    return plain if len(plain) <= most else plain[: most - 3] + "..."


def opened_notice(
    incident: Incident, assessment: AssessmentRow | None, *, host: str, key: str
) -> Notice:
    """An incident that people should know of."""
    lines = [f"{incident.event_count} events since {incident.opened_at:%Y-%m-%d %H:%M} UTC"]
    if assessment is not None:
        lines.insert(0, harmless(assessment.summary, 600))
        lines.append(f"Cause: {harmless(assessment.cause, 80)}")
        lines += [f"Advice: {harmless(advice, 300)}" for advice in list(assessment.advice)[:3]]
    else:
        lines.append("No model has looked at it yet.")
    lines.append(f"triaged incidents show {incident.id}")
    return Notice(
        key=key,
        topic=Topic.OPENED,
        severity=incident.severity,
        title=f"[{harmless(host, 40)}] {incident.severity}: {harmless(incident.title, 110)}",
        body="\n".join(lines)[:_BODY_CHARS],
        incident_id=incident.id,
    )


def closed_notice(incident: Incident, *, host: str, key: str) -> Notice:
    """The end of an incident that was told."""
    why = harmless(incident.close_reason or "closed", 300)
    return Notice(
        key=key,
        topic=Topic.CLOSED,
        severity=Severity.INFO,
        title=f"[{harmless(host, 40)}] over: {harmless(incident.title, 110)}",
        body=f"{why}\n{incident.event_count} events in all; incident {incident.id}",
        incident_id=incident.id,
    )


def tier_notice(*, tier: str, out: bool, detail: str, host: str, key: str) -> Notice:
    """A tier whose model is out, or back."""
    if out:
        what = harmless(detail, 500) or "Its model does not answer."
        body = f"{what}\nRules and notifications go on; what needs a model waits."
    else:
        body = "Its model answers again; what waited is being looked at."
    return Notice(
        key=key,
        topic=Topic.TIER_OUT if out else Topic.TIER_BACK,
        severity=Severity.WARNING if out else Severity.INFO,
        title=f"[{harmless(host, 40)}] tier {tier} is {'out' if out else 'back'}",
        body=body,
    )


def alone(notice: Notice) -> Letter:
    """A message of its own."""
    return Letter(
        title=notice.title[:_TITLE_CHARS],
        body=notice.body,
        severity=notice.severity,
        covers=(notice,),
    )


def summary(notices: Sequence[Notice], *, host: str) -> Letter:
    """Many in one message, the worst first."""
    worst_first = sorted(notices, key=lambda notice: -notice.severity.rank)
    listed = [f"- {notice.title}" for notice in worst_first[:_LISTED]]
    if len(notices) > _LISTED:
        listed.append(f"... and {len(notices) - _LISTED} more: triaged incidents")
    worst = worst_first[0].severity
    return Letter(
        title=f"[{harmless(host, 40)}] {len(notices)} messages, the worst {worst}",
        body="\n".join(listed),
        severity=worst,
        covers=tuple(worst_first),
    )
