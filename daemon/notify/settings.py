"""Whom to tell, what, and when not."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from tiers.vocabulary import Severity

_QUIET = re.compile(r"(?P<from>[0-2]\d:[0-5]\d)-(?P<to>[0-2]\d:[0-5]\d)")


class ChannelSettings(BaseModel):
    """One way to reach people, as URLs of apprise (ntfy, Gotify, mail, chat...)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: tuple[SecretStr, ...] = Field(
        (), description="apprise URLs, which often hold secrets: urls_file keeps them out of here"
    )
    urls_file: Path | None = Field(None, description="file with an apprise URL a line")
    min_severity: Severity = Field(Severity.WARNING, description="least severity that is told")
    closed: bool = Field(True, description="tell too when something that was told is over")
    tiers: bool = Field(True, description="tell when a tier's model is out, and when it is back")
    actions: bool = Field(
        True, description="tell of proposals, of what became of actions, and of the stop switch"
    )
    quiet: str | None = Field(
        None, description='hours in which only what is critical is told, local time: "22:00-07:00"'
    )
    most_per_hour: int = Field(20, ge=1, le=10_000, description="most messages an hour")
    summary_from: int = Field(
        5, ge=2, le=1000, description="so many at once become one message that lists them"
    )

    @field_validator("quiet")
    @classmethod
    def _hours(cls, quiet: str | None) -> str | None:
        match = _QUIET.fullmatch(quiet) if quiet is not None else None
        if quiet is not None and (match is None or max(match["from"], match["to"]) >= "24:00"):
            raise ValueError('write it as "22:00-07:00"')
        return quiet

    @model_validator(mode="after")
    def _somewhere(self) -> ChannelSettings:
        if not self.urls and self.urls_file is None:
            raise ValueError("set urls or urls_file: where shall it go?")
        return self


class NotifySettings(BaseModel):
    """Notifications. None without channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: dict[str, ChannelSettings] = Field(
        default_factory=dict, description="by name: [notify.channels.phone]"
    )
    wait_minutes: float = Field(
        5.0,
        ge=0,
        le=1440,
        description="minutes that an incident may wait for its assessment before it is told "
        "without; what is critical never waits",
    )
    tier_minutes: float = Field(
        3.0, ge=0, le=1440, description="minutes that a tier is out before it is told"
    )
    check_seconds: float = Field(5.0, ge=0.1, le=3600, description="seconds between two looks")
