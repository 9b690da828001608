"""What the executor commits: each of these is one transaction, to be run by `Lease.commit`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from daemon.actions.kind import Output, TimedInverse
from daemon.actions.lease import Commit, LostLeaseError
from daemon.actions.reversal import Reversal
from daemon.actions.states import ActionState
from daemon.actions.steps import refusal_step
from daemon.actions.verify import Result
from daemon.store import action_past, actions
from daemon.store.actions import ActionRow, Move
from daemon.store.work import Work

_MOST_OUTPUT = 16_000
_S = ActionState


class Told(Protocol):
    """Whoever has to know how an action ended, or that it was refused when it was to begin."""

    async def ended(self, work: Work, row: ActionRow) -> None:
        """In the transaction of the result, before the action's own row is locked: incidents are
        locked before actions. `row` is the action as it will be."""
        ...

    async def came_to_nothing(self, work: Work, row: ActionRow) -> None:
        """Policy refused it, or its time went by: it was never near its beginning. As `ended`."""
        ...


def decision(step: Move, *, told: Told | None) -> Commit:
    """A decision of policy right before it was to begin; `told` where it is a refusal."""

    async def commit(work: Work) -> ActionRow | None:
        if told is not None:
            await told.ended(work, dataclasses.replace(step.row, state=step.to, why=step.why))
        moved = await actions.move(work, step)
        if moved is None:
            raise LostLeaseError  # nothing of it may stay
        return moved

    return commit


def nothing(step: Move, *, told: Told) -> Commit:
    """It was asked for, and comes to nothing: its incident goes on without it."""

    async def commit(work: Work) -> ActionRow | None:
        row = dataclasses.replace(step.row, state=step.to, why=step.why, rule=step.rule)
        await told.came_to_nothing(work, row)
        moved = await actions.move(work, step)
        if moved is None:
            raise LostLeaseError  # nothing of it may stay
        return moved

    return commit


def anew(row: ActionRow) -> Commit:
    """Back to approved: what was stored with the intent is for nothing."""
    why = "its executor ended before it began; nothing has happened"
    step = Move(
        row=row,
        to=_S.APPROVED.value,
        entry="action_intent",
        actor="daemon",
        why=why,
        keep_lease=True,
    )

    async def commit(work: Work) -> ActionRow | None:
        moved = await actions.move(work, step)
        if moved is not None:
            await action_past.settle_inverse(work, action_id=row.id, state="void", why=why)
        return moved

    return commit


def refusal(row: ActionRow, *, rule: str, why: str, told: Told) -> Commit:
    """What was to begin does not, and its incident goes on without it."""
    step = refusal_step(row, rule=rule, why=why)

    async def commit(work: Work) -> ActionRow | None:
        await told.ended(work, dataclasses.replace(row, state=_S.REFUSED.value, why=why))
        moved = await actions.move(work, step)
        if moved is None:
            raise LostLeaseError  # nothing of it may stay
        await action_past.settle_inverse(work, action_id=row.id, state="void", why=why)
        return moved

    return commit


def intent(
    row: ActionRow,
    *,
    before: Mapping[str, Any],
    inverse: TimedInverse | None,
    reversal: Reversal | None,
) -> Commit:
    """The intent, with what takes it back, and what systemd reverses unless somebody confirms that
    the way in works. Raises `StoreRejectedError` where another action on the target is under
    way."""
    step = Move(
        row=row,
        to=_S.INTENT.value,
        entry="action_intent",
        actor="daemon",
        before=before,
        keep_lease=True,
        reversal=None if reversal is None else dataclasses.asdict(reversal),
        confirm_seconds=None if reversal is None else reversal.after_seconds,
        detail={"before": before, "approved_by": row.answered_by or f"policy: {row.rule}"},
    )

    async def commit(work: Work) -> ActionRow | None:
        moved = await actions.move(work, step)
        if moved is not None and inverse is not None:
            await action_past.arm_inverse(
                work,
                action_id=row.id,
                host=row.host,
                kind=inverse.kind,
                target=inverse.target,
                parameters=inverse.parameters,
                after_seconds=inverse.after_seconds,
                in_kernel=inverse.in_kernel,
            )
        return moved

    return commit


def start(row: ActionRow, *, told: Told) -> Commit:
    """The last commit before the effect. The stop switch is read in the same transaction, and
    nobody throws it before that is over."""
    step = Move(
        row=row, to=_S.STARTED.value, entry="action_started", actor="daemon", keep_lease=True
    )

    async def commit(work: Work) -> ActionRow | None:
        last = await action_past.hold_switch(work)
        if last is None or not last.stopped:
            return await actions.move(work, step)
        why = f"acting was stopped by {last.by}: {last.reason}"
        return await refusal(row, rule="stopped", why=why, told=told)(work)

    return commit


def result(row: ActionRow, *, found: Result, output: Output, told: Told | None) -> Commit:
    """Result, lesson, inverse and what follows for the incident: all or nothing. `told` None: its
    incident cannot be told."""
    why = found.check.detail
    step = Move(
        row=row,
        to=found.state.value,
        entry="action_result",
        actor="daemon",
        why=why,
        measured=found.check.measured,
        output=output.text[:_MOST_OUTPUT],
        detail={
            "outcome": found.state.value,
            "detail": why,
            "measured": dict(found.check.measured),
            "output": output.text[:1_000],
        },
    )

    async def commit(work: Work) -> ActionRow | None:
        if told is not None:
            await told.ended(work, dataclasses.replace(row, state=found.state.value, why=why))
        moved = await actions.move(work, step)
        if moved is None:
            raise LostLeaseError  # nothing of it may stay
        await _learn(work, row, found)
        return moved

    return commit


async def _learn(work: Work, row: ActionRow, found: Result) -> None:
    """From what was measured alone: what nobody could measure teaches nothing."""
    if found.state is not _S.UNKNOWN:
        await action_past.learn(
            work,
            host=row.host,
            kind=row.kind,
            target=row.target,
            fingerprints=row.fingerprints,
            done=found.state is _S.DONE,
        )
    if found.state is _S.FAILED:
        why = "the action had no effect"
        await action_past.settle_inverse(work, action_id=row.id, state="void", why=why)
    if found.state is _S.DONE:
        for undone in await action_past.undone_by(
            work, request_id=row.id, inverse_of=row.inverse_of
        ):
            await action_past.settle_inverse(
                work, action_id=undone, state="undone", why=found.check.detail
            )
