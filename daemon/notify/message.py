"""What is told. Immutable."""

from __future__ import annotations

import dataclasses
import enum

from tiers.vocabulary import Severity


class Topic(enum.StrEnum):
    """What a notice is about. The values stand in the database."""

    OPENED = "opened"
    CLOSED = "closed"
    TIER_OUT = "tier out"
    TIER_BACK = "tier back"
    PROPOSED = "proposed"
    ENDED = "ended"
    CONFIRM = "confirm"
    SWITCHED = "switched"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth telling once to a channel. `key` is its identity; `title` and `body` are what
    people read, made harmless."""

    key: str
    topic: Topic
    severity: Severity
    title: str
    body: str
    incident_id: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message to a channel; `covers` are the notices that it tells."""

    title: str
    body: str
    severity: Severity
    covers: tuple[Notice, ...]
