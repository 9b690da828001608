"""Judging by what was measured: whatever systemd says, only a new run that is well holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.actions.host.host import UnitState
from daemon.actions.kinds.unit_states import judge_reloaded, judge_started, judge_stopped

NOW, STEADY = 1_000.0, 30.0
TIMES = st.sampled_from([0.0, 500.0, 899.0, 960.0, 970.0, 971.0, 999.0, 1_000.0, 1_100.0])
STATES = st.builds(
    UnitState,
    name=st.just("web.service"),
    load=st.sampled_from(["loaded", "not-found", "masked", "error"]),
    active=st.sampled_from(
        ["active", "inactive", "failed", "activating", "deactivating", "reloading", "refreshing",
         "maintenance", "a state to come"]
    ),
    sub=st.sampled_from(
        ["running", "dead", "failed", "auto-restart", "auto-restart-queued", "exited", "start",
         "stop-sigterm", "listening"]
    ),
    result=st.sampled_from(["", "success", "exit-code", "signal", "start-limit-hit"]),
    restarts=st.integers(0, 4),
    invocation=st.sampled_from(["", "old", "new"]),
    active_since=TIMES,
    inactive_since=TIMES,
    changed_at=TIMES,
    service_type=st.sampled_from(["", "simple", "oneshot", "notify"]),
    reload_result=st.sampled_from(["", "success", "exit-code", "timeout"]),
)  # fmt: skip
BEFORE = st.fixed_dictionaries(
    {
        "at": st.just(900.0),
        "active": st.sampled_from(["active", "failed", "inactive", "activating"]),
        "invocation": st.just("old"),
        "restarts": st.integers(0, 4),
        "changed_at": st.just(899.0),
    }
)


@settings(max_examples=500, deadline=None)
@given(state=STATES, before=BEFORE)
def test_a_start_holds_only_for_a_new_run_that_is_well(
    state: UnitState, before: dict[str, Any]
) -> None:
    check = judge_started(state, before, now=NOW, steady_seconds=STEADY)
    assert check.detail.startswith("web.service ")
    if check.holds:
        assert state.invocation == "new"
        assert not state.sub.startswith("auto-restart")
        if state.active == "active":
            assert state.restarts in (0, before["restarts"])
            assert state.service_type == "oneshot" or 0 < state.active_since <= NOW - STEADY
        else:
            assert (state.active, state.service_type) == ("inactive", "oneshot")
            assert state.result == "success"


@given(state=STATES, before=BEFORE)
def test_a_stop_holds_only_for_what_does_not_run(state: UnitState, before: dict[str, Any]) -> None:
    check = judge_stopped(state, before, now=NOW, steady_seconds=STEADY)
    if check.holds:
        assert state.active in ("inactive", "failed")
        assert NOW - (state.inactive_since or before["at"]) >= STEADY


@given(state=STATES, before=BEFORE)
def test_a_reload_holds_only_for_the_same_run(state: UnitState, before: dict[str, Any]) -> None:
    check = judge_reloaded(state, before, now=NOW, steady_seconds=STEADY)
    if check.holds:
        assert (state.active, state.invocation) == ("active", "old")
        assert before["changed_at"] < state.changed_at <= NOW - STEADY
        assert state.reload_result in ("", "success")


@given(state=STATES)
def test_a_baseline_that_is_missing_holds_nothing_of_old(state: UnitState) -> None:
    """A store that lost it, or an older daemon's: no figure is made up."""
    assert judge_started(state, {}, now=NOW, steady_seconds=STEADY).holds is not True
    for judge in (judge_stopped, judge_reloaded):
        judge(state, {}, now=NOW, steady_seconds=STEADY)
