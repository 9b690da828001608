"""All forms of headers, in the order in which they are tried, by the first character of a line."""

from __future__ import annotations

from daemon.intake import header_apps, header_structured, header_syslog
from daemon.intake.header_line import Form, ParsedLine

_PLAIN: tuple[Form, ...] = (
    header_structured.PAIRS,
    *header_syslog.FORMS,
    *header_apps.FORMS,
    *header_syslog.RING,
    *header_apps.LOOSE,
    *header_syslog.BARE,
)


def _by_first(forms: tuple[Form, ...]) -> dict[str, tuple[Form, ...]]:
    firsts = sorted({first for form in forms for first in form.first})
    return {
        first: tuple(form for form in forms if not form.first or first in form.first)
        for first in firsts
    }


_PLAIN_BY_FIRST = _by_first(_PLAIN)


def _read_inner(line: str, now: float) -> ParsedLine:
    for form in _PLAIN_BY_FIRST.get(line[:1], ()):
        match = form.match(line)
        if match is not None:
            parsed = form.read(match, line, now)
            if parsed is not None:
                return parsed
    return ParsedLine(None, "", "", None, None, line, "", "")


FORMS: tuple[Form, ...] = (*header_structured.forms(_read_inner), *_PLAIN)
"""Each with its name; the first that matches a line is its form."""

_BY_FIRST = _by_first(FORMS)


def candidates(line: str) -> tuple[Form, ...]:
    """The forms that a line may have, by its first character."""
    return _BY_FIRST.get(line[:1], ())
