"""A policy over a recorded history: limits, strikes and queues are those of the replay."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_kit import after, asked, policy, ran

from daemon.actions.action import Risk
from daemon.actions.history import Asked
from daemon.actions.policy.facts import Origin, Past, Verdict
from daemon.actions.replay import replay, totals
from tiers.vocabulary import Provenance


def said(history: list[Asked], level: str = "auto-full", **changes: Any) -> list[tuple[str, str]]:
    found = replay(history, policy(level, **changes))
    return [(each.now.verdict.value, each.now.rule) for each in found]


def test_a_higher_level_would_have_acted() -> None:
    history = [asked("1", 0), asked("2", 90, say={"basis": Provenance.TEXT})]
    assert said(history, "suggest") == [("ask", "suggest"), ("ask", "text-basis")]
    assert said(history, "auto-safe") == [("allow", "safe"), ("ask", "text-basis")]
    found = replay(history, policy("auto-safe"))
    assert [each.changed for each in found] == [True, False]
    assert [each.newly_alone for each in found] == [True, False]


def test_limits_count_what_would_have_been_done() -> None:
    """Recorded counts are those of another policy: none of these was done by itself then."""
    history = [asked(str(n), n * 10, target=f"web-{n}.service") for n in range(8)]
    limits = {"per_hour": 3, "per_kind_per_hour": 99, "per_target_per_hour": 99}
    expected = [("allow", "full")] * 3 + [("ask", "limit")] * 3 + [("allow", "full")] * 2
    assert said(history, limits=limits) == expected
    # The hour of the first is over at minute 60, of the second at 70.


def test_recorded_counts_do_not_count() -> None:
    recorded = {"past": Past(in_hour=99, failures=9, last_failed=True, waiting=99, denied=True)}
    assert said([asked("1", 0, say=recorded)]) == [("allow", "full")]


def test_limits_are_those_of_a_host() -> None:
    one = asked("1", 0)
    other = asked("2", 1, host="web2")
    limits = {"per_hour": 1}
    assert said([one, other], limits=limits) == [("allow", "full")] * 2
    same = dataclasses.replace(other, host="web1", target="x.service")
    assert said([one, same], limits=limits)[1] == ("ask", "limit")


def test_what_is_under_way_and_what_has_ended() -> None:
    first = ran(asked("1", 0), "done")
    soon, later = asked("2", 0.2), asked("3", 2)
    assert said([first, soon, later]) == [
        ("allow", "full"),
        ("deny", "busy-target"),
        ("allow", "full"),
    ]


def test_failures_are_those_that_would_have_happened() -> None:
    history = [ran(asked("1", 0), "failed"), ran(asked("2", 90), "failed"), asked("3", 180)]
    assert said(history) == [("allow", "full"), ("ask", "failed-before"), ("deny", "struck-out")]
    # A day later strikes are forgotten, the last failure is not.
    assert said([*history[:2], asked("3", 60 * 27)])[2] == ("ask", "failed-before")
    # A success in between clears both.
    history[1] = ran(asked("2", 90), "done")
    assert said(history)[2] == ("allow", "full")
    # What would not have run has not failed.
    denied = {"deny": ["restart_unit:nginx.service"]}
    assert said(history, **denied) == [("deny", "denied")] * 3


def test_humans_answer_as_they_did() -> None:
    no = dataclasses.replace(asked("1", 0), approved=False, answered_at=after(5), outcome="denied")
    again = asked("2", 10)
    assert said([no, again], "suggest") == [("ask", "suggest"), ("deny", "denied-before")]
    assert said([no, again], "auto-full") == [("allow", "full"), ("allow", "full")]
    assert said([no, dataclasses.replace(again, incident_id=2)], "suggest")[1][0] == "ask"
    assert said([no, asked("2", 60 * 25)], "suggest")[1] == ("ask", "suggest")
    # An answer that would have come too late is none.
    assert said([no, again], "suggest", approval_minutes=3)[1] == ("ask", "suggest")


def test_too_many_proposals_would_have_waited() -> None:
    history = [asked(str(n), n, target=f"web-{n}.service") for n in range(4)]
    limits = {"waiting": 2}
    waits, full = ("ask", "suggest"), ("deny", "too-many-waiting")
    assert said(history, "suggest", limits=limits) == [waits, waits, full, full]
    assert said(history, "suggest", limits=limits, approval_minutes=1.5) == [
        waits,
        waits,
        waits,
        waits,
    ]
    answered = [ran(history[0], "done", after_minutes=0.5), *history[1:]]
    assert said(answered, "suggest", limits=limits) == [waits, waits, waits, full]


def test_nothing_is_taken_back_that_would_not_have_been_done() -> None:
    block = asked("1", 0, kind="block_address", target="192.0.2.7", say={"basis": Provenance.TEXT})
    inverse = asked(
        "2",
        60,
        kind="unblock_address",
        target="192.0.2.7",
        say={"origin": Origin.INVERSE},
        verdict=Verdict.ALLOW,
        rule="inverse",
        inverse_of="1",
    )
    assert said([ran(block, "done"), inverse])[1] == ("allow", "inverse")
    assert said([block, inverse])[1] == ("deny", "nothing-to-undo")
    assert said([ran(block, "done"), inverse], deny=["block_address"])[1] == (
        "deny",
        "nothing-to-undo",
    )
    unknown = dataclasses.replace(inverse, inverse_of="0")
    assert said([unknown]) == [("allow", "inverse")], "begun before the record begins"


def test_inverses_use_up_no_limit() -> None:
    inverse = asked("1", 0, say={"origin": Origin.INVERSE}, target="a.service")
    assert said([inverse, asked("2", 5)], limits={"per_hour": 1})[1] == ("allow", "full")


def test_what_the_new_policy_calls_critical() -> None:
    assert said([asked("1", 0)], critical=["nginx"]) == [("deny", "critical-target")]
    named = {"critical": ["nginx.*"], "named": ["nginx.*"]}
    assert said([asked("1", 0)], **named) == [("ask", "critical")]
    was = {"critical": "ssh.service is ssh", "risk": Risk.HIGH}
    assert said([asked("1", 0, target="ssh.service", say=was)]) == [("deny", "critical-target")]


def test_what_policy_was_not_asked_about_stays() -> None:
    gone = asked("1", 0, facts=None, verdict=Verdict.DENY, rule="not-possible", outcome="refused")
    assert said([gone]) == [("deny", "not-possible")]
    assert not replay([gone], policy())[0].changed


def test_totals() -> None:
    history = [
        ran(asked("1", 0), "done"),
        ran(asked("2", 90, target="a.service"), "failed"),
        dataclasses.replace(asked("3", 180, target="b.service"), approved=False, outcome="denied"),
        asked("4", 270, target="c.service"),
        asked("5", 360, target="d.service", verdict=None, reconstructed=True, outcome="suggested"),
        asked("6", 450, target="e.service", say={"risk": Risk.HIGH}),
    ]
    sums = totals(replay(history, policy("auto-full")))
    assert sums.to_json() == {
        "requests": 6,
        "changed": 4,
        "then": {"ask": 5, "none": 1},
        "now": {"allow": 5, "ask": 1},
        "newly_alone": 5,
        "answers": {"approved": 2, "denied": 1, "unanswered": 1, "never asked": 1},
        "results": {"done": 1, "failed": 1},
    }
    orjson.dumps([each.to_json() for each in replay(history, policy())])


LEVELS = st.sampled_from(("observe", "suggest", "auto-safe", "auto-full"))
HISTORIES = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=3_000),
        st.sampled_from(("a.service", "b.service")),
        st.sampled_from(("done", "failed", "unknown", "expired")),
        st.sampled_from(Provenance),
        st.sampled_from(Origin),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(history=HISTORIES, level=LEVELS, most=st.integers(min_value=0, max_value=4))
def test_no_history_makes_a_replay_break_a_limit(history: list[Any], level: str, most: int) -> None:
    made = []
    for number, (minute, target, outcome, basis, origin) in enumerate(history):
        one = asked(str(number), minute, target=target, say={"basis": basis, "origin": origin})
        made.append(one if outcome == "expired" else ran(one, outcome))
    found = replay(made, policy(level, limits={"per_hour": most}))
    alone = [
        each.asked
        for each in found
        if each.now.verdict is Verdict.ALLOW
        and each.asked.facts is not None
        and each.asked.facts.origin is not Origin.INVERSE
    ]
    for one in alone:
        hour = [each for each in alone if 0 <= (one.at - each.at).total_seconds() < 3600]
        assert len(hour) <= most
        assert one.facts is not None
        assert one.facts.basis is not Provenance.TEXT
    assert [each.asked.key for each in found] == [
        each.key for each in sorted(made, key=lambda each: (each.at, each.key))
    ]


def test_a_long_history_is_gone_through() -> None:
    """In time that grows with it, which the suite's own timeout watches."""
    history = [
        ran(asked(f"{n:05}", n / 3, target=f"web-{n % 50}.service"), "done") for n in range(3_000)
    ]
    assert len(replay(history, policy())) == 3_000
