"""The decision that saves model calls."""

from __future__ import annotations

import pytest

from daemon.intake.admit import Limits, Why, admit
from daemon.intake.mutes import Mute, MuteAnswer, consult
from daemon.intake.rules import built_in_rules
from daemon.intake.state import KnownVerdict, PatternState
from tiers.vocabulary import Category, Provenance, Severity, SourceKind

LIMITS = Limits()
T0 = 1_700_000_000.0


def pattern(text: str = "connection lost", unit: str = "app") -> PatternState:
    return PatternState(
        fingerprint="0" * 16,
        kind=SourceKind.FILE,
        unit=unit,
        pattern=text,
        sample=text,
        provenance=Provenance.TEXT,
        first_seen=T0,
        last_seen=T0,
        rate_at=T0,
    )


def verdict(*, escalate: bool, severity: Severity = Severity.INFO) -> KnownVerdict:
    return KnownVerdict(
        escalate=escalate,
        severity=severity,
        category=Category.APPLICATION,
        at=T0,
        verdict_id=1,
    )


def decide(state: PatternState, *, mute: MuteAnswer = MuteAnswer.NOT_MUTED, now: float = T0 + 60):
    rule = built_in_rules().find(unit=state.unit, text=state.sample)
    return admit(state=state, rule=rule, mute=mute, now=now, limits=LIMITS)


def test_a_new_pattern_is_judged_once_and_counted_for_its_incident() -> None:
    state = pattern()
    state.observe(at=T0)
    first = decide(state)
    assert (first.judge, first.attach) == (Why.NEW, True)
    state.judging = True
    assert decide(state).judge is None
    assert decide(state).attach


def test_a_known_harmless_pattern_costs_nothing() -> None:
    state = pattern()
    state.verdict = verdict(escalate=False)
    for second in range(50):
        state.observe(at=T0 + second * 10)
    answer = decide(state)
    assert (answer.judge, answer.attach) == (None, False)


def test_a_burst_of_a_known_pattern_is_looked_at_again_and_then_not_at_every_line() -> None:
    state = pattern()
    state.verdict = verdict(escalate=False, severity=Severity.NOTICE)
    state.judged_burst = 2
    for _ in range(100):
        state.observe(at=T0)
    assert decide(state).judge is Why.RATE
    state.judged_burst, state.burst = 100, 0
    for _ in range(300):
        state.observe(at=T0 + 100)
    assert decide(state).judge is None


def test_a_chatty_routine_pattern_is_no_news_until_it_floods() -> None:
    state = pattern()
    state.verdict = verdict(escalate=False)
    state.judged_burst = 1
    for _ in range(500):
        state.observe(at=T0)
    assert decide(state).judge is None
    for _ in range(500):
        state.observe(at=T0)
    assert decide(state).judge is Why.RATE


def test_an_old_verdict_is_asked_for_again() -> None:
    state = pattern()
    state.verdict = verdict(escalate=False)
    assert decide(state, now=T0 + 31 * 86_400).judge is Why.AGE


def test_one_failed_login_has_no_floor_and_a_burst_has() -> None:
    state = pattern("Failed password for root from 192.0.2.1 port 1 ssh2", "sshd")
    state.verdict = verdict(escalate=False, severity=Severity.NOTICE)
    state.observe(at=T0)
    assert decide(state).floor is Severity.INFO
    for second in range(20):
        state.observe(at=T0 + second)
    answer = decide(state)
    assert (answer.floor, answer.rule, answer.judge) == (Severity.WARNING, "auth-burst", Why.RULE)


def test_a_slow_attack_reaches_the_floor_too() -> None:
    state = pattern("Invalid user admin from 192.0.2.1", "sshd")
    state.verdict = verdict(escalate=False, severity=Severity.NOTICE)
    for number in range(60):
        state.observe(at=T0 + number * 30)
    assert decide(state).floor is Severity.WARNING


def test_failed_logins_spread_over_months_do_not() -> None:
    state = pattern("Invalid user admin from 192.0.2.1", "sshd")
    state.verdict = verdict(escalate=False, severity=Severity.NOTICE)
    for number in range(60):
        state.observe(at=T0 + number * 86_400)
    assert decide(state, now=T0 + 60).floor is Severity.INFO


def test_a_floor_is_never_lowered() -> None:
    state = pattern("routine words")
    state.floor, state.rule = Severity.CRITICAL, "gone-rule"
    answer = decide(state)
    assert (answer.floor, answer.rule) == (Severity.CRITICAL, "gone-rule")


@pytest.mark.parametrize("later", [-3600.0, -1e9])
def test_a_clock_that_jumps_back_breaks_nothing(later: float) -> None:
    state = pattern()
    state.observe(at=T0)
    state.observe(at=T0 + later)
    state.observe(at=T0 + 1)
    state.settle_rate(arrived=3)
    assert state.count == 3
    assert state.last_seen == T0 + 1
    assert state.usual_gap is not None
    assert state.usual_gap > 0
    assert state.rate >= 0


def test_a_mute_silences_until_it_expires_or_is_outgrown() -> None:
    state = pattern()
    state.observe(at=T0)
    mute = Mute(
        mute_id=1, reason="lab", fingerprint=state.fingerprint, expires_at=T0 + 100, max_per_hour=10
    )
    assert consult([mute], state=state, now=T0) is MuteAnswer.MUTED
    quiet = decide(state, mute=MuteAnswer.MUTED)
    assert (quiet.judge, quiet.attach, quiet.muted) == (None, False, True)
    assert consult([mute], state=state, now=T0 + 100) is MuteAnswer.NOT_MUTED
    state.count_hour(10, now=T0)
    assert consult([mute], state=state, now=T0) is MuteAnswer.MUTED
    state.count_hour(1, now=T0 + 50)
    assert consult([mute], state=state, now=T0 + 50) is MuteAnswer.ROSE_BY_RATE
    state.verdict = verdict(escalate=False)
    state.judged_burst = 100
    assert decide(state, mute=MuteAnswer.ROSE_BY_RATE).judge is Why.UNMUTED
    state.risen = True
    assert decide(state, mute=MuteAnswer.ROSE_BY_RATE).judge is None


def test_a_mute_rises_when_the_floor_does() -> None:
    state = pattern()
    state.floor = Severity.CRITICAL
    mute = Mute(mute_id=1, reason="lab", unit="app", max_severity=Severity.WARNING)
    assert consult([mute], state=state, now=T0) is MuteAnswer.ROSE_BY_SEVERITY


def test_a_mute_of_another_unit_says_nothing() -> None:
    mute = Mute(mute_id=1, reason="lab", unit="other", contains="lost")
    assert consult([mute], state=pattern(), now=T0) is MuteAnswer.NOT_MUTED
