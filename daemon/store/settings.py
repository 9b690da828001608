"""What an operator can set about the store."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class RetentionSettings(BaseModel):
    """How long what was observed is kept. The ledger and incidents are kept for ever, and the
    patterns that an incident names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events_days: int = Field(14, ge=1, le=3650, description="days that whole events are kept")
    metrics_days: int = Field(30, ge=1, le=3650, description="days that metric samples are kept")
    event_keys_days: int = Field(
        7, ge=1, le=365, description="days in which a redelivered event is recognised by its key"
    )
    patterns_days: int = Field(
        90,
        ge=1,
        le=3650,
        description="days that a pattern is known after it was last seen, and that a verdict is"
        " kept after a newer one took its place",
    )
    responses_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="days that a response of /v1/responses is kept after it was made or gone on"
        " from",
    )
    responses_most: int = Field(
        5_000, ge=1, le=1_000_000, description="most responses that are kept; the oldest go first"
    )
    response_kb: int = Field(
        1_024,
        ge=16,
        le=65_536,
        description="KiB that one response may take with its input; larger input needs store=false",
    )
    responses_in_a_row: int = Field(
        200, ge=1, le=2_000, description="how many responses may go on from one another"
    )


class EmbeddedSettings(BaseModel):
    """The PostgreSQL that the daemon brings and runs when no `dsn` is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_as: str | None = Field(
        None,
        description="user that PostgreSQL runs as when the daemon is root (PostgreSQL refuses to be"
        " root); without it the owner of the existing data, else triaged, postgres or nobody,"
        " whichever exists first",
    )
    shared_buffers_mb: int = Field(64, ge=16, le=65536, description="PostgreSQL's own cache in MiB")
    max_connections: int = Field(40, ge=15, le=500, description="connections that it accepts")
    start_seconds: float = Field(
        120, gt=0, description="how long a start, crash recovery included, may take"
    )
    stop_seconds: float = Field(
        15, gt=0, description="how long a clean stop may take before it is cut short"
    )


class StoreSettings(BaseModel):
    """The store: PostgreSQL, embedded by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dsn: SecretStr | None = Field(
        None,
        description="connection string of a PostgreSQL to use instead of the embedded one,"
        " for example postgresql://triaged@db.example/triaged",
    )
    dsn_file: Path | None = Field(
        None, description="file whose only line is the connection string (keeps a password apart)"
    )
    embedded: EmbeddedSettings = Field(
        default_factory=lambda: EmbeddedSettings(), description="the embedded PostgreSQL"
    )
    pool_min: int = Field(2, ge=0, le=100, description="connections that are kept open")
    pool_max: int = Field(10, ge=2, le=200, description="most connections that are opened")
    connect_seconds: float = Field(5, gt=0, description="how long one connection attempt may take")
    acquire_seconds: float = Field(
        10, gt=0, description="how long work waits for a free connection"
    )
    statement_seconds: float = Field(
        30, gt=0, description="longest that one statement may run before it is cancelled"
    )
    lock_seconds: float = Field(10, gt=0, description="longest that a statement waits for a lock")
    partitions_ahead_days: int = Field(
        7, ge=2, le=60, description="days for which partitions are made ahead"
    )
    retention: RetentionSettings = Field(
        default_factory=lambda: RetentionSettings(), description="how long things are kept"
    )

    @model_validator(mode="after")
    def _one_dsn(self) -> Self:
        if self.dsn is not None and self.dsn_file is not None:
            msg = "set dsn or dsn_file, not both"
            raise ValueError(msg)
        if self.pool_min > self.pool_max:
            msg = f"pool_min ({self.pool_min}) must not be above pool_max ({self.pool_max})"
            raise ValueError(msg)
        return self
