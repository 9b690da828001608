"""What counts as pressure. The operator sets it as `[guard]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class GuardSettings(BaseModel):
    """When models give way, and by how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="watch memory, and let models give way under pressure")
    swap_gib: float = Field(
        2.5, gt=0, le=4096, description="GiB of swap in use from which answers are kept short"
    )
    low_percent: float = Field(
        10.0,
        gt=0,
        le=90,
        description="percent of memory that are available, below which answers are kept short",
    )
    critical_percent: float = Field(
        4.0,
        gt=0,
        le=90,
        description="... below which the largest idle model is stopped until there is room again",
    )
    stall_percent: float = Field(
        20.0,
        gt=0,
        le=100,
        description="percent of time that some process waits for memory (PSI, over 10 s), from "
        "which answers are kept short; half of it for all processes stops a model",
    )
    gpu_mib: int = Field(
        256, ge=0, le=1_048_576, description="MiB free on a GPU, below which answers are kept short"
    )
    max_tokens: int = Field(
        512, ge=16, le=131_072, description="tokens of an answer while they are kept short"
    )
    parallel: int = Field(1, ge=1, le=64, description="calls of a tier at once while kept short")
    hold_seconds: float = Field(
        60.0, ge=1, le=86_400, description="seconds of calm after which one step is taken back"
    )
    idle_seconds: float = Field(
        10.0, ge=0, le=86_400, description="seconds without a call after which a model is idle"
    )
    check_seconds: float = Field(2.0, ge=0.1, le=600, description="seconds between two looks")
