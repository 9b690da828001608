"""Measures what policy decides on, and has it decide. The one place where both meet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

from daemon.actions.action import Action, Risk
from daemon.actions.catalogue import Catalogue
from daemon.actions.host.host import Host
from daemon.actions.kind import Kind, Target
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import ActionFacts, Decision, Origin, Past, Verdict
from daemon.actions.settings import ActionsSettings
from daemon.store import action_past
from daemon.store.action_past import PastRow
from daemon.store.pool import Database
from tiers.vocabulary import Provenance

BUSY_TARGET = "busy-target"
"""The policy's rule about what has to wait for another action."""
TOO_MANY = "too-many-waiting"
"""The policy's rule about proposals: it speaks about making one more, not about one that waits."""
Clock = Callable[[], datetime]


def local_time() -> datetime:
    """Now, in the time zone of the host, as quiet hours and windows mean it."""
    return datetime.now(tz=UTC).astimezone()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """An action whose target was found, with the decision about it and what it rests on."""

    action: Action
    kind: Kind
    target: Target
    risk: Risk
    facts: ActionFacts
    decision: Decision


class Weigher:
    """Asks the host and the store, holds nothing."""

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Catalogue,
        host: Host,
        settings: ActionsSettings,
        clock: Clock = local_time,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._host = host
        self._settings = settings
        self._clock = clock

    async def weigh(
        self,
        action: Action,
        *,
        basis: Provenance,
        origin: Origin,
        incident_id: int | None,
        without: int = 0,
        queued: bool = False,
    ) -> Weighed:
        """`without` is the id of the action itself, which does not count as its own past;
        `queued`: it has its place in the line, so others on the same target do not count. Raises
        `ActionError` where the target is not there, and `StoreUnavailableError`."""
        kind = self._catalogue.kind(action.kind)
        target = await kind.find(action, self._host)
        risk = kind.risk(action, target).at_least(kind.spec.risk)
        async with self._database.connection() as connection:
            past = await action_past.past(
                connection,
                host=action.host,
                kind=action.kind,
                target=action.target,
                content_hash=action.content_hash,
                incident_id=incident_id,
                strike_hours=self._settings.limits.strike_hours,
                without=without,
            )
        facts = ActionFacts(
            kind=action.kind,
            target=action.target,
            risk=risk,
            blast=kind.spec.blast,
            reversible=kind.spec.reversible,
            disruptive=kind.spec.disruptive,
            critical=target.why_critical if target.critical else "",
            basis=basis,
            origin=origin,
            stopped=past.stopped,
            past=_past(past, queued=queued),
            at=self._clock(),
        )
        return Weighed(
            action=action,
            kind=kind,
            target=target,
            risk=risk,
            facts=facts,
            decision=decide(facts, self._settings),
        )


class StepPolicy:
    """Satisfies `daemon.actions.kinds.runbooks.StepGate`."""

    def __init__(self, *, weigher: Weigher) -> None:
        self._weigher = weigher

    async def why_not(self, step: Action, kind: Kind, target: Target) -> str | None:
        """A step is weighed as if a human had asked for it: what only asks was answered for the
        whole runbook. Raises as `Weigher.weigh` does."""
        weighed = await self._weigher.weigh(
            step,
            basis=Provenance.OPERATOR,
            origin=Origin.OPERATOR,
            incident_id=None,
            queued=True,
        )
        denied = weighed.decision.verdict is Verdict.DENY and weighed.decision.rule != TOO_MANY
        return weighed.decision.reason if denied else None


def _past(row: PastRow, *, queued: bool) -> Past:
    return Past(
        in_hour=row.in_hour,
        kind_in_hour=row.kind_in_hour,
        target_in_hour=row.target_in_hour,
        failures=row.failures,
        last_failed=row.last_failed,
        waiting=row.waiting,
        unfinished_on_target=0 if queued else row.unfinished_on_target,
        denied=row.denied,
    )
