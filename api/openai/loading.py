"""A model that cannot answer yet: how far it is, and when to ask again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from api.ports_chat import TierTargets
from tiers.chat_contracts import AgentEvent
from tiers.errors import QueueFullError, TierUnavailableError
from tiers.vocabulary import TierName


async def with_progress(
    events: AsyncIterator[AgentEvent], *, targets: TierTargets
) -> AsyncGenerator[AgentEvent, None]:
    """The same answer. Where its model cannot be reached because it is being loaded, the error
    says so, with how much of it is there and when it is worth asking again. Raises `TierError`."""
    try:
        try:
            async for event in events:
                yield event
        finally:
            closing = getattr(events, "aclose", None)
            if closing is not None:
                await closing()
    except QueueFullError:
        raise
    except TierUnavailableError as error:
        target = targets.target(TierName.META)
        if not target.loading:
            raise
        part = "" if target.progress is None else f", {target.progress:.0%} of it is there"
        raise TierUnavailableError(
            f"The model of the tier {target.tier.value} is being loaded{part}; ask again soon.",
            retry_after=max(1.0, target.retry_after),
        ) from error
