"""Masking: the line with typed placeholders for what is variable, and what was there.

Two stages. `tokens` masks within words, `phrases` across them. Masking knows no state: the same
line gives the same masked text on every host and after every restart. What only statistics can
tell (a word that turns out to be a name) is `merge`'s business.

Digits that decide whether anything happened at all are kept: a count of zero errors, exit status
zero, and the class of an HTTP status (server error; access refused; all others).
"""

from __future__ import annotations

import re

from daemon.intake.phrases import fold_lists, mask_phrases, users_of
from daemon.intake.tokens import KINDS, MARKERS, Words, mask_word

LONGEST_TEXT = 4096
"""Characters of a message that take part in masking; what follows is not looked at."""

MOST_VALUES = 64
"""So many masked values of one line are reported."""

_DIGITS = re.compile(r"[0-9]+").sub
_SHOWN = {ord(MARKERS[kind]): f"<{kind}>" for kind in KINDS}
_WILD = MARKERS["value"]
_BARE = {ord(MARKERS[kind]): _WILD for kind in KINDS}

# Control characters of the text itself would be taken for markers.
_CONTROL = dict.fromkeys([*range(0x20), 0x7F], " ")

# Private-use characters stand for digits that matter until the line is shown.
_ZERO, _REFUSED, _BROKEN = "\ue000", "\ue001", "\ue002"
_KEPT = {ord(_ZERO): "0", ord(_REFUSED): "4xx", ord(_BROKEN): "5xx"}

_TROUBLE = (
    r"(?:errors?|fail(?:ed|ures?|ing)?|warnings?|critical|lost|dropped|corrupt(?:ed)?|degraded)"
)
_EXIT = (
    r"(?:exit(?:ed)?(?:\ with)?(?:\ (?:code|status|value))?|exit_?(?:code|status)|rc|return\ code)"
)
_NUANCE = re.compile(
    rf"""
      (?P<http> HTTP/[0-9.]+"?\ (?:status:\ )?(?P<status>[0-9]{{3}})(?![0-9.]) )
    | (?P<before> (?<![\w.,:+-])0(?=\ (?:\w+\ )?{_TROUBLE}\b) )
    | (?P<after> (?:\b{_TROUBLE}|\b{_EXIT})\ ?(?:[=:]\ ?|\ )\"?(?P<zero>0)(?![\w.:,]*[0-9]) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
# One of these is in every line that `_SUSPECT` matches.
_HINTS = (
    "err",
    "fail",
    "exit",
    "http/",
    "warn",
    "lost",
    "rc",
    "drop",
    "crit",
    "corr",
    "degr",
    "return",
)
# Whether a line whose digits were collapsed may hold such digits: decided on the collapsed line,
# so that all lines that look alike there are treated alike.
_SUSPECT = re.compile(
    rf'http/[0.]+"? (?:status: )?0|(?<![\w.,:+-])0 (?:\w+ )?{_TROUBLE}\b'
    rf'|(?:\b{_TROUBLE}|\b{_EXIT.replace(chr(92) + " ", " ")}) ?(?:[=:] ?| )"?0'
)


def collapse(text: str) -> str:
    """Every run of digits as one "0". Two texts that agree here have the same masked text, unless
    `digits_matter`."""
    return _DIGITS("0", text)


def digits_matter(collapsed: str) -> bool:
    """Whether a line may hold digits that masking keeps: look at the text, not at its collapse."""
    lower = collapsed.lower()
    for hint in _HINTS:
        if hint in lower:
            return _SUSPECT.search(lower) is not None
    return False


def keep_digits(text: str) -> str:
    """The text with the digits that matter replaced by characters that stand for them."""

    def keep(match: re.Match[str]) -> str:
        whole = match[0]
        group = match.lastgroup
        if group == "before":
            return _ZERO
        if group == "after":
            at = match.start("zero") - match.start()
            return whole[:at] + _ZERO + whole[at + 1 :]
        status = match["status"]
        mark = _BROKEN if status[0] == "5" else _REFUSED if status in _REFUSALS else status
        return whole[: -len(status)] + mark

    return _NUANCE.sub(keep, text)


_REFUSALS = frozenset(("401", "403", "407", "429"))


def mask_words(text: str, words: Words) -> list[str]:
    """The words of a line, each masked by itself. `text` holds at most `LONGEST_TEXT` characters;
    `words` remembers words."""
    if not text.isprintable():
        text = _printable(text)
    return list(map(words.__getitem__, text.split()))


def _printable(text: str) -> str:
    """Spaces for control characters, a question mark for what cannot be shown or stored (halves
    of surrogate pairs, directions, private use)."""
    text = text.translate(_CONTROL)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or ord(char) in _KEPT else "?" for char in text)


def skeleton(marked: str) -> str:
    """What makes a pattern: no kinds of values, lists of values as one. Shown with "<*>"."""
    bare = fold_lists(marked).translate(_BARE).replace(_WILD, "<*>")
    return bare if bare.isascii() else bare.translate(_KEPT)


def show(marked: str) -> str:
    """The masked line for people and models: "<ip>", "<user>" and so on."""
    return fold_lists(marked).translate(_SHOWN).translate(_KEPT)


def mask(text: str) -> str:
    """The line with typed placeholders."""
    words = mask_words(keep_digits(text[:LONGEST_TEXT]), Words())
    return show(mask_phrases(" ".join(words), words))


def mask_values(text: str) -> list[tuple[str, str]]:
    """What masking takes out of a line, as (kind, value), users first, else in the order of the
    line; at most `MOST_VALUES`."""
    text = text[:LONGEST_TEXT]
    if not text.isprintable():
        text = _printable(text)
    words = text.split()
    values = [("user", name) for name in users_of(" ".join(words))]
    named = {name for _, name in values}

    def found(kind: str, value: str) -> None:
        if value not in named:
            values.append((kind, value))

    for word in words:
        mask_word(word, found)
        if len(values) >= MOST_VALUES:
            break
    return values[:MOST_VALUES]
