"""The policy: the first row of `RULES` that applies decides. Read it from top to bottom.

Denials come before what asks, and what asks before what allows, so that "at most ask" needs no more
than a place in the order. Two properties hold by construction and are tested: a higher level never
denies what a lower one allows, and nothing that text can bring about turns an ask into an allow.

What triaged takes back after a time (origin inverse) restores what was there before: it has rows
of its own at the beginning, and no other applies to it. `TOO_MANY_WAITING` stands apart, because
it is about the answer and not about the action: it is looked at when the answer would be to ask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from daemon.actions.action import Blast, Risk
from daemon.actions.policy.facts import ActionFacts, Autonomy, Decision, Origin, Verdict
from daemon.actions.policy.globs import matching_action, matching_target
from daemon.actions.policy.settings import PolicySettings
from daemon.actions.policy.spans import parse_span
from tiers.vocabulary import Provenance

Condition = Callable[[ActionFacts, PolicySettings], str | None]
"""The reason, a sentence, where it applies; else None."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row: `verdict` where `applies` gives a reason. `name` is what ledger and answers say."""

    name: str
    verdict: Verdict
    applies: Condition


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A rule held against facts: `reason` is empty where it does not apply."""

    rule: Rule
    reason: str


def decide(facts: ActionFacts, settings: PolicySettings) -> Decision:
    """Allow, ask or deny, with the rule that said so. Pure and total."""
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


def weigh(facts: ActionFacts, settings: PolicySettings) -> tuple[Weighed, ...]:
    """Every rule in order with whether it applies, for people. `decide` is the answer."""
    return tuple(
        Weighed(rule=rule, reason=rule.applies(facts, settings) or "")
        for rule in (*RULES, TOO_MANY_WAITING)
    )


def _decision(rule: Rule, reason: str) -> Decision:
    return Decision(verdict=rule.verdict, rule=rule.name, reason=reason)


# --- what is taken back -------------------------------------------------------------------------


def _inverse_stopped(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.INVERSE and facts.stopped:
        return "it takes back what was done for a time, but the stop switch is on: a human decides"
    return None


def _inverse_denied(facts: ActionFacts, settings: PolicySettings) -> str | None:
    glob = matching_action(settings.deny, kind=facts.kind, target=facts.target)
    if facts.origin is Origin.INVERSE and glob is not None:
        return f"it takes back what was done for a time, but {glob!r} is denied: a human decides"
    return None


def _inverse_failed(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.INVERSE and _failed(facts):
        return "it takes back what was done for a time, and failed at that before: a human decides"
    return None


def _inverse(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.INVERSE:
        return "it takes back what triaged did for a time and restores what was there before"
    return None


# --- what is denied -----------------------------------------------------------------------------


def _stopped(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.stopped:
        return "the stop switch is on: nothing is done until an operator turns it off"
    return None


def _denied(facts: ActionFacts, settings: PolicySettings) -> str | None:
    glob = matching_action(settings.deny, kind=facts.kind, target=facts.target)
    if glob is not None:
        return f"the operator denied it: {glob!r} in actions.deny"
    return None


def _observe(_: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.OBSERVE:
        return "the level is observe: triaged reports, and neither acts nor proposes"
    return None


def _critical_target(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if _by_models(facts) and facts.critical and not _named(facts, settings):
        return (
            f"{facts.target} is critical ({facts.critical}) and closed to automation; to have it "
            "proposed, name it in actions.named"
        )
    return None


def _struck_out(facts: ActionFacts, settings: PolicySettings) -> str | None:
    failures, strikes = facts.past.failures, settings.limits.strikes
    if _by_models(facts) and failures >= strikes:
        return (
            f"it failed {_times(failures)} on {facts.target} within {_hours(settings)}, and "
            f"{_times(strikes)} is the most: a human has to look at the cause"
        )
    return None


def _denied_before(facts: ActionFacts, _: PolicySettings) -> str | None:
    if _by_models(facts) and facts.past.denied:
        return "a human denied exactly this for the same incident within a day"
    return None


def _busy_target(facts: ActionFacts, _: PolicySettings) -> str | None:
    if _by_models(facts) and facts.past.unfinished_on_target > 0:
        return f"another action on {facts.target} is under way; ask again when it has ended"
    return None


# --- what a human is asked ----------------------------------------------------------------------


def _text_basis(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.basis is Provenance.TEXT:
        return "only text speaks for it, which anybody may have written: a human decides"
    return None


def _asked_in_chat(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.CHAT:
        return "it was asked for in a chat, where a model read text: a human confirms it"
    return None


def _critical(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if not facts.critical:
        return None
    named = ", but named in actions.named" if _named(facts, settings) else ""
    return f"{facts.target} is critical ({facts.critical}){named}: a human decides"


def _failed_before(facts: ActionFacts, _: PolicySettings) -> str | None:
    if _failed(facts):
        return f"it failed the last time on {facts.target}: a human decides whether to try again"
    return None


def _always_ask(facts: ActionFacts, settings: PolicySettings) -> str | None:
    glob = matching_action(settings.ask, kind=facts.kind, target=facts.target)
    if glob is not None:
        return f"the operator wants to be asked: {glob!r} in actions.ask"
    return None


def _suggest(_: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.SUGGEST:
        return "the level is suggest: triaged proposes, and a human decides"
    return None


def _limit(facts: ActionFacts, settings: PolicySettings) -> str | None:
    past, limits = facts.past, settings.limits
    for done, most, what in (
        (past.in_hour, limits.per_hour, "actions"),
        (past.kind_in_hour, limits.per_kind_per_hour, f"actions {facts.kind}"),
        (past.target_in_hour, limits.per_target_per_hour, f"actions on {facts.target}"),
    ):
        if done >= most:
            return (
                f"{done} {what} began by themselves within the hour, and {most} is the most: "
                "a human decides"
            )
    return None


def _quiet_hours(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.quiet is not None and parse_span(settings.quiet).holds(facts.at):
        return f"it is {facts.at:%H:%M}, within the quiet hours {settings.quiet}: a human decides"
    return None


def _outside_window(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if (
        facts.disruptive
        and facts.risk is not Risk.LOW
        and settings.windows
        and not any(parse_span(window).holds(facts.at) for window in settings.windows)
    ):
        windows = ", ".join(settings.windows)
        return (
            f"users would notice it, and {facts.at:%a %H:%M} is outside of the maintenance windows "
            f"({windows}): a human decides"
        )
    return None


def _high_risk(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.risk is Risk.HIGH:
        return "its risk is high: a human decides"
    return None


def _not_safe(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is not Autonomy.AUTO_SAFE:
        return None
    unsafe = [
        word
        for word, holds in (
            (f"its risk is {facts.risk.value}", facts.risk is not Risk.LOW),
            ("it cannot be taken back", not facts.reversible),
            ("the whole host would feel it", facts.blast is Blast.HOST),
        )
        if holds
    ]
    if unsafe:
        said = " and ".join(unsafe)
        return f"the level is auto-safe and {said}: a human decides"
    return None


def _not_listed(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if (
        settings.autonomy is Autonomy.AUTO_SAFE
        and settings.targets
        and matching_target(settings.targets, facts.target) is None
    ):
        return (
            f"the level is auto-safe and {facts.target} is not among actions.targets: "
            "a human decides"
        )
    return None


# --- what is allowed ----------------------------------------------------------------------------


def _safe(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.AUTO_SAFE:
        return "the level is auto-safe, its risk is low and it can be taken back"
    return None


def _full(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.AUTO_FULL:
        return f"the level is auto-full and its risk is {facts.risk.value}"
    return None


# --- words --------------------------------------------------------------------------------------


def _by_models(facts: ActionFacts) -> bool:
    return facts.origin in (Origin.TIER, Origin.CHAT)


def _named(facts: ActionFacts, settings: PolicySettings) -> bool:
    return matching_target(settings.named, facts.target) is not None


def _failed(facts: ActionFacts) -> bool:
    return facts.past.last_failed or facts.past.failures > 0


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _hours(settings: PolicySettings) -> str:
    return f"{settings.limits.strike_hours:g} h"


def _too_many_waiting(facts: ActionFacts, settings: PolicySettings) -> str | None:
    waiting, most = facts.past.waiting, settings.limits.waiting
    if _by_models(facts) and waiting >= most:
        return (
            f"a human would be asked, but {waiting} proposals wait already and {most} is the most: "
            "answer those first"
        )
    return None


# --- the policy ---------------------------------------------------------------------------------

RULES = (
    Rule(name="inverse-stopped", verdict=Verdict.ASK, applies=_inverse_stopped),
    Rule(name="inverse-denied", verdict=Verdict.ASK, applies=_inverse_denied),
    Rule(name="inverse-failed", verdict=Verdict.ASK, applies=_inverse_failed),
    Rule(name="inverse", verdict=Verdict.ALLOW, applies=_inverse),
    Rule(name="stopped", verdict=Verdict.DENY, applies=_stopped),
    Rule(name="denied", verdict=Verdict.DENY, applies=_denied),
    Rule(name="observe", verdict=Verdict.DENY, applies=_observe),
    Rule(name="critical-target", verdict=Verdict.DENY, applies=_critical_target),
    Rule(name="struck-out", verdict=Verdict.DENY, applies=_struck_out),
    Rule(name="denied-before", verdict=Verdict.DENY, applies=_denied_before),
    Rule(name="busy-target", verdict=Verdict.DENY, applies=_busy_target),
    Rule(name="text-basis", verdict=Verdict.ASK, applies=_text_basis),
    Rule(name="asked-in-chat", verdict=Verdict.ASK, applies=_asked_in_chat),
    Rule(name="critical", verdict=Verdict.ASK, applies=_critical),
    Rule(name="failed-before", verdict=Verdict.ASK, applies=_failed_before),
    Rule(name="always-ask", verdict=Verdict.ASK, applies=_always_ask),
    Rule(name="suggest", verdict=Verdict.ASK, applies=_suggest),
    Rule(name="high-risk", verdict=Verdict.ASK, applies=_high_risk),
    Rule(name="not-safe", verdict=Verdict.ASK, applies=_not_safe),
    Rule(name="not-listed", verdict=Verdict.ASK, applies=_not_listed),
    Rule(name="quiet-hours", verdict=Verdict.ASK, applies=_quiet_hours),
    Rule(name="outside-window", verdict=Verdict.ASK, applies=_outside_window),
    Rule(name="limit", verdict=Verdict.ASK, applies=_limit),
    Rule(name="safe", verdict=Verdict.ALLOW, applies=_safe),
    Rule(name="full", verdict=Verdict.ALLOW, applies=_full),
)
"""In the order in which they are asked. The last two get what nothing above has held up."""

TOO_MANY_WAITING = Rule(name="too-many-waiting", verdict=Verdict.DENY, applies=_too_many_waiting)
"""Asked when the answer would be to ask: what nobody answers must not grow without bound, and
nobody who writes logs can bury a proposal under others. Operators and inverses always get in."""
