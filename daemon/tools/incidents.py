"""What triaged itself knows: incidents and events."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from api.ports import EventFilter, EventView, IncidentFilter, IncidentView
from daemon.tools.words import clock, listed
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance


class PatternCount(Protocol):
    """A pattern and how often it came."""

    @property
    def pattern(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def last_seen(self) -> datetime: ...


class Records(Protocol):
    """What these tools read."""

    async def find_incidents(self, wanted: IncidentFilter) -> Sequence[IncidentView]: ...

    async def find_events(self, wanted: EventFilter) -> Sequence[EventView]: ...

    async def find_patterns(
        self, *, text: str, since: datetime, limit: int
    ) -> Sequence[PatternCount]: ...


def incident_search(*, records: Records) -> Callable[..., Awaitable[ToolResult]]:
    """The tool that finds incidents by words."""

    async def tool(*, query: str = "", hours: int | None = None) -> ToolResult:
        wanted = query.strip()
        # "open incidents", "anything lately": a question about all of them, not words to look for.
        words = [w for w in wanted.split() if w.lower() not in _ABOUT_ALL]
        since = None if hours is None else _ago(hours)
        found = await records.find_incidents(
            IncidentFilter(text=" ".join(words) or None, since=since, limit=20)
        )
        about = f" that match {wanted!r}" if words else ""
        about += f" with news in the last {hours} h" if hours is not None else ""
        if not found:
            return ToolResult(ok=True, summary=f"There are 0 incidents{about}.", data={})
        shown = [
            f"#{i.id} {i.severity.value} {i.title} ({i.state}"
            + (f", cause {i.cause}" if i.cause else "")
            + f", {i.event_count} events, opened {clock(i.opened_at.timestamp())})"
            for i in found
        ]
        plural = "incident" if len(found) == 1 else "incidents"
        summary = f"{len(found)} {plural}{about}: {listed(shown, most=5)}."
        data = {
            "incidents": [
                {"id": i.id, "title": i.title, "state": i.state, "severity": i.severity.value,
                 "cause": i.cause, "events": i.event_count}
                for i in found
            ]
        }  # fmt: skip
        return ToolResult(ok=True, summary=summary, data=data, provenance=Provenance.TEXT)

    return tool


def event_query(*, records: Records) -> Callable[..., Awaitable[ToolResult]]:
    """The tool that counts and finds events by words."""

    async def tool(*, text: str, hours: int = 24) -> ToolResult:
        since = _ago(hours)
        patterns = await records.find_patterns(text=text, since=since, limit=20)
        events = await records.find_events(EventFilter(text=text, since=since, limit=20))
        if not patterns and not events:
            return ToolResult(
                ok=True, summary=f"0 events with {text!r} in the last {hours} h.", data={}
            )
        total = sum(p.count for p in patterns)
        shown = [
            f"{p.count} times {p.unit or 'unknown'}: {p.pattern[:120]} (last "
            f"{clock(p.last_seen.timestamp())})"
            for p in patterns
        ]
        summary = (
            f"{len(patterns)} patterns with {text!r} were seen in the last {hours} h, "
            f"{total} events in all since they are known: {listed(shown, most=4)}."
        )
        data = {
            "patterns": [
                {"unit": p.unit, "pattern": p.pattern, "count": p.count} for p in patterns
            ],
            "events": [
                {"at": e.occurred_at.isoformat(), "unit": e.unit, "text": e.text} for e in events
            ],
        }
        return ToolResult(ok=True, summary=summary, data=data, provenance=Provenance.TEXT)

    return tool


def _ago(hours: int) -> datetime:
    return datetime.fromtimestamp(time.time() - hours * 3600, tz=UTC)


_ABOUT_ALL = {
    "all", "any", "open", "new", "newest", "latest", "recent", "recently", "last", "lately",
    "incident", "incidents", "current", "everything", "list", "show", "the", "today",
}  # fmt: skip
