"""Words of any length as PostgreSQL's notifications, which hold 8,000 bytes each. Pure.

A word is JSON, compressed, cut into pieces and written as text: `ID NUMBER OF PIECE`.
"""

from __future__ import annotations

import base64
import binascii
import zlib

PIECE_CHARS = 7_900
_MOST_PIECES = 64
_MOST_BYTES = 4 * 1024 * 1024
_MOST_OPEN = 16


class TooLongError(ValueError):
    """More than a facade would put together again."""


def pieces(word: bytes, *, id: str) -> list[str]:  # noqa: A002
    """The notifications for a word. `id` tells it from every other; no spaces. Raises
    `TooLongError`."""
    text = base64.b85encode(zlib.compress(word)).decode("ascii")
    head = len(f"{id} {_MOST_PIECES} {_MOST_PIECES} ")
    size = PIECE_CHARS - head
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    if len(parts) > _MOST_PIECES or len(word) > _MOST_BYTES:
        raise TooLongError(f"{len(word)} bytes are too much for notifications")
    return [f"{id} {number} {len(parts)} {part}" for number, part in enumerate(parts)]


class Assembler:
    """Puts words together again. What is no piece of ours, and what never becomes whole, is let go:
    everybody who may use the database may notify."""

    def __init__(self) -> None:
        self._open: dict[str, dict[int, str]] = {}

    def take(self, piece: str) -> bytes | None:
        """A word, when this piece makes it whole."""
        head = piece.split(" ", 3)
        if len(head) != 4 or not all(_is_number(part) for part in head[1:3]):
            return None
        id_, number, of, text = head[0], int(head[1]), int(head[2]), head[3]
        if not number < of <= _MOST_PIECES:
            return None
        parts = self._open.setdefault(id_, {})
        parts[number] = text
        if len(parts) < of:
            while len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
            return None
        del self._open[id_]
        return _unpacked("".join(parts[each] for each in sorted(parts)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5


def _unpacked(text: str) -> bytes | None:
    try:
        unpacker = zlib.decompressobj()
        word = unpacker.decompress(base64.b85decode(text), _MOST_BYTES)
    except (ValueError, binascii.Error, zlib.error):
        return None
    return word if unpacker.eof else None
