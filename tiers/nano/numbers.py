"""Numbers as the trigger's model reads them: small ones as they are, long ones as `#`.

A digit is a token, so addresses, times, hashes and counters would make up half of a prompt and say
nothing about how bad a line is. What may say something stays: exit codes, shares, small counts.
"""

from __future__ import annotations

import re
from typing import Final

_LONG: Final = re.compile(
    r"""
      \d{4}[-/]\d\d[-/]\d\d (?:[T\ ]\d\d:\d\d(?::\d\d)?)? (?:[.,]\d+)? (?:Z|[+-]\d\d:?\d\d)?
    | \b\d\d:\d\d:\d\d(?:[.,]\d+)?
    | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?
    | 0x[0-9a-f]+
    | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b
    | \b(?:[0-9a-f]{1,4}::?){3,7}[0-9a-f]{0,4}
    | \b(?=[a-f]*\d)[0-9a-f]{8,}\b
    | \d+(?:\.\d+){2,}
    | \d{4,}(?:[.,]\d+)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FRACTION: Final = re.compile(r"(?<=\d)\.\d+")


def short_numbers(text: str) -> str:
    """`text` with times, addresses, hashes, versions and numbers from 1000 on as `#`, and without
    the digits behind a decimal point."""
    return _FRACTION.sub("", _LONG.sub("#", text))
