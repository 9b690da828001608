"""What is variable within one word of a log line: numbers, addresses, paths, ids, host names.

A word is what stands between white space. Each variable part of it becomes one *marker*: a control
character that stands for a kind of value (`MARKERS`). Nothing here depends on how long a run of
digits is or which digits it has, so that masking a line and masking the same line with every run
of digits replaced by "0" is the same thing; `patterns` relies on that to look lines up quickly.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from daemon.intake.units import UNIT_ENDINGS, UNIT_VARIES

KINDS = (
    "value", "num", "ip", "host", "user", "path", "url", "email", "uuid", "mac", "hex", "time",
    "dur", "size", "version", "id",
)  # fmt: skip
"""The kinds of values. Part of what patterns look like on the screen, not of their identity."""

# Control characters that `str.split` does not take for white space.
_CODES = "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15"
MARKERS = dict(zip(KINDS, _CODES, strict=True))
"""Kind of value to the character that stands for it while a line is being masked."""

ANY = f"[{_CODES}]"
"""A regular expression for any marker."""

LONGEST_WORD = 128
"""A longer word is one value: encoded data, a key, a dump."""

_LONGEST_KEPT = 64
_MOST_KEPT = 40_000
_MOST_NESTED = 6  # "a=b=c": so many "=" after the first are still taken apart

Found = Callable[[str, str], None]
"""Told (kind, value) for each part that was masked."""

# Endings of host names. Those that are also words count from the third label on; those that end
# files and identifiers as well ("job.id", "run.sh", "main.rs") only below a second level ("co.id").
_PLAIN_ENDINGS = (
    "com net org edu gov mil int arpa info biz local localdomain lan internal intranet home corp "
    "cloud dev io de fr uk nl ru cn jp br eu se ch cz kr tw hk ua hu gr pt dk fi ro ca au nz "
    "es il mx ar cl co vn th ph sg za ir om ae sk si bg lt lv ee"
)
_THIRD_LABEL_ENDINGS = "in it no me be us at tv cc app"
_SECOND_LEVEL_ENDINGS = "id is to so do am as by my pl py sh rs md tr ps"
_ENDINGS = frozenset(_PLAIN_ENDINGS.split())
_LONG_ENDINGS = frozenset(_THIRD_LABEL_ENDINGS.split())
_DEEP_ENDINGS = frozenset(_SECOND_LEVEL_ENDINGS.split())
_SECOND_LEVEL = frozenset(
    ("co", "com", "ac", "edu", "gov", "go", "net", "ne", "or", "org", "web", "sch")
)
# Packages of programming languages are written the other way round.
_PACKAGES = frozenset(
    ("com", "org", "net", "io", "java", "javax", "sun", "jdk", "scala", "kotlin", "android", "edu")
)

_NULL = re.compile(r"(?:\(null\)|<null>|null|None|nil|n/a|N/A|\?|-)(?=[,;)\]}]*\Z)")

# Keys whose value is a name or a place, whatever it looks like, with the kind to call it by.
_NAMING_KEYS = {
    key: kind
    for kind, keys in (
        ("host", "rhost host hostname node peer client server relay src dst from to"),
        ("ip", "addr address laddr raddr ip"),
        ("path", "path file filename dir cwd exe"),
        ("url", "url uri"),
        ("user", "acct"),
        ("id", "name id msgid container image pod namespace sid session cid"),
        ("value", "ctladdr ws"),
    )
    for key in keys.split()
}

_PART = re.compile(
    r"""
      (?P<url> [A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s"'<>|()\[\]{},;]*+ )
    | (?P<email> [\w.+$-]++@[\w-]++(?:[.:/][\w-]++)*+ )
    | (?P<winpath> (?:(?<![\w])[A-Za-z]:\\|(?<![\w\\])\\{1,2}(?=[\w?][\w.?]*+\\))[^\s"'<>|,;()]*+ )
    | (?P<path> (?<![\w/)\]>.])(?!/[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(?![\w.-]))
                (?:~|\.{1,2})?/[^\s"'<>|()\[\]{},;:]*+ )
    | (?P<digest> (?:SHA|sha|MD|md)[0-9]++:[A-Za-z0-9+/=:]++ )
    | (?P<hosts> [A-Za-z][\w.-]*+\[[0-9]++(?:[,-][0-9]++)++\] )
    | (?P<activity> (?<![\w/.])\w++(?:\.\w++)++/\.?[A-Za-z]\w*+(?:\.\w++)*+(?![\w/]) )
    | (?P<tree> (?<![\w/])[\w.-]++(?:/[\w.-]++){2,} )
    | (?P<colons> (?<![\w:.])(?:(?:[0-9A-Fa-f]++)?(?::{1,2}[0-9A-Fa-f]++){2,}(?::{1,2})?
                  |[0-9A-Fa-f]*+::[0-9A-Fa-f]++)(?![\w])
                  (?:[.,][0-9]++)?(?:%\w++)? )
    | (?P<word> (?:(?<![\w.)\]}"'])[-+](?=\.?[0-9]))?\w++(?:[.+-]\w++)*+%? )
    """,
    re.VERBOSE,
)

_DIGITS = re.compile(r"[0-9]+")
_HAS_DIGIT = re.compile(r"[0-9]")
_HEX_ONLY = re.compile(r"[0-9a-f]{8,}|[0-9A-F]{8,}")
_DUMP = re.compile(r"<.*|[\w.$]*[\[{(].*" + ANY + r".*", re.DOTALL)
_OPEN = re.compile(r"[\[{(]")
_TAIL = re.compile(r"[,;.)\]}>\"':]*\Z")
_KEY = re.compile(r"([\w.-]+)\"?\Z")

# Names of things that end in a digit by chance: they say what it is about.
_TECHNICAL = re.compile(
    r"(?:(?:ext|ipv|raid|ssh|socks|sha|utf-?|base)[0-9]+|x[0-9]+_[0-9]+|log[0-9]j|k[0-9]s)"
    r"(?:[-_][a-z]+)*",
    re.IGNORECASE,
)

# How a word with a digit in it is told apart; first that matches.
_SHAPES = tuple(
    (kind, re.compile(shape))
    for kind, shape in (
        ("num", r"[-+]?[0-9]+(?:\.[0-9]+)?%?"),
        ("ip", r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"),
        ("hex", r"0[xX][0-9A-Fa-f]+"),
        ("uuid", r"[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+){4}"),
        ("time", r"[0-9]+-[0-9]+-[0-9]+(?:T[0-9]+)?(?:\.[0-9]+)?Z?"),
        ("dur", r"[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|secs?|s|mins?|m|h|d))+"),
        ("size", r"[0-9]+(?:\.[0-9]+)?(?:[kKMGTP]i?[bB]?|[bB]|bytes)"),
        ("version", r"[vV]?[0-9]+(?:[.-][0-9A-Za-z_+]+)+"),
        ("hex", r"[0-9a-fA-F]+"),
    )
)  # fmt: skip


def mask_word(word: str, found: Found | None = None) -> str:
    """The word with a marker for each variable part. `found`, if given, is told each part."""
    if len(word) > LONGEST_WORD:
        return _one("value", word[:LONGEST_WORD], found)
    if word.isalpha() and word.isascii() and (len(word) < 8 or not _HEX_ONLY.fullmatch(word)):
        return word
    if "=" in word:
        return _pair(word, found)
    bare = word.strip("()[]\"'`,;:")
    if bare.endswith(UNIT_ENDINGS) and "/" not in bare:
        # Units have names that somebody chose: only what counts their starts is variable.
        steady = UNIT_VARIES.sub(MARKERS["num"], bare)
        return word.replace(bare, _DIGITS.sub(MARKERS["num"], steady), 1)
    if word == "::":
        return _one("ip", word, found)
    return _parts(word, found)


class Words(dict[str, str]):
    """Remembers how words are masked, so that a word is looked at once: `words[word]`.

    Bounded: longer words are not kept, and everything is forgotten when there are too many.
    """

    __slots__ = ()

    def __missing__(self, word: str) -> str:
        masked = mask_word(word)
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[word] = masked
        return masked


def classify(word: str) -> str:
    """What kind of value a word with a digit is, by its shape."""
    for kind, shape in _SHAPES:
        if shape.fullmatch(word):
            return kind
    if "." in word and _is_host(word):
        return "host"
    return "id"


def _one(kind: str, value: str, found: Found | None) -> str:
    if found is not None:
        found(kind, value)
    return MARKERS[kind]


def _pair(word: str, found: Found | None) -> str:
    """key=value: the key stays; a value that is a name, a dump of an object or nothing goes."""
    key, _, value = word.partition("=")
    named = _KEY.search(key)
    if named is None or not value or "/" in key or value.count("=") > _MOST_NESTED:
        return _parts(word, found)
    tail = _TAIL.search(value)
    end = tail.start() if tail else len(value)
    core, rest = value[:end], value[end:]
    naming = _NAMING_KEYS.get(named[1].lower())
    nothing = _NULL.match(value)
    if nothing is not None:
        return f"{_parts(key, found)}={MARKERS[naming or 'value']}{value[nothing.end() :]}"
    if naming is not None and core and "=" not in core:
        bare = core.lstrip("\"'<")
        kind = "email" if "@" in bare else classify(bare) if _HAS_DIGIT.search(bare) else naming
        rest = rest.lstrip("\"'>}])" if _OPEN.search(bare) else "\"'>")
        return f"{_parts(key, found)}={_one(kind if kind != 'id' else naming, bare, found)}{rest}"
    if "=" in core:
        return f"{_parts(key, found)}={mask_word(value, found)}"
    masked = _parts(core, None)
    if _DUMP.fullmatch(masked):
        # Closing brackets belong to the dump.
        ending = rest.lstrip("}])>\"'")
        return f"{_parts(key, found)}={_one('value', core, found)}{ending}"
    return f"{_parts(key, found)}={_parts(core, found)}{rest}"


def _parts(word: str, found: Found | None) -> str:
    def mark(match: re.Match[str]) -> str:
        part = match[0]
        group = match.lastgroup
        if group == "word":
            kind = _kind_of_word(part)
            if kind is None:
                return part
        elif group == "colons":
            kind = _kind_of_colons(part)
            if kind is None:
                return part
        elif group == "tree" and not _HAS_DIGIT.search(part) and "." not in part:
            return part
        else:
            kind = _GROUP_KINDS[group or ""]
        return _one(kind, part, found)

    return _PART.sub(mark, word)


_GROUP_KINDS = {
    "url": "url",
    "email": "email",
    "winpath": "path",
    "path": "path",
    "tree": "path",
    "hosts": "host",
    "digest": "hex",
    "activity": "id",
}


def _kind_of_word(part: str) -> str | None:
    if _HAS_DIGIT.search(part):
        return None if _TECHNICAL.fullmatch(part) else classify(part)
    if _HEX_ONLY.fullmatch(part):
        return "hex"
    if "." in part and _is_host(part):
        return "host"
    return None


def _kind_of_colons(part: str) -> str | None:
    groups = part.split(":")
    if len(groups) < 6 and not _HAS_DIGIT.search(part):
        return None
    if "" not in groups and all(group.replace(".", "").isdecimal() for group in groups):
        return "time"
    return "mac" if len(groups) == 6 and "" not in groups else "ip"


def _is_host(part: str) -> bool:
    labels = part.split(".")
    ending = labels[-1]
    if not part.islower() and not part.isupper():
        return False
    ending = ending.lower()
    if labels[0].lower() in _PACKAGES:
        return False
    if ending in _ENDINGS:
        return True
    if len(labels) < 3:
        return False
    return ending in _LONG_ENDINGS or (
        ending in _DEEP_ENDINGS and labels[-2].lower() in _SECOND_LEVEL
    )
