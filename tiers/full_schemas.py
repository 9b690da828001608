"""The words and JSON schemas of the answers that large models are asked for.

Strings are bounded: where generation stops within the JSON, llama-server answers with an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiers.contracts import INSUFFICIENT_EVIDENCE, Case
from tiers.vocabulary import Category, Severity, Urgency

MAX_REASON = 300

URGENCY_OF: Mapping[Severity, Urgency] = {
    Severity.INFO: Urgency.NONE,
    Severity.NOTICE: Urgency.DAYS,
    Severity.WARNING: Urgency.TODAY,
    Severity.CRITICAL: Urgency.NOW,
}
"""The urgency that a severity implies."""

SEVERITIES: Mapping[Severity, str] = {
    Severity.INFO: "routine: it worked, it is normal, it says nothing",
    Severity.NOTICE: "unusual, but harmless on its own or already mended",
    Severity.WARNING: "somebody should look today: failed, degraded or heading for trouble",
    Severity.CRITICAL: "data, service or trust is being lost now or within hours",
}
CATEGORIES: Mapping[Category, str] = {
    Category.AUTH: "logins, sudo, PAM, brute force",
    Category.SECURITY: "intrusion, malware, audit, firewall, policy denials",
    Category.STORAGE: "disks, RAID, filesystems, space, inodes, backups",
    Category.MEMORY: "out of memory, swap, leaks",
    Category.CPU: "load, throttling, soft lockups, temperature",
    Category.NETWORK: "links, DNS, DHCP, routing, timeouts to peers",
    Category.SERVICE: "units that start, stop, fail, crash or restart in a loop",
    Category.KERNEL: "panics, oopses, drivers",
    Category.HARDWARE: "machine checks, PCIe, USB, power, fans, batteries",
    Category.DATABASE: "postgres, mysql, redis and their like",
    Category.APPLICATION: "web servers, containers, mail and anything else that serves",
    Category.PACKAGE: "installs, upgrades, boots, configuration changes",
    Category.TIME: "clock, NTP, timers, cron, certificates that run out",
}


def cause_codes(case: Case) -> list[str]:
    """The causes that an answer may name; the honest one is always among them."""
    codes = [cause.code for cause in case.causes if cause.code != INSUFFICIENT_EVIDENCE]
    return [*codes, INSUFFICIENT_EVIDENCE]


def requests(case: Case, most: int) -> dict[str, Any]:
    """At most `most` of the offered actions, each with a reason and its evidence."""
    codes = [action.code for action in case.actions]
    if not codes:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    request = closed_object(
        {
            "code": one_of(codes),
            "reason": {"type": "string", "maxLength": MAX_REASON},
            "evidence": some_of([item.ref for item in case.evidence], 6),
        }
    )
    return {"type": "array", "items": request, "maxItems": most}


def closed_object(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def one_of(codes: Sequence[str]) -> dict[str, Any]:
    """One of some words."""
    return {"type": "string", "enum": list(codes)}


def some_of(codes: Sequence[str], most: int) -> dict[str, Any]:
    """At most `most` of some words; only the empty list where there are none."""
    if not codes:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    return {"type": "array", "items": one_of(codes), "maxItems": min(most, len(codes))}


def choice(instructions: str, words: Mapping[Any, str]) -> dict[str, Any]:
    """A question of `/v1/systemone` with one answer."""
    return {
        "type": "choice",
        "instructions": instructions,
        "criteria": {str(word): meaning for word, meaning in words.items()},
    }
