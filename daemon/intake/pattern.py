"""What a pattern is, and how a text gets its identity."""

from __future__ import annotations

import dataclasses
import hashlib

from daemon.intake.mask import LONGEST_TEXT, mask
from tiers.vocabulary import SourceKind

OVERFLOW = "<anything else>"
"""The pattern of lines that found no room for a pattern of their own."""

EMPTY = "<empty>"
"""The pattern of lines without text."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The masked form of lines that say the same. `text` is for people and models."""

    fingerprint: str
    kind: SourceKind
    unit: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A masked text and the fingerprint that it was given."""

    kind: SourceKind
    unit: str
    masked: str
    fingerprint: str


def fingerprint_of(kind: SourceKind, unit: str, masked: str) -> str:
    """16 hexadecimal characters; the same on every host and in every version."""
    identity = "\0".join((kind.value, unit, masked)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(identity, digest_size=8).hexdigest()


def display(text: str, masked: str) -> str:
    """The text with typed placeholders, word by word beside its masked form."""
    shown = mask(text)
    return shown if shown.count(" ") == masked.count(" ") else masked


def essence(text: str) -> str:
    """What of a text makes its pattern: its beginning; of several lines the first two and the
    last, which say what happened, where a trace says how it got there."""
    if "\n" in text:
        lines = text[: 4 * LONGEST_TEXT].rstrip().split("\n")
        if len(lines) > 3:
            text = "\n".join((*lines[:2], lines[-1]))
    return text[:LONGEST_TEXT]
