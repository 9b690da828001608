"""Is a server alive: by what it gets done, never by whether it says hello. Pure.

`/health` is answered by a thread of its own even while the work hangs; `/metrics` goes through the
work queue, and its counters advance when something is decoded.
"""

from __future__ import annotations

import dataclasses
import re

from tiers.runtime.work import ServerWork, work_of

_LINE = re.compile(r"^llamacpp:(\w+)(?:\{[^}]*\})? ([0-9.eE+-]+)\s*$", re.MULTILINE)
_PROGRESS = ("n_decode_total", "prompt_tokens_total", "tokens_predicted_total")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answer of `/metrics`. `progress` only ever grows while the server works."""

    at: float
    working: bool
    progress: float
    work: ServerWork


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LivenessLimits:
    """`answer_seconds` without an answer of the work queue, or `work_seconds` of pending work
    without progress, are a stall. A slow machine decodes one batch for many seconds: both are
    generous."""

    check_seconds: float = 5.0
    answer_seconds: float = 60.0
    work_seconds: float = 180.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """What is known: when the queue last answered, and when the work last advanced."""

    answered_at: float
    advanced_at: float
    working: bool = False
    progress: float = -1.0


def parse_metrics(text: str, *, at: float) -> Sample:
    """Reads the counters; a server without them counts as idle."""
    values: dict[str, float] = {}
    for name, number in _LINE.findall(text):
        try:
            values[name] = float(number)
        except ValueError:
            continue
    pending = values.get("requests_processing", 0.0) + values.get("requests_deferred", 0.0)
    return Sample(
        at=at,
        working=pending > 0,
        progress=sum(values.get(name, 0.0) for name in _PROGRESS),
        work=work_of(values),
    )


def after_sample(state: Liveness, sample: Sample) -> Liveness:
    """The queue answered. An idle server has nothing to advance and is fine."""
    advanced = not sample.working or sample.progress != state.progress or not state.working
    return Liveness(
        answered_at=sample.at,
        advanced_at=sample.at if advanced else state.advanced_at,
        working=sample.working,
        progress=sample.progress,
    )


def stalled(state: Liveness, limits: LivenessLimits, *, now: float) -> str | None:
    """Why the server counts as hung, or None."""
    silent = now - state.answered_at
    if silent > limits.answer_seconds:
        return f"its work queue has not answered for {silent:.0f} s"
    stuck = now - state.advanced_at
    if state.working and stuck > limits.work_seconds:
        return f"work is pending but nothing was decoded for {stuck:.0f} s"
    return None
