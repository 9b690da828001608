"""What is measured about relayed requests, for whoever attaches an observer."""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

from tiers.vocabulary import TierName


class Outcome(enum.StrEnum):
    """How a relayed request ended."""

    ANSWERED = "answered"
    """With whatever status the endpoint gave, errors included."""
    TURNED_AWAY = "turned_away"
    """Too many were with the tier already."""
    UNAVAILABLE = "unavailable"
    """The tier is down, loading, or cannot be reached."""
    BROKEN = "broken"
    """The endpoint broke off, or said nothing for too long."""
    CLIENT_GONE = "client_gone"
    STOPPED = "stopped"
    """The facade stopped in the middle."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """`status` is what the client got, 0 for nothing; `frames` are server-sent events, 0 for an
    answer in one piece; tokens are None where the endpoint did not count them."""

    outcome: Outcome
    status: int
    frames: int
    sent_bytes: int
    prompt_tokens: int | None
    completion_tokens: int | None


class Observation(Protocol):
    """One request. The calls come in this order, on the event loop, and must be quick."""

    def first_byte(self) -> None:
        """The endpoint began to answer: its headers are here."""
        ...

    def sent(self, *, frames: int, size: int) -> None:
        """So many events, so many bytes more went to the client."""
        ...

    def ended(self, ending: Ending) -> None:
        """Always called, once."""
        ...


class RelayObserver(Protocol):
    def started(self, *, tier: TierName, endpoint: str) -> Observation:
        """A request for this tier was recognised; `endpoint` is its path without `/v1`."""
        ...


class _Nothing:
    def first_byte(self) -> None: ...

    def sent(self, *, frames: int, size: int) -> None: ...

    def ended(self, ending: Ending) -> None: ...


class NoRelayObserver:
    """Nobody wants to know."""

    _nothing = _Nothing()

    def started(self, *, tier: TierName, endpoint: str) -> Observation:
        return self._nothing
