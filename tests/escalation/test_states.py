"""The state machine of incidents is total and closed."""

from __future__ import annotations

import itertools

import pytest

from daemon.escalation.states import (
    LEASED,
    LIVE,
    TRANSITIONS,
    Happening,
    IllegalTransitionError,
    State,
    after,
)


def test_every_pair_either_has_a_successor_or_is_refused() -> None:
    for state, happening in itertools.product(State, Happening):
        if (state, happening) in TRANSITIONS:
            assert after(state, happening) is TRANSITIONS[state, happening]
        else:
            with pytest.raises(IllegalTransitionError, match="cannot be"):
                after(state, happening)


def test_every_state_can_be_reached_and_every_live_state_can_be_left_to_closed() -> None:
    reached = {State.OPEN}
    while True:
        more = {to for (frm, _), to in TRANSITIONS.items() if frm in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(State)
    for state in LIVE:
        assert after(state, Happening.OPERATOR_CLOSED) is State.CLOSED


def test_a_lost_lease_leads_to_where_the_incident_waited() -> None:
    for leased, waits in LEASED.items():
        assert after(leased, Happening.LEASE_LOST) is waits
        assert after(waits, Happening.CLAIMED) is leased


def test_only_a_return_reopens_what_is_closed() -> None:
    assert {h for (s, h) in TRANSITIONS if s is State.CLOSED} == {Happening.RETURNED}
