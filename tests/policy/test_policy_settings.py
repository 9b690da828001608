"""What an operator may write about acting, and what is said about mistakes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.actions.policy.globs import matching_action, matching_target
from daemon.actions.policy.settings import PolicySettings
from daemon.actions.policy.spans import parse_span

MONDAY = datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=2)))


def at(day: int, time: str) -> datetime:
    hour, minute = map(int, time.split(":"))
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        ("02:00-04:00", [(0, "02:00"), (6, "03:59")], [(0, "01:59"), (0, "04:00")]),
        ("22:00-07:00", [(0, "22:00"), (1, "06:59"), (6, "23:30")], [(0, "07:00"), (3, "21:59")]),
        ("Sun 02:00-04:00", [(6, "02:00")], [(5, "02:00"), (0, "02:00"), (6, "04:00")]),
        ("Sun 22:00-06:00", [(6, "22:00"), (0, "05:59")], [(6, "05:00"), (0, "22:00")]),
        ("Mon-Fri 22:00-06:00", [(0, "23:00"), (5, "05:00")], [(0, "05:00"), (5, "22:00")]),
        ("sat,SUN 00:00-24:00", [(5, "00:00"), (6, "23:59")], [(0, "00:00"), (4, "23:59")]),
        ("Sat-Mon 10:00-11:00", [(5, "10:30"), (6, "10:30"), (0, "10:30")], [(1, "10:30")]),
    ],
)
def test_spans(span: str, inside: list[Any], outside: list[Any]) -> None:
    parsed = parse_span(span)
    assert all(parsed.holds(at(*moment)) for moment in inside)
    assert not any(parsed.holds(at(*moment)) for moment in outside)


@pytest.mark.parametrize(
    ("span", "why"),
    [
        ("", "is no span of time: write it as"),
        ("22-7", "is no span of time"),
        ("2:00-04:00", "is no span of time"),
        ("02:00 - 04:00", "is no span of time"),
        ("02:60-04:00", "is no span of time"),
        ("24:00-04:00", "a day ends at 24:00"),
        ("02:00-25:00", "a day ends at 24:00"),
        ("04:00-04:00", 'the whole day is "00:00-24:00"'),
        ("Sunday 02:00-04:00", "'Sunday' is no day (Mon, Tue, Wed"),
        ("Mon- 02:00-04:00", "'' is no day"),
        ("٠٢:00-04:00", "is no span of time"),
    ],
)
def test_spans_that_are_none(span: str, why: str) -> None:
    for wrong in ({"quiet": span}, {"windows": ["Sun 02:00-04:00", span]}):
        with pytest.raises(ValidationError) as raised:
            PolicySettings.model_validate(wrong)
        assert why in str(raised.value)


@given(st.text(max_size=30))
def test_any_text_is_a_span_or_a_sentence(text: str) -> None:
    try:
        span = parse_span(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017
    else:
        held = sum(span.holds(MONDAY + timedelta(minutes=m)) for m in range(7 * 24 * 60))
        minutes = (span.end - span.start) % (24 * 60) or 24 * 60
        assert held == len(span.days) * minutes


@pytest.mark.parametrize(
    ("glob", "kind", "target", "matches"),
    [
        ("restart_unit", "restart_unit", "nginx.service", True),
        ("restart_unit", "restart_units", "nginx.service", False),
        ("nixos_*", "nixos_switch", "42", True),
        ("*:ssh*", "stop_unit", "sshd.service", True),
        ("*:ssh*", "stop_unit", "openssh.service", False),
        ("*:SSH*", "stop_unit", "sshd.service", False),
        ("block_address:2001:db8::*", "block_address", "2001:db8::7", True),
        ("block_address:2001:db8::*", "block_address", "2001:db9::7", False),
        ("re[!s]*_unit:*", "restart_unit", "x", False),
        ("re[!s]*_unit:*", "reload_unit", "x", True),
        (r"*:dev-disk-by\x2duuid-*", "remount", r"dev-disk-by\x2duuid-1", True),
        ("*:nginx.service", "restart_unit", "nginx.service\n", False),
    ],
)
def test_globs_of_actions(glob: str, kind: str, target: str, matches: bool) -> None:
    assert (matching_action([glob], kind=kind, target=target) == glob) is matches


def test_globs_of_targets() -> None:
    assert matching_target(["web-*", "nginx.service"], "nginx.service") == "nginx.service"
    assert matching_target(["web-*"], "nginx.service") is None
    assert matching_target([], "nginx.service") is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"deny": [""]}, "'' matches no action"),
        ({"deny": ["Restart unit"]}, 'write "KIND" or "KIND:TARGET"'),
        ({"deny": ["nginx.service"]}, "'nginx.service' matches no action"),
        ({"ask": [":nginx.service"]}, "matches no action"),
        ({"ask": ["restart_unit:"]}, "matches no target"),
        ({"ask": ["restart_unit: nginx"]}, "matches no target"),
        ({"targets": [""]}, "matches no target"),
        ({"named": [" ssh.service"]}, "matches no target"),
        ({"autonomy": "auto"}, "'observe', 'suggest', 'auto-safe' or 'auto-full'"),
        ({"limits": {"strikes": 0}}, "greater than or equal to 1"),
        ({"limits": {"per_hours": 1}}, "Extra inputs are not permitted"),
    ],
)
def test_mistakes(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError) as raised:
        PolicySettings.model_validate(wrong)
    assert why in str(raised.value)
