"""Whether a model of the catalogue fits a machine, before it is here. Pure."""

from __future__ import annotations

import dataclasses
import enum

from tiers.hardware.facts import Machine
from tiers.models.catalogue import Model
from tiers.planning.memory import CacheType, Load, MemoryNeed

_TIGHT = 0.75
"""More than this share of what is usable leaves no room for the other tiers."""
_KV_PER_GB = 24 * 1024
"""Bytes of cache a token and a gigabyte of weights, where nobody says: dense models of 1 to 14 B
parameters with grouped heads have 18 to 120 KiB a gigabyte, larger ones less."""
_KV_LEAST, _KV_MOST = 64 * 1024, 256 * 1024
_COMPUTE = 64 * 2**20
_PROCESS = 72 * 2**20
"""With a vocabulary of 150,000 tokens."""
_USUAL = Load(context=8192, parallel=1)


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


def catalogue_need(model: Model, load: Load = _USUAL) -> MemoryNeed | None:
    """What a server would use; None where the catalogue does not know the size."""
    if model.size is None:
        return None
    kv = model.kv_bytes_per_token
    if kv is None:
        kv = round(min(_KV_MOST, max(_KV_LEAST, model.size / 1e9 * _KV_PER_GB)))
    tokens = min(load.context, model.context or load.context) * load.parallel
    scale = load.cache_type.bytes_per_number / CacheType.F16.bytes_per_number
    return MemoryNeed(
        weights=model.size,
        cache=round(kv * tokens * scale),
        compute=_COMPUTE,
        process=_PROCESS + load.cache_ram,
    )


def fit_of(model: Model, machine: Machine) -> Fit:
    """On a GPU where one is large enough, else in main memory."""
    need = catalogue_need(model)
    if need is None:
        return Fit(mark=Mark.UNKNOWN, need=None, why="its size is not known before it is pulled")
    total = need.total
    roomy = [device for device in machine.listed if (device.free or 0) >= need.movable]
    if roomy:
        there = f"{_gb(need.movable)} of {_gb(roomy[0].free)} on {roomy[0].name}"
        return Fit(mark=Mark.FITS, need=total, why=there)
    usable, capacity = machine.memory.usable, machine.memory.capacity
    if total > capacity:
        why = f"needs {_gb(total)}, the machine has {_gb(capacity)}"
        return Fit(mark=Mark.NO, need=total, why=why)
    if total > usable:
        return Fit(mark=Mark.NO, need=total, why=f"needs {_gb(total)}, {_gb(usable)} are free now")
    part = "processor alone" if not machine.listed else "GPU and processor together"
    mark = Mark.TIGHT if total > usable * _TIGHT else Mark.FITS
    return Fit(mark=mark, need=total, why=f"{_gb(total)} of {_gb(usable)} free memory; {part}")


def _gb(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e9:.1f} GB"
