"""What became of a request is read from the ledger; what cannot be read is passed over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_kit import NOON, after, facts, policy

from daemon.actions.history import Asked, asked_from, reconstructed
from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.facts import Verdict
from daemon.ledger import Entry, Head, NewEntry, link
from tiers.vocabulary import Provenance

IDENTITY = {"action_id": "7", "action": "restart_unit", "target": "nginx.service"}


def story(*steps: tuple[str, dict[str, Any]]) -> list[Entry]:
    """Entries about action 7, a minute apart."""
    made: list[Entry] = []
    for minute, (kind, body) in enumerate(steps):
        new = NewEntry(kind=kind, actor="test", body={**IDENTITY, **body}, incident_id=3)
        head = Head(seq=made[-1].seq, hash=made[-1].hash) if made else Head()
        made.append(link(new, after=head, now=after(minute)))
    return made


REQUEST = ("action_request", {"inverse_of": None})
FACTS = facts().to_json()


def decision(verdict: str, rule: str, **more: Any) -> tuple[str, dict[str, Any]]:
    body = {"from": "requested", "verdict": verdict, "rule": rule, "facts": FACTS}
    return ("action_decision", {**body, **more})


PROPOSED = decision("ask", "suggest")
APPROVED = ("action_approval", {"approved": True})
STARTED = ("action_started", {})
DONE = ("action_result", {"outcome": "done"})


def read(*steps: tuple[str, dict[str, Any]]) -> Asked:
    (found,) = asked_from(story(*steps))
    return found


def test_a_proposal_that_was_approved_and_worked() -> None:
    found = read(REQUEST, PROPOSED, APPROVED, ("action_intent", {}), STARTED, DONE)
    assert (found.key, found.kind, found.target) == ("7", "restart_unit", "nginx.service")
    assert (found.verdict, found.rule, found.outcome) == (Verdict.ASK, "suggest", "done")
    assert (found.at, found.incident_id, found.approved) == (after(1), 3, True)
    assert (found.started_at, found.ended_at) == (after(4), after(5))
    assert found.facts == facts()


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ((PROPOSED,), "waiting"),
        ((PROPOSED, APPROVED), "under way"),
        ((PROPOSED, APPROVED, STARTED), "under way"),
        ((PROPOSED, ("action_approval", {"approved": False})), "denied"),
        ((PROPOSED, ("action_expired", {})), "expired"),
        ((PROPOSED, ("action_withdrawn", {})), "withdrawn"),
        ((PROPOSED, APPROVED, decision("deny", "stopped", **{"from": "approved"})), "refused"),
        ((decision("deny", "denied"),), "refused"),
        ((decision("allow", "safe"),), "under way"),
        ((decision("allow", "safe"), STARTED, ("action_result", {"outcome": "failed"})), "failed"),
        ((decision("allow", "safe"), STARTED, ("action_result", {})), "unknown"),
    ],
)
def test_outcomes(steps: tuple[Any, ...], outcome: str) -> None:
    assert read(REQUEST, *steps).outcome == outcome


def test_a_refusal_at_the_end_does_not_hide_the_decision() -> None:
    found = read(REQUEST, PROPOSED, APPROVED, decision("deny", "stopped", **{"from": "approved"}))
    assert (found.verdict, found.rule) == (Verdict.ASK, "suggest")


def test_what_was_decided_anew_counts() -> None:
    found = read(REQUEST, decision("allow", "safe"), decision("ask", "limit"))
    assert (found.verdict, found.rule, found.outcome) == (Verdict.ASK, "limit", "waiting")


def test_facts_that_are_none() -> None:
    unasked = read(REQUEST, decision("deny", "not-possible", facts=None))
    assert unasked.facts is None
    for broken in ({}, {**FACTS, "risk": "none"}, {**FACTS, "past": {"luck": 1}}, [1], "x"):
        assert read(REQUEST, decision("ask", "suggest", facts=broken)).facts is None


@pytest.mark.parametrize(
    "steps",
    [
        (REQUEST,),
        (STARTED, DONE),
        (REQUEST, ("action_decision", {"from": "requested"})),
        (REQUEST, decision("maybe", "x")),
    ],
)
def test_what_says_nothing_is_passed_over(steps: tuple[Any, ...]) -> None:
    assert asked_from(story(*steps)) == []


def test_facts_of_an_older_daemon_can_be_read() -> None:
    """Counts that it did not know are nothing."""
    old = {**FACTS, "past": {"in_hour": 1}}
    found = read(REQUEST, decision("ask", "suggest", facts=old))
    assert found.facts is not None
    assert found.facts.past.in_hour == 1


RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("action_request", "action_decision", "action_result", "else")),
            st.dictionaries(
                st.sampled_from(("action_id", "action", "verdict", "facts", "from", "rule")),
                RUBBISH,
            ),
        ),
        max_size=6,
    )
)
def test_rubbish_is_passed_over(steps: list[tuple[str, dict[str, Any]]]) -> None:
    asked_from(story(*steps))


def rebuilt(code: str, *witnesses: tuple[str, str]) -> Asked | None:
    return reconstructed(
        key="assessment 1.1",
        code=code,
        at=NOON,
        incident_id=3,
        witnesses=witnesses,
        catalogue=every_kind(),
        settings=policy(),
        host="web1",
    )


def test_what_a_tier_named_before_acting_existed() -> None:
    found = rebuilt("restart_unit:nginx.service", ("nginx", "text"), ("nginx.service", "systemd"))
    assert found is not None
    assert found.facts is not None
    assert (found.reconstructed, found.verdict, found.outcome) == (True, None, "suggested")
    assert found.facts.basis is Provenance.SYSTEMD
    assert found.facts.critical == ""
    # Another unit's witness is none for this one, and text is none at all.
    for witnesses in ((("mysql", "systemd"),), (("nginx", "text"),), ()):
        found = rebuilt("restart_unit:nginx.service", *witnesses)
        assert found is not None
        assert found.facts is not None
        assert found.facts.basis is Provenance.TEXT


def test_what_is_no_action_is_none() -> None:
    for code in ("", "restart_unit", "restart_unit:", "rm:-rf", "restart_unit:\x00"):
        assert rebuilt(code) is None
