"""From a journal entry as JSON to an event. Pure.

Fields with a leading underscore are set by journald itself and cannot be forged by who logs; only
those decide about provenance. See systemd.journal-fields(7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from daemon.events import Event
from tiers.vocabulary import Provenance, SourceKind

FIELDS = (
    "MESSAGE",
    "MESSAGE_ID",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "SYSLOG_FACILITY",
    "UNIT",
    "USER_UNIT",
    "N_DROPPED",
    "_BOOT_ID",
    "_COMM",
    "_PID",
    "_TRANSPORT",
    "_UID",
    "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT",
    "_SOURCE_REALTIME_TIMESTAMP",
)
"""What journalctl is asked to print; cursor and receive time come with every entry."""

_SUPPRESSED = re.compile(r"(?:Suppressed|Missed) (\d+) (?:kernel )?messages(?: from (\S+))?")
_UNIT_TYPES = (".service", ".scope", ".slice")


def text_of(value: Any) -> str:
    """A field's value: text, bytes that are no UTF-8 (a list of numbers), several values (a list),
    or null where it was too large to print."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(item, int) and 0 <= item < 256 for item in value):
            return bytes(value).decode(errors="replace")
        return " ".join(text_of(item) for item in value)
    return "" if value is None else str(value)


def first_of(value: Any) -> str:
    """The first value of a field that should have one."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return text_of(value[0])
    return text_of(value)


def provenance_of(entry: Mapping[str, Any]) -> Provenance:
    """Who vouches for the entry, by trusted fields alone."""
    transport = first_of(entry.get("_TRANSPORT"))
    if transport == "kernel":
        # Programs may write to /dev/kmsg; the kernel gives those a facility other than its own.
        own = first_of(entry.get("SYSLOG_FACILITY", "0")) == "0"
        return Provenance.KERNEL if own else Provenance.TEXT
    if transport == "driver":
        return Provenance.SYSTEMD  # journald about itself
    if (
        transport == "journal"
        and first_of(entry.get("_PID")) == "1"
        and first_of(entry.get("_COMM")) == "systemd"
        and first_of(entry.get("_UID")) == "0"
    ):
        return Provenance.SYSTEMD
    return Provenance.TEXT


def unit_of(entry: Mapping[str, Any], provenance: Provenance) -> str:
    """The unit without .service that the entry is about, else the program."""
    identifier = first_of(entry.get("SYSLOG_IDENTIFIER"))
    if provenance is Provenance.KERNEL:
        return "kernel"
    if provenance is Provenance.SYSTEMD:
        return first_of(entry.get("UNIT")).removesuffix(".service") or identifier or "systemd"
    unit = first_of(entry.get("_SYSTEMD_UNIT"))
    if unit.startswith("user@"):
        unit = first_of(entry.get("_SYSTEMD_USER_UNIT"))
    # Scopes and slices are numbered anew for every session: the program says more.
    if unit.endswith(".service"):
        return unit.removesuffix(".service")
    if unit and not unit.endswith(_UNIT_TYPES):
        return unit
    return identifier or first_of(entry.get("_COMM")) or unit


def event_of(entry: Mapping[str, Any], *, source: str, message_limit: int) -> Event | None:
    """The event of an entry; None for one without a message."""
    text = text_of(entry.get("MESSAGE")).strip("\0 \t\r\n")
    if not text:
        return None
    provenance = provenance_of(entry)
    unit = unit_of(entry, provenance)
    attributes: dict[str, str] = {}
    if len(text) > message_limit:
        attributes["cut_characters"] = str(len(text) - message_limit)
        text = text[:message_limit]
    if "\0" in text:
        text = text.replace("\0", "\ufffd")  # PostgreSQL's text cannot hold it
    if provenance is Provenance.SYSTEMD:
        if about := first_of(entry.get("UNIT")):
            attributes["unit"] = about
        suppressed = _SUPPRESSED.match(text)
        if suppressed is not None:
            attributes["suppressed"] = suppressed.group(1)
            if suppressed.group(2):
                attributes["unit"] = suppressed.group(2)
    else:
        identifier = first_of(entry.get("SYSLOG_IDENTIFIER"))
        if identifier and identifier != unit:
            attributes["identifier"] = identifier[:200]
    return Event(
        text,
        unit[:200],
        SourceKind.JOURNALD,
        source,
        provenance,
        _time_of(entry),
        _priority_of(entry),
        None,
        attributes or None,
    )


def _time_of(entry: Mapping[str, Any]) -> float:
    for field in ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"):
        value = first_of(entry.get(field))
        if value.isdecimal():
            return int(value) / 1_000_000
    return 0.0


def _priority_of(entry: Mapping[str, Any]) -> int | None:
    value = first_of(entry.get("PRIORITY"))
    return int(value) if value in _PRIORITIES else None


_PRIORITIES = frozenset("01234567")


def sequence_of(cursor: str) -> tuple[str, int] | None:
    """The writer's id and the entry's number from a cursor ("s=...;i=..."); None for another
    form."""
    parts = dict(part.split("=", 1) for part in cursor.split(";") if "=" in part)
    try:
        return parts["s"], int(parts["i"], 16)
    except (KeyError, ValueError):
        return None
