"""A plan for the three tiers of one machine. Sizes in bytes."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path

from tiers.planning.memory import Load, MemoryNeed
from tiers.vocabulary import TierName


class Place(enum.StrEnum):
    """Where a model computes."""

    GPU = "gpu"
    SPLIT = "gpu and processor"
    PROCESSOR = "processor"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierPlan:
    """One tier. `model` is an id of the catalogue, or "bundled"; `path` where its file is here
    already. `sleep_idle_seconds` None: never. `why` are sentences, the model's choice first."""

    tier: TierName
    model: str
    path: Path | None
    place: Place
    load: Load
    threads: int
    need: MemoryNeed
    reading: float
    sleep_idle_seconds: int | None
    why: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All tiers at once. `memory_budget` and `gpu_budget` are what was given out."""

    tiers: Mapping[TierName, TierPlan]
    memory_budget: int
    gpu_budget: int
    notes: tuple[str, ...]

    @property
    def memory(self) -> int:
        """Main memory that the servers will use together."""
        return sum(
            plan.need.process if plan.place is Place.GPU else plan.need.total
            for plan in self.tiers.values()
        )

    @property
    def gpu(self) -> int:
        """GPU memory that the servers will use together."""
        return sum(plan.need.movable for plan in self.tiers.values() if plan.place is Place.GPU)
