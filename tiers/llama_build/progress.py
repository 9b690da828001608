"""How far a build is, read from what cmake's builders print. Pure."""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePath

_NINJA = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")
_MAKE = re.compile(r"^\[\s*(\d+)%\] (.*)$")
_OBJECT = re.compile(r"(\S+)\.(?:o|obj)$")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`share` of all is done, 0 to 1; `what` is being made."""

    share: float
    what: str


def step_in(line: str) -> Step | None:
    """None for a line that is no progress: a warning, what a tool says."""
    if (match := _NINJA.match(line)) is not None:
        done, total = int(match[1]), int(match[2])
        share = done / total if total else 1.0
    elif (match := _MAKE.match(line)) is not None:
        share = int(match[1]) / 100
    else:
        return None
    words = match[match.lastindex or 0].strip()
    made = _OBJECT.search(words)
    return Step(share=min(1.0, share), what=PurePath(made[1]).name if made else words)
