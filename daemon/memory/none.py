"""No memory: nothing looks like anything."""

from __future__ import annotations

from collections.abc import Sequence

from tiers.contracts import PastIncident


class NoRecall:
    """Satisfies `tiers.contracts.Recall`."""

    async def similar(self, *, text: str, limit: int) -> Sequence[PastIncident]:
        return ()
