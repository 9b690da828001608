"""What only triaged's own code may put into an answer, and how a model's text is kept from it.

Every line of a proposal begins with a lock with a pen (U+1F50F). No text of a model or a tool
reaches a client with that sign, one that looks like it, or a way of writing it that a frontend
would turn into it. The same goes for the blocks in which Open WebUI shows finished tool calls.
"""

from __future__ import annotations

import re

MARK = "\N{LOCK WITH INK PEN}"

_STAND_IN = "\N{WHITE SQUARE WITH ROUNDED CORNERS}"
_JOINER = "\N{WORD JOINER}"
_LOCKS = (
    MARK,
    "\N{CLOSED LOCK WITH KEY}",
    "\N{LOCK}",
    "\N{OPEN LOCK}",
    "\N{KEY}",
    "\N{OLD KEY}",
    "\N{SQUARED KEY}",
)
_CODES = frozenset(ord(sign) for sign in _LOCKS)
_LONGEST = 40
_WORD = r"(?:[a-z]+_)*(?:un)?(?:lock(?:ed)?|key)(?:_[a-z_]{1,40})?"
_SPELLED = re.compile(
    rf"(?P<sign>[{''.join(_LOCKS)}])"
    # Longer than any browser reads to its end before we do: it would go on in the next piece.
    rf"|(?P<endless>&(?=#[xX]?[0-9a-fA-F]{{{_LONGEST + 1}}}))"
    rf"|&#(?:[xX](?P<hex>[0-9a-fA-F]{{1,{_LONGEST}}})|(?P<decimal>[0-9]{{1,{_LONGEST}}}));?"
    rf"|(?P<word>:)(?={_WORD}:)"
    r"|(?P<block><)(?=details[\s/])",
    re.IGNORECASE,
)
# What may become one of these with the next piece of a stream.
_BEGUN = re.compile(
    rf"(?:&(?:#[xX]?[0-9a-fA-F]{{0,{_LONGEST}}})?"
    r"|:[a-zA-Z_]{0,60}"
    r"|<(?:d(?:e(?:t(?:a(?:i(?:ls?)?)?)?)?)?)?)\Z",
    re.IGNORECASE,
)
_TAIL = 64

_OPENS = '<details type="tool_calls" done="true"'
_CLOSES = "</details>"


def _harmless(found: re.Match[str]) -> str:
    if found["sign"]:
        return _STAND_IN
    if found["endless"] or found["block"] or found["word"]:
        return found[0] + _JOINER
    number = int(found["hex"], 16) if found["hex"] else int(found["decimal"])
    return _STAND_IN if number in _CODES else found[0]


def defused(text: str) -> str:
    """`text` without our marks and blocks: a whole text."""
    return _SPELLED.sub(_harmless, text)


class Defuser:
    """The same for a text that comes in pieces. What may be the beginning of a mark is held back
    until it is known to be none; that is at most a few dozen characters."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """What of it can be shown now."""
        text = defused(self._held + text)
        begun = _BEGUN.search(text, max(0, len(text) - _TAIL))
        cut = begun.start() if begun is not None else len(text)
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> str:
        """What was held back, at the end or before something else is shown."""
        held, self._held = self._held, ""
        return held


def without_tool_details(text: str) -> str:
    """An earlier answer without the blocks that showed tool calls in it."""
    if _OPENS not in text:
        return text
    kept, at = [], 0
    while (opens := text.find(_OPENS, at)) >= 0:
        closes = text.find(_CLOSES, opens)
        if closes < 0:
            break
        kept.append(text[at:opens].removesuffix("\n"))
        at = closes + len(_CLOSES)
        at += text.startswith("\n", at)
    kept.append(text[at:])
    return "".join(kept)
