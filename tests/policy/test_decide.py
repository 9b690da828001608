"""The policy's rules, one by one: what each is for, and which comes first."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from policy_kit import WEDNESDAY_NOON, facts, settings

from daemon.actions.action import Blast, Risk
from daemon.actions.policy import rules
from daemon.actions.policy.decide import decide
from daemon.actions.policy.facts import Decision, Origin, Past, Verdict
from daemon.actions.policy.rules import RULES, TOO_MANY_WAITING
from daemon.actions.policy.settings import PolicySettings
from tiers.vocabulary import Provenance

NIGHT = WEDNESDAY_NOON.replace(hour=23)
ASK, ALLOW, DENY = Verdict.ASK, Verdict.ALLOW, Verdict.DENY
SSH = {"target": "ssh.service", "critical": "the way in over ssh"}


def said(level: str, settings_: dict[str, Any] | None = None, **changes: Any) -> tuple[str, str]:
    decision = decide(facts(**changes), settings(level, **settings_ or {}))
    return decision.verdict.value, decision.rule


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("observe", ("deny", "observe")),
        ("suggest", ("ask", "suggest")),
        ("auto-safe", ("allow", "safe")),
        ("auto-full", ("allow", "full")),
    ],
)
def test_the_levels(level: str, expected: tuple[str, str]) -> None:
    assert said(level) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"risk": Risk.MEDIUM}, ("ask", "not-safe")),
        ({"risk": Risk.HIGH}, ("ask", "high-risk")),
        ({"reversible": False}, ("ask", "not-safe")),
        ({"blast": Blast.HOST}, ("ask", "not-safe")),
        ({"blast": Blast.NOTHING}, ("allow", "safe")),
    ],
)
def test_what_is_safe(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert said("auto-safe", **changes) == expected


def test_auto_safe_keeps_to_its_targets() -> None:
    assert said("auto-safe", {"targets": ["web-*"]}) == ("ask", "not-listed")
    assert said("auto-safe", {"targets": ["web-*", "nginx.*"]}) == ("allow", "safe")
    assert said("auto-full", {"targets": ["web-*"]}) == ("allow", "full")


def test_auto_full_asks_for_high_risk_only() -> None:
    assert said("auto-full", risk=Risk.HIGH) == ("ask", "high-risk")
    assert said("auto-full", risk=Risk.MEDIUM, reversible=False, blast=Blast.HOST)[0] == "allow"


@pytest.mark.parametrize("level", ["suggest", "auto-safe", "auto-full"])
def test_text_and_chats_only_ever_ask(level: str) -> None:
    assert said(level, basis=Provenance.TEXT) == ("ask", "text-basis")
    assert said(level, origin=Origin.CHAT) == ("ask", "asked-in-chat")
    assert said(level, origin=Origin.OPERATOR, basis=Provenance.TEXT) == ("ask", "text-basis")


@pytest.mark.parametrize("level", ["suggest", "auto-safe", "auto-full"])
def test_critical_targets(level: str) -> None:
    named = {"named": ["ssh.*"]}
    for origin in (Origin.TIER, Origin.CHAT):
        assert said(level, origin=origin, **SSH) == ("deny", "critical-target")
        assert said(level, named, origin=origin, **SSH)[0] == "ask"
    assert said(level, origin=Origin.OPERATOR, **SSH) == ("ask", "critical")
    assert said(level, named, **SSH) == ("ask", "critical")
    # Listing a target for auto-safe is not naming it.
    assert said(level, {"targets": ["ssh.*"]}, **SSH) == ("deny", "critical-target")


def test_what_the_operator_wrote() -> None:
    assert said("auto-full", {"deny": ["restart_*"]}) == ("deny", "denied")
    assert said("auto-full", {"deny": ["restart_*"]}, origin=Origin.OPERATOR)[0] == "deny"
    assert said("auto-full", {"deny": ["*:nginx.service"]}) == ("deny", "denied")
    assert said("auto-full", {"deny": ["stop_unit:nginx.service"]}) == ("allow", "full")
    assert said("auto-full", {"ask": ["*:nginx*"]}) == ("ask", "always-ask")
    assert said("auto-full", {"ask": ["*"], "deny": ["restart_unit"]}) == ("deny", "denied")


def test_the_stop_switch_is_above_all() -> None:
    assert said("auto-full", stopped=True) == ("deny", "stopped")
    assert said("auto-full", origin=Origin.OPERATOR, stopped=True) == ("deny", "stopped")


@pytest.mark.parametrize("level", ["observe", "suggest", "auto-safe", "auto-full"])
def test_what_was_done_for_a_time_is_taken_back(level: str) -> None:
    inverse = {"origin": Origin.INVERSE, "kind": "unblock_address", "target": "192.0.2.7"}
    assert said(level, **inverse) == ("allow", "inverse")
    assert said(level, basis=Provenance.TEXT, risk=Risk.HIGH, critical="x", **inverse)[0] == "allow"
    assert said(level, stopped=True, **inverse) == ("ask", "inverse-stopped")
    assert said(level, {"deny": ["unblock_*"]}, **inverse) == ("ask", "inverse-denied")
    failed = Past(failures=5, last_failed=True, waiting=1000)
    assert said(level, past=failed, **inverse) == ("ask", "inverse-failed")


def test_what_failed_is_not_tried_in_a_loop() -> None:
    once, twice = Past(failures=1, last_failed=True), Past(failures=2, last_failed=True)
    assert said("auto-full", past=once) == ("ask", "failed-before")
    assert said("auto-full", past=twice) == ("deny", "struck-out")
    assert said("auto-full", past=twice, origin=Origin.CHAT) == ("deny", "struck-out")
    assert said("auto-full", past=twice, origin=Origin.OPERATOR) == ("ask", "failed-before")


def test_what_a_human_denied_is_not_asked_again() -> None:
    denied = Past(denied=True)
    assert said("auto-full", past=denied) == ("deny", "denied-before")
    assert said("suggest", past=denied, origin=Origin.CHAT) == ("deny", "denied-before")
    assert said("suggest", past=denied, origin=Origin.OPERATOR) == ("ask", "suggest")


def test_one_action_at_a_time_on_a_target() -> None:
    busy = Past(unfinished_on_target=1)
    assert said("auto-full", past=busy) == ("deny", "busy-target")
    assert said("auto-full", past=busy, origin=Origin.CHAT) == ("deny", "busy-target")
    assert said("auto-full", past=busy, origin=Origin.OPERATOR) == ("allow", "full")


@pytest.mark.parametrize(
    "past", [Past(in_hour=10), Past(kind_in_hour=5), Past(target_in_hour=2), Past(in_hour=99)]
)
def test_the_limits(past: Past) -> None:
    assert said("auto-full", past=past) == ("ask", "limit")


def test_no_limit_is_no_action() -> None:
    assert said("auto-full", {"limits": {"per_hour": 0}}) == ("ask", "limit")


def test_too_many_proposals() -> None:
    full = Past(waiting=20)
    assert said("suggest", past=full) == ("deny", "too-many-waiting")
    assert said("auto-full", past=full) == ("allow", "full"), "nobody has to be asked"
    assert said("auto-full", past=full, basis=Provenance.TEXT) == ("deny", "too-many-waiting")
    assert said("suggest", past=full, origin=Origin.OPERATOR) == ("ask", "suggest")


def test_quiet_hours_and_windows() -> None:
    assert said("auto-full", {"quiet": "22:00-07:00"}, at=NIGHT) == ("ask", "quiet-hours")
    assert said("auto-full", {"quiet": "22:00-07:00"}) == ("allow", "full")
    windows = {"windows": ["Sun 02:00-04:00", "Wed 22:00-23:30"]}
    assert said("auto-full", windows, risk=Risk.MEDIUM) == ("ask", "outside-window")
    assert said("auto-full", windows, risk=Risk.MEDIUM, at=NIGHT) == ("allow", "full")
    assert said("auto-full", windows, risk=Risk.LOW) == ("allow", "full")
    assert said("auto-full", windows, risk=Risk.MEDIUM, disruptive=False) == ("allow", "full")


def test_reasons_say_what_and_why_and_what_to_do() -> None:
    reason = decide(facts(**SSH), settings("auto-full")).reason
    assert reason == (
        "critical (the way in over ssh) and so closed to automation; to have it proposed, name "
        "ssh.service in actions.named"
    )
    assert "'restart_*' in actions.deny" in (
        decide(facts(), settings("auto-full", deny=["restart_*"])).reason
    )


def test_a_level_that_nobody_knows_denies() -> None:
    """What validation would refuse fails closed, too."""
    unknown = PolicySettings().model_copy(update={"autonomy": "yolo"})
    assert decide(facts(), unknown) == Decision(
        verdict=DENY, rule="no-rule", reason="no rule of the policy speaks for it"
    )


def test_the_order_is_that_of_severity() -> None:
    """After the rows of inverses: all that denies, then all that asks, then all that allows."""
    rank = [(DENY, ASK, ALLOW).index(rule.verdict) for rule in RULES[4:]]
    assert rank == sorted(rank)
    assert all("inverse" in rule.name for rule in RULES[:4])
    assert len({rule.name for rule in (*RULES, TOO_MANY_WAITING)}) == len(RULES) + 1


def test_the_file_reads_in_the_order_of_the_rules() -> None:
    lines = [rule.applies.__code__.co_firstlineno for rule in RULES]
    assert lines == sorted(lines)


def test_every_rule_is_tested_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    for rule in (*RULES, TOO_MANY_WAITING):
        assert f'"{rule.name}")' in here, rule.name


def test_it_reads_no_clock_and_no_file() -> None:
    """Pure: the module imports nothing that could look at the world."""
    text = Path(rules.__file__).read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", text, re.MULTILINE))
    assert {name.partition(".")[0] for name in imported} <= {
        "__future__", "collections", "daemon", "dataclasses", "tiers",
    }  # fmt: skip
    assert datetime.__name__ not in text
