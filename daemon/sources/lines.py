"""From bytes to lines: any chunking, bounded lines, invalid UTF-8, NULs. Pure over its input."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(slots=True)
class Lines:
    """The complete lines of one chunk, without line ends.

    `cut` maps the index of a line that was too long to the bytes that it lost. `invalid` holds
    the indexes of lines whose bytes were not UTF-8 (each such byte became U+FFFD).
    """

    texts: list[str]
    cut: dict[int, int]
    invalid: set[int]


class LineSplitter:
    """Keeps the unfinished last line between chunks; memory stays below `limit` plus one chunk."""

    __slots__ = ("_head", "_limit", "_lost", "_nuls")

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._head = b""
        self._lost = 0
        self._nuls = 0

    @property
    def unfinished(self) -> int:
        """Bytes of the line that has not ended yet."""
        return len(self._head) + self._lost + self._nuls

    def reset(self) -> None:
        """Forgets the unfinished line."""
        self._head = b""
        self._lost = 0
        self._nuls = 0

    def feed(self, data: bytes) -> Lines:
        """The lines that end in `data`, a carried beginning included."""
        end = data.rfind(b"\n")
        if end < 0:
            self._keep(data)
            return Lines([], {}, set())
        body = data[:end]
        if not self.unfinished:
            lines = self._decode(body)
        else:
            first, newline, rest = body.partition(b"\n")
            self._keep(first)
            lines = self._finish()
            if newline:
                _append(lines, self._decode(rest))
        self._keep(data[end + 1 :])
        return lines

    def finish(self) -> Lines:
        """What is left at the end of a file that will not grow: a last line without its end."""
        return self._finish() if self.unfinished else Lines([], {}, set())

    def _keep(self, data: bytes) -> None:
        if not self._head and data[:1] == b"\0":
            # A hole that a truncation left behind must not use up the room of the line after it.
            line = data.lstrip(b"\0")
            self._nuls += len(data) - len(line)
            data = line
        room = self._limit - len(self._head)
        if len(data) <= room:
            self._head += data
        else:
            self._head += data[:room]
            self._lost += len(data) - room

    def _finish(self) -> Lines:
        lines = self._decode(_whole_characters(self._head) if self._lost else self._head)
        if self._lost:
            lines.cut[0] = lines.cut.get(0, 0) + self._lost
        self.reset()
        return lines

    def _decode(self, body: bytes) -> Lines:
        cut: dict[int, int] = {}
        invalid: set[int] = set()
        limit = self._limit
        try:
            text = body.decode()
        except UnicodeDecodeError:
            texts = []
            for index, raw in enumerate(body.split(b"\n")):
                try:
                    texts.append(raw.decode())
                except UnicodeDecodeError:
                    invalid.add(index)
                    texts.append(raw.decode(errors="replace"))
        else:
            texts = text.split("\n")
        # A carriage return, and NULs: PostgreSQL's text cannot hold them; a writer that lost its
        # place after a truncation leaves a run of them before its next line.
        if b"\r" in body:
            texts = [line.removesuffix("\r") for line in texts]
        if b"\0" in body:
            texts = [line.lstrip("\0").replace("\0", "\ufffd") for line in texts]
        if len(body) > limit and max(map(len, texts)) > limit:
            for index, line in enumerate(texts):
                if len(line) > limit:
                    cut[index] = len(line[limit:].encode(errors="replace"))
                    texts[index] = line[:limit]
        return Lines(texts, cut, invalid)


def _whole_characters(head: bytes) -> bytes:
    """Without the character that the cut went through, if it went through one."""
    for back in range(1, min(4, len(head) + 1)):
        byte = head[-back]
        if byte >= 0xC0:  # the first byte of a character of 2 to 4 bytes
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return head[:-back] if back < size else head
        if byte < 0x80:
            break
    return head


def _append(lines: Lines, more: Lines) -> None:
    offset = len(lines.texts)
    lines.texts += more.texts
    lines.cut.update({index + offset: lost for index, lost in more.cut.items()})
    lines.invalid.update(index + offset for index in more.invalid)
