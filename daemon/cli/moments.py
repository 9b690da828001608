"""Moments as people type them: how long ago, or when."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from daemon.cli.exits import CommandError, Exit

_AGO = re.compile(r"(\d{1,6})(s|min|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment_before(said: str, *, option: str, now: datetime) -> datetime:
    """`30min`, `12h`, `7d`, `4w` before `now` (aware), or a day or time in ISO 8601, UTC where it
    names no zone. Raises `CommandError` that names `option`."""
    try:
        if ago := _AGO.fullmatch(said.strip()):
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        moment = datetime.fromisoformat(said.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = (
            f"{option} {said!r}: write 30min, 12h, 7d, 4w, or a day or time as 2027-01-31T14:00"
        )
        raise CommandError(message, code=Exit.USAGE) from None
