"""Kinds of fields that requests share: what null means, bounds, and JSON that is not too deep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api.text import FitText

_MOST_DEEP = 64


class Lenient(BaseModel):
    """Unknown parameters are tolerated; known ones must have their type: "0.5" is no number."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


def none_is(default: Any) -> BeforeValidator:
    """Clients send null for what they do not set."""
    return BeforeValidator(lambda value: default if value is None else value)


def _no_limit(value: Any) -> Any:
    """-1 means "no limit" to clients of llama.cpp."""
    return None if value == -1 and not isinstance(value, bool) else value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _shallow(value: Any) -> Any:
    """Raises ValueError for JSON that is nested deeper than encoders like."""
    level: list[Any] = [value]
    for _ in range(_MOST_DEEP):
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
        if not level:
            return value
    raise ValueError(f"is nested deeper than {_MOST_DEEP} levels")


Flag = Annotated[bool, none_is(False)]
Limit = Annotated[Annotated[int, Field(ge=1, le=2**31 - 1)] | None, BeforeValidator(_no_limit)]
"""A number of tokens; None and -1 mean the tier's own."""
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Stops = Annotated[
    Annotated[list[Annotated[FitText, Field(min_length=1, max_length=1_000)]], Field(max_length=16)]
    | None,
    BeforeValidator(_several),
]
"""Texts that end the answer; one text is a list of one."""
Penalty = Annotated[float, Field(ge=-2, le=2)]
ShallowObject = Annotated[dict[str, Any], AfterValidator(_shallow)]
ShallowJson = Annotated[Any, AfterValidator(_shallow)]
