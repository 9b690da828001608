"""Whether an answer only repeats what was found. A very small model copies well or breaks off into
nonsense; what it put together itself is not worth showing."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_EDGES = " \t.,;:!?\"'()"


def verbatim(answer: str, sources: Iterable[str]) -> bool:
    """Whether every sentence of `answer` stands word for word in one of `sources`, whatever its
    case, spacing and closing mark. An answer without any words is none."""
    known = [_plain(source) for source in sources]
    pieces = [_plain(piece).strip(_EDGES) for piece in _SENTENCE.split(answer)]
    pieces = [piece for piece in pieces if piece]
    return bool(pieces) and all(any(piece in source for source in known) for piece in pieces)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
