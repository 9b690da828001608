"""Bodies of the operator's endpoints."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from api.ports import NewEvent
from api.text import FitText, fit
from tiers.vocabulary import Severity

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


def in_range(moment: datetime) -> datetime | None:
    """A time with a zone (UTC where it has none), or None where no clock can have said it."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware if _EARLIEST <= aware < _LATEST else None


def _moment(value: datetime) -> datetime:
    aware = in_range(value)
    if aware is None:
        raise ValueError("must be a time from 1970 to 2099")
    return aware


Moment = Annotated[datetime, AfterValidator(_moment)]
"""A time from 1970 to 2099; without a zone it is UTC."""

_Name = Annotated[FitText, Field(max_length=64)]
_Value = Annotated[FitText, Field(max_length=4_096)]
_Reason = Annotated[FitText, Field(min_length=1, max_length=2_000)]


class EventBody(BaseModel):
    """One event as it is posted."""

    model_config = ConfigDict(extra="forbid")

    text: FitText = Field(min_length=1, max_length=65_536, description="the message")
    unit: FitText = Field("", max_length=256, description="unit or program that it is about")
    host: FitText | None = Field(None, max_length=256, description="host, when it is another one")
    severity: Severity | None = Field(None, description="what the sender thinks of it")
    at: Moment | None = Field(None, description="when it occurred; without a zone it is UTC")
    id: FitText | None = Field(None, max_length=256, description="makes posting it again harmless")
    attributes: dict[_Name, _Value] = Field(default_factory=dict, max_length=64)

    def to_event(self) -> NewEvent:
        return NewEvent(
            text=self.text,
            unit=self.unit,
            host=self.host,
            severity=self.severity,
            occurred_at=self.at,
            key=self.id,
            attributes=self.attributes,
        )


class EventsBody(BaseModel):
    """Several events at once."""

    model_config = ConfigDict(extra="forbid")

    events: list[EventBody] = Field(min_length=1, max_length=1_000)


def _kind(body: Any) -> str:
    many = "events" in body if isinstance(body, Mapping) else isinstance(body, EventsBody)
    return "(many)" if many else "(one)"


PostedEvents = Annotated[
    Annotated[EventsBody, Tag("(many)")] | Annotated[EventBody, Tag("(one)")],
    Discriminator(_kind),
]
"""`{"events": [...]}` or one event."""


class CloseBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: _Reason


class MuteBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: _Reason
    hours: float | None = Field(None, gt=0, le=24 * 366, description="no value: until lifted")
    max_per_hour: int | None = Field(None, ge=1, le=1_000_000, description="rises again above this")


def as_json(value: Any) -> Any:
    """A dataclass, or a collection of them, as JSON-ready values: times in ISO 8601, null for
    numbers that JSON lacks, U+FFFD for text that cannot be encoded."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {fit(str(key)): as_json(entry) for key, entry in value.items()}
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(entry) for entry in value]
    return value
