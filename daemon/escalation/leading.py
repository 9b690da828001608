"""Who an incident's occurrences name most: in all, and now. Pure.

Now is since the incident was opened, came back, or was settled by an answer. What is offered
against somebody rests on that: who attacked yesterday is quiet today.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from daemon.store.incident_queries import IncidentPattern
from daemon.store.incidents import Recent

Values = tuple[tuple[str, str, int], ...]
"""Rows of (kind, value, count)."""
Rows = Iterable[Sequence[str | int]]

OFFERED = 3
"""So many addresses of an incident may be acted on at once."""
_KINDS = frozenset({"ip", "host", "user"})
_HOSTS = frozenset({"ip", "host"})
_KEPT = 20
_MANY = 10
"""Occurrences that make somebody new worth another answer: a few failures are anybody's."""
_PERIOD = timedelta(minutes=5)
_ANSWERS = 2
"""... of this many in the period at most, however many hosts take turns."""


def added(known: Rows, more: Rows, *, most: int) -> Values:
    """`known` and `more`, which are of `most` occurrences: none names anything twice."""
    gained = _counted(more)
    sums = _counted(known)
    for pair, count in gained.items():
        sums[pair] += min(count, most)
    return _ranked(sums, limit=_KEPT)


def larger(one: Rows, other: Rows) -> Values:
    """Of two counts of the same occurrences, neither too high, the larger for each value."""
    return _ranked(_counted(one) | _counted(other), limit=_KEPT)


def leading_values(shown: Sequence[IncidentPattern], *, limit: int = 10) -> Values:
    """The remote hosts and users that an incident's patterns name most, as (kind, value, count).

    The same value in several patterns of one incident is one attacker: its largest count stands,
    because the patterns are often several lines about each attempt.
    """
    return _leading(shown, lambda entry: entry.top_values, limit=limit)


def leading_now(shown: Sequence[IncidentPattern], *, limit: int = 10) -> Values:
    """As above, now. Where nobody was named since the last answer, those that it rested on; in all
    where that is not known either."""
    return (
        _leading(shown, lambda entry: entry.recent_values, limit=limit)
        or _leading(shown, lambda entry: entry.answered_values, limit=limit)
        or leading_values(shown, limit=limit)
    )


def new_leader(shown: Sequence[IncidentPattern]) -> str | None:
    """The host that leads since the last answer, when that answer was about others."""
    answered = _leading(shown, lambda entry: entry.answered_values, limit=_KEPT)
    recent = _leading(shown, lambda entry: entry.recent_values, limit=_KEPT)
    return _leader(recent, but=_hosts(answered)[:OFFERED])


def newcomer(left: Sequence[Recent], *, answered: Values) -> str | None:
    """The host that led what came while somebody thought about the incident, when it was not among
    what the answer rests on."""
    sums: Counter[tuple[str, str]] = Counter()
    for recent in left:
        sums |= _counted(recent.values)
    return _leader(_ranked(sums, limit=_KEPT), but=_hosts(answered)[:OFFERED])


def may_ask_again(answers: Iterable[datetime], *, now: datetime) -> bool:
    """Whether somebody new is worth another answer already; `answers` are when some were given."""
    return sum(now - at < _PERIOD for at in answers) < _ANSWERS


def recents(shown: Sequence[IncidentPattern]) -> tuple[Recent, ...]:
    """What an answer that is asked for now rests on."""
    return tuple(
        Recent(
            fingerprint=entry.fingerprint,
            count=entry.recent_count,
            values=_ranked(_counted(entry.recent_values), limit=_KEPT),
        )
        for entry in shown
    )


def left_of(now: Sequence[Recent], seen: Sequence[Recent]) -> tuple[Recent, ...]:
    """What came since `seen`, for each pattern of `now`."""
    before = {recent.fingerprint: recent for recent in seen}
    nothing = Recent(fingerprint="", count=0)
    left = []
    for recent in now:
        known = before.get(recent.fingerprint, nothing)
        left.append(
            Recent(
                fingerprint=recent.fingerprint,
                count=max(0, recent.count - known.count),
                values=_ranked(_counted(recent.values) - _counted(known.values), limit=_KEPT),
            )
        )
    return tuple(left)


def rested_on(shown: Sequence[IncidentPattern], seen: Sequence[Recent]) -> tuple[Recent, ...]:
    """What an answer that was given `seen` rests on, for each pattern: as the one before, where
    nobody was named since."""
    before = {recent.fingerprint: recent for recent in seen}
    if not any(recent.values for recent in seen):
        before = {
            entry.fingerprint: Recent(
                fingerprint=entry.fingerprint,
                count=0,
                values=_ranked(_counted(entry.answered_values), limit=_KEPT),
            )
            for entry in shown
        }
    return tuple(
        before.get(entry.fingerprint, Recent(fingerprint=entry.fingerprint, count=0))
        for entry in shown
    )


def hosts_of(values: Rows) -> tuple[str, ...]:
    """The hosts that `values` name, most frequent first."""
    return _hosts(_ranked(_counted(values), limit=_KEPT))


def _leader(values: Values, *, but: Collection[str]) -> str | None:
    first = next(((value, count) for kind, value, count in values if kind in _HOSTS), None)
    if first is None or first[1] < _MANY or first[0] in but:
        return None
    return first[0]


def _hosts(values: Values) -> tuple[str, ...]:
    return tuple(value for kind, value, _ in values if kind in _HOSTS)


def _leading(
    shown: Sequence[IncidentPattern], of: Callable[[IncidentPattern], Rows], *, limit: int
) -> Values:
    most: Counter[tuple[str, str]] = Counter()
    for entry in shown:
        most |= Counter({p: n for p, n in _counted(of(entry)).items() if p[0] in _KINDS})
    return _ranked(most, limit=limit)


def _counted(rows: Rows) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for kind, value, count in rows:
        sums[str(kind), str(value)] += int(count)
    return sums


def _ranked(sums: Counter[tuple[str, str]], *, limit: int) -> Values:
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return tuple((kind, value, count) for (kind, value), count in ranked[:limit])
