"""The decision about one action: the first of the rules that applies. Pure and total."""

from __future__ import annotations

import dataclasses

from daemon.actions.policy.facts import ActionFacts, Decision, Verdict
from daemon.actions.policy.rules import RULES, TOO_MANY_WAITING, Rule
from daemon.actions.policy.settings import PolicySettings


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A rule held against facts: `reason` is empty where it does not apply."""

    rule: Rule
    reason: str


def decide(facts: ActionFacts, settings: PolicySettings) -> Decision:
    """Allow, ask or deny, with the rule that said so. Where no rule speaks for it, deny."""
    for rule in RULES:
        reason = rule.applies(facts, settings)
        if reason is None:
            continue
        if rule.verdict is Verdict.ASK:
            crowded = TOO_MANY_WAITING.applies(facts, settings)
            if crowded is not None:
                return _decision(TOO_MANY_WAITING, crowded)
        return _decision(rule, reason)
    return Decision(
        verdict=Verdict.DENY, rule="no-rule", reason="no rule of the policy speaks for it"
    )


def weigh(facts: ActionFacts, settings: PolicySettings) -> tuple[Held, ...]:
    """Every rule in order with whether it applies, for people. `decide` is the answer."""
    return tuple(
        Held(rule=rule, reason=rule.applies(facts, settings) or "")
        for rule in (*RULES, TOO_MANY_WAITING)
    )


def _decision(rule: Rule, reason: str) -> Decision:
    return Decision(verdict=rule.verdict, rule=rule.name, reason=reason)
