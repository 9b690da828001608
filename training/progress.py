"""A progress line: share done, tokens per second, time left. On a terminal it stays in place."""

from __future__ import annotations

import time
from typing import TextIO

_BAR = 24


class Progress:
    """Counts tokens. `done` is what an earlier run did already."""

    def __init__(self, *, total: int, done: int, out: TextIO) -> None:
        self._total = max(total, 1)
        self._out = out
        self._start = time.monotonic()
        self._first = done
        self._shown = float("-inf")

    def show(self, done: int, note: str) -> None:
        now = time.monotonic()
        terminal = self._out.isatty()
        if now - self._shown < (0.5 if terminal else 15.0):
            return
        self._shown = now
        speed = (done - self._first) / max(now - self._start, 1e-6)
        left = (self._total - done) / speed if speed else 0.0
        share = min(done / self._total, 1.0)
        bar = "#" * int(share * _BAR)
        line = (
            f"[{bar:.<{_BAR}}] {share:6.1%}  {done:,} tokens  {speed:,.0f}/s  "
            f"{left / 60:.1f} min left  {note}"
        )
        self._out.write(f"\r\x1b[K{line}" if terminal else f"{line}\n")
        self._out.flush()

    def end(self) -> None:
        if self._out.isatty():
            self._out.write("\n")
