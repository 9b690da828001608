"""Rows of actions as the facade shows them. Pure, but for how a store that is away is said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from api.ports import BusyError
from api.ports_actions import ActionStep, ActionView, StopView
from daemon.actions.policy.facts import Autonomy
from daemon.ledger import Entry
from daemon.store.action_past import StopRow
from daemon.store.actions import ActionRow
from daemon.store.errors import StoreUnavailableError
from tiers.chat_contracts import Proposal


def proposal_of(row: ActionRow, *, level: Autonomy, needs: str) -> Proposal:
    """A row that is proposed, or was. `needs` is what root does not allow yet, in words."""
    return Proposal(
        code=row.code or "",
        content=row.sentence,
        risk=row.risk or "",
        reason=row.reason,
        expires_at=row.expires_at or row.requested_at,
        id=row.id,
        host=row.host,
        kind=row.kind,
        target=row.target,
        parameters=row.parameters,
        content_hash=row.content_hash,
        level=level.value,
        rule=row.rule or "",
        why=row.why or "",
        requested_by=row.requested_by,
        requested_at=row.requested_at,
        incident_id=row.incident_id,
        evidence=tuple(row.evidence),
        needs=needs,
    )


def action_view(row: ActionRow) -> ActionView:
    return ActionView(
        id=row.id,
        state=row.state,
        host=row.host,
        kind=row.kind,
        target=row.target,
        parameters=row.parameters,
        content=row.sentence,
        content_hash=row.content_hash,
        risk=row.risk,
        rule=row.rule,
        why=row.why,
        origin=row.origin,
        requested_by=row.requested_by,
        reason=row.reason,
        basis=row.basis,
        incident_id=row.incident_id,
        inverse_of=row.inverse_of,
        code=row.code,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        answered_at=row.answered_at,
        answered_by=row.answered_by,
        answered_from=row.answered_from,
        started_at=row.started_at,
        ended_at=row.ended_at,
        confirm_by=row.confirm_by if row.confirmed_at is None else None,
        confirmed_by=row.confirmed_by,
    )


def action_step(entry: Entry) -> ActionStep:
    return ActionStep(
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        actor=entry.actor,
        body=entry.content,
        hash=entry.hash.hex(),
    )


def stop_view(row: StopRow | None) -> StopView | None:
    """None where acting is not stopped."""
    if row is None or not row.stopped:
        return None
    return StopView(by=row.by, reason=row.reason, at=row.at)


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """A store that is away, as the facade says it."""
    try:
        yield
    except StoreUnavailableError as error:
        raise BusyError(str(error), retry_after=error.retry_after) from error
