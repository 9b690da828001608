"""What happens, as it happens: to the console and to every reader of the live stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from api.ports import LiveItem
from tiers.vocabulary import Severity

_BUFFER = 1_000
_TEXT = 4_096


class _Reader:
    def __init__(self) -> None:
        self.items: deque[LiveItem] = deque(maxlen=_BUFFER)
        self.lost = 0
        self.wake = asyncio.Event()


class LiveHub:
    """Hands items to readers. Never waits: a slow reader loses its oldest and is told how many."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()

    def publish(
        self,
        *,
        kind: str,
        text: str,
        severity: Severity = Severity.INFO,
        incident: int | None = None,
    ) -> None:
        """Says that something happened."""
        if not self._readers:
            return
        self.hand_on(
            LiveItem(
                at=datetime.now(tz=UTC),
                kind=kind,
                severity=severity,
                text=text[:_TEXT],
                incident_id=incident,
            )
        )

    def hand_on(self, item: LiveItem) -> None:
        """What another process published."""
        for reader in self._readers:
            if len(reader.items) == _BUFFER:
                reader.lost += 1
            reader.items.append(item)
            reader.wake.set()

    async def follow(self) -> AsyncIterator[LiveItem]:
        """Items from now on, until the caller stops."""
        reader = _Reader()
        self._readers.add(reader)
        with contextlib.ExitStack() as stack:
            stack.callback(self._readers.discard, reader)
            while True:
                await reader.wake.wait()
                reader.wake.clear()
                while reader.items:
                    if reader.lost:  # told where the gap is
                        lost, reader.lost = reader.lost, 0
                        yield LiveItem(
                            at=datetime.now(tz=UTC),
                            kind="source",
                            severity=Severity.NOTICE,
                            text=f"{lost} items were not shown: this reader is too slow",
                        )
                    yield reader.items.popleft()
