"""What brings the operator's way in back when an action has cut it off. Pure.

An action whose kind `locks_out`, on a target that is `way_in` (ssh, networking, firewalls, remote
access, or what the operator lists), is reversed by systemd itself, outside of the daemon, unless a
person confirms that the way in is there. The life of a reversal:

1. Before the action's intent is committed, `reversal_of` says what reverses it. None: nothing has
   to be armed.
2. The reversal is stored with the intent, in the action's own row (`reversal`, `confirm_by`): a
   crash forgets nothing.
3. `host.arming.Arming.arm` makes the transient timer `triaged-reversal-TOKEN.timer`, TOKEN being
   `token_of(action id)`, and measures that it waits. Where that fails, the action is refused:
   nothing that can lock out runs without its reversal.
4. The action runs and is checked, as any other.
5. A person confirms, by the action's code: `triaged proposals confirm CODE`, or
   POST /api/v1/proposals/{id}/confirm, with the role that approves. No model and no chat can: a
   chat that still works does not prove the way in. Then `Arming.cancel` stops the timer, measured
   too; the ledger says who confirmed and from where.
6. Nobody confirms: systemd carries the reversal out at its time, and the daemon notes it when it
   sees, after `confirm_by`, that the timer has gone.

An action that failed keeps its reversal armed: that is what it is for. A reboot ends the timer;
what a unit was before the action, it is again then, but for enabling and disabling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action
from daemon.actions.errors import PreconditionError
from daemon.actions.kind import KindSpec, Target

CONFIRM_SECONDS = 600.0
"""How long a person has, from the end of the action's own time on, to confirm."""

_REVERSES = {
    "stop_unit": "start_unit",
    "restart_unit": "start_unit",
    "reload_unit": "start_unit",
    "start_unit": "stop_unit",
    "disable_unit": "enable_unit",
}
"""What a restart or a reload broke is at least started again; a changed configuration that locks
out while its unit runs cannot be taken back by systemd."""
_SWITCHES = frozenset({"nixos_switch", "nixos_test", "nixos_rollback"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """The action that takes another one back, by kind and target, and when: seconds from now."""

    kind: str
    target: str
    after_seconds: float


def reversal_of(
    action: Action,
    *,
    spec: KindSpec,
    target: Target,
    before: Mapping[str, Any],
    steady_seconds: float,
    confirm_seconds: float = CONFIRM_SECONDS,
) -> Reversal | None:
    """None where nothing can lock the operator out, or nothing would help. Raises
    `PreconditionError` where something would, and cannot be said what.

    `before` is what `Kind.before` measured: a switch of NixOS goes back to its "generation".
    """
    if not spec.locks_out:
        return None
    after = spec.timeout + spec.settle + steady_seconds + confirm_seconds
    if action.kind in _SWITCHES:
        generation = before.get("generation")
        if not isinstance(generation, int):
            raise PreconditionError(
                "no generation of NixOS runs or boots next, so nothing could take this back when "
                "it locks the operator out: switch once by hand"
            )
        return Reversal(kind="nixos_rollback", target=str(generation), after_seconds=after)
    kind = _REVERSES.get(action.kind)
    if kind is None or not target.way_in:
        return None
    return Reversal(kind=kind, target=action.target, after_seconds=after)


def token_of(action_id: int) -> str:
    """The part of the names of the reversal's units that tells it from others."""
    return f"{action_id:016x}"
