"""Unit names without what changes each time a unit is started.

The unit is part of a pattern's identity. "session-217.scope" and "session-218.scope" are
the same unit for that purpose; "getty@tty1" and "postgresql@14-main" keep their instance, which
somebody chose.
"""

from __future__ import annotations

import re

LONGEST_UNIT = 128
"""Characters of a unit name that count."""

UNIT_ENDINGS = tuple(
    f".{ending}"
    for ending in (
        "service", "socket", "device", "target", "timer", "mount", "automount", "scope", "slice",
        "swap", "path",
    )
)  # fmt: skip
"""What names of systemd units end with."""

UNIT_VARIES = re.compile(
    r"""
      [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
    | (?<![0-9A-Za-z])(?=[a-z]{0,11}[0-9])[0-9a-f]{12,}(?![0-9A-Za-z])
    | (?<=run-)[rpu]?[0-9a-f]+(?:-i[0-9]+)?(?=\.|\Z)
    | (?<=session-)c?[0-9]+
    | (?<=user@)[0-9]+ | (?<=user-runtime-dir@)[0-9]+ | (?<=user-)[0-9]+
    | (?<=kworker/)\S+
    | (?<=@)[0-9]+(?:-[0-9]+[^@]*)?(?=\.|\Z)
    """,
    re.VERBOSE,
)


def steady_unit(unit: str) -> str:
    """The unit without what changes each time it is started: session and container numbers."""
    return UNIT_VARIES.sub("<*>", unit[:LONGEST_UNIT])
