"""What tiers ask of a model, whoever answers: one endpoint, or several behind one another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Protocol

from tiers.llm.requests import ChatCall
from tiers.llm.wire import ChatAnswer, Decision, Delta, ModelInfo


class ModelClient(Protocol):
    """Every call raises only `tiers.errors.TierError`, or what cancels it."""

    @property
    def name(self) -> str:
        """The tier's, for sentences."""
        ...

    @property
    def url(self) -> str:
        """Where the next call goes."""
        ...

    @property
    def model(self) -> str:
        """The model that answered last, "" before the first call."""
        ...

    @property
    def max_tokens(self) -> int:
        """The most tokens of an answer."""
        ...

    @property
    def timeout_seconds(self) -> float: ...

    async def info(self) -> ModelInfo:
        """What is served where the next call goes."""
        ...

    async def chat(self, call: ChatCall, *, timeout: float | None = None) -> ChatAnswer: ...

    def stream(
        self, call: ChatCall, *, timeout: float | None = None
    ) -> AsyncGenerator[Delta, None]:
        """Ends with `StreamEnd`. What has begun is never begun again elsewhere."""
        ...

    async def decide(
        self, *, state: str, questions: Mapping[str, Any], timeout: float | None = None
    ) -> Decision: ...

    async def prompt_tokens(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = ()
    ) -> int: ...


class Narrowed(Protocol):
    """Who may call, as the memory guard sees and narrows it."""

    @property
    def running(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def narrow(self, to: int | None) -> None: ...


class Throttled(Protocol):
    """A tier's model, or all of its models, as the memory guard keeps them short."""

    @property
    def admission(self) -> Narrowed: ...

    def cap_tokens(self, most: int | None) -> None: ...
