"""The policy's rules, in the order in which they are asked. Reading them is reading the policy.

Denials come before what asks, and what asks before what allows, so that "at most ask" needs no more
than a place in the order. Two properties hold by construction and are tested: a higher level never
denies what a lower one allows, and nothing that text can bring about turns an ask into an allow.

What triaged takes back after a time (origin inverse) restores what was there before: it has rules
of its own at the beginning, and no other applies to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from daemon.actions.action import Blast, Risk
from daemon.actions.policy.facts import ActionFacts, Autonomy, Origin, Verdict
from daemon.actions.policy.globs import matching_action, matching_target
from daemon.actions.policy.settings import PolicySettings
from daemon.actions.policy.spans import parse_span
from tiers.vocabulary import Provenance

Condition = Callable[[ActionFacts, PolicySettings], str | None]
"""The reason, a clause, where it applies; else None."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`verdict` where `applies` gives a reason. `name` is what ledger and answers say, `when` says
    in words when it applies."""

    name: str
    verdict: Verdict
    when: str
    applies: Condition


def _rule(name: str, verdict: Verdict, *, when: str) -> Callable[[Condition], Rule]:
    def made(applies: Condition) -> Rule:
        return Rule(name=name, verdict=verdict, when=when, applies=applies)

    return made


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


# --- what is taken back -------------------------------------------------------------------------


@_rule(
    "inverse-stopped",
    Verdict.ASK,
    when="what was done for a time is due to be taken back while the stop switch is on",
)
def _inverse_stopped(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.INVERSE and facts.stopped:
        return "it takes back what was done for a time, but the stop switch is on: a human decides"
    return None


@_rule("inverse-denied", Verdict.ASK, when="... while `deny` matches what takes it back")
def _inverse_denied(facts: ActionFacts, settings: PolicySettings) -> str | None:
    glob = matching_action(settings.deny, kind=facts.kind, target=facts.target)
    if facts.origin is Origin.INVERSE and glob is not None:
        return f"it takes back what was done for a time, but {glob!r} is denied: a human decides"
    return None


@_rule("inverse-failed", Verdict.ASK, when="... and failed before")
def _inverse_failed(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.INVERSE and _failed(facts):
        return "it takes back what was done for a time, and failed at that before: a human decides"
    return None


@_rule("inverse", Verdict.ALLOW, when="what was done for a time is taken back, at every level")
def _inverse(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.INVERSE:
        return "it takes back what triaged did for a time and restores what was there before"
    return None


# --- what is denied -----------------------------------------------------------------------------


@_rule("stopped", Verdict.DENY, when="the stop switch is on")
def _stopped(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.stopped:
        return "the stop switch is on: nothing is done until an operator turns it off"
    return None


@_rule("denied", Verdict.DENY, when="`deny` matches")
def _denied(facts: ActionFacts, settings: PolicySettings) -> str | None:
    glob = matching_action(settings.deny, kind=facts.kind, target=facts.target)
    if glob is not None:
        return f"the operator denied it: {glob!r} in actions.deny"
    return None


@_rule("observe", Verdict.DENY, when="the level is observe")
def _observe(_: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.OBSERVE:
        return "the level is observe: triaged reports, and neither acts nor proposes"
    return None


@_rule(
    "critical-target",
    Verdict.DENY,
    when="a tier or a chat asks for a critical target that `named` does not name",
)
def _critical_target(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if _by_models(facts) and facts.critical and not _named(facts, settings):
        return (
            f"critical ({facts.critical}) and so closed to automation; to have it proposed, name "
            f"{facts.target} in actions.named"
        )
    return None


@_rule(
    "struck-out",
    Verdict.DENY,
    when="a tier or a chat asks for what failed `limits.strikes` times on this target",
)
def _struck_out(facts: ActionFacts, settings: PolicySettings) -> str | None:
    failures, strikes = facts.past.failures, settings.limits.strikes
    if _by_models(facts) and failures >= strikes:
        return (
            f"it failed {_times(failures)} on {facts.target} within {_hours(settings)}, and "
            f"{_times(strikes)} is the most: a human has to look at the cause"
        )
    return None


@_rule(
    "denied-before",
    Verdict.DENY,
    when="a tier or a chat asks for what a human denied for this incident within a day",
)
def _denied_before(facts: ActionFacts, _: PolicySettings) -> str | None:
    if _by_models(facts) and facts.past.denied:
        return "a human denied exactly this for the same incident within a day"
    return None


@_rule(
    "busy-target",
    Verdict.DENY,
    when="a tier or a chat asks while another action on this target is under way",
)
def _busy_target(facts: ActionFacts, _: PolicySettings) -> str | None:
    if _by_models(facts) and facts.past.unfinished_on_target > 0:
        return f"another action on {facts.target} is under way; ask again when it has ended"
    return None


# --- what a human is asked ----------------------------------------------------------------------


@_rule("text-basis", Verdict.ASK, when="only text speaks for it")
def _text_basis(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.basis is Provenance.TEXT:
        return "only text speaks for it, which anybody may have written: a human decides"
    return None


@_rule("asked-in-chat", Verdict.ASK, when="a chat asks")
def _asked_in_chat(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.origin is Origin.CHAT:
        return "it was asked for in a chat, where a model read text: a human confirms it"
    return None


@_rule("critical", Verdict.ASK, when="the target is critical")
def _critical(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if not facts.critical:
        return None
    named = ", although actions.named has it" if _named(facts, settings) else ""
    return f"critical ({facts.critical}){named}: a human decides"


@_rule("failed-before", Verdict.ASK, when="it failed the last time on this target")
def _failed_before(facts: ActionFacts, _: PolicySettings) -> str | None:
    if _failed(facts):
        return f"it failed the last time on {facts.target}: a human decides whether to try again"
    return None


@_rule("always-ask", Verdict.ASK, when="`ask` matches")
def _always_ask(facts: ActionFacts, settings: PolicySettings) -> str | None:
    glob = matching_action(settings.ask, kind=facts.kind, target=facts.target)
    if glob is not None:
        return f"the operator wants to be asked: {glob!r} in actions.ask"
    return None


@_rule("suggest", Verdict.ASK, when="the level is suggest")
def _suggest(_: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.SUGGEST:
        return "the level is suggest: triaged proposes, and a human decides"
    return None


@_rule("high-risk", Verdict.ASK, when="the risk is high")
def _high_risk(facts: ActionFacts, _: PolicySettings) -> str | None:
    if facts.risk is Risk.HIGH:
        return "its risk is high: a human decides"
    return None


@_rule(
    "not-safe",
    Verdict.ASK,
    when="the level is auto-safe, and it is not of low risk, not reversible or felt host-wide",
)
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


@_rule(
    "not-listed",
    Verdict.ASK,
    when="the level is auto-safe, and `targets` is not empty and does not match",
)
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


@_rule("quiet-hours", Verdict.ASK, when="the hour is among the `quiet` ones")
def _quiet_hours(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.quiet is not None and parse_span(settings.quiet).holds(facts.at):
        return f"it is {facts.at:%H:%M}, within the quiet hours {settings.quiet}: a human decides"
    return None


@_rule(
    "outside-window",
    Verdict.ASK,
    when="users notice it, its risk is above low, and it is none of the `windows`",
)
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


@_rule("limit", Verdict.ASK, when="as many began by themselves within the hour as `limits` allow")
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


# --- what is allowed ----------------------------------------------------------------------------


@_rule("safe", Verdict.ALLOW, when="the level is auto-safe")
def _safe(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.AUTO_SAFE:
        return "the level is auto-safe, its risk is low and it can be taken back"
    return None


@_rule("full", Verdict.ALLOW, when="the level is auto-full")
def _full(facts: ActionFacts, settings: PolicySettings) -> str | None:
    if settings.autonomy is Autonomy.AUTO_FULL:
        return f"the level is auto-full and its risk is {facts.risk.value}"
    return None


# --- what is not asked any more -----------------------------------------------------------------


@_rule(
    "too-many-waiting",
    Verdict.DENY,
    when="a human would be asked while `limits.waiting` proposals wait",
)
def _too_many_waiting(facts: ActionFacts, settings: PolicySettings) -> str | None:
    waiting, most = facts.past.waiting, settings.limits.waiting
    if _by_models(facts) and waiting >= most:
        return (
            f"a human would be asked, but {waiting} proposals wait already and {most} is the most: "
            "answer those first"
        )
    return None


RULES = (
    _inverse_stopped,
    _inverse_denied,
    _inverse_failed,
    _inverse,
    _stopped,
    _denied,
    _observe,
    _critical_target,
    _struck_out,
    _denied_before,
    _busy_target,
    _text_basis,
    _asked_in_chat,
    _critical,
    _failed_before,
    _always_ask,
    _suggest,
    _high_risk,
    _not_safe,
    _not_listed,
    _quiet_hours,
    _outside_window,
    _limit,
    _safe,
    _full,
)
"""In the order of this file. The last two get what nothing above has held up."""
TOO_MANY_WAITING = _too_many_waiting
"""Looked at when the answer would be to ask: what nobody answers must not grow without bound, and
nobody who writes logs can bury one proposal under others. Operators and inverses always get in."""
