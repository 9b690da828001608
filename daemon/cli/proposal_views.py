"""How proposals and actions look on a terminal. Text of others stands in one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from daemon.cli.render import ago, line

_RISKS = {"low": "green", "medium": "yellow", "high": "bold red"}
_STATES = {
    "done": "green",
    "failed": "bold red",
    "unknown": "bold red",
    "proposed": "yellow",
    "approved": "cyan",
    "intent": "cyan",
    "started": "cyan",
}
ENDED = frozenset({"done", "failed", "unknown", "denied", "refused", "expired", "withdrawn"})
"""States that nothing follows."""
_Row = tuple[str, RenderableType]


def proposal_list(waiting: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What waits, oldest first."""
    if not waiting:
        return Text("No proposals wait for an answer.")
    parts: list[RenderableType] = []
    for number, proposal in enumerate(waiting):
        if number:
            parts.append(Text())
        parts += [_head(proposal), _rows(_short(proposal))]
    return Group(*parts)


def proposal_detail(proposal: Mapping[str, Any]) -> RenderableType:
    """One proposal, whole."""
    rows = [
        *_content(proposal),
        *_short(proposal),
        ("rests on", Text(_basis(proposal))),
        *(("", _evidence(entry)) for entry in proposal["evidence"]),
        ("past", Text(_past(proposal["past"]))),
        ("before", Text(line(proposal["before"]))),
        ("afterwards", Text(line(proposal["measured"]))),
        ("undone", Text(line(proposal["undone"]))),
    ]
    return Group(_head(proposal), _rows(rows))


def action_table(actions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A listing, newest first."""
    if not actions:
        return Text("No actions.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "state", "action", "asked for by", "answered by", "when", "why"):
        table.add_column(column, overflow="fold", justify="right" if column == "id" else "left")
    for entry in actions:
        when = entry["ended_at"] or entry["answered_at"] or entry["requested_at"]
        table.add_row(
            str(entry["id"]),
            state_text(entry["state"]),
            Text(line(entry["content"])),
            Text(line(entry["requested_by"])),
            Text(line(entry["answered_by"] or "")),
            ago(when),
            Text(line(entry["why"] or "")[:200]),
        )
    return table


def action_detail(action: Mapping[str, Any]) -> RenderableType:
    """One action, whole, with what the ledger holds of it."""
    head = Text.assemble(
        (f"action {action['id']} ", "bold"),
        state_text(action["state"]),
        f"  {line(action['content'])}  on {line(action['host'])}",
    )
    rows: list[_Row] = [*_content(action)]
    if action["risk"]:
        rows.append(("risk", _risk(action["risk"])))
    rows.append(("asked for", Text(_asked(action))))
    if action["rule"]:
        rows.append(("rule", Text(line(action["rule"]))))
    if action["why"]:
        rows.append(("why", Text(line(action["why"]))))
    if action["answered_by"]:
        told = f"by {action['answered_by']}, {action['answered_from']}, "
        rows.append(("answered", Text(line(told) + " " + ago(action["answered_at"]))))
    if action["started_at"]:
        rows.append(("begun", Text(line(action["started_at"]))))
    if action["ended_at"]:
        rows.append(("ended", Text(line(action["ended_at"]))))
    if action["measured"]:
        rows.append(("measured", Text(_pairs(action["measured"]))))
    if action["output"]:
        rows.append(("printed", Text(line(action["output"])[:1_000])))
    if action["undo_at"]:
        rows.append(("undone", Text(f"{line(action['undo_state'])}, {line(action['undo_at'])}")))
    if action["confirm_by"]:
        words = f"is taken back at {line(action['confirm_by'])} unless you confirm: triaged "
        rows.append(("reversal", Text(f"{words}proposals confirm {line(action['code'])}")))
    steps = [
        Text(f"  {step['seq']}  {line(step['at'])}  {step['kind']}  {line(step['actor'])}  "
             f"{line(step['body'].get('why') or step['body'].get('detail') or '')[:200]}")
        for step in action["steps"]
    ]  # fmt: skip
    parts: list[RenderableType] = [head, _rows(rows)]
    if steps:
        parts += [Text("\nLedger", style="bold"), *steps]
    return Group(*parts)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(line(state), style=_STATES.get(state, ""))


def remaining(moment: str, *, now: datetime | None = None) -> str:
    """How long until then: "in 57 min"."""
    seconds = (datetime.fromisoformat(moment) - (now or datetime.now(tz=UTC))).total_seconds()
    if seconds <= 0:
        return "now"
    for length, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"in {seconds / length:.0f} {name}"
    return f"in {seconds:.0f} s"


def _head(proposal: Mapping[str, Any]) -> Text:
    return Text.assemble(
        (line(proposal["code"]), "bold"), f"  {line(proposal['content'])}  ", _host(proposal)
    )


def _host(entry: Mapping[str, Any]) -> str:
    host = line(entry.get("host") or "")
    return f"on {host}" if host else ""


def _short(proposal: Mapping[str, Any]) -> list[_Row]:
    rows: list[_Row] = [("risk", _risk(proposal["risk"])), ("asked for", Text(_asked(proposal)))]
    if proposal.get("why"):
        rule = f"{line(proposal['rule'])}, level {line(proposal['level'])}"
        rows.append(("why asked", Text(f"{line(proposal['why'])} ({rule})")))
    if proposal.get("needs"):
        rows.append(("needs", Text(line(proposal["needs"]), style="yellow")))
    if proposal.get("incident_id"):
        rows.append(("incident", Text(str(proposal["incident_id"]))))
    expires = f"{remaining(proposal['expires_at'])} ({line(proposal['expires_at'])})"
    rows.append(("expires", Text(expires)))
    return rows


def _content(entry: Mapping[str, Any]) -> list[_Row]:
    return [
        ("kind", Text(line(entry["kind"]))),
        ("target", Text(line(entry["target"]))),
        *((("parameters", Text(_pairs(entry["parameters"]))),) if entry["parameters"] else ()),
        ("content", Text(line(entry["content_hash"]))),
    ]


def _asked(entry: Mapping[str, Any]) -> str:
    by = line(entry.get("requested_by") or "")
    at = ago(entry.get("requested_at"))
    who = ", ".join(part for part in (f"by {by}" if by else "", at) if part)
    return ": ".join(part for part in (who, line(entry["reason"])) if part)


def _basis(proposal: Mapping[str, Any]) -> str:
    basis = line(proposal["basis"])
    if basis == "text":
        return "text: words that anybody may have written"
    return f"{basis} vouches for it"


def _evidence(entry: Mapping[str, Any]) -> Text:
    head = f"{line(entry['ref'])} ({line(entry['provenance'])}, {line(entry['source'])}, "
    return Text(f"{head}{entry['count']}x) {line(entry['text'])[:300]}", style="dim")


def _past(past: Mapping[str, Any] | None) -> str:
    if past is None:
        return "never done here before"
    last = "worked" if past["last_done"] else "failed"
    return f"{past['done']} worked, {past['failed']} failed; last {last} {ago(past['last_at'])}"


def _risk(risk: str) -> Text:
    return Text(line(risk), style=_RISKS.get(risk, ""))


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{line(name)} = {line(value)}" for name, value in values.items())[:1_000]


def _rows(rows: Sequence[_Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows:
        table.add_row(f"  {label}", value)
    return table
