"""Being told to end, as an exception: what is under way is cleared up on the way out."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_TOLD = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ending_with_signals() -> Iterator[None]:
    """Inside, SIGTERM and a terminal that is closed raise SystemExit, with the shell's exit code.
    Ctrl-C raises KeyboardInterrupt as ever."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {each: signal.getsignal(each) for each in _TOLD}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler if handler is not None else signal.SIG_DFL)
