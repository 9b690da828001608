"""The ledger's chain: how an entry becomes bytes, how it is hashed, and how tampering shows.

An entry's canonical form is one line of JSON in UTF-8, keys in this order, no spaces:

    {"seq":1,"at":"2026-01-02T03:04:05.000006Z","kind":"…","actor":"…","incident":7,"body":{…}}

`at` is UTC with six decimals; `incident` is null where there is none; `body` is the stored text as
it is (written by `canonical_body`: keys sorted, no spaces). Then

    hash = SHA-256(previous entry's hash, 32 bytes, then the canonical form)

and the first entry follows 32 zero bytes. Whoever changes, removes, adds or swaps entries in the
middle has to rewrite all that follow. Cutting off the end shows only against a head (number and
hash) that was kept elsewhere, which is why `verify` returns the head and accepts an earlier one.

Pure: where entries are stored is in `daemon.store.ledger`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import orjson

GENESIS = bytes(32)
"""What the first entry follows."""
KINDS = (
    "verdict",
    "transition",
    "parent",
    "assessment",
    "plan",
    "review",
    "mute",
    "unmute",
    "restore",
    "action_request",
    "action_decision",
    "action_approval",
    "action_expired",
    "action_withdrawn",
    "action_intent",
    "action_started",
    "action_result",
    "action_inverse",
    "action_reversal",
    "action_reversed",
    "action_confirmed",
    "action_stop",
)
"""What this release records."""
FAMILIES = ("action",)
"""The first word of several kinds, which stands for all of them."""
_MOST_BREAKS = 100
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """What is to be recorded. `body` is JSON-ready. `at` is aware; None is the time of recording.

    `kind`: verdict, transition, assessment, plan, mute, review, ..., and those of actions, which
    `daemon.views.effects` explains; `actor`: daemon, tier/review,
    operator:<name>, ...
    """

    kind: str
    actor: str
    body: Mapping[str, Any]
    incident_id: int | None = None
    at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A recorded entry. `body` is the exact JSON text that was hashed."""

    seq: int
    at: dt.datetime
    kind: str
    actor: str
    incident_id: int | None
    body: str
    prev_hash: bytes
    hash: bytes

    @property
    def content(self) -> dict[str, Any]:
        """`body` as a value."""
        value: dict[str, Any] = orjson.loads(self.body)
        return value


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain: nothing yet is number 0 with `GENESIS`."""

    seq: int = 0
    hash: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """A head as `str` writes it. Raises ValueError."""
        seq, colon, digest = text.strip().partition(":")
        if not (colon and _NUMBER.fullmatch(seq) and _DIGEST.fullmatch(digest)):
            msg = f"{text!r} is no head; one is NUMBER:HASH, the hash in 64 hexadecimal digits"
            raise ValueError(msg)
        return cls(seq=int(seq), hash=bytes.fromhex(digest))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where the chain does not hold, and why."""

    seq: int
    why: str


def canonical_body(body: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces. NUL, which PostgreSQL cannot show, is replaced."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    try:
        text = orjson.dumps(body, option=options).decode()
    except orjson.JSONEncodeError:
        text = orjson.dumps(_encodable(body), option=options).decode()
    return text.replace("\\u0000", "\\ufffd") if "\\u0000" in text else text


def link(new: NewEntry, *, after: Head, now: dt.datetime) -> Entry:
    """The entry as it follows `after`. `now` (aware) is for an entry that states no time."""
    at = (new.at or now).astimezone(dt.UTC)
    kind, actor = _plain(new.kind), _plain(new.actor)
    body = canonical_body(new.body)
    seq = after.seq + 1
    return Entry(
        seq=seq,
        at=at,
        kind=kind,
        actor=actor,
        incident_id=new.incident_id,
        body=body,
        prev_hash=after.hash,
        hash=_hash(seq, at, kind, actor, new.incident_id, body, after.hash),
    )


class Verifier:
    """Walks entries in order of their number and remembers where the chain does not hold.

    `expected` is a head that was kept elsewhere: the chain has to pass through it.
    """

    def __init__(self, *, expected: Head | None = None) -> None:
        self.head = Head()
        self.breaks: list[Break] = []
        self._expected = expected

    def walk(self, entry: Entry) -> None:
        if entry.seq != self.head.seq + 1:
            self._broken(
                entry.seq, f"number {self.head.seq + 1} is missing: entries were removed or added"
            )
        if not hmac.compare_digest(entry.prev_hash, self.head.hash):
            self._broken(entry.seq, "it does not follow the entry before it")
        own = _hash(
            entry.seq,
            entry.at.astimezone(dt.UTC),
            entry.kind,
            entry.actor,
            entry.incident_id,
            entry.body,
            entry.prev_hash,
        )
        if not hmac.compare_digest(own, entry.hash):
            self._broken(entry.seq, "its content is not what was recorded")
        expected = self._expected
        if expected is not None and entry.seq == expected.seq and entry.hash != expected.hash:
            self._broken(entry.seq, "it is not the entry that the kept head names")
        self.head = Head(seq=entry.seq, hash=entry.hash)

    def finish(self) -> tuple[Break, ...]:
        """What is wrong, empty when the chain holds."""
        if self._expected is not None and self.head.seq < self._expected.seq:
            self._broken(
                self.head.seq + 1,
                f"the kept head names entry {self._expected.seq}: the end was cut off",
            )
        return tuple(self.breaks)

    def _broken(self, seq: int, why: str) -> None:
        if len(self.breaks) < _MOST_BREAKS:
            self.breaks.append(Break(seq=seq, why=why))


def before_body(seq: int, at: dt.datetime, kind: str, actor: str, incident_id: int | None) -> bytes:
    """The canonical form up to the body. `at` is UTC. The body and "}" follow."""
    quoted = orjson.dumps
    return b"".join(
        (
            b'{"seq":%d,"at":"' % seq,
            at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode(),
            b'","kind":',
            quoted(kind),
            b',"actor":',
            quoted(actor),
            b',"incident":',
            quoted(incident_id),
            b',"body":',
        )
    )


def _hash(
    seq: int,
    at: dt.datetime,
    kind: str,
    actor: str,
    incident_id: int | None,
    body: str,
    prev_hash: bytes,
) -> bytes:
    line = before_body(seq, at, kind, actor, incident_id) + body.encode() + b"}"
    return hashlib.sha256(prev_hash + line).digest()


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "?")


def _encodable(value: Any) -> Any:
    """`value` with what JSON cannot hold made into text: lone surrogates, huge integers, others."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case bool() | float() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case Mapping():
            return {_encodable(str(key)): _encodable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_encodable(item) for item in value]
        case _:
            return str(value)
