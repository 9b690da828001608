"""A toolbox whose calls are measured, whoever makes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiers.contracts import Toolbox, ToolResult, ToolSpec
from tiers.observing import ToolObserver


class MeasuredToolbox:
    """Satisfies `tiers.contracts.Toolbox` with the tools of another one. `clock` is monotonic, in
    seconds."""

    def __init__(
        self,
        *,
        toolbox: Toolbox,
        observer: ToolObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._toolbox = toolbox
        self._observer = observer
        self._clock = clock
        self._names = frozenset(spec.name for spec in toolbox.specs())

    def specs(self) -> Sequence[ToolSpec]:
        return self._toolbox.specs()

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """As the other toolbox. A call that is given up in the middle counts as `cancelled`."""
        begun, outcome = self._clock(), "cancelled"
        try:
            result = await self._toolbox.call(name=name, arguments=arguments)
            outcome = "ok" if result.ok else "failed"
        finally:
            if name not in self._names:
                outcome = "unknown"
            self._observer.used(name=name, outcome=outcome, seconds=self._clock() - begun)
        return result
