"""The headers that programs write into log files of their own."""

from __future__ import annotations

import re

from daemon.intake import timestamps
from daemon.intake.header_line import (
    DIGITS,
    LETTERS,
    Form,
    ParsedLine,
    Read,
    iso_at,
    pid_of,
    syslog_at,
)
from daemon.intake.levels import WORD, priority_of

_ISO = (
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"(?: ?Z| ?[+-]\d\d:?\d\d| (?:UTC|GMT|[A-Z]{3,4}(?= )))?"
)
_LEVEL = rf"(?P<level>{WORD})(?![\w.])"


def _at_iso(stamp: str, now: float) -> float | None:
    return iso_at(stamp)


def _at_access(stamp: str, now: float) -> float | None:
    return timestamps.access(stamp)


def _at_spaced(stamp: str, now: float) -> float | None:
    return timestamps.spaced(stamp)


_CLOCK = timestamps.fields("HMSf")


def _reader(name: str, at: object, *, unit: str = "") -> Read:
    """A reader of the usual groups: at, host, unit, pid, level, component."""
    read_at = at

    def read(match: re.Match[str], line: str, now: float) -> ParsedLine:
        groups = match.groupdict()
        stamp = groups.get("at")
        return ParsedLine(
            read_at(stamp, now) if stamp and callable(read_at) else None,
            groups.get("host") or "",
            groups.get("unit") or unit,
            pid_of(groups.get("pid")),
            priority_of(groups.get("level") or groups.get("late")),
            line[match.end() :],
            groups.get("component") or "",
            name,
        )

    return read


def _form(name: str, first: str, pattern: str, at: object, *, unit: str = "") -> Form:
    return Form(name, first, re.compile(pattern).match, _reader(name, at, unit=unit))


_ACCESS = re.compile(
    r"(?P<host>[\w.:-]{3,255}) \S{1,64} (?P<user>\S{1,128}|\"[^\"]{0,128}\") "
    r"\[(?P<at>\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?)\] "
    r"(?P<request>\"(?:[^\"\\]|\\.)*+\") (?P<status>\d{3}) (?P<size>\d+|-)",
)


def _read_access(match: re.Match[str], line: str, now: float) -> ParsedLine:
    """The message is client, request, status and size. Referrer and browser are left out: they
    are the client's to choose and would make every visitor a pattern."""
    status = match["status"]
    return ParsedLine(
        timestamps.access(match["at"]),
        "",
        "",
        None,
        3 if status[0] == "5" else 5 if status in {"401", "403", "407", "429"} else 6,
        f"{match['host']} {match['request']} {status} {match['size']}",
        "",
        "access",
    )


FORMS = (
    Form("access", DIGITS + LETTERS + ":", _ACCESS.match, _read_access),
    _form(
        "apache-error",
        "[",
        r"\[(?P<at>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d(?:\.\d{1,6})? \d{4})\] "
        rf"\[(?:(?P<component>[\w-]{{0,32}}):)?{_LEVEL}\] "
        r"(?:\[pid (?P<pid>\d{1,10})(?::tid \d{1,20})?\] )?",
        syslog_at,
    ),
    _form(
        "nginx-error",
        DIGITS,
        rf"(?P<at>{_ISO}) \[(?P<level>[a-z]+)\] (?P<pid>\d{{1,10}})#\d{{1,10}}: (?:\*\d{{1,20}} )?",
        _at_iso,
    ),
    _form(
        "hadoop-short",
        DIGITS,
        rf"(?P<at>\d{{6}} \d{{6}}) (?P<pid>\d{{1,10}}) {_LEVEL} (?P<component>[\w.$-]{{1,200}}): ",
        timestamps.packed,
    ),
    _form(
        "spark",
        DIGITS,
        rf"(?P<at>\d\d/\d\d/\d\d \d\d:\d\d:\d\d) {_LEVEL} (?P<component>[\w.$-]{{1,200}}): ",
        timestamps.fields("ymdHMS"),
    ),
    _form(
        "zookeeper",
        DIGITS,
        rf"(?P<at>{_ISO}) - {_LEVEL} +"
        r"\[(?:.{0,300}?:)?(?P<component>[\w.$]{1,128})@\d{1,7}\] - ",
        _at_iso,
    ),
    _form(
        "spring",
        DIGITS,
        rf"(?P<at>{_ISO}) +{_LEVEL} +(?P<pid>\d{{1,10}}) --- (?:\[[^\]]{{0,200}}\] ?){{1,3}}"
        r"(?P<component>\S{1,200}) *: ",
        _at_iso,
    ),
    _form(
        "openstack",
        DIGITS + LETTERS,
        rf"(?:[\w.-]{{1,128}}\.log\S{{0,64}} )?(?P<at>{_ISO}) (?P<pid>\d{{1,10}}) {_LEVEL} "
        r"(?P<component>[\w.-]{1,200}) (?:\[(?:req-[^\]]{0,300}|-)\] ?)?",
        _at_iso,
    ),
    _form(
        "postgres",
        DIGITS,
        rf"(?P<at>{_ISO}) (?:[A-Z]{{3,5}} )?\[(?P<pid>\d{{1,10}})\](?:: \[\d+-\d+\])? "
        r"(?:[^\s:]{1,200} )?(?P<level>LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG[1-5]?"
        r"|STATEMENT|DETAIL|HINT|CONTEXT): +",
        _at_iso,
    ),
    _form(
        "mysql",
        DIGITS,
        rf"(?P<at>{_ISO}) \d{{1,20}} \[(?P<level>System|Note|Warning|ERROR)\] "
        r"(?:\[(?P<component>MY-\d+)\] \[\w+\] )?",
        _at_iso,
    ),
    _form(
        "log4j",
        DIGITS + "[",
        rf"\[?(?P<at>{_ISO}|\d\d:\d\d:\d\d[.,]\d{{3}})\]? (?:{_LEVEL} +\[[^\]]{{1,200}}\]"
        r"|\[[^\]]{1,200}\] +" + _LEVEL.replace("<level>", "<late>") + r")"
        r" +(?P<component>[\w.$/-]{1,200})(?:\.\w+\(\))?(?: -|:)(?: |$)",
        _at_iso,
    ),
    _form(
        "gunicorn",
        "[",
        rf"\[(?P<at>{_ISO})\] \[(?P<pid>\d{{1,10}})\] \[(?P<level>[A-Z]+)\] ",
        _at_iso,
    ),
    _form(
        "python",
        DIGITS,
        rf"(?P<at>{_ISO}) ?- (?P<component>[\w.<>-]{{1,128}}) - (?:\w{{1,64}} - )?{_LEVEL}"
        r"(?: -|:) ",
        _at_iso,
    ),
    _form(
        "logcat",
        DIGITS,
        r"(?P<at>(?:\d{4}-)?\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6})\s+(?P<pid>\d{1,7})\s+\d{1,7}\s+"
        r"(?P<level>[VDIWEFA])\s+(?P<unit>[^:\s][^:]{0,127}?)\s*: ?",
        timestamps.fields("mdHMSf"),
    ),
    _form(
        "klog",
        "IWEF",
        r"(?P<level>[IWEF])(?P<at>\d{4} \d\d:\d\d:\d\d\.\d{1,9})\s+(?P<pid>\d{1,10}) "
        r"(?P<component>[\w./-]{1,128}):\d{1,7}\] ",
        lambda stamp, now: timestamps.fields("mdHMSf")(f"{stamp[:2]}-{stamp[2:]}", now),
    ),
    _form(
        "servicing",
        DIGITS,
        rf"(?P<at>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d), {_LEVEL} +(?P<component>\w{{2,16}}) +",
        _at_iso,
    ),
    _form(
        "proxifier",
        "[",
        r"\[(?P<at>\d\d\.\d\d \d\d:\d\d:\d\d)\] (?P<unit>\S{1,128})(?: \*\d\d)? - ",
        timestamps.fields("mdHMS"),
    ),
    _form(
        "health",
        DIGITS,
        r"(?P<at>\d{8}-\d{1,2}:\d{1,2}:\d{1,2}:\d{1,3})\|(?P<component>[^|]{1,64})"
        r"\|(?P<pid>\d{1,10})\|",
        lambda stamp, now: timestamps.fields("ymdHMSf")(
            f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}", now
        ),
    ),
    _form(
        "cluster-state",
        DIGITS,
        r"\d{1,10} (?P<host>\S{1,128}) (?P<component>[\w.]{1,64} [\w.]{1,64}) (?P<at>\d{9,10}) \d ",
        lambda stamp, now: timestamps.unix(stamp),
    ),
    _form(
        "redis",
        DIGITS,
        r"(?P<pid>\d{1,10}):[XCSM] (?P<at>\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3}) "
        r"(?P<level>[.\-*#]) ",
        _at_spaced,
        unit="redis",
    ),
    _form(
        "tomcat",
        DIGITS,
        rf"(?P<at>\d\d-[A-Z][a-z]{{2}}-\d{{4}} \d\d:\d\d:\d\d\.\d{{3}}) {_LEVEL} "
        r"\[[^\]]{1,200}\] (?P<component>[\w.$]{1,200}) ",
        _at_access,
    ),
)
LOOSE = (
    _form(
        "stamped-level",
        DIGITS + "[",
        rf"\[?(?P<at>{_ISO})\]?:?(?: \[?(?P<pid>\d{{1,10}})\]?)? +[\[(|]? ?{_LEVEL}[\])|]?:?"
        r"(?: -)?(?: |$) *",
        _at_iso,
    ),
    _form("stamped", DIGITS + "[", rf"\[?(?P<at>{_ISO})\]?(?: -|:)?(?: |$) *", _at_iso),
    _form(
        "python-basic",
        "DIWEC",
        r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<component>[\w.-]{1,128}):",
        None,
    ),
    _form(
        "level",
        LETTERS + "[",
        rf"(?:\[{_LEVEL}\]:?|{_LEVEL.replace('<level>', '<late>')}:) +",
        None,
    ),
)
"""Fit more than they should: tried last."""
