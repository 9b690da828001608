"""How incidents, times and severities look on a terminal. Text from the host is never markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

STYLES = {"info": "dim", "notice": "cyan", "warning": "yellow", "critical": "bold red"}


def clean(text: object) -> str:
    """Text from the host without control characters, which could drive the terminal."""
    return "".join(
        c if c.isprintable() or c == "\n" else " " if c.isspace() else "\ufffd" for c in str(text)
    )


def line(text: object) -> str:
    """`clean`, in one line: what stands in a row or behind a label cannot pretend to be another."""
    return " ".join(clean(text).split())


def ago(moment: str | datetime | None, *, now: datetime | None = None) -> str:
    """How long ago: "3 min ago"."""
    if moment is None:
        return ""
    then = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    seconds = max(0.0, ((now or datetime.now(tz=UTC)) - then).total_seconds())
    for length, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {name} ago"
    return f"{seconds:.0f} s ago"


def severity_text(severity: str) -> Text:
    """A severity in its colour."""
    return Text(severity, style=STYLES.get(severity, ""))


def incident_table(incidents: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A listing, newest first."""
    if not incidents:
        return Text("No incidents.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "severity", "state", "title", "events", "cause", "last seen"):
        table.add_column(column, overflow="fold", justify="right" if column == "id" else "left")
    for entry in incidents:
        table.add_row(
            str(entry["id"]),
            severity_text(entry["severity"]),
            entry["state"],
            Text(line(entry["title"])),
            str(entry["event_count"]),
            Text(line(entry["cause"] or ("" if entry["assessed"] else "not assessed yet"))),
            ago(entry["last_event_at"]),
        )
    return table


def incident_detail(detail: Mapping[str, Any]) -> RenderableType:
    """One incident, whole: what, evidence, what each tier said, the timeline."""
    incident = detail["incident"]
    head = Text.assemble(
        (f"#{incident['id']} ", "bold"),
        severity_text(incident["severity"]),
        f" {line(incident['title'])}\n",
        f"{incident['state']}, category {incident['category']}, {incident['event_count']} events, ",
        f"opened {ago(incident['opened_at'])}, last seen {ago(incident['last_event_at'])}",
    )
    if incident["close_reason"]:
        head.append(f"\nclosed: {line(incident['close_reason'])}")
    parts: list[RenderableType] = [head]
    if detail["leading"]:
        leading = ", ".join(f"{line(v)} ({n}x {kind})" for kind, v, n in detail["leading"][:8])
        parts += [Text("\nLeading values", style="bold"), Text(leading)]
    parts.append(Text("\nEvidence", style="bold"))
    parts += [_evidence(entry) for entry in detail["evidence"]]
    if detail["verdicts"]:
        parts.append(Text("\nTrigger", style="bold"))
        parts += [_verdict(v) for v in detail["verdicts"][:10]]
    for said in detail["assessments"]:
        parts += _assessment(said)
    if detail["timeline"]:
        parts.append(Text("\nTimeline", style="bold"))
        parts += [
            Text(f"{t['at'][:19].replace('T', ' ')}  {t['actor']}: {line(t['summary'])}")
            for t in detail["timeline"]
        ]
    return Group(*parts)


def _evidence(entry: Mapping[str, Any]) -> Text:
    where = f"[{entry['provenance']}] {line(entry['source'])}"
    return Text(f"{entry['ref']:>4} {where} x{entry['count']}: {line(entry['text'])}")


def _verdict(verdict: Mapping[str, Any]) -> Text:
    answer = "escalate" if verdict["escalate"] else "ignore"
    by = f"by {verdict['model']} in {verdict['seconds'] * 1000:.0f} ms"
    return Text(
        f"{answer} ({verdict['probability']:.2f}), {verdict['severity']}, {verdict['category']}, "
        f"{by}: {line(verdict['pattern'])[:160]}"
    )


def _assessment(said: Mapping[str, Any]) -> list[RenderableType]:
    lines: list[RenderableType] = [
        Text(f"\n{said['tier'].capitalize()} tier", style="bold"),
        Text(
            f"cause {said['cause']}, {said['severity']}, {said['disposition']}, "
            f"confidence {said['confidence']:.2f}, evidence {', '.join(said['evidence']) or 'none'}"
        ),
        Text(clean(said["summary"])),
    ]
    lines += [Text(f"  suggests {line(a['code'])}: {line(a['reason'])}") for a in said["actions"]]
    lines += [Text(f"  - {line(step)}") for step in said["advice"]]
    calls = [str(call.get("name")) for call in said["tool_calls"]]
    looked = f", looked at {', '.join(calls)}" if calls else ""
    repaired = ", first answer was not valid" if said["repaired"] else ""
    lines.append(
        Text(
            f"  {said['model']}, {said['prompt_tokens']} + {said['completion_tokens']} tokens, "
            f"{said['seconds']:.1f} s{looked}{repaired}",
            style="dim",
        )
    )
    return lines


def plain(text: object) -> str:
    """Text that rich must not read as markup."""
    return escape(clean(text))
