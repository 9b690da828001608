"""What the OpenAI endpoints need of the daemon beside the chat itself: stored responses and the
bare models. `api/ports.py` puts everything together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from tiers.config import Backend
from tiers.vocabulary import TierName


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How chats are shown and logged. `housekeeping`: whether titles, tags and the like go to the
    clerk. `show_tools`: whether each tool call stands in the answer's text, for everybody.
    `log_prompts`: whether questions and answers are logged."""

    housekeeping: bool = True
    show_tools: bool = False
    log_prompts: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response of `/v1/responses` as it is kept: `body` is the response object, `input_items`
    are the items that were sent with it, `previous_id` the response that it goes on from, `owner`
    the caller's name."""

    id: str
    owner: str
    previous_id: str | None
    created_at: datetime
    input_items: Sequence[Mapping[str, Any]]
    body: Mapping[str, Any]


class Responses(Protocol):
    """Responses that clients may go on from, each seen by its owner alone. Kept for a bounded time
    and number; one that is gone on from counts as new, with all before it.

    Everything raises `api.ports.BusyError` while the store is away.
    """

    @property
    def most_bytes(self) -> int:
        """What one response may take as JSON, its input items included."""
        ...

    async def ready(self) -> None:
        """Returns when responses can be kept."""
        ...

    async def keep(self, response: StoredResponse) -> None:
        """Durable when this returns. Keeping the same again changes nothing."""
        ...

    async def find(self, *, id: str, owner: str) -> StoredResponse:  # noqa: A002
        """Raises `api.ports.NotFoundError`, also for another owner's."""
        ...

    async def chain(self, *, id: str, owner: str) -> Sequence[StoredResponse]:  # noqa: A002
        """The response and all before it, oldest first. Raises `api.ports.NotFoundError` where one
        of them is not kept, and `api.ports.ConflictError` for a chain that is too long to go on."""
        ...

    async def items(self, *, ids: Sequence[str], owner: str) -> Mapping[str, Mapping[str, Any]]:
        """The items with these ids, of any kept response, by id; those not found are missing.
        Raises `api.ports.ConflictError` where that is too much to read."""
        ...

    async def forget(self, *, id: str, owner: str) -> None:  # noqa: A002
        """Raises `api.ports.NotFoundError`."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierTarget:
    """Where a bare model answers now.

    `model` is what the endpoint calls it, None where the endpoint does not care; `served` is what
    people call it. `detail` is a sentence on why it does not answer, "" when it should; `loading`
    tells that it will once its model is read. `retry_after` is in seconds, `progress` of loading
    0 to 1 where known. `most` requests may be with the endpoint at once, waiting ones included.
    `patience` is in seconds without a byte, after which an answer is given up.
    """

    tier: TierName
    url: str
    backend: Backend
    api_key: str | None
    model: str | None
    served: str
    detail: str
    loading: bool
    retry_after: float
    progress: float | None
    most: int
    patience: float


class TierTargets(Protocol):
    """The three model endpoints, asked anew for every request."""

    def target(self, tier: TierName) -> TierTarget: ...

    def unreachable(self, target: TierTarget, why: str) -> TierTarget:
        """Told that there is no connection to the target, so that nothing was asked. Returns where
        to ask now, which may be the same."""
        ...
