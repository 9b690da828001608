"""Which words of a question say something: names of things, and what one searches for. Pure."""

from __future__ import annotations

import re
from pathlib import Path

PLAIN = frozenset(
    word
    for line in Path(__file__).with_name("plain_words.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for word in line.split()
)
"""Words that are no names of things. Everything else in a question may be one."""

_TOPICS_TEXT = """boot cpu crash crashed crashes daemon died disk disks error errors failed failing
failure full hang hanging killed load log logs memory network outage process ram reboot refused
restart restarted service services slow swap temperature unable warning warnings write"""
SILENT = PLAIN - frozenset(_TOPICS_TEXT.split())
"""Plain words that nobody searches for."""

_IN_NAME = re.compile(r"[\w@.:/+-]")
_AROUND = ".,:;?!-()[]\"'`„“”«»"


def bare_word(word: str) -> str:
    """A word without the marks around it."""
    return word.strip(_AROUND).removesuffix("'s")


def whole(value: str, question: str, *, several: bool) -> str:
    """`value` up to the ends of the words that it was copied from, without plain words around it;
    empty where nothing else is left. With `several`, what belongs to it before is added."""
    at = question.lower().find(value.lower()) if value else -1
    if at < 0:
        return value
    start, end = at, at + len(value)
    while start > 0 and _IN_NAME.match(question[start - 1]):
        start -= 1
    while end < len(question) and _IN_NAME.match(question[end]):
        end += 1
    words = [bare_word(word) for word in question[start:end].split()]
    empty = SILENT if several else PLAIN
    while words and words[-1].lower() in empty:
        del words[-1]
    if several and words and words[0].lower() not in empty:
        words = [*_row_before(question[:start]), *words]
    while words and words[0].lower() in empty:
        del words[0]
    return " ".join(words if several else words[:1])


def _row_before(text: str) -> list[str]:
    """The words at the end of `text` that are not plain: "I/O" of "have I/O errors"."""
    row: list[str] = []
    for word in reversed(text.split()):
        if bare_word(word) != word or word.isdigit() or word.lower() in SILENT:
            break
        row.insert(0, word)
    return row
