"""Bodies of the operator's endpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.ports import NewEvent
from tiers.vocabulary import Severity


class EventBody(BaseModel):
    """One event as it is posted."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=65_536, description="the message")
    unit: str = Field("", max_length=256, description="unit or program that it is about")
    host: str | None = Field(None, max_length=256, description="host, when it is another one")
    severity: Severity | None = Field(None, description="what the sender thinks of it")
    at: datetime | None = Field(None, description="when it occurred")
    id: str | None = Field(None, max_length=256, description="makes posting it again harmless")
    attributes: dict[str, str] = Field(default_factory=dict, max_length=64)

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


class CloseBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2_000)


class MuteBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=2_000)
    hours: float | None = Field(None, gt=0, le=24 * 366, description="no value: until lifted")
    max_per_hour: int | None = Field(None, ge=1, description="rises again above this")


class ReviewBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


def as_json(value: Any) -> Any:
    """A dataclass, or a collection of them, as JSON-ready values; times in ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(entry) for entry in value]
    return value
