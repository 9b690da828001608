"""What a daemon tells facades of other processes, as bytes and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import orjson
import pydantic

from api.ports import LiveItem
from api.text import fit
from daemon.views.status import DaemonReport


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One word: how the daemon `owner` is, or what has just happened there, or both."""

    owner: str
    report: DaemonReport | None = None
    items: Sequence[LiveItem] = ()


_TOLD = pydantic.TypeAdapter(Told)


def written(told: Told) -> bytes:
    """As JSON. What is no Unicode in texts, which come from anywhere, is replaced."""
    items = [dataclasses.replace(item, text=fit(item.text)) for item in told.items]
    return orjson.dumps(dataclasses.replace(told, items=items))


def read(word: bytes) -> Told | None:
    """None for what no daemon of this release wrote."""
    try:
        return _TOLD.validate_json(word)
    except pydantic.ValidationError:
        return None
