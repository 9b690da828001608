"""What is measured. Seconds, tokens, bytes."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One endpoint. `name` is shown; `model` None takes the first that it lists; `pid` is its
    process on this machine, where known."""

    name: str
    url: str
    model: str | None = None
    api_key: str | None = None
    pid: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`prompt_tokens` are about so many words of one token each; every prompt begins differently,
    so that nothing is kept from the one before. `answer_tokens` are generated whatever they say."""

    prompt_tokens: int = 512
    answer_tokens: int = 64
    concurrency: tuple[int, ...] = (1, 4)
    rounds: int = 3
    seconds: float = 300.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One streamed answer. `first` is from sending to the first token, `gaps` between pieces.
    Tokens and the endpoint's own speeds (a second) where it tells; `problem` where it failed."""

    started: float
    first: float | None
    gaps: tuple[float, ...]
    ended: float
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    prompt_speed: float | None = None
    answer_speed: float | None = None
    problem: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a process used while it was measured: processor in % of one core, memory in bytes."""

    processor: float | None = None
    memory: int | None = None
    gpu_memory: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Answers that ran at the same time against one target, and what its process used meanwhile."""

    target: str
    concurrency: int
    answers: tuple[Answer, ...]
    seconds: float
    use: Use


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One line of the table. Speeds in tokens a second: `reading` of prompts, `writing` of one
    answer, `together` of all answers at once. Times in seconds, median and 95th percentile."""

    target: str
    concurrency: int
    answers: int
    failed: int
    reading: float | None
    writing: float | None
    together: float | None
    first_median: float | None
    first_95: float | None
    gap_median: float | None
    gap_95: float | None
    processor: float | None
    memory: int | None
    gpu_memory: int | None
    problem: str
