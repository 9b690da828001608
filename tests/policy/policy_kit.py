"""Facts and settings for tests of the policy, and strategies that make any of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from daemon.actions.action import Blast, Risk
from daemon.actions.policy.facts import ActionFacts, Autonomy, Origin, Past, Verdict
from daemon.actions.policy.settings import LimitsSettings, PolicySettings
from tiers.vocabulary import Provenance

RANK = {Verdict.DENY: 0, Verdict.ASK: 1, Verdict.ALLOW: 2}
WEDNESDAY_NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def facts(**changes: Any) -> ActionFacts:
    """Restarting a unit after systemd said that it failed: low risk, nothing in the way."""
    values: dict[str, Any] = {
        "kind": "restart_unit",
        "target": "nginx.service",
        "risk": Risk.LOW,
        "blast": Blast.DEPENDANTS,
        "reversible": True,
        "disruptive": True,
        "critical": "",
        "basis": Provenance.SYSTEMD,
        "origin": Origin.TIER,
        "stopped": False,
        "past": Past(),
        "at": WEDNESDAY_NOON,
    }
    return ActionFacts(**values | changes)


def settings(level: str = "auto-safe", **changes: Any) -> PolicySettings:
    return PolicySettings.model_validate({"autonomy": level, **changes})


names = st.one_of(
    st.sampled_from(("nginx.service", "ssh.service", "web-1.service", "192.0.2.7", "2001:db8::7")),
    st.text(max_size=20),
)
kinds = st.one_of(
    st.sampled_from(("restart_unit", "block_address", "nixos_switch")), st.text(max_size=20)
)
counts = st.integers(min_value=0, max_value=30)
pasts = st.builds(
    Past,
    in_hour=counts,
    kind_in_hour=counts,
    target_in_hour=counts,
    failures=st.integers(min_value=0, max_value=4),
    last_failed=st.booleans(),
    waiting=counts,
    unfinished_on_target=st.integers(min_value=0, max_value=2),
    denied=st.booleans(),
)
moments = st.builds(
    lambda minutes, zone: (WEDNESDAY_NOON + timedelta(minutes=minutes)).astimezone(
        timezone(timedelta(hours=zone))
    ),
    st.integers(min_value=0, max_value=7 * 24 * 60),
    st.integers(min_value=-12, max_value=14),
)
any_facts = st.builds(
    ActionFacts,
    kind=kinds,
    target=names,
    risk=st.sampled_from(Risk),
    blast=st.sampled_from(Blast),
    reversible=st.booleans(),
    disruptive=st.booleans(),
    critical=st.sampled_from(("", "", "the way in over ssh")),
    basis=st.sampled_from(Provenance),
    origin=st.sampled_from(Origin),
    stopped=st.sampled_from((False, False, False, True)),
    past=st.one_of(st.just(Past()), pasts),
    at=moments,
)
_actions = st.lists(
    st.sampled_from(("restart_unit", "*", "nixos_*", "*:ssh*", "block_address:2001:db8::*")),
    max_size=1,
)
_targets = st.lists(st.sampled_from(("nginx.service", "*", "web-*", "ssh*")), max_size=2)
any_settings = st.builds(
    PolicySettings,
    autonomy=st.sampled_from(Autonomy),
    deny=st.one_of(st.just([]), _actions),
    ask=st.one_of(st.just([]), _actions),
    targets=_targets,
    named=_targets,
    quiet=st.sampled_from((None, None, "22:00-07:00", "12:00-13:00")),
    windows=st.sampled_from(((), (), ("Sun 02:00-04:00",), ("Mon-Fri 22:00-06:00",))),
    limits=st.builds(
        LimitsSettings,
        per_hour=counts,
        per_kind_per_hour=counts,
        per_target_per_hour=counts,
        waiting=st.integers(min_value=1, max_value=30),
        strikes=st.integers(min_value=1, max_value=3),
    ),
)
