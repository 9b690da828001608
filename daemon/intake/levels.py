"""Names of log levels as syslog priorities, 0 (emergency) to 7 (debug)."""

from __future__ import annotations

_NAMES = {
    0: "emerg emergency panic",
    1: "alert",
    2: "crit critical fatal severe f c dpanic",
    3: "err error e eror failure",
    4: "warn warning w",
    5: "notice note config n success * #",
    6: "info information informational i inf log statement detail hint context system",
    7: (
        "debug d dbg trace t verbose v fine finer finest all silly"
        " debug1 debug2 debug3 debug4 debug5 . -"
    ),
}
_PRIORITIES = {name: priority for priority, names in _NAMES.items() for name in names.split()}

# bunyan and pino count from 10 (trace) to 60 (fatal).
_TENS = {10: 7, 20: 7, 30: 6, 40: 4, 50: 3, 60: 2}

WORD = (
    r"(?:EMERG(?:ENCY)?|ALERT|CRIT(?:ICAL)?|FATAL|SEVERE|PANIC|ERR(?:OR)?|WARN(?:ING)?|NOTICE"
    r"|INFO(?:RMATION)?|CONFIG|DEBUG|TRACE|VERBOSE|FINE(?:R|ST)?"
    r"|Emerg(?:ency)?|Alert|Crit(?:ical)?|Fatal|Severe|Panic|Err(?:or)?|Warn(?:ing)?|Notice"
    r"|Info(?:rmation)?|Debug|Trace|Verbose"
    r"|emerg(?:ency)?|alert|crit(?:ical)?|fatal|severe|panic|err(?:or)?|warn(?:ing)?|notice"
    r"|info(?:rmation)?|debug|trace[1-8]?|verbose)"
)
"""A regular expression for the written-out names, in any of the three usual cases."""


def priority_of(level: str | int | None) -> int | None:
    """The syslog priority of a level name or number; None for what is not a level."""
    if isinstance(level, bool):
        return None
    if isinstance(level, int):
        return _TENS.get(level, level if 0 <= level <= 7 else None)
    if not level:
        return None
    name = level.strip().lower()
    if name.isdecimal() and name.isascii() and len(name) < 4:
        return priority_of(int(name))
    found = _PRIORITIES.get(name)
    if found is None and name.startswith("trace"):
        return 7
    return found
