"""A batch through all of intake's decisions, with input that nobody sane sends."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.events import Batch, Event, Loss
from daemon.intake.admit import Limits, Why
from daemon.intake.fold import Fold
from daemon.intake.mutes import Mute
from daemon.intake.patterns import PatternTable
from daemon.intake.rules import RuleBook, built_in_rules, load_rules
from daemon.intake.state import KnownVerdict
from tiers.vocabulary import Category, Provenance, Severity, SourceKind

NOW = 1_790_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def make(*, rules: RuleBook | None = None, clock: Clock | None = None) -> Fold:
    return Fold(
        table=PatternTable(),
        rules=rules or built_in_rules(),
        limits=Limits(),
        clock=clock or Clock(),
    )


def event(text: str, *, at: float = NOW, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "text": text,
        "unit": "app",
        "kind": SourceKind.FILE,
        "source": "s",
        "provenance": Provenance.TEXT,
        "occurred_at": at,
    }
    return Event(**{**values, **changes})


def batch(*events: Event, losses: tuple[Loss, ...] = ()) -> Batch:
    return Batch(source="s", events=events, cursor=None, losses=losses)


def verdict(*, escalate: bool, severity: Severity = Severity.INFO, at: float = NOW) -> KnownVerdict:
    return KnownVerdict(
        escalate=escalate, severity=severity, category=Category.AUTH, at=at, verdict_id=1
    )


times = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(NOW - 1e6, NOW + 1e6),
    st.sampled_from([0.0, -1.0, 253_402_300_800.0, math.nan, math.inf, 1e300, -1e300]),
)
texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["", " ", "\x00", "\ud800", "\n\n", "Out of memory: Killed process 1 (x)", "a 1", "a 2"]
    ),
)
events = st.builds(
    lambda text, at, unit, key, provenance, level: event(
        text,
        at=at,
        unit=unit,
        key=key,
        provenance=provenance,
        attributes=None if level is None else {"level": level, "metric": "m", "target": "t"},
    ),
    texts,
    times,
    st.sampled_from(["", "app", "ssh\x00d", "\ud800", "x" * 500]),
    st.sampled_from([None, "k1", "k2"]),
    st.sampled_from(list(Provenance)),
    st.sampled_from([None, "info", "critical", "no such level"]),
)


@given(batches=st.lists(st.lists(events, max_size=12), max_size=5), lost=st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_the_accounting_closes_for_every_input(batches: list[list[Event]], lost: int) -> None:
    fold = make()
    received = counted = dropped = 0
    for number, each in enumerate(batches):
        losses = (Loss(reason="lost", count=lost),) if number == 0 else ()
        done = fold.batch(batch(*each, losses=losses))
        received += len(each) + sum(loss.count for loss in losses)
        dropped += sum(done.prepared.drops.values())
        counted += sum(delta.count for delta in done.prepared.patterns)
        assert len(done.lines) == len(each)
        assert sum(line is not None for line in done.lines) == len(done.prepared.stored) + (
            done.prepared.folded
        )
        for delta in done.prepared.patterns:
            assert 0 < delta.first_seen <= delta.last_seen <= NOW
            assert math.isfinite(delta.rate)
            assert delta.rate >= 0
            assert delta.usual_gap is None or math.isfinite(delta.usual_gap)
            assert 0 <= delta.unattached <= delta.count
    assert received == counted + dropped


def test_one_impossible_time_does_not_spoil_a_pattern() -> None:
    fold = make()
    fold.batch(batch(event("thing happened", at=NOW - 10)))
    fold.batch(batch(event("thing happened", at=253_402_300_000.0)))
    done = fold.batch(batch(event("thing happened", at=NOW - 1)))
    (delta,) = done.prepared.patterns
    (state,) = fold.states.values()
    assert delta.last_seen == NOW - 1
    assert state.last_seen == NOW
    assert state.usual_gap is not None
    assert state.usual_gap <= 10


def test_times_that_jump_back_count_and_widen() -> None:
    fold = make()
    for at in (NOW - 5, NOW - 1000, NOW - 3):
        done = fold.batch(batch(event("thing happened", at=at)))
    (state,) = fold.states.values()
    assert (state.count, state.first_seen, state.last_seen) == (3, NOW - 1000, NOW - 3)
    assert done.prepared.patterns[0].count == 1


def test_a_slow_attack_after_a_quiet_year_is_found() -> None:
    """Two a minute: too few for a minute's burst, and little in the mean of a year."""
    fold = make()
    text = "Failed password for root from 203.0.113.7 port 4000 ssh2"
    for day in range(300, 0, -1):
        fold.batch(batch(event(text, unit="sshd", at=NOW - day * 86_400)))
    (state,) = fold.states.values()
    assert state.floor is Severity.INFO
    fold.settle(state.fingerprint, verdict(escalate=False))
    reasons = []
    for number in range(15):
        done = fold.batch(batch(event(text, unit="sshd", at=NOW - 3600 + number * 30)))
        reasons += [why for _, why in done.judge]
    assert (state.floor, state.rule) == (Severity.WARNING, "auth-burst")
    assert reasons == [Why.RULE]


def test_a_spread_that_makes_no_burst_makes_no_floor() -> None:
    fold = make()
    text = "Failed password for root from 203.0.113.7 port 4000 ssh2"
    for number in range(100):
        fold.batch(batch(event(text, unit="sshd", at=NOW - 86_400 + number * 60)))
    (state,) = fold.states.values()
    assert state.floor is Severity.INFO


def test_a_rule_that_waits_for_its_burst_does_not_hide_another(tmp_path: Any) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        """
        [[rule]]
        name = "many"
        severity = "critical"
        category = "service"
        match = "trouble"
        burst = { count = 3, seconds = 10 }
        samples = ["trouble"]
        [[rule]]
        name = "one"
        severity = "warning"
        category = "service"
        match = "trouble"
        samples = ["trouble"]
        """
    )
    fold = make(rules=load_rules([path], built_in=False))
    fold.batch(batch(event("trouble", at=NOW - 100)))
    (state,) = fold.states.values()
    assert (state.floor, state.rule) == (Severity.WARNING, "one")
    fold.batch(batch(*(event("trouble", at=NOW - 50 + n) for n in range(3))))
    assert (state.floor, state.rule) == (Severity.CRITICAL, "many")


def test_a_new_wording_of_a_known_pattern_is_shown_to_the_rules() -> None:
    fold = make()
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    for word in words:
        fold.batch(batch(event(f"state of array is now {word} for the volume", unit="md")))
    fold.batch(batch(event("Out of memory: Killed process 7 (java) total-vm:1kB", unit="kernel")))
    assert any(state.floor is Severity.CRITICAL for state in fold.states.values())


def test_measured_calm_is_not_judged_and_measured_trouble_is() -> None:
    fold = make()
    calm = {"metric": "disk", "target": "/", "level": "info"}
    bad = {"metric": "disk", "target": "/", "level": "critical"}
    measured = {"kind": SourceKind.METRICS, "provenance": Provenance.MEASURED, "unit": "disk"}
    done = fold.batch(batch(event("disk / is back to normal", attributes=calm, **measured)))
    assert (done.judge, done.prepared.patterns[0].unattached) == ((), 0)
    done = fold.batch(batch(event("disk / is full: 99 %", attributes=bad, **measured)))
    assert [why for _, why in done.judge] == [Why.NEW]
    assert done.prepared.patterns[0].floor is Severity.CRITICAL
    # The same words at a calm level: nothing of it belongs on the incident.
    done = fold.batch(batch(event("disk / is full: 12 %", attributes=calm, **measured)))
    assert done.prepared.patterns[0].unattached == 0
    # Text that claims a level is text.
    done = fold.batch(batch(event("a log line", attributes=bad)))
    assert done.prepared.patterns[0].floor is Severity.INFO


def test_a_mute_at_run_time_stops_counting_and_rises_again() -> None:
    clock = Clock()
    fold = make(clock=clock)
    fold.batch(batch(event("noise again")))
    (state,) = fold.states.values()
    fold.settle(state.fingerprint, verdict(escalate=True, severity=Severity.WARNING))
    fold.set_mutes([Mute(mute_id=1, reason="lab", unit="app", max_per_hour=10)])
    counts = []
    for minute in range(8):
        clock.now = NOW + minute * 60
        done = fold.batch(batch(*[event("noise again", at=clock.now)] * 2))
        counts.append(done.prepared.patterns[0].unattached)
    assert counts == [0, 0, 0, 0, 0, 2, 2, 2]
    clock.now = NOW + 3 * 3600
    done = fold.batch(batch(event("noise again", at=clock.now)))
    assert done.prepared.patterns[0].unattached == 0
    fold.set_mutes([])
    done = fold.batch(batch(event("noise again", at=clock.now)))
    assert done.prepared.patterns[0].unattached == 1


def test_a_risen_mute_asks_the_model_once() -> None:
    fold = make()
    fold.batch(batch(event("noise again")))
    (state,) = fold.states.values()
    fold.settle(state.fingerprint, verdict(escalate=False))
    fold.set_mutes([Mute(mute_id=1, reason="lab", unit="app", max_per_hour=1)])
    reasons = []
    for _ in range(10):
        done = fold.batch(batch(event("noise again"), event("noise again")))
        if done.judge:
            reasons += [why for _, why in done.judge]
            fold.settle(state.fingerprint, verdict(escalate=False))
    assert reasons == [Why.UNMUTED]


def test_a_refused_batch_is_dropped_counted_and_moves_the_cursor_on() -> None:
    done = make().refused(
        Batch(
            source="s",
            events=(event("a"), event("b")),
            cursor={"at": 3},
            losses=(Loss(reason="cut", count=4),),
        )
    )
    assert done.prepared.drops == {"cut": 4, "defect": 2}
    assert done.prepared.cursor == {"at": 3}
    assert done.lines == (None, None)


@pytest.mark.parametrize("size", [1, 10_000])
def test_long_texts_are_sampled_and_kept(size: int) -> None:
    done = make().batch(batch(event("word " * size)))
    (delta,) = done.prepared.patterns
    assert len(delta.sample) <= 2_000
    assert len(done.prepared.stored[0].text) == 5 * size
