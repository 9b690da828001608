"""What a careful administrator concludes from each cause: how bad, what next, in which words."""

from __future__ import annotations

import dataclasses
from typing import Final

from tiers.contracts import INSUFFICIENT_EVIDENCE, Disposition

WATCH, ESCALATE, CLOSE = Disposition.WATCH, Disposition.ESCALATE, Disposition.CLOSE

NOISE: Final = "noise"
EXPECTED_CHANGE: Final = "expected_change"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """`otherwise` is the disposition where no offered action helps. `remedies` are kinds of
    actions that do, best first. `phrase` opens the summary. `rules` are what rules that fire on it
    are called in titles."""

    otherwise: Disposition
    phrase: str
    remedies: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


_RESTART: Final = ("restart_unit", "start_unit")

KNOWLEDGE: Final[dict[str, Knowledge]] = {
    INSUFFICIENT_EVIDENCE: Knowledge(
        otherwise=ESCALATE, phrase="The cause is not shown", rules=("unit failed",)
    ),
    "brute_force": Knowledge(
        otherwise=WATCH,
        phrase="Password guessing",
        remedies=("block_address",),
        rules=("auth burst",),
    ),
    "bad_credentials": Knowledge(otherwise=WATCH, phrase="Wrong or expired credentials"),
    "account_locked": Knowledge(otherwise=WATCH, phrase="Account locked or expired"),
    "intrusion": Knowledge(
        otherwise=ESCALATE, phrase="Signs of an intruder", rules=("intrusion signs",)
    ),
    "policy_denied": Knowledge(otherwise=WATCH, phrase="Denied by policy"),
    "disk_full": Knowledge(
        otherwise=ESCALATE,
        phrase="No space left",
        remedies=("vacuum_journal", "clean_tmp"),
        rules=("no space",),
    ),
    "disk_failing": Knowledge(
        otherwise=ESCALATE,
        phrase="Disk is failing",
        rules=(
            "io error",
            "disk failing",
        ),
    ),
    "filesystem_damaged": Knowledge(
        otherwise=ESCALATE,
        phrase="Filesystem damaged",
        rules=(
            "filesystem error",
            "read only root",
        ),
    ),
    "raid_degraded": Knowledge(
        otherwise=ESCALATE, phrase="Array lost a member", rules=("raid degraded",)
    ),
    "mount_missing": Knowledge(otherwise=WATCH, phrase="Mount is missing", remedies=_RESTART),
    "backup_failed": Knowledge(otherwise=WATCH, phrase="Backup failed", remedies=_RESTART),
    "out_of_memory": Knowledge(
        otherwise=ESCALATE, phrase="Memory ran out", remedies=_RESTART, rules=("oom kill",)
    ),
    "memory_leak": Knowledge(otherwise=WATCH, phrase="Memory keeps growing", remedies=_RESTART),
    "cpu_overload": Knowledge(otherwise=WATCH, phrase="Processors overloaded"),
    "overheating": Knowledge(otherwise=ESCALATE, phrase="Too hot", rules=("overheated",)),
    "link_down": Knowledge(otherwise=WATCH, phrase="Network link down"),
    "dns_failure": Knowledge(otherwise=WATCH, phrase="Names do not resolve", remedies=_RESTART),
    "peer_unreachable": Knowledge(otherwise=WATCH, phrase="Peer does not answer"),
    "port_conflict": Knowledge(otherwise=ESCALATE, phrase="Address already taken"),
    "bad_configuration": Knowledge(otherwise=ESCALATE, phrase="Mistake in the configuration"),
    "missing_file": Knowledge(
        otherwise=ESCALATE, phrase="Something is missing", rules=("unit failed",)
    ),
    "crash": Knowledge(
        otherwise=ESCALATE, phrase="Program crashed", remedies=_RESTART, rules=("segfault",)
    ),
    "crash_loop": Knowledge(
        otherwise=ESCALATE, phrase="Fails again and again", rules=("unit failed",)
    ),
    "dependency_failed": Knowledge(
        otherwise=ESCALATE, phrase="Dependency failed", remedies=_RESTART, rules=("unit failed",)
    ),
    "hung_task": Knowledge(
        otherwise=WATCH,
        phrase="No progress",
        remedies=_RESTART,
        rules=(
            "hung task",
            "soft lockup",
        ),
    ),
    "kernel_fault": Knowledge(
        otherwise=ESCALATE,
        phrase="Kernel fault",
        rules=(
            "kernel panic",
            "kernel oops",
        ),
    ),
    "hardware_fault": Knowledge(
        otherwise=ESCALATE, phrase="Hardware fault", rules=("machine check",)
    ),
    "power_loss": Knowledge(otherwise=ESCALATE, phrase="Power problem", rules=("power failing",)),
    "database_corruption": Knowledge(
        otherwise=ESCALATE, phrase="Database damaged", rules=("database corruption",)
    ),
    "connection_limit": Knowledge(
        otherwise=WATCH,
        phrase="Limit of connections reached",
        remedies=_RESTART,
        rules=("connections exhausted",),
    ),
    "update_failed": Knowledge(otherwise=ESCALATE, phrase="Package update failed"),
    "after_update": Knowledge(otherwise=ESCALATE, phrase="Began after an update"),
    "clock_wrong": Knowledge(otherwise=WATCH, phrase="Clock is wrong", remedies=_RESTART),
    "certificate_expired": Knowledge(
        otherwise=ESCALATE,
        phrase="Certificate ran out",
        remedies=("renew_certificate",),
        rules=("certificate expired",),
    ),
    "job_failed": Knowledge(
        otherwise=WATCH, phrase="Job failed", remedies=_RESTART, rules=("unit failed",)
    ),
    EXPECTED_CHANGE: Knowledge(otherwise=CLOSE, phrase="Planned change"),
    NOISE: Knowledge(otherwise=CLOSE, phrase="Harmless"),
}
