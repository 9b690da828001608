"""Where server-sent events end in a stream of bytes. Pure.

Only whole events go on to the client: half of one is of no use to it, and between two of them
there is room for a comment, or for an error when the other half never comes.
"""

from __future__ import annotations

import re

_HOLD_BYTES = 1024 * 1024
_TAIL_BYTES = 8 * 1024
_HEAD_BYTES = 512
# Quotes inside a JSON text are escaped, so a model cannot write these.
_COUNTS = re.compile(
    rb'"(prompt_tokens|input_tokens|tokens_evaluated|completion_tokens|output_tokens'
    rb'|tokens_predicted|cache_n|prompt_n|predicted_n)"\s*:\s*(\d{1,9})'
)
_PROMPT = (b"prompt_tokens", b"input_tokens", b"tokens_evaluated")
_ANSWER = (b"completion_tokens", b"output_tokens", b"tokens_predicted")


class Frames:
    """Feed it what arrives; it returns what can be sent on. An event of more than 1 MiB is sent on
    in pieces."""

    def __init__(self) -> None:
        self._held = b""
        self._inside = False
        self.count = 0
        """Events that were sent on, comments included."""

    @property
    def between(self) -> bool:
        """Whether what was sent on ends with an event."""
        return not self._inside

    def feed(self, data: bytes) -> bytes:
        """What can be sent on now; b"" for nothing."""
        whole = self._held + data if self._held else data
        cut = len(whole) if whole.endswith(b"\n\n") else _last_end(whole)
        if cut == 0 and len(whole) > _HOLD_BYTES:
            self._held, self._inside = b"", True
            return whole
        self._held = whole[cut:]
        if cut:
            self._inside = False
            whole = whole[:cut]
            self.count += whole.count(b"\n\n") or 1
            return whole
        return b""

    def rest(self) -> bytes:
        """What is left at the end of a stream that was whole."""
        held, self._held = self._held, b""
        return held


def _last_end(data: bytes) -> int:
    """The offset behind the last empty line; 0 without one. Lines end in LF, CRLF or CR."""
    ends = ((data.rfind(mark), len(mark)) for mark in (b"\n\n", b"\r\n\r\n", b"\r\r"))
    return max(at + size if at >= 0 else 0 for at, size in ends)


class Tail:
    """Keeps the two ends of an answer, where its counts are: long vectors may be between them."""

    def __init__(self) -> None:
        self._first = b""
        self._last = b""

    def add(self, data: bytes) -> None:
        if not self._first:
            self._first = data[:_HEAD_BYTES]
        self._last = (self._last + data)[-_TAIL_BYTES:]

    def tokens(self) -> tuple[int | None, int | None]:
        """Tokens of the prompt and of the answer, as the endpoint counted them; None where it
        did not say. Streams without `usage` tell them in llama-server's `timings`."""
        said = {kind: int(n) for kind, n in _COUNTS.findall(self._first + b" " + self._last)}
        prompt = next((said[name] for name in _PROMPT if name in said), None)
        if prompt is None and b"prompt_n" in said:
            prompt = said[b"prompt_n"] + said.get(b"cache_n", 0)
        answer = next((said[name] for name in _ANSWER if name in said), said.get(b"predicted_n"))
        return prompt, answer
