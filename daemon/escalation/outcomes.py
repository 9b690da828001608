"""What the end of an action means for its incident: evidence in any case, and the next tier or a
human when it did not work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from daemon.escalation import states
from daemon.escalation.states import Happening, State
from daemon.store import actions, incidents, transitions
from daemon.store.actions import ActionRow, Move
from daemon.store.incidents import Incident, NewEvidence
from daemon.store.transitions import Transition
from daemon.store.work import Work
from tiers.vocabulary import Provenance

_NOT_BEGUN = ("requested", "proposed", "approved")
_WORDS = {
    "done": "was done, and its effect measured",
    "failed": "did not work",
    "unknown": "was begun, and whether it worked is not known",
    "refused": "was not begun",
    "expired": "was not begun in time",
}
_OPEN = (*_NOT_BEGUN, "intent", "started")
_DECIDED = frozenset({"observe", "denied-before"})
"""Rules that say what a human decided: none has to be told of it."""


_H = Happening


class IncidentOutcomes:
    """Satisfies `daemon.actions.commits.Told`."""

    def __init__(self, *, on_work: Callable[[], None]) -> None:
        """`on_work` is called when a tier has to look again."""
        self._on_work = on_work

    async def ended(self, work: Work, row: ActionRow) -> None:
        if row.incident_id is None:
            return
        incident = await incidents.lock(work, row.incident_id)
        if incident is None:
            return
        await incidents.add_evidence(work, incident_id=incident.id, items=[_evidence(row)])
        if row.state == "done":
            return
        await self._withdraw_rest(work, row)
        # A tier that thinks about it right now knows nothing of this: it is asked again.
        thinking = State(incident.state) in states.LEASED
        await self._move(work, incident, row, _H.LEASE_LOST if thinking else after_failure(row))

    async def came_to_nothing(self, work: Work, row: ActionRow) -> None:
        """An incident that waits for its action would wait for nothing: when none is left, a human
        is told."""
        if row.incident_id is None or row.origin != "tier" or row.rule in _DECIDED:
            return
        incident = await incidents.lock(work, row.incident_id)
        if incident is None:
            return
        await incidents.add_evidence(work, incident_id=incident.id, items=[_evidence(row)])
        others = await actions.listing(work.connection, states=_OPEN, incident_id=incident.id)
        if all(other.id == row.id for other in others):
            await self._move(work, incident, row, _H.ACTION_FOR_HUMAN)

    async def _move(
        self, work: Work, incident: Incident, row: ActionRow, happening: Happening
    ) -> None:
        if (State(incident.state), happening) in states.TRANSITIONS:
            await transitions.apply(work, [_transition(incident, row, happening)])
            self._on_work()

    async def _withdraw_rest(self, work: Work, row: ActionRow) -> None:
        """Later steps of whoever asked for this one rested on it."""
        others = await actions.listing(
            work.connection, states=_NOT_BEGUN, incident_id=row.incident_id
        )
        for other in sorted(others, key=lambda other: other.id):
            if other.id == row.id or other.requested_by != row.requested_by:
                continue
            await actions.move(
                work,
                Move(
                    row=other,
                    to="withdrawn",
                    entry="action_withdrawn",
                    actor="daemon",
                    why=f"{row.sentence} {_WORDS[row.state]}",
                ),
            )


def after_failure(row: ActionRow) -> Happening:
    """Who looks next. The meta tier, when review asked for what then failed or was not possible;
    else a human. What may or may not have happened is always for a human. Pure."""
    if row.state in ("failed", "refused") and row.requested_by == "tier/review":
        return Happening.ACTION_FAILED
    return Happening.ACTION_FOR_HUMAN


def _transition(incident: Incident, row: ActionRow, happening: Happening) -> Transition:
    return Transition(
        incident_id=incident.id,
        from_state=incident.state,
        fence=incident.fence,
        to_state=states.after(State(incident.state), happening).value,
        happening=happening.value,
        actor="daemon",
        reason=f"{row.sentence} {_WORDS[row.state]}: {row.why}",
        attempts=0,
        detail={"action_id": str(row.id)},
    )


def _evidence(row: ActionRow) -> NewEvidence:
    """Measured, and in words of code: nothing of a model or a log is in it."""
    return NewEvidence(
        provenance=Provenance.MEASURED.value,
        source="action",
        text=f"{row.sentence} {_WORDS[row.state]}: {row.why}",
        at=datetime.now(tz=UTC),
        count=1,
        fingerprint=None,
    )
