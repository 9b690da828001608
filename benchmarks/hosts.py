"""A made-up host's log: seeded, of any length, with what a small server says in a day.

Few messages make up most lines, as on real hosts: weights fall off steeply. Every value is drawn
anew for each line. Some messages are trouble; which is what has to be told apart.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

TEMPLATES = Path(__file__).with_name("hosts.tsv")
"""Weight, program, words."""


_SLOT = re.compile(r"\{(\w+)\}")
_USERS = ("deploy", "anna", "backup", "root", "admin", "test", "oracle", "jens", "git", "www")


def _value(slot: str, source: random.Random) -> str:
    match slot:
        case "ip":
            return ".".join(str(source.randrange(1, 255)) for _ in range(4))
        case "port":
            return str(source.randrange(1024, 65_536))
        case "digit":
            return str(source.randrange(1, 10))
        case "hex":
            return f"{source.getrandbits(48):012x}"
        case "letter":
            return source.choice("abcd")
        case "user":
            return source.choice(_USERS)
        case _:
            return str(source.randrange(1, 100_000))


def lines_of(count: int, *, seed: int) -> Iterator[str]:
    """So many lines of one day, in the order of their times, with syslog's header."""
    source = random.Random(seed)
    rows = [row.split("\t") for row in TEMPLATES.read_text(encoding="utf-8").splitlines()]
    weights = [int(weight) for weight, _, _ in rows]
    at = datetime.now(tz=UTC) - timedelta(days=1)
    step = timedelta(days=1) / count
    for _ in range(count):
        ((_, program, words),) = source.choices(rows, weights=weights)
        text = _SLOT.sub(lambda slot: _value(slot[1], source), words)
        at += step
        pid = "" if program == "kernel" else f"[{source.randrange(300, 32_000)}]"
        yield f"{at.isoformat(timespec='milliseconds')} web1 {program}{pid}: {text}"
