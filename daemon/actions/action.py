"""An action: a kind, a target and typed parameters, and the hash that an approval is bound to.

The canonical content is one line of JSON in UTF-8, keys sorted, no spaces:

    {"host":"web1","kind":"restart_unit","parameters":{},"target":"nginx.service"}

and the content hash is its SHA-256. Who asks and why is not part of it: an approval is for what
is done, exactly.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping

import orjson

Value = str | int | bool
"""What a parameter can be. No floats: their text form is not canonical."""


class Risk(enum.StrEnum):
    """Computed by code from kind, parameters and target. Ordered: compare `rank`."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low to 2 for high."""
        return _RISK_RANK[self]

    def at_least(self, floor: Risk) -> Risk:
        """The higher of the two."""
        return self if self.rank >= floor.rank else floor


_RISK_RANK = {risk: rank for rank, risk in enumerate(Risk)}


class Blast(enum.StrEnum):
    """What else may feel it when an action goes wrong."""

    NOTHING = "nothing"  # bookkeeping: forgetting that a unit failed
    TARGET = "target"  # the target alone
    DEPENDANTS = "dependants"  # what depends on the target, and its users
    HOST = "host"  # everything on this host


class TargetType(enum.StrEnum):
    """What a target is; each has its inventory (`daemon.actions.host`)."""

    UNIT = "unit"
    TIMER = "timer"
    CERTIFICATE = "certificate"  # one of those that the operator configured, by name
    MOUNT = "mount"
    PROCESS = "process"  # "PID:START", START in clock ticks since boot, as in /proc/PID/stat
    ADDRESS = "address"  # one IP address
    NETWORK = "network"  # in CIDR form
    PATH = "path"  # one of those that the operator listed
    CONTAINER = "container"
    LOG = "log"  # a configuration of logrotate
    GENERATION = "generation"  # of NixOS
    PACKAGES = "packages"  # the host's package manager
    JOURNAL = "journal"
    RUNBOOK = "runbook"
    FLAKE = "flake"  # the one that the operator configured


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One typed operation. Made by `catalogue.Catalogue.action`, which checks the parameters.

    `parameters` holds every parameter of the kind, defaults filled in.
    """

    host: str
    kind: str
    target: str
    parameters: Mapping[str, Value] = dataclasses.field(default_factory=dict)

    @property
    def canonical(self) -> bytes:
        return orjson.dumps(
            {
                "host": self.host,
                "kind": self.kind,
                "target": self.target,
                "parameters": dict(self.parameters),
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @property
    def content_hash(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.canonical).hexdigest()

    @property
    def code(self) -> str:
        """What tiers call it when it is offered: "restart_unit:nginx.service"."""
        return f"{self.kind}:{self.target}"
