"""Times as log files write them, to Unix time.

Times without a zone are local time of this host. A time without a year is in this year, or in the
last one where it would be in the future. Nothing here raises: what is no time is None.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec"
_MONTHS = {name: number for number, name in enumerate(_NAMES.split(), start=1)}
_AHEAD = 2 * 86_400.0
"""So far ahead a clock may be before a time without a year is taken for last year's, in seconds."""

_YEARS_BACK = 8
"""29 February was at most this long ago."""

_SYSLOG = re.compile(
    r"([A-Za-z]{3}) +(\d{1,2})(?: (\d{4}))? (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: (\d{4}))?"
)
_ACCESS = re.compile(
    r"(\d{1,2})[/-]([A-Za-z]{3})[/-](\d{4})[: ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?: ?([+-]\d{4}))?"
)
_SPACED = re.compile(r"(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
_FIELDS = re.compile(r"\d+")
_SECOND_FIRST = 1e8


def iso(text: str) -> float | None:
    """ISO 8601 and its relatives: a space for the T, a comma for the point, UTC for Z."""
    stamp = text.strip()
    if stamp.endswith((" UTC", " GMT")):
        stamp = f"{stamp[:-4]}Z"
    elif stamp[-5:-4] == " " and stamp[-4:].isalpha():
        stamp = stamp[:-5]
    elif stamp[-4:-3] == " " and stamp[-3:].isalpha():
        stamp = stamp[:-4]
    stamp = stamp.replace("/", "-").replace(" +", "+").replace(" -", "-")
    try:
        return _unix(dt.datetime.fromisoformat(stamp))
    except (ValueError, OverflowError, OSError):
        return None


def syslog(text: str, *, now: float) -> float | None:
    """ "Jun 14 15:16:01", with or without a year, before or after the time."""
    match = _SYSLOG.search(text)
    if match is None:
        return None
    month, day, year, hour, minute, second, fraction, late_year = match.groups()
    return _local(
        year or late_year, _MONTHS.get(month.lower()), day, hour, minute, second, fraction, now=now
    )


def access(text: str) -> float | None:
    """ "10/Oct/2000:13:55:36 -0700" and "01-Jan-2024 12:00:00.123"."""
    match = _ACCESS.match(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, fraction, zone = match.groups()
    number = _MONTHS.get(month.lower())
    if zone is None:
        return _local(year, number, day, hour, minute, second, fraction, now=0.0)
    return iso(f"{year}-{number or 0:02d}-{int(day):02d}T{hour}:{minute}:{second}{zone}")


def spaced(text: str) -> float | None:
    """ "01 Jan 2024 12:00:00.123"."""
    match = _SPACED.match(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, fraction = match.groups()
    return _local(year, _MONTHS.get(month.lower()), day, hour, minute, second, fraction, now=0.0)


def fields(order: str) -> Callable[[str, float], float | None]:
    """A reader of times whose numbers come in this order: letters of y(ear), m(onth), d(ay), H, M,
    S, f(raction of a second). Years of two digits are of this century."""

    def read(text: str, now: float) -> float | None:
        numbers = _FIELDS.findall(text)
        if len(numbers) < len(order.rstrip("f")):
            return None
        named = dict(zip(order, numbers, strict=False))
        year = named.get("y")
        if year is not None and len(year) == 2:
            year = f"20{year}"
        month = int(named["m"]) if "m" in named else None
        return _local(
            year,
            month,
            named.get("d", "0"),
            named.get("H", "0"),
            named.get("M", "0"),
            named.get("S", "0"),
            named.get("f"),
            now=now,
        )

    return read


def packed(text: str, now: float) -> float | None:
    """ "081109 203518": year, month, day, then hour, minute, second, two digits each."""
    digits = text.replace(" ", "")
    year, month, day, hour, minute, second = (digits[at : at + 2] for at in range(0, 12, 2))
    return _local(f"20{year}", int(month), day, hour, minute, second, None, now=now)


def unix(value: str | float) -> float | None:
    """Seconds, or what is so large that it must be milli-, micro- or nanoseconds."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not number >= _SECOND_FIRST:  # NaN as well
        return None
    for divisor in (1.0, 1e3, 1e6, 1e9):
        if number / divisor < 1e11:
            return number / divisor
    return None


def any_of(value: object) -> float | None:
    """A time as structured logs write it: a number, or text in one of the usual forms."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return unix(value)
    if not isinstance(value, str) or not value or len(value) > 64:
        return None
    if value[0].isdigit():
        return (
            unix(value) if value.replace(".", "", 1).isdecimal() else (iso(value) or access(value))
        )
    return None


def _local(
    year: str | None,
    month: int | None,
    day: str,
    hour: str,
    minute: str,
    second: str,
    fraction: str | None,
    *,
    now: float,
) -> float | None:
    if month is None:
        return None
    part = float(f"0.{fraction}") if fraction else 0.0
    try:
        if year is not None:
            return _moment(int(year), month, day, hour, minute, second) + part
        this_year = dt.datetime.fromtimestamp(now).year  # noqa: DTZ006 -- the log is in local time
        for guess in range(this_year + 1, this_year - _YEARS_BACK, -1):
            try:
                at = _moment(guess, month, day, hour, minute, second) + part
            except ValueError:  # 29 February of a year that has none
                continue
            if at <= now + _AHEAD:
                return at
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _moment(year: int, month: int, day: str, hour: str, minute: str, second: str) -> float:
    leap = 1.0 if second == "60" else 0.0
    whole = 59 if leap else int(second)
    return dt.datetime(year, month, int(day), int(hour), int(minute), whole).timestamp() + leap  # noqa: DTZ001


def _unix(moment: dt.datetime) -> float:
    return moment.timestamp()
