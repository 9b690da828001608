"""What a policy would have said about everything that was asked for, next to what happened. Pure.

The counts that limits, strikes and queues rest on are those of the replay, not those of the record:
what would have been done by itself is counted, whether it was or not. Three things nobody can know,
and they are taken like this:

- What ran then and would run now has its recorded result. What did not run then has none: it
  counts as an action and neither as a success nor as a failure.
- A human answers as recorded, where one was asked then too. One who was not asked then lets the
  proposal expire.
- Requests are those that were made. Other deeds might have led to others.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from daemon.actions.action import Risk
from daemon.actions.history import Asked
from daemon.actions.host.critical import Concern, critical_name
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import ActionFacts, Decision, Origin, Past, Verdict
from daemon.actions.settings import ActionsSettings

_HOUR = timedelta(hours=1)
_FAILURES = ("failed", "unknown")
NOT_ASKED = "not-asked"
"""Policy was not asked then (the target was not there, the host did not answer)."""
NOTHING_TO_UNDO = "nothing-to-undo"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A request with what the policy makes of it now."""

    asked: Asked
    now: Decision

    @property
    def changed(self) -> bool:
        """Another verdict than then."""
        return self.asked.verdict is not None and self.asked.verdict is not self.now.verdict

    @property
    def newly_alone(self) -> bool:
        """It would be done without a human, and was not."""
        return self.now.verdict is Verdict.ALLOW and self.asked.verdict is not Verdict.ALLOW

    def to_json(self) -> dict[str, Any]:
        asked = self.asked
        return {
            "at": asked.at.isoformat(),
            "incident": asked.incident_id,
            "action_id": None if asked.reconstructed else asked.key,
            "kind": asked.kind,
            "target": asked.target,
            "host": asked.host or None,
            "reconstructed": asked.reconstructed,
            "then": {
                "verdict": None if asked.verdict is None else asked.verdict.value,
                "rule": asked.rule or None,
                "outcome": asked.outcome,
                "approved": asked.approved,
            },
            "now": {
                "verdict": self.now.verdict.value,
                "rule": self.now.rule,
                "reason": self.now.reason,
            },
            "changed": self.changed,
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over a replay. `then` and `now` count verdicts; `then` has "none" for what was asked
    before acting existed. `answers` says what became of what would newly be done alone: approved,
    denied or unanswered by humans then, or never asked; `results` how it ended, where it ran."""

    requests: int
    changed: int
    then: Counter[str]
    now: Counter[str]
    newly_alone: int
    answers: Counter[str]
    results: Counter[str]

    def to_json(self) -> dict[str, Any]:
        return {
            field.name: dict(value) if isinstance(value, Counter) else value
            for field in dataclasses.fields(self)
            for value in (getattr(self, field.name),)
        }


def replay(asked: Sequence[Asked], settings: ActionsSettings) -> list[Replayed]:
    """Everything that was asked for, in its order, as this policy would have had it."""
    worlds: dict[str, _World] = {}
    waiting: list[datetime] = []
    found = []
    for one in sorted(asked, key=lambda each: (each.at, each.key)):
        world = worlds.setdefault(one.host, _World(settings, waiting))
        found.append(Replayed(asked=one, now=world.take(one)))
    return found


def totals(replayed: Sequence[Replayed]) -> Totals:
    """What it all comes to."""
    alone = [each.asked for each in replayed if each.newly_alone]
    return Totals(
        requests=len(replayed),
        changed=sum(each.changed for each in replayed),
        then=Counter(
            "none" if each.asked.verdict is None else each.asked.verdict.value for each in replayed
        ),
        now=Counter(each.now.verdict.value for each in replayed),
        newly_alone=len(alone),
        answers=Counter(map(_answer, alone)),
        results=Counter(one.outcome for one in alone if one.started_at is not None),
    )


def _answer(asked: Asked) -> str:
    if asked.verdict is not Verdict.ASK:
        return "never asked"
    return {True: "approved", False: "denied", None: "unanswered"}[asked.approved]


class _World:
    """One host as it would be under the policy, at the moment of the request that is looked at.
    `waiting`, shared by all hosts, has when each proposal stops waiting."""

    def __init__(self, settings: ActionsSettings, waiting: list[datetime]) -> None:
        self._settings = settings
        self._waiting = waiting
        self._begun: list[tuple[datetime, str, str]] = []
        self._busy: list[tuple[str, datetime, datetime]] = []
        self._ended: dict[tuple[str, str], list[tuple[datetime, bool]]] = {}
        self._denied: dict[tuple[int | None, str], datetime] = {}
        self._done: set[str] = set()
        self._not_done: set[str] = set()

    def take(self, one: Asked) -> Decision:
        """Decides, and goes on as the decision has it."""
        decision = self._decide(one)
        if decision.verdict is Verdict.ALLOW:
            self._alone(one)
        elif decision.verdict is Verdict.ASK:
            self._proposed(one)
        if one.key not in self._done:
            self._not_done.add(one.key)
        return decision

    def _decide(self, one: Asked) -> Decision:
        if one.facts is None:
            return Decision(
                verdict=one.verdict or Verdict.DENY,
                rule=one.rule or NOT_ASKED,
                reason="policy was not asked about it then, so nothing is different",
            )
        if one.inverse_of in self._not_done:
            return Decision(
                verdict=Verdict.DENY,
                rule=NOTHING_TO_UNDO,
                reason="what it takes back would not have been done",
            )
        return decide(self._facts(one, one.facts), self._settings)

    def _facts(self, one: Asked, then: ActionFacts) -> ActionFacts:
        facts = dataclasses.replace(then, past=self._past(one))
        if facts.critical:
            return facts
        found = critical_name(facts.target, globs=self._settings.critical)
        if found is None or found.concern is not Concern.OPERATOR:
            return facts
        return dataclasses.replace(facts, critical=found.why, risk=Risk.HIGH)

    def _forget(self, at: datetime) -> None:
        """Requests come in order, so what is over by now stays so."""
        self._begun = [each for each in self._begun if each[0] > at - _HOUR]
        self._busy = [each for each in self._busy if each[2] > at]
        self._waiting[:] = [until for until in self._waiting if until > at]

    def _past(self, one: Asked) -> Past:
        at = one.at
        self._forget(at)
        ended = [end for end in sorted(self._ended.get((one.kind, one.target), ())) if end[0] <= at]
        counts_from = at - timedelta(hours=self._settings.limits.strike_hours)
        failures = 0
        for when, good in ended:
            failures = 0 if good else failures + int(when > counts_from)
        denied = self._denied.get((one.incident_id, one.content_hash))
        return Past(
            in_hour=len(self._begun),
            kind_in_hour=sum(kind == one.kind for _, kind, _ in self._begun),
            target_in_hour=sum(target == one.target for _, _, target in self._begun),
            failures=failures,
            last_failed=bool(ended) and not ended[-1][1],
            waiting=len(self._waiting),
            unfinished_on_target=sum(
                target == one.target and begun <= at for target, begun, _ in self._busy
            ),
            denied=denied is not None and at - timedelta(days=1) < denied <= at,
        )

    def _alone(self, one: Asked) -> None:
        if one.facts is not None and one.facts.origin is not Origin.INVERSE:
            self._begun.append((one.at, one.kind, one.target))
        self._ran(one, began=one.at)

    def _proposed(self, one: Asked) -> None:
        expires = one.at + timedelta(minutes=self._settings.approval_minutes)
        answered = one.answered_at if one.verdict is Verdict.ASK else None
        self._waiting.append(min(answered or expires, expires))
        if answered is None or answered > expires:
            return
        if one.approved:
            self._ran(one, began=answered)
        else:
            self._denied[one.incident_id, one.content_hash] = answered

    def _ran(self, one: Asked, *, began: datetime) -> None:
        """What ran then took its time and has its result; of the rest nobody knows more than that
        it takes as long as looking whether it worked."""
        self._done.add(one.key)
        took = timedelta(seconds=self._settings.steady_seconds)
        if one.started_at is not None and one.ended_at is not None:
            took = max(one.ended_at - one.started_at, timedelta())
            result = (began + took, one.outcome not in _FAILURES)
            self._ended.setdefault((one.kind, one.target), []).append(result)
        self._busy.append((one.target, began, began + took))
