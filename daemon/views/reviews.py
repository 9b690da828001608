"""The holistic review on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.ports import BusyError
from daemon.escalation.holistic import HolisticReview
from daemon.store.errors import StoreUnavailableError


class ReviewsView:
    """Satisfies `api.ports.Reviews`."""

    def __init__(self, *, review: HolisticReview) -> None:
        self._review = review

    async def review_now(self, *, by: str) -> Mapping[str, Any]:
        try:
            found = await self._review.run_now(trigger="operator")
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        return {
            "asked_by": by,
            "since": found.since,
            "summary": found.summary,
            "cause": found.cause,
            "incidents": list(found.incidents),
            "looked_at": found.looked_at,
            "error": found.error,
        }
