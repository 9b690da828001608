"""The closed word lists that models choose from and code computes with."""

from __future__ import annotations

import enum


class Severity(enum.StrEnum):
    """How bad it is. Ordered: compare `rank`, never the strings."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info to 3 for critical."""
        return _SEVERITY_RANK[self]

    def at_least(self, floor: Severity) -> Severity:
        """The worse of the two."""
        return self if self.rank >= floor.rank else floor


_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class Category(enum.StrEnum):
    """Which part of the host an event is about. Thirteen, so that severity x category fits the
    52 single-letter labels that a decision model answers with."""

    AUTH = "auth"  # logins, sudo, PAM, brute force
    SECURITY = "security"  # intrusion, malware, audit, firewall, policy denials
    STORAGE = "storage"  # disks, RAID, filesystems, space, inodes, backups
    MEMORY = "memory"  # OOM, swap, leaks
    CPU = "cpu"  # load, throttling, soft lockups, temperature
    NETWORK = "network"  # links, DNS, DHCP, routing, timeouts to peers
    SERVICE = "service"  # units that start, stop, fail, crash or restart in a loop
    KERNEL = "kernel"  # panics, oopses, drivers
    HARDWARE = "hardware"  # machine checks, PCIe, USB, power, fans, batteries
    DATABASE = "database"  # postgres, mysql, redis and their like
    APPLICATION = "application"  # web servers, containers, mail and anything else that serves
    PACKAGE = "package"  # installs, upgrades, boots, configuration changes
    TIME = "time"  # clock, NTP, timers, cron, certificates that run out


class Provenance(enum.StrEnum):
    """Who vouches for a piece of evidence. `TEXT` is hostile until shown otherwise."""

    KERNEL = "kernel"
    SYSTEMD = "systemd"
    MEASURED = "measured"
    OPERATOR = "operator"
    TEXT = "text"


class SourceKind(enum.StrEnum):
    """Where events come from. Part of a pattern's fingerprint: the values never change."""

    JOURNALD = "journald"
    FILE = "file"
    SYSTEMD = "systemd"
    METRICS = "metrics"
    SERVICE_CHECK = "service-check"
    MQTT = "mqtt"
    HTTP = "http"
    SCHEDULE = "schedule"
    INTERNAL = "internal"


class Urgency(enum.StrEnum):
    """How soon somebody has to look."""

    NONE = "none"
    DAYS = "days"
    TODAY = "today"
    NOW = "now"


class TierName(enum.StrEnum):
    """The three tiers, smallest first."""

    TRIGGER = "trigger"
    REVIEW = "review"
    META = "meta"
