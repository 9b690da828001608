"""What is variable across several words: user names in their usual places, dates with names of
days and months, numbers with their units, quoted sentences, lists.

Works on lines whose words `tokens` has masked: white space is single spaces, values are markers.
"""

from __future__ import annotations

import re

from daemon.intake.tokens import ANY, MARKERS

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

_DAY_NAMES = "Mon Tue Wed Thu Fri Sat Sun Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_MONTH_NAMES = (
    "Jan Feb Mar Apr May Jun Jul Aug Sep Sept Oct Nov Dec January February March April June July "
    "August September October November December"
)
_CALENDAR = frozenset(
    name + end for name in f"{_DAY_NAMES} {_MONTH_NAMES}".split() for end in ("", ",")
)

# One regular expression per thing that a quick look finds: trying all of them at every character
# of every line is what masking would spend its time on.
_DATE = re.compile(
    rf"""
      (?: \b{_DAYS},?\ )? \b{_MONTHS}\ {ANY} (?:[,]?\ (?:{ANY}|{_ZONES}(?!\w)))*+
    | (?: \b{_DAYS},?\ )? {ANY}\ {_MONTHS}(?:\ {ANY})++ (?:\ {_ZONES}(?!\w))?
    | \b{_DAYS},?\ {ANY}
    """,
    re.VERBOSE,
)
_AFTER_VALUE = re.compile(
    rf"""
      (?P<size> {_NUMBER}\ {_SIZES}(?![\w/]) )
    | (?P<dur> {_NUMBER}\ {_TIMES}(?![\w/]) )
    | (?P<letter> {ANY}\[[A-Z]\] )
    | (?P<empty> {ANY}\ \(\) )
    """,
    re.VERBOSE,
)
_LIFETIME = re.compile(rf"\blifetime <?{ANY}")
_LESS = re.compile(rf"<(?={_M['dur']}|{_M['size']})")
_USER = re.compile(
    r"""
    (?: (?: (?:[Ii]nvalid|[Ii]llegal|[Uu]nknown|for|of)\ user\ (?!name\b|request\b|unknown\b)
          | \b(?:password|publickey|keyboard-interactive(?:/pam)?|none|gssapi-with-mic|hostbased)
            \ for\ (?!invalid\ |illegal\ )
          | ^[Uu]ser\ (?=\S+\ (?:from|logged|not|does|has|is|at|by|on|with|was|failed)\b)
          | \(to\ (?=[\w.-]+\)\ ) )
        (?P<name> (?!from\ )[^\s()]+ )
      | \bby\ (?P<login> [a-z][\w.-]*+ ) (?=\(uid=) )
    """,
    re.VERBOSE,
)
_QUOTED = re.compile(
    r"""
      (?P<request> "(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|CONNECT|PROPFIND|TRACE)\ [^"]*+" )
    | (?P<quoted> "[^"\s=]++(?:\ [^"\s]++){1,40}" )
    """,
    re.VERBOSE,
)


# A list is one value, however long: values joined by punctuation, or alike and next to each other.
def _alike(*kinds: str) -> str:
    either = "".join(_M[kind] for kind in kinds)
    return f"([{either}])(?: [{either}])++"


_JOINED = re.compile(rf"({ANY})(?:(?:[,:;./|+#@&~-]{{1,3}}|,? ?[,/|+&~-] ){ANY})++")
_LIST = re.compile(
    "|".join(
        (
            _alike("value", "num", "hex", "id", "version", "uuid"),
            _alike("ip", "host", "mac", "email"),
            _alike("path", "url"),
            _alike("time", "dur"),
        )
    )
)
_SHOUT = re.compile(r"(?<![^\s(\[])\*{3,}(?![^\s)\]])")
_TRUTH = re.compile(r"(?<=[=: ])(?:true|false)\b")

MANY_FLAGS = 3
"""From so many true/false on a line is a dump of a state, not an outcome: they are masked."""


def mask_phrases(line: str, words: list[str]) -> str:
    """The line with what spans several words masked as well. `words` are the line's words."""
    if not _CALENDAR.isdisjoint(words):
        line = _DATE.sub(_M["time"], line)
    line = _AFTER_VALUE.sub(_after_value, line)
    if "lifetime " in line:
        line = _LIFETIME.sub(f"lifetime {_M['dur']}", line)
    if "<" in line:
        line = _LESS.sub("", line)
    if may_name_user(line):
        line = _USER.sub(_user, line)
    if '"' in line:
        line = _QUOTED.sub(_quoted, line)
    if "true" in line or "false" in line:
        found = len(_TRUTH.findall(line))
        if found >= MANY_FLAGS:
            line = _TRUTH.sub(_M["value"], line)
    return line


def may_name_user(line: str) -> bool:
    """A quick look for the words that stand before user names."""
    return (
        " for " in line or "user " in line or "(uid=" in line or "(to " in line or "User " in line
    )


def users_of(line: str) -> list[str]:
    """The user names in a line that was not masked; white space is single spaces."""
    if not may_name_user(line):
        return []
    names = [match["name"] or match["login"] for match in _USER.finditer(line)]
    return [core for name in names if (core := name.strip(_EDGES))]


_EDGES = "\"'`,;:."


def _after_value(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "letter":
        return match[0][0]
    if kind == "empty":
        return f"{match[0][0]} ({_M['host']})"
    return _M["size"] if kind == "size" else _M["dur"]


def _user(match: re.Match[str]) -> str:
    name = match["name"] or match["login"]
    core = name.strip(_EDGES)
    masked = name.replace(core, _M["user"], 1) if core else _M["user"]
    start = match.start("name" if match["name"] else "login") - match.start()
    return f"{match[0][:start]}{masked}{match[0][start + len(name) :]}"


def _quoted(match: re.Match[str]) -> str:
    if match.lastgroup == "request":
        return f'{match[0].split(" ", 1)[0]} {_M["path"]}"'
    return f'"{_M["value"]}"'


def fold_lists(line: str) -> str:
    """Runs of markers become the first of them."""
    if "***" in line:
        line = _SHOUT.sub(_M["num"], line)
    return _LIST.sub(r"\1\2\3\4", _JOINED.sub(r"\1", line))
