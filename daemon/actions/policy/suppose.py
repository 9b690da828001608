"""Facts about an action that nobody has asked for: from the configuration, without a host. Pure.

Whether a target is critical is said by its name here. The daemon looks at the host as well (what
the unit triggers, what needs it, whose the process is), so it may call critical what this does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from daemon.actions.action import Action, TargetType
from daemon.actions.host.critical import Critical, critical_mount, critical_name, critical_pid
from daemon.actions.kind import Kind, Target
from daemon.actions.policy.facts import ActionFacts, Origin, Past
from tiers.vocabulary import Provenance

NAMES_TELL = frozenset({TargetType.UNIT, TargetType.TIMER, TargetType.MOUNT})
"""Targets whose names can make them critical. Of others only the host can say it."""


def suppose(
    action: Action,
    kind: Kind,
    *,
    at: datetime,
    basis: Provenance = Provenance.SYSTEMD,
    origin: Origin = Origin.TIER,
    past: Past | None = None,
    stopped: bool = False,
    target: Target | None = None,
    critical_globs: Iterable[str] = (),
) -> ActionFacts:
    """The facts as policy would get them, were this asked for at `at` (local time). `target` is as
    the host has it; None: it is as critical as its name says, built in or by the operator's
    `critical_globs`. Raises `ActionError` where the kind cannot tell the risk of this."""
    spec = kind.spec
    target = target or _by_name(action.target, of=spec.target, globs=critical_globs)
    return ActionFacts(
        kind=action.kind,
        target=action.target,
        risk=kind.risk(action, target).at_least(spec.risk),
        blast=spec.blast,
        reversible=spec.reversible,
        disruptive=spec.disruptive,
        critical=target.why_critical if target.critical else "",
        basis=basis,
        origin=origin,
        stopped=stopped,
        past=past or Past(),
        at=at,
    )


def _by_name(name: str, *, of: TargetType, globs: Iterable[str]) -> Target:
    found: Critical | None = None
    if of is TargetType.MOUNT:
        found = critical_mount(name)
    elif of is TargetType.PROCESS:
        pid = name.partition(":")[0]
        found = critical_pid(int(pid)) if pid.isascii() and pid.isdigit() else None
    elif of in NAMES_TELL:
        found = critical_name(name, globs=globs)
    return Target(
        name=name,
        type=of,
        critical=found is not None,
        why_critical="" if found is None else found.why,
    )
