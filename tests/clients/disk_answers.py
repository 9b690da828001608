"""What a right answer about this host looks like."""

from __future__ import annotations

import os
import re


def says_how_full(text: str | None) -> bool:
    """Whether a text says how full the disk of this host is, within a percent."""
    usage = os.statvfs("/")
    used = usage.f_blocks - usage.f_bfree
    percent = 100 * used / (used + usage.f_bavail)
    shown = [int(number) for number in re.findall(r"(\d+) ?%", text or "")]
    return any(abs(number - percent) <= 1 for number in shown)
