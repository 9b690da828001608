"""Ctrl-C while an answer comes: taken between prints, never in the middle of one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TypeVar

T = TypeVar("T")


class Interrupts:
    """While this is entered, Ctrl-C raises KeyboardInterrupt out of `waiting` and at the end.

    In the middle of a print it would leave half a line in the terminal's buffer, which comes out
    with the next one.
    """

    def __init__(self) -> None:
        self._waiting = False
        self._wanted = False
        self._before: signal.Handlers | Callable[[int, FrameType | None], object] | int | None

    def __enter__(self) -> Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._wanted and error is None:
            raise KeyboardInterrupt

    def waiting(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises KeyboardInterrupt out of it."""
        self._waiting = True
        try:
            if self._wanted:
                self._interrupt()
            return work()
        finally:
            self._waiting = False

    def _handle(self, _: int, __: FrameType | None) -> None:
        self._wanted = True
        if self._waiting:
            self._interrupt()

    def _interrupt(self) -> None:
        self._wanted = False
        self._waiting = False  # a second Ctrl-C does not disturb what the first one ends
        raise KeyboardInterrupt
