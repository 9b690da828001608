"""Why policy says what it says about an action. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.actions.policy.decide import Held, decide, weigh
from daemon.actions.policy.facts import ActionFacts, Autonomy, Decision
from daemon.actions.policy.rules import TOO_MANY_WAITING
from daemon.actions.policy.settings import PolicySettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision with everything that it rests on. `levels` has what each level would say."""

    facts: ActionFacts
    level: Autonomy
    decision: Decision
    rules: Sequence[Held]
    levels: Mapping[Autonomy, Decision]
    limits: Sequence[tuple[str, int, int]]
    """What is counted: in words, how much there is, how much there may be."""

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.decision.verdict.value,
            "rule": self.decision.rule,
            "reason": self.decision.reason,
            "level": self.level.value,
            "facts": self.facts.to_json(),
            "rules": [
                {
                    "name": held.rule.name,
                    "verdict": held.rule.verdict.value,
                    "when": held.rule.when,
                    "applies": bool(held.reason),
                    "decides": held.rule.name == self.decision.rule,
                    "reason": held.reason or None,
                }
                for held in self.rules
            ],
            "levels": {
                level.value: {"verdict": decided.verdict.value, "rule": decided.rule}
                for level, decided in self.levels.items()
            },
            "limits": [{"what": what, "now": now, "most": most} for what, now, most in self.limits],
        }


def explain(facts: ActionFacts, settings: PolicySettings) -> Explanation:
    """The decision about these facts, and every rule held against them."""
    past, limits = facts.past, settings.limits
    return Explanation(
        facts=facts,
        level=settings.autonomy,
        decision=decide(facts, settings),
        rules=[
            held
            for held in weigh(facts, settings)
            if held.rule is not TOO_MANY_WAITING or held.reason
        ],
        levels={
            level: decide(facts, settings.model_copy(update={"autonomy": level}))
            for level in Autonomy
        },
        limits=(
            ("actions begun by themselves in the last hour", past.in_hour, limits.per_hour),
            (f"of them {facts.kind}", past.kind_in_hour, limits.per_kind_per_hour),
            (f"of them on {facts.target}", past.target_in_hour, limits.per_target_per_hour),
            (f"failures within {limits.strike_hours:g} h", past.failures, limits.strikes),
            ("proposals that wait", past.waiting, limits.waiting),
        ),
    )
