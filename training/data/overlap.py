"""Do two sets of lines share wordings? Generated data must not contain what it is judged on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_VARIABLE: Final = re.compile(
    r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\b\d+(?:[.:,/-]\d+)*\b|\d+", re.IGNORECASE
)
_SPACE: Final = re.compile(r"\s+")


def masked(text: str) -> str:
    """`text` in lower case with its numbers, addresses and hashes made alike."""
    return _SPACE.sub(" ", _VARIABLE.sub("#", text)).strip().lower()


def shared(generated: Iterable[str], judged: Iterable[str]) -> set[str]:
    """The masked lines that both have, exactly. Empty is what one wants."""
    wanted = {masked(line) for line in judged}
    return {line for line in map(masked, generated) if line in wanted}
