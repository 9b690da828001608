"""The ledger as lines of text: an export that anybody can check without the database.

A line is the entry's canonical form (see `daemon.ledger`) with two more members at its end, always
of the same length:

    {"seq":1,"at":"…","kind":"…","actor":"…","incident":7,"body":{…},"prev_hash":"…","hash":"…"}

So it is JSON for every reader, and what was hashed is the line's first part, byte by byte, with
"}" behind it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import orjson

from daemon.ledger import Entry, before_body

_HASHES = re.compile(rb',"prev_hash":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}')
_HASHES_BYTES = len(b',"prev_hash":"","hash":""}') + 128
MOST_BYTES = 64 * 1024 * 1024
"""Longest line that is read. An entry is a few hundred bytes."""


class LineError(Exception):
    """A line is no entry of an export. The sentence says what about it."""


def to_line(entry: Entry) -> bytes:
    """One line, without its end. What was tampered with is written as it is now."""
    start = before_body(
        entry.seq, entry.at.astimezone(dt.UTC), entry.kind, entry.actor, entry.incident_id
    )
    # Recorded bodies have no line breaks; one that was put there must not look like an entry.
    body = entry.body.replace("\n", " ").replace("\r", " ").encode()
    hashes = f',"prev_hash":"{entry.prev_hash.hex()}","hash":"{entry.hash.hex()}"}}'
    return start + body + hashes.encode()


def from_line(line: bytes) -> Entry:
    """The entry of a line. Whether its hash is right is for `daemon.ledger.Verifier` to say.

    Raises `LineError` when it is not as `to_line` writes it, to the byte.
    """
    line = line.rstrip(b"\r\n")
    cut = len(line) - _HASHES_BYTES
    hashes = _HASHES.fullmatch(line, cut) if cut > 0 else None
    if hashes is None:
        msg = "it does not end with prev_hash and hash as an export writes them"
        raise LineError(msg)
    try:
        fields = orjson.loads(line)
        found = _entry(fields, line[:cut], hashes)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        found = None
    if found is None:
        msg = "it is not the form of an entry that is hashed"
        raise LineError(msg)
    return found


def _entry(fields: Any, content: bytes, hashes: re.Match[bytes]) -> Entry | None:
    seq, incident = fields["seq"], fields["incident"]
    at = dt.datetime.fromisoformat(fields["at"]).astimezone(dt.UTC)
    kind, actor = fields["kind"], fields["actor"]
    numbers = type(seq) is int and (incident is None or type(incident) is int)  # true is none
    if not (numbers and isinstance(kind, str) and isinstance(actor, str)):
        return None
    start = before_body(seq, at, kind, actor, incident)
    if not content.startswith(start):
        return None
    return Entry(
        seq=seq,
        at=at,
        kind=kind,
        actor=actor,
        incident_id=incident,
        body=content[len(start) :].decode(),
        prev_hash=bytes.fromhex(hashes[1].decode()),
        hash=bytes.fromhex(hashes[2].decode()),
    )
