"""What each key has used: requests and tokens, by day and model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Protocol

from api.roles import Caller


class Spend(Protocol):
    """Where an answer's tokens are told, at its end."""

    def report(
        self, caller: Caller, model: str, prompt_tokens: int, completion_tokens: int
    ) -> None:
        """Counts them against the caller's budget. `model` is a model's id here, never a client's
        words."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used. `requests` of a model are answers of it; with model "" they are all requests
    of the key."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last_used: datetime | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        times = [at for at in (self.last_used, other.last_used) if at is not None]
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            last_used=max(times, default=None),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UsedOn:
    """A row of usage: whose (the key's name, "" without one), on which day (UTC), of what."""

    key: str
    day: date
    model: str
    usage: Usage


NONE = Usage()
_Of = tuple[str, date, str]


class Meter:
    """Counts in memory; somebody else keeps it (`taken`, `given_back`, `learnt`).

    Memory decides about budgets, so that nobody waits for the database and nobody is locked out
    while it is away; nothing is refilled by that either, because the counting goes on.
    """

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kept: dict[_Of, Usage] = {}
        self._pending: dict[_Of, Usage] = {}
        self._in_transit: dict[_Of, Usage] = {}
        self._last_used: dict[str, datetime] = {}
        self._day = now().astimezone(UTC).date()
        self._tokens: dict[str, int] = {}  # of that day, by key

    def report(
        self, caller: Caller, model: str, prompt_tokens: int, completion_tokens: int
    ) -> None:
        """See `Spend`. Negative counts, which a broken endpoint may say, are none."""
        self._add(
            caller.key,
            model,
            Usage(
                requests=1,
                prompt_tokens=max(0, prompt_tokens),
                completion_tokens=max(0, completion_tokens),
                last_used=self._now(),
            ),
        )

    def seen(self, key: str) -> None:
        """A request of this key came in."""
        self._add(key, "", Usage(requests=1, last_used=self._now()))

    def _add(self, key: str, model: str, usage: Usage) -> None:
        assert usage.last_used is not None  # noqa: S101 - both callers say it
        of = (key, self.day(), model)
        self._pending[of] = self._pending.get(of, NONE).plus(usage)
        self._last_used[key] = usage.last_used
        if usage.tokens:
            self._tokens[key] = self._tokens.get(key, 0) + usage.tokens

    def day(self) -> date:
        """Today, in UTC."""
        day = self._now().astimezone(UTC).date()
        if day != self._day:
            self._day, self._tokens = day, {}
        return day

    def tokens_today(self, key: str) -> int:
        """Tokens of all models since midnight UTC."""
        self.day()
        return self._tokens.get(key, 0)

    def today(self, key: str) -> Mapping[str, Usage]:
        """Usage since midnight UTC by model; "" holds the requests."""
        day = self.day()
        found: dict[str, Usage] = {}
        for part in (self._kept, self._in_transit, self._pending):
            for (name, when, model), usage in part.items():
                if name == key and when == day:
                    found[model] = found.get(model, NONE).plus(usage)
        return found

    def last_used(self, key: str) -> datetime | None:
        """When this key was used last, as far as is known."""
        return self._last_used.get(key)

    def taken(self) -> Sequence[UsedOn]:
        """What has not been kept yet. Until `learnt` or `given_back` it is on its way and still
        counts."""
        self._in_transit, self._pending = self._pending, {}
        return [
            UsedOn(key=key, day=day, model=model, usage=usage)
            for (key, day, model), usage in self._in_transit.items()
        ]

    def given_back(self) -> None:
        """What was taken could not be kept: it is pending again."""
        for of, usage in self._in_transit.items():
            self._pending[of] = self._pending.get(of, NONE).plus(usage)
        self._in_transit = {}

    def learnt(self, totals: Iterable[UsedOn]) -> None:
        """What was taken is kept, and these are the totals of today, other daemons' included."""
        self._in_transit = {}
        self._kept = {(row.key, row.day, row.model): row.usage for row in totals}
        for (key, _, _), usage in self._kept.items():
            self._note_use(key, usage.last_used)
        day = self.day()
        self._tokens = {}
        for part in (self._kept, self._pending):
            for (key, when, _), usage in part.items():
                if when == day and usage.tokens:
                    self._tokens[key] = self._tokens.get(key, 0) + usage.tokens

    def note_last_used(self, times: Mapping[str, datetime]) -> None:
        """When keys were used last, before this daemon began."""
        for key, at in times.items():
            self._note_use(key, at)

    def _note_use(self, key: str, at: datetime | None) -> None:
        before = self._last_used.get(key)
        if at is not None and (before is None or at > before):
            self._last_used[key] = at
