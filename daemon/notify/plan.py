"""When something is told, and how many at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from daemon.notify.message import Letter, Notice
from daemon.notify.settings import ChannelSettings
from daemon.notify.words import alone, summary
from tiers.vocabulary import Severity

_HOUR = timedelta(hours=1)
_RESERVE = 5
"""Messages an hour beyond the limit that only what is critical may use."""


def letters(
    waiting: Sequence[Notice],
    *,
    settings: ChannelSettings,
    now: datetime,
    sent: Sequence[datetime],
    host: str,
) -> list[Letter]:
    """What a channel is sent now. `now` is local time; `sent` are the times of earlier messages.

    In quiet hours and over the limit only what is critical goes out; the rest waits and comes
    later, as one message where it has become much.
    """
    critical = [notice for notice in waiting if notice.severity is Severity.CRITICAL]
    recent = sum(now - at < _HOUR for at in sent)
    room = settings.most_per_hour - recent
    urgent_only = room <= 0 or is_quiet(settings.quiet, now.time())
    if urgent_only:
        room += _RESERVE
    wanted = critical if urgent_only else list(waiting)
    if not wanted or room <= 0:
        return []
    if len(wanted) >= settings.summary_from or len(wanted) > room:
        return [summary(wanted, host=host)]
    return [alone(notice) for notice in wanted]


def is_quiet(hours: str | None, at: time) -> bool:
    """Whether a time of day lies in "22:00-07:00"; the hours may go over midnight."""
    if hours is None:
        return False
    begin, end = (time.fromisoformat(part) for part in hours.split("-"))
    if begin <= end:
        return begin <= at < end
    return at >= begin or at < end
