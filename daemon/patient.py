"""Output that never makes the daemon wait: not for a terminal that was stopped, not for a reader
that is slow or gone."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import queue
import threading
from typing import TextIO

_MOST = 2_000
"""Pieces of text that may wait. A screen that was stopped with Ctrl-S shows these, then a gap."""
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
"""Nobody reads any more: the pipe is closed, the terminal was hung up, there is no such output."""


class PatientStream(io.TextIOBase):
    """A text stream in front of another, written by a thread of its own.

    Whoever writes neither waits nor sees an error: what does not fit is left out, and once nobody
    reads any more everything is. `close` gives the rest a moment; it does not close the other.
    """

    def __init__(self, stream: TextIO | None, *, most: int = _MOST) -> None:
        """`stream` is None where the process was started without such an output."""
        self._stream = stream or io.StringIO()
        self._waiting: queue.Queue[str | None] = queue.Queue(most)
        self._lost = 0
        self._gone = stream is None
        self._thread = threading.Thread(target=self._work, name="output", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if text and not self._gone:
            try:
                self._waiting.put_nowait(text)
            except queue.Full:
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """The thread flushes after each piece."""

    def close(self, *, seconds: float = 1.0) -> None:
        """Returns when all is written, at the latest after `seconds`. Further text is left out."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=seconds)
            self._thread.join(seconds)
        self._gone = True
        super().close()

    def _work(self) -> None:
        while (text := self._waiting.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                text = f"... ({lost} pieces of output were left out: nobody read them)\n{text}"
            if not self._gone:
                self._put(text)

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except UnicodeEncodeError:
            self._put(text.encode("ascii", "backslashreplace").decode("ascii"))
        except ValueError:  # closed
            self._gone = True
        except OSError as error:
            self._gone = error.errno in _GONE
            if self._gone:
                self._forget()

    def _forget(self) -> None:
        """What is still in the stream's own buffer would be an error once more at the very end."""
        with contextlib.suppress(OSError, ValueError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
