"""The closed list of causes, from `causes.toml`."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from tiers.contracts import INSUFFICIENT_EVIDENCE, Cause
from tiers.vocabulary import Category

_FILE = Path(__file__).with_name("causes.toml")


@functools.cache
def all_causes() -> tuple[Cause, ...]:
    """Every cause, in the file's order."""
    document = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Cause(
            code=code,
            description=entry["description"],
            categories=tuple(Category(name) for name in entry["categories"]),
        )
        for code, entry in document.items()
    )


def causes_for(category: Category) -> tuple[Cause, ...]:
    """The causes that fit a category, and always `insufficient_evidence`, last."""
    fitting = tuple(cause for cause in all_causes() if category in cause.categories)
    last = tuple(cause for cause in all_causes() if cause.code == INSUFFICIENT_EVIDENCE)
    return fitting + last
