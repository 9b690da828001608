"""What a key is. Pure, but for the making of a secret."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import datetime

from api.roles import Role

PREFIX = "tri_"
"""Begins every key that we make, so that scanners for leaked secrets know one when they see it:
`tri_[0-9a-f]{64}`."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
RESERVED = frozenset({"local", "daemon", "triaged"})
"""Names that ledger and listings use for others than keys."""


class Purpose(enum.StrEnum):
    """What a key is for, where it is for one thing only."""

    EVENTS = "events"
    METRICS = "metrics"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a caller may ask; None is without limit. A day begins at midnight UTC."""

    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    concurrent: int | None = None


NO_LIMITS = Limits()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is kept: never itself, only its SHA-256.

    A fast hash is right here: what is hashed is 256 random bits, which nobody finds by trying. Slow
    hashes (bcrypt, Argon2) are for passwords that people choose, and would cost every request
    milliseconds.

    `user_roles` says what the users of a frontend may do, by the role that the frontend gives them;
    "*" is everybody else. Nobody may more than the key itself.
    """

    name: str
    role: Role
    digest: bytes = dataclasses.field(repr=False)
    created: datetime | None = None
    expires: datetime | None = None
    limits: Limits = NO_LIMITS
    forwards_users: bool = False
    user_roles: Mapping[str, Role] = dataclasses.field(default_factory=dict)
    only: Purpose | None = None
    note: str = ""

    def valid_at(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


def new_secret() -> str:
    """A key of 256 random bits."""
    return PREFIX + secrets.token_hex(32)


def digest_of(secret: bytes) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(secret).digest()


def serves(purpose: Purpose | None, method: str, path: str) -> bool:
    """Whether a key with this purpose is for such a request."""
    match purpose:
        case None:
            return True
        case Purpose.EVENTS:
            posts = path == "/api/v1/events" or path.startswith("/api/v1/webhooks/")
            return method == "POST" and posts
        case Purpose.METRICS:
            return method in ("GET", "HEAD") and path in ("/metrics", "/readyz", "/health")
