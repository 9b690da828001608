"""What surrounds a message in practice: level words, timestamps, JSON, typos, cut ends.

Level words lean towards the label but do not decide it: much that is harmless says ERROR, and
much that is not says INFO.
"""

from __future__ import annotations

import json
import random
from typing import Final

from tiers.vocabulary import Severity
from training.data.events.slots import between, hexes, log_number, pick, timestamp

_LEVELS: Final = {
    Severity.INFO: ("INFO",) * 10 + ("DEBUG",) * 3 + ("NOTICE", "WARN", "ERROR", "TRACE"),
    Severity.NOTICE: ("INFO",) * 4 + ("WARN",) * 5 + ("NOTICE",) * 2 + ("ERROR",) * 3,
    Severity.WARNING: ("ERROR",) * 7 + ("WARN",) * 4 + ("INFO",) * 2 + ("FATAL", "CRITICAL"),
    Severity.CRITICAL: ("ERROR",) * 5 + ("FATAL", "CRITICAL", "ALERT", "EMERG") * 2
    + ("INFO", "WARN", "WARN"),
}  # fmt: skip
_SHORT: Final = {"INFO": "I", "DEBUG": "D", "NOTICE": "N", "WARN": "W", "ERROR": "E", "FATAL": "F"}
_KEYS: Final = ("msg", "message", "event", "text", "log")


def level_word(rng: random.Random, severity: Severity) -> str:
    """A level as a program would write it next to something of this severity."""
    return pick(rng, _LEVELS[severity])


def wrap(rng: random.Random, text: str, severity: Severity, name: str) -> str:
    """`text` with what a logging library puts around it."""
    level = level_word(rng, severity)
    kind = between(rng, 0, 15)
    if kind == 0:
        return f"{level}: {text}"
    if kind == 1:
        return f"[{level}] {text}"
    if kind == 2:
        return f"{level.lower()}: {text}"
    if kind == 3:
        return f'time="{timestamp(rng)}" level={level.lower()} msg="{text}"'
    if kind == 4:
        return f"level={level.lower()} component={name} msg={json.dumps(text, ensure_ascii=False)}"
    if kind == 5:
        return f"{timestamp(rng)} {level} {text}"
    if kind == 6:
        return f"{timestamp(rng)} [{name}] {level:5s} - {text}"
    if kind == 7:
        fields = {"level": level.lower(), pick(rng, _KEYS): text, "logger": name}
        if rng.random() < 0.5:
            fields["ts"] = timestamp(rng)
        if rng.random() < 0.5:
            fields = dict(reversed(fields.items()))
        return json.dumps(fields, ensure_ascii=False)
    if kind == 8:
        return f"{_SHORT.get(level, level[0])} {text}"
    if kind == 9:
        clock = f"{between(rng, 0, 23):02d}:{between(rng, 0, 59):02d}:{between(rng, 0, 59):02d}"
        return (
            f"{_SHORT.get(level, level[0])}{between(rng, 1, 12):02d}{between(rng, 1, 28):02d} "
            f"{clock}.{between(rng, 0, 999999):06d} {between(rng, 1, 99):7d} "
            f"{name}.go:{between(rng, 10, 999)}] {text}"
        )
    if kind == 10:
        return f"[{log_number(rng, 1, 99999):5d}.{between(rng, 0, 999999):06d}] {text}"
    if kind == 11:
        return f"{name}[{log_number(rng, 100, 99999)}]: {text}"
    if kind == 12:
        return f"[{name}] {text}"
    if kind == 13:
        return f"<{between(rng, 0, 7)}>{text}"
    if kind == 14:
        return f"{text} (trace {hexes(rng, 16)})"
    return f"{name}: {level}: {text}"


def misspell(rng: random.Random, text: str) -> str:
    """One or two slips of the keyboard or of the line."""
    for _ in range(between(rng, 1, 2)):
        at = int(rng.random() * max(1, len(text) - 2))
        kind = rng.random()
        if kind < 0.35:
            text = text[:at] + text[at + 1 :]
        elif kind < 0.7:
            text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
        elif kind < 0.85:
            text = text[:at] + text[at : at + 1] + text[at:]
        else:
            text = text[:at] + pick(rng, "\ufffd?#*") + text[at + 1 :]
    return text


def cut(rng: random.Random, text: str) -> str:
    """`text` with its end cut off where a buffer or a field ended; at least 60 % stays."""
    if len(text) < 60:
        return text
    keep = int(len(text) * (0.6 + 0.4 * rng.random()))
    return text[:keep] + pick(rng, ("", "", "...", "…", " [truncated]"))
