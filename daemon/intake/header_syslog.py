"""Syslog in its many spellings: BSD, RFC 5424, RFC 3339 stamps, clusters, the kernel ring."""

from __future__ import annotations

import re

from daemon.intake import timestamps
from daemon.intake.header_line import (
    DIGITS,
    LETTERS,
    Form,
    ParsedLine,
    iso_at,
    pid_of,
    program,
    syslog_at,
)
from daemon.intake.levels import WORD, priority_of

_BSD_STAMP = r"[A-Z][a-z]{2} [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: \d{4}(?=[ \]]))?"
_ISO_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"

# The program, its pid and the colon after them. "syslogd 1.4.1:" has a version, "-- root[12]:" is
# what login writes, "launchd[1] (com.apple.mdworker[12]):" names the job.
_TAG = (
    r"(?:(?P<tag>(?:-- ?)?[^\s:\[\]]{1,128}+(?: \d[\w.]{0,15}+)?)"
    r"(?:\[(?P<pid>[\w.-]{1,32}+)\])?(?: \((?P<job>[^()\s]{1,128}+)\))?:(?: +|$)"
    r"|(?P<repeated>(?=(?:-+ )?last message (?:buffered|repeated) )))"
)

_BSD = re.compile(
    rf"(?:<(?P<pri>\d{{1,3}})>)?(?P<at>{_BSD_STAMP}):? +"
    rf"(?:(?P<host>[^\s:\[\]]{{1,255}}+) ++)?{_TAG}"
)
_BSD_BARE = re.compile(
    rf"(?:<(?P<pri>\d{{1,3}})>)?(?P<at>{_BSD_STAMP}):? +(?P<host>[^\s:\[\]]{{1,255}}) +"
)
_ISO = re.compile(
    rf"(?:<(?P<pri>\d{{1,3}})>)?(?P<at>{_ISO_STAMP}) +(?!{WORD} )(?P<host>[\w.:-]{{1,255}}) +{_TAG}"
)
_5424 = re.compile(
    r"<(?P<pri>\d{1,3})>\d{1,2} (?P<at>\S{1,40}) (?P<host>\S{1,255}) (?P<tag>\S{1,48})"
    r" (?P<pid>\S{1,128}) \S{1,32} "
    r"(?:-|(?:\[(?:[^\]\"\\]|\"(?:[^\"\\]|\\.)*+\"|\\.)*+\])+)(?: \ufeff?|$)",
    re.DOTALL,
)
_CLUSTER = re.compile(
    r"(?P<label>-|[A-Z][A-Z0-9_]{1,31}) (?P<unix>\d{9,10}) \d{4}\.\d\d\.\d\d "
    r"(?P<node>\S{1,255}) "
    rf"(?:(?P<at>[A-Z][a-z]{{2}} [ \d]?\d \d\d:\d\d:\d\d) (?P<host>\S{{1,255}}) +(?:{_TAG})?"
    r"|(?P<fine>\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d{1,6}) \S{1,255} (?P<facility>\S{1,32})"
    r" (?P<component>\S{1,64}) (?P<level>[A-Z]{4,10}) ?)"
)
_RING = re.compile(
    r"(?:<(?P<pri>\d{1,3})>)?(?:kern\s*:(?P<level>\w{3,6})\s*: )?"
    rf"\[(?: *(?P<uptime>\d{{1,10}}\.\d{{6}})|(?P<at>[A-Z][a-z]{{2}} {_BSD_STAMP}))\]"
    r"(?:\[ *[CT]\d{1,7}\])? "
)


def _priority(match: re.Match[str]) -> int | None:
    value = match["pri"]
    return int(value) & 7 if value else None


def _read_bsd(match: re.Match[str], line: str, now: float) -> ParsedLine:
    pri, at, host, tag, pid, job = match.group("pri", "at", "host", "tag", "pid", "job")
    return ParsedLine(
        syslog_at(at, now),
        host or "",
        _unit(tag),
        pid_of(pid),
        int(pri) & 7 if pri else None,
        line[match.end() :],
        job or "",
        "bsd",
    )


def _unit(tag: str | None) -> str:
    """The program of a tag that may be "syslogd 1.4.1" or "-- root"."""
    if not tag:
        return ""
    if " " in tag:
        return "login" if tag.startswith("--") else program(tag.partition(" ")[0])
    return program(tag) if "(" in tag or tag[0] == "/" else tag


def _read_bare(match: re.Match[str], line: str, now: float) -> ParsedLine:
    at = syslog_at(match["at"], now)
    return ParsedLine(
        at, match["host"], "", None, _priority(match), line[match.end() :], "", "bsd-bare"
    )


def _read_iso(match: re.Match[str], line: str, now: float) -> ParsedLine:
    return ParsedLine(
        iso_at(match["at"]),
        match["host"],
        _unit(match["tag"]),
        pid_of(match["pid"]),
        _priority(match),
        line[match.end() :],
        match["job"] or "",
        "iso",
    )


def _read_5424(match: re.Match[str], line: str, now: float) -> ParsedLine:
    def given(name: str) -> str:
        return "" if match[name] == "-" else match[name]

    return ParsedLine(
        iso_at(given("at")) if given("at") else None,
        given("host"),
        program(given("tag")),
        pid_of(given("pid")),
        _priority(match),
        line[match.end() :],
        "",
        "rfc5424",
    )


def _read_cluster(match: re.Match[str], line: str, now: float) -> ParsedLine:
    facility = match["facility"]
    message = line[match.end() :]
    return ParsedLine(
        timestamps.unix(match["unix"]),
        match["node"],
        "kernel" if facility and match["component"] == "KERNEL" else _unit(match["tag"]),
        pid_of(match["pid"]),
        priority_of(match["level"]),
        message,
        match["component"] or match["job"] or "",
        "cluster",
    )


def _read_ring(match: re.Match[str], line: str, now: float) -> ParsedLine:
    at = syslog_at(match["at"], now) if match["at"] else None
    priority = _priority(match)
    if priority is None:
        priority = priority_of(match["level"])
    return ParsedLine(at, "", "kernel", None, priority, line[match.end() :], "", "kernel-ring")


FORMS = (
    Form("bsd", "<" + LETTERS, _BSD.match, _read_bsd),
    Form("rfc5424", "<", _5424.match, _read_5424),
    Form("iso", "<" + DIGITS, _ISO.match, _read_iso),
    Form("cluster", "-" + LETTERS, _CLUSTER.match, _read_cluster),
)
RING = (Form("kernel-ring", "<[k", _RING.match, _read_ring),)
"""After the forms that begin with a time in brackets too, and say more."""

BARE = (Form("bsd-bare", "<" + LETTERS, _BSD_BARE.match, _read_bare),)
"""Fit more than they should: tried last."""
