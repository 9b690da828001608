"""Whether a model fits a machine. Pure.

An estimate before anything is downloaded; the planner reads the file itself and knows better.
"""

from __future__ import annotations

import dataclasses
import enum

from tiers.hardware.facts import Machine
from tiers.models.catalogue import Model

_OVERHEAD = 300 * 2**20
"""llama-server itself, compute buffers and the vocabulary."""
_TIGHT = 0.75
"""More than this share of what is usable leaves no room for the other tiers."""
_CONTEXT = 8192
_KV_PER_GB = 24 * 1024
"""Bytes of cache a token and a gigabyte of weights, where nobody says: dense models of 1 to 14 B
parameters with grouped heads have 18 to 120 KiB a gigabyte, larger ones less."""
_KV_LEAST, _KV_MOST = 64 * 1024, 256 * 1024


class Mark(enum.StrEnum):
    """How a model sits in a machine."""

    FITS = "fits"
    TIGHT = "tight"
    NO = "does not fit"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """`need` is in bytes, None where the size is not known. `why` is a sentence."""

    mark: Mark
    need: int | None
    why: str


def need_of(model: Model, *, context: int = _CONTEXT) -> int | None:
    """Bytes of memory while it runs with one slot of `context` tokens."""
    if model.size is None:
        return None
    kv = model.kv_bytes_per_token
    if kv is None:
        kv = round(min(_KV_MOST, max(_KV_LEAST, model.size / 1e9 * _KV_PER_GB)))
    tokens = min(context, model.context or context)
    return model.size + kv * tokens + _OVERHEAD


def fit_of(model: Model, machine: Machine) -> Fit:
    """On a GPU where one is large enough, else in main memory."""
    need = need_of(model)
    if need is None:
        return Fit(mark=Mark.UNKNOWN, need=None, why="its size is not known before it is pulled")
    roomy = [device for device in machine.listed if (device.free or 0) >= need]
    if roomy:
        return Fit(
            mark=Mark.FITS, need=need, why=f"{_gb(need)} of {_gb(roomy[0].free)} on {roomy[0].name}"
        )
    usable, capacity = machine.memory.usable, machine.memory.capacity
    if need > capacity:
        return Fit(
            mark=Mark.NO, need=need, why=f"needs {_gb(need)}, the machine has {_gb(capacity)}"
        )
    if need > usable:
        return Fit(mark=Mark.NO, need=need, why=f"needs {_gb(need)}, {_gb(usable)} are free now")
    part = "processor alone" if not machine.listed else "GPU and processor together"
    mark = Mark.TIGHT if need > usable * _TIGHT else Mark.FITS
    return Fit(mark=mark, need=need, why=f"{_gb(need)} of {_gb(usable)} free memory; {part}")


def _gb(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e9:.1f} GB"
