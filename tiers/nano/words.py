"""The words of a line, as the linear scorers see them."""

from __future__ import annotations

import functools
import itertools
import re

from tiers.nano.demands import without_demands

MAX_WORDS = 60

# "DataNode" is two words, "OOMKilled" too. Numbers are alike, but for none, one and shares.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
_SHARE = re.compile(r"(\d{1,3})(?:[.,]\d+)?\s?%")
_SHARES = ((85, " sharelow "), (94, " sharehigh "))
_LONG = 5


@functools.lru_cache(maxsize=64)
def word_features(text: str) -> tuple[str, ...]:
    """Words, the beginnings of long ones, and pairs of neighbours, each once."""
    plain = _SHARE.sub(_share, without_demands(text))
    words = [match.group().lower() for match in _WORD.finditer(plain)]
    words = [_number(word) if word.isdigit() else word for word in words][:MAX_WORDS]
    found = [f"w{word}" for word in words]
    found += [f"b{word[:_LONG]}" for word in words if len(word) > _LONG]
    found += [f"{a} {b}" for a, b in itertools.pairwise(words)]
    return tuple(dict.fromkeys(found))


def _share(match: re.Match[str]) -> str:
    return next((word for bound, word in _SHARES if int(match[1]) < bound), " sharefull ")


def _number(word: str) -> str:
    return word if word in ("0", "1") else "#"
