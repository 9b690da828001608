"""How notices about actions read. Pure.

What an action does is said by code, so it stands whole; reasons and results hold words of others
and are made harmless like titles of incidents.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from daemon.notify.message import Notice, Topic
from daemon.notify.words import harmless
from daemon.store.action_past import StopRow
from daemon.store.action_reports import Untold, confirm_key, proposed_key, result_key, switch_key
from daemon.store.actions import ActionRow
from tiers.vocabulary import Severity

_DONE = "done"
_RESULTS = {"done": "done", "failed": "FAILED", "unknown": "NOBODY KNOWS whether done"}
_CONTENT = 600


def action_notices(untold: Untold, *, needs: Mapping[int, str]) -> Iterator[Notice]:
    """In the order in which they matter: what waits for somebody first. `needs` has, by the
    proposals' ids, what root does not allow yet."""
    yield from (_confirm(row) for row in untold.unconfirmed)
    yield from (_proposed(row, needs.get(row.id, "")) for row in untold.proposed)
    yield from (_ended(row) for row in untold.ended)
    yield from (_switched(row) for row in untold.switched)


def _proposed(row: ActionRow, needs: str) -> Notice:
    code = row.code or ""
    until = _clock(row.expires_at)
    asker = harmless(row.requested_by, 80)
    lines = [
        harmless(row.sentence, _CONTENT),
        f"Risk {row.risk or 'not known'}, asked for by {asker}: {harmless(row.reason, 300)}",
        f"You are asked because {harmless(row.why or 'policy says so', 300)} ({row.rule})",
        *((f"Needs: {harmless(needs, _CONTENT)}",) if needs else ()),
        f"Content {row.content_hash}",
        f"triaged proposals approve {code} (or deny) until {until}",
    ]
    return Notice(
        key=proposed_key(row),
        topic=Topic.PROPOSED,
        severity=Severity.WARNING,
        title=f"[{harmless(row.host, 40)}] {code}: {harmless(row.sentence, 100)}?",
        body="\n".join(lines),
        incident_id=row.incident_id,
    )


def _ended(row: ActionRow) -> Notice:
    who = f"approved by {harmless(row.answered_by, 80)}" if row.answered_by else "no human asked"
    lines = [
        harmless(row.why or "", _CONTENT),
        f"Asked for by {harmless(row.requested_by, 80)}, {who}",
        f"triaged actions show {row.id}",
    ]
    return Notice(
        key=result_key(row),
        topic=Topic.ENDED,
        severity=Severity.INFO if row.state == _DONE else Severity.WARNING,
        title=f"[{harmless(row.host, 40)}] {_RESULTS[row.state]}: {harmless(row.sentence, 100)}",
        body="\n".join(line for line in lines if line),
        incident_id=row.incident_id,
    )


def _confirm(row: ActionRow) -> Notice:
    """Critical, because it is taken back within minutes, also in quiet hours."""
    return Notice(
        key=confirm_key(row),
        topic=Topic.CONFIRM,
        severity=Severity.CRITICAL,
        title=f"[{harmless(row.host, 40)}] is your way in there? {harmless(row.sentence, 80)}",
        body=f"{harmless(row.sentence, _CONTENT)}\nIt is taken back at {_clock(row.confirm_by)} "
        f"unless you confirm. Try the way in from outside first, then:\n"
        f"triaged proposals confirm {row.code or row.id}",
        incident_id=row.incident_id,
    )


def _switched(row: StopRow) -> Notice:
    word = "stopped" if row.stopped else "resumed"
    reason = f": {harmless(row.reason, 300)}" if row.reason else ""
    goes_on = "Nothing is begun until: triaged policy resume" if row.stopped else ""
    return Notice(
        key=switch_key(row),
        topic=Topic.SWITCHED,
        severity=Severity.WARNING if row.stopped else Severity.NOTICE,
        title=f"acting was {word} by {harmless(row.by, 80)}",
        body="\n".join(part for part in (f"At {_clock(row.at)}{reason}", goes_on) if part),
    )


def _clock(moment: dt.datetime | None) -> str:
    return (
        f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if moment is not None else "some time"
    )
