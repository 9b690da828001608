"""A tool's result and what of it answers which question."""

from __future__ import annotations

import dataclasses

HEAD = ""
"""The key of a segment that is about the whole."""


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a summary that stands alone: one mount, one service, one sentence. `key` is
    what a question names it by; a focus or an entity."""

    text: str
    key: str = HEAD


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`lead` opens the summary, `joint` stands between segments, `injected` is hostile text that
    somebody planted, which no answer repeats."""

    segments: tuple[Segment, ...]
    ok: bool = True
    lead: str = ""
    joint: str = ". "
    stop: str = "."
    """What ends it; empty for quoted lines."""
    injected: str = ""
    injected_first: bool = False

    def summary(self) -> str:
        body = self._body(self.segments, self.lead)
        if not self.injected:
            return body
        pair = (self.injected, body) if self.injected_first else (body, self.injected)
        return " ".join(pair)

    def answer(self, focus: str = HEAD) -> str:
        """The figures that were asked for, as the summary has them; all where the focus is empty
        or not in the result."""
        meant = tuple(part for part in self.segments if focus and part.key == focus)
        if not meant:
            return self._body(self.segments, self.lead)
        return self._body(meant, "")

    def keys(self) -> tuple[str, ...]:
        """What follow-up questions can name, in order and once each."""
        return tuple(dict.fromkeys(part.key for part in self.segments if part.key))

    def _body(self, segments: tuple[Segment, ...], lead: str) -> str:
        text = lead + self.joint.join(part.text for part in segments)
        return text if text[-1:] in ".!?" else text + self.stop


def single(text: str, *, ok: bool = True, stop: str = ".") -> Outcome:
    """A result of one piece."""
    return Outcome(segments=(Segment(text),), ok=ok, stop=stop)
