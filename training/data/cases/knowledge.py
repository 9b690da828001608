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
    actions that do, best first. `phrase` opens the summary."""

    otherwise: Disposition
    phrase: str
    remedies: tuple[str, ...] = ()


_RESTART: Final = ("restart_unit", "start_unit")

KNOWLEDGE: Final[dict[str, Knowledge]] = {
    INSUFFICIENT_EVIDENCE: Knowledge(otherwise=ESCALATE, phrase="The cause is not shown"),
    "brute_force": Knowledge(
        otherwise=WATCH, phrase="Password guessing", remedies=("block_address",)
    ),
    "bad_credentials": Knowledge(otherwise=WATCH, phrase="Wrong or expired credentials"),
    "account_locked": Knowledge(otherwise=WATCH, phrase="Account locked or expired"),
    "intrusion": Knowledge(otherwise=ESCALATE, phrase="Signs of an intruder"),
    "policy_denied": Knowledge(otherwise=WATCH, phrase="Denied by policy"),
    "disk_full": Knowledge(
        otherwise=ESCALATE, phrase="No space left", remedies=("vacuum_journal", "clean_tmp")
    ),
    "disk_failing": Knowledge(otherwise=ESCALATE, phrase="Disk is failing"),
    "filesystem_damaged": Knowledge(otherwise=ESCALATE, phrase="Filesystem damaged"),
    "raid_degraded": Knowledge(otherwise=ESCALATE, phrase="Array lost a member"),
    "mount_missing": Knowledge(otherwise=WATCH, phrase="Mount is missing", remedies=_RESTART),
    "backup_failed": Knowledge(otherwise=WATCH, phrase="Backup failed", remedies=_RESTART),
    "out_of_memory": Knowledge(otherwise=ESCALATE, phrase="Memory ran out", remedies=_RESTART),
    "memory_leak": Knowledge(otherwise=WATCH, phrase="Memory keeps growing", remedies=_RESTART),
    "cpu_overload": Knowledge(otherwise=WATCH, phrase="Processors overloaded"),
    "overheating": Knowledge(otherwise=ESCALATE, phrase="Too hot"),
    "link_down": Knowledge(otherwise=WATCH, phrase="Network link down"),
    "dns_failure": Knowledge(otherwise=WATCH, phrase="Names do not resolve", remedies=_RESTART),
    "peer_unreachable": Knowledge(otherwise=WATCH, phrase="Peer does not answer"),
    "port_conflict": Knowledge(otherwise=ESCALATE, phrase="Address already taken"),
    "bad_configuration": Knowledge(otherwise=ESCALATE, phrase="Mistake in the configuration"),
    "missing_file": Knowledge(otherwise=ESCALATE, phrase="Something is missing"),
    "crash": Knowledge(otherwise=ESCALATE, phrase="Program crashed", remedies=_RESTART),
    "crash_loop": Knowledge(otherwise=ESCALATE, phrase="Fails again and again"),
    "dependency_failed": Knowledge(
        otherwise=ESCALATE, phrase="Dependency failed", remedies=_RESTART
    ),
    "hung_task": Knowledge(otherwise=WATCH, phrase="No progress", remedies=_RESTART),
    "kernel_fault": Knowledge(otherwise=ESCALATE, phrase="Kernel fault"),
    "hardware_fault": Knowledge(otherwise=ESCALATE, phrase="Hardware fault"),
    "power_loss": Knowledge(otherwise=ESCALATE, phrase="Power problem"),
    "database_corruption": Knowledge(otherwise=ESCALATE, phrase="Database damaged"),
    "connection_limit": Knowledge(
        otherwise=WATCH, phrase="Limit of connections reached", remedies=_RESTART
    ),
    "update_failed": Knowledge(otherwise=ESCALATE, phrase="Package update failed"),
    "after_update": Knowledge(otherwise=ESCALATE, phrase="Began after an update"),
    "clock_wrong": Knowledge(otherwise=WATCH, phrase="Clock is wrong", remedies=_RESTART),
    "certificate_expired": Knowledge(otherwise=ESCALATE, phrase="Certificate ran out"),
    "job_failed": Knowledge(otherwise=WATCH, phrase="Job failed", remedies=_RESTART),
    EXPECTED_CHANGE: Knowledge(otherwise=CLOSE, phrase="Planned change"),
    NOISE: Knowledge(otherwise=CLOSE, phrase="Harmless"),
}
