"""Facts about an action that nobody has asked for: from the configuration, without a host. Pure.

Whether a target is critical is said by its name here. The daemon looks at the host as well (what
the unit triggers, what needs it, whose the process is), so it may call critical what this does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from daemon.actions.action import Action, TargetType
from daemon.actions.host.critical import Critical, critical_mount, critical_name
from daemon.actions.kind import Kind, Target
from daemon.actions.policy.facts import ActionFacts, Origin, Past
from tiers.vocabulary import Provenance


def suppose(
    action: Action,
    kind: Kind,
    *,
    at: datetime,
    basis: Provenance = Provenance.SYSTEMD,
    origin: Origin = Origin.TIER,
    past: Past | None = None,
    stopped: bool = False,
    critical: str | None = None,
    critical_globs: Iterable[str] = (),
) -> ActionFacts:
    """The facts as policy would get them, were this asked for at `at` (local time). `critical` says
    why the target is, "" that it is not; None: what its name says, built in or by the operator's
    `critical_globs`."""
    spec = kind.spec
    if critical is None:
        found = critical_by_name(action.target, of=spec.target, globs=critical_globs)
        critical = "" if found is None else found.why
    target = Target(
        name=action.target, type=spec.target, critical=bool(critical), why_critical=critical
    )
    return ActionFacts(
        kind=action.kind,
        target=action.target,
        risk=kind.risk(action, target).at_least(spec.risk),
        blast=spec.blast,
        reversible=spec.reversible,
        disruptive=spec.disruptive,
        critical=critical,
        basis=basis,
        origin=origin,
        stopped=stopped,
        past=past or Past(),
        at=at,
    )


def critical_by_name(target: str, *, of: TargetType, globs: Iterable[str] = ()) -> Critical | None:
    """None where the name alone does not make it critical."""
    if of in (TargetType.UNIT, TargetType.TIMER):
        return critical_name(target, globs=globs)
    return critical_mount(target) if of is TargetType.MOUNT else None
