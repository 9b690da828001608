"""What is variable across several words: user names in their usual places, dates with names of
days and months, numbers with their units, quoted sentences, lists.

Works on lines whose words `tokens` has masked: white space is single spaces, values are markers.
"""

from __future__ import annotations

import re

from daemon.intake.tokens import ANY, MARKERS, Found

_M = MARKERS
_NUMBER = f"[{_M['num']}{_M['value']}]"
_DAYS = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_MONTHS = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_ZONES = r"(?:UTC|GMT|[ECMP][SD]T|CES?T|[AP]M)"
_SIZES = r"(?:[KMGTP]i?B|[kKMGTP]?[bB]ytes?|[kKMGTP]bps|[kMG]bit|B)"
_TIMES = (
    r"(?:ns|usec|us|µs|msecs?|ms|milliseconds?|microseconds?|secs?|seconds?|s|mins?|minutes?"
    r"|hours?|hrs?|h|days?)"
)

_PHRASE = re.compile(
    rf"""
      (?P<date> (?: \b{_DAYS},?\ )? \b{_MONTHS}\ {ANY} (?:[,]?\ (?:{ANY}|{_ZONES}(?!\w)))*+
              | (?: \b{_DAYS},?\ )? {ANY}[ -]{_MONTHS}(?:[ -]{ANY})++
                (?:\ (?:{ANY}|{_ZONES}(?!\w)))*+
              | \b{_DAYS},?\ {ANY} )
    | (?P<size> {_NUMBER}\ {_SIZES}(?![\w/]) )
    | (?P<dur> (?:<\ ?)?{_NUMBER}\ {_TIMES}(?![\w/]) | \blifetime\ <?{ANY} )
    | (?P<user>
          (?: (?:[Ii]nvalid|[Ii]llegal|[Uu]nknown|for|of)\ user\ (?!name\b|request\b|unknown\b)
            | \b(?:password|publickey|keyboard-interactive(?:/pam)?|none|gssapi-with-mic|hostbased)
              \ for\ (?!invalid\ |illegal\ )
            | ^[Uu]ser\ (?=\S+\ (?:from|logged|not|does|has|is|at|by|on|with|was|failed)\b)
            | \bopened\ for\ user\ | \bsu(?:\s*:)?\ \(to\ \w+\)\ )
          (?P<name> (?!from\ )[^\s()]+ )
        | \bby\ (?P<login> [a-z][\w.-]*+ ) (?=\(uid=) )
    | (?P<letter> {ANY}\[[A-Z]\] )
    | (?P<empty> {ANY}\ \(\) )
    | (?P<request> "(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|CONNECT|PROPFIND|TRACE)\ [^"]*+" )
    | (?P<quoted> "[^"\s=]++(?:\ [^"\s]++){{1,40}}" )
    """,
    re.VERBOSE,
)

# White space and punctuation between markers makes a list of them: one value, however long.
_LIST = re.compile(rf"{ANY}(?:[\s,:;./|+#@&~-]{{1,3}}{ANY})++")
_SHOUT = re.compile(r"(?<![^\s(\[])\*{3,}(?![^\s)\]])")
_TRUTH = re.compile(r"(?<=[=: ])(?:true|false)\b")

MANY_FLAGS = 3
"""From so many true/false on a line is a dump of a state, not an outcome: they are masked."""


def mask_phrases(line: str, found: Found | None = None) -> str:
    """The line with what spans several words masked as well. `found` is told user names only:
    all else that is masked here was a value already."""

    def mark(match: re.Match[str]) -> str:
        text = match[0]
        group = match.lastgroup
        if group == "user":
            name = match["name"] or match["login"]
            if found is not None:
                found("user", name.strip("\"'`,;:."))
            return text[: match.start("name" if match["name"] else "login") - match.start()] + (
                _keep_edges(name)
            )
        if group == "date":
            return _M["time"]
        if group == "size":
            return _M["size"]
        if group == "dur":
            return f"lifetime {_M['dur']}" if text.startswith("lifetime") else _M["dur"]
        if group == "letter":
            return text[0]
        if group == "empty":
            return f"{text[0]} ({_M['host']})"
        if group == "request":
            return f'{text.split(" ", 1)[0]} {_M["path"]}"'
        return f'"{_M["value"]}"'

    line = _PHRASE.sub(mark, line)
    if len(_TRUTH.findall(line)) >= MANY_FLAGS:
        line = _TRUTH.sub(_M["value"], line)
    return line


def _keep_edges(name: str) -> str:
    core = name.strip("\"'`,;:.")
    if not core:
        return _M["user"]
    start = name.index(core)
    return f"{name[:start]}{_M['user']}{name[start + len(core) :]}"


def fold_lists(line: str) -> str:
    """Runs of markers become the first of them."""
    return _LIST.sub(lambda match: match[0][0], _SHOUT.sub(_M["num"], line))
