"""What the operator can say about each source; one frozen model a source, all with defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from daemon.sources.when import parse_when

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]
"""A duration in seconds, above 0 and at most a week."""


class SourceSettings(BaseModel):
    """What every source has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="whether this source runs at all")


class BackoffSettings(BaseModel):
    """How a failed source is started again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial: Seconds = Field(1.0, description="seconds before the first new start")
    factor: float = Field(2.0, ge=1, le=10, description="each further pause is this much longer")
    maximum: Seconds = Field(60.0, description="seconds, the longest pause")
    jitter: float = Field(0.2, ge=0, le=1, description="share of a pause that is random")
    stable_after: Seconds = Field(
        60.0, description="seconds of running after which the pause starts again at `initial`"
    )
    settle: Seconds = Field(
        2.0, description="seconds without failing after which a source counts as running"
    )


class JournaldSettings(SourceSettings):
    """The systemd journal, through `journalctl`."""

    journalctl: str = Field("journalctl", description="the program, by name or by path")
    directory: Path | None = Field(
        None, description="read the journal files of this folder instead of the host's"
    )
    files: tuple[Path, ...] = Field((), description="read these journal files (globs) instead")
    start_at: Literal["end", "boot", "beginning"] = Field(
        "end", description="where the very first start begins: now, this boot, or the oldest entry"
    )
    exclude_units: tuple[str, ...] = Field(
        ("triaged",), description="units and identifiers that are not read, without .service"
    )
    message_limit: int = Field(
        16_384, ge=256, le=1_048_576, description="characters of a message that are kept"
    )
    line_limit: int = Field(
        4_194_304,
        ge=65_536,
        le=268_435_456,
        description="bytes of one entry as JSON; a longer one is dropped and counted",
    )
    batch_events: int = Field(2_000, ge=1, le=100_000, description="events handed over at once")


class FilesSettings(SourceSettings):
    """One group of log files."""

    paths: tuple[str, ...] = Field(
        min_length=1, description='absolute paths or globs; "**" goes through folders'
    )
    exclude: tuple[str, ...] = Field(
        ("*.gz", "*.xz", "*.bz2", "*.zst", "*.lz4", "*.zip", "*.journal", "*.journal~"),
        description="globs on the file name or on the whole path that are left out",
    )
    format: str = Field("auto", description='form of the lines\' headers; "auto" finds it')
    unit: str = Field("", description="unit for lines that name none; empty: the file's stem")
    start_at: Literal["end", "beginning"] = Field(
        "end", description="where the very first start begins in files that are there already"
    )
    line_limit: int = Field(
        16_384, ge=256, le=1_048_576, description="bytes of a line that are kept"
    )
    join_lines: bool = Field(True, description="make one event of a trace that has many lines")
    join_max_lines: int = Field(200, ge=2, le=10_000, description="most lines of one event")
    join_max_bytes: int = Field(
        32_768, ge=1_024, le=1_048_576, description="most characters of one event of many lines"
    )
    join_wait: float = Field(
        0.1, ge=0, le=60, description="seconds that what may be a trace waits for its next line"
    )
    poll_interval: Seconds = Field(
        1.0, description="seconds between looks at files of which no change was announced"
    )
    rescan_interval: Seconds = Field(10.0, description="seconds between searches for new files")
    rotated_wait: Seconds = Field(
        30.0, description="seconds without growth after which a file that was renamed is finished"
    )
    max_files: int = Field(2_000, ge=1, le=100_000, description="most files of the group")
    max_open: int = Field(128, ge=1, le=10_000, description="most files held open")

    @field_validator("paths")
    @classmethod
    def _absolute(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith("/"):
                message = f"{path!r} is not an absolute path; write it from / on"
                raise ValueError(message)
        return paths


class SystemdSettings(SourceSettings):
    """State changes of units, from systemd's bus."""

    bus_address: str | None = Field(
        None, description="D-Bus address instead of the system bus, for example unix:path=/run/…"
    )
    ignore: tuple[str, ...] = Field((), description="globs of unit names that are not watched")
    restart_window: Seconds = Field(600.0, description="seconds in which restarts are counted")
    restart_limit: int = Field(
        3, ge=2, le=1_000, description="restarts within the window that make a restart loop"
    )
    steady_after: Seconds = Field(
        60.0, description="seconds active without a restart after which a unit has recovered"
    )
    resync_interval: Seconds = Field(
        300.0, description="seconds between full looks at all units, in case a signal was missed"
    )


class Limits(BaseModel):
    """Levels of one metric, in its own unit; a level that is left out is never reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    notice: float | None = Field(None, description="from here on worth noting")
    warning: float | None = Field(None, description="from here on somebody should look")
    critical: float | None = Field(None, description="from here on something is being lost")
    clear_margin: float = Field(
        0.0, ge=0, description="how far below a level the value must fall to leave it"
    )
    up_after: int = Field(3, ge=1, le=1_000, description="samples in a row before a level is up")
    down_after: int = Field(5, ge=1, le=1_000, description="samples in a row before it is down")

    @model_validator(mode="after")
    def _ordered(self) -> Limits:
        levels = [v for v in (self.notice, self.warning, self.critical) if v is not None]
        if levels != sorted(levels):
            message = "notice, warning and critical must rise"
            raise ValueError(message)
        return self


def _default_limits() -> dict[str, Limits]:
    percent = {"clear_margin": 5.0}
    return {
        "cpu": Limits(notice=95, up_after=20, down_after=10, clear_margin=10),
        "load": Limits(notice=2, warning=8, up_after=20, down_after=10, clear_margin=0.5),
        "memory": Limits(notice=85, warning=92, critical=97, **percent),
        "swap": Limits(notice=60, warning=90, up_after=6, **percent),
        "pressure_cpu": Limits(notice=50, warning=80, up_after=12, clear_margin=10),
        "pressure_memory": Limits(notice=10, warning=30, critical=60, up_after=4, clear_margin=5),
        "pressure_io": Limits(notice=40, warning=70, up_after=12, clear_margin=10),
        "disk": Limits(notice=80, warning=90, critical=97, up_after=2, clear_margin=2),
        "inodes": Limits(notice=80, warning=90, critical=97, up_after=2, clear_margin=2),
        "temperature": Limits(notice=80, warning=90, critical=100, up_after=4, clear_margin=5),
        "file_descriptors": Limits(notice=70, warning=85, critical=95, **percent),
        "processes": Limits(notice=70, warning=85, critical=95, **percent),
        "zombies": Limits(notice=50, warning=500, up_after=6, clear_margin=10),
        "mount_unresponsive": Limits(warning=1, up_after=1, down_after=2),
    }


class TrendSettings(BaseModel):
    """When a rising disk or inode use is worth a word before a level is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Seconds = Field(3_600.0, description="seconds of samples that the line is fitted to")
    minimum_span: Seconds = Field(600.0, description="seconds of samples needed for any word")
    minimum_rise: float = Field(
        0.5, gt=0, description="percentage points that must have been gained within the window"
    )
    horizon: Seconds = Field(86_400.0, description="seconds; what fills later is not reported")
    critical_within: Seconds = Field(3_600.0, description="seconds; what fills sooner is critical")
    warning_within: Seconds = Field(21_600.0, description="seconds; what fills sooner is a warning")


class MetricsSettings(SourceSettings):
    """What is measured on the host."""

    interval: Seconds = Field(10.0, description="seconds between samples")
    slow_interval: Seconds = Field(
        60.0, description="seconds between looks at mounts, temperatures and processes"
    )
    limits: dict[str, Limits] = Field(
        default_factory=_default_limits,
        description="levels by metric; those that are named replace the defaults of that metric",
    )
    trend: TrendSettings = Field(default_factory=TrendSettings)
    mount_timeout: Seconds = Field(3.0, description="seconds that a mount has to answer")
    mount_exclude: tuple[str, ...] = Field(
        ("/snap/*", "/var/lib/docker/*", "/run/user/*", "/var/lib/kubelet/*"),
        description="globs of mount points that are left out",
    )
    clock_step: Seconds = Field(2.0, description="seconds that the clock may jump without a word")

    @field_validator("limits", mode="after")
    @classmethod
    def _with_defaults(cls, limits: dict[str, Limits]) -> dict[str, Limits]:
        defaults = _default_limits()
        unknown = sorted(set(limits) - set(defaults))
        if unknown:
            message = f"unknown metric {', '.join(unknown)}; there are {', '.join(defaults)}"
            raise ValueError(message)
        return defaults | limits


class EndpointCheck(BaseModel):
    """One address that has to answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="what events call it")
    url: str = Field(
        pattern=r"^(tcp|http|https)://[^\s/]+",
        description="tcp://host:port, or an http(s) address that must answer below 400",
    )
    timeout: Seconds = Field(5.0, description="seconds that an answer may take")


class ServicesSettings(SourceSettings):
    """What has to be up: units, endpoints, processes."""

    interval: Seconds = Field(30.0, description="seconds between checks")
    units: tuple[str, ...] = Field((), description="units that have to be active")
    endpoints: tuple[EndpointCheck, ...] = Field((), description="addresses that have to answer")
    processes: tuple[str, ...] = Field((), description="names of processes that have to be there")
    fail_after: int = Field(2, ge=1, le=100, description="failed checks in a row that mean down")
    recover_after: int = Field(2, ge=1, le=100, description="good checks in a row that mean up")


class MqttSettings(SourceSettings):
    """Events from a broker that the operator already runs."""

    enabled: bool = Field(False, description="whether this source runs at all")
    host: str = Field("localhost", description="host name or address of the broker")
    port: int = Field(1883, ge=1, le=65_535, description="port of the broker; with TLS mostly 8883")
    prefix: str = Field(
        "triaged",
        min_length=1,
        max_length=200,
        pattern=r"^[^#+\x00]+$",
        description="topics are PREFIX/events/#",
    )
    client_id: str = Field(
        "",
        max_length=200,
        description="must stay the same over restarts; empty: made of the host's name",
    )
    share_group: str = Field(
        "",
        pattern=r"^[^#+/\x00]*$",
        description="several daemons of one group take turns (MQTT 5 shared subscription)",
    )
    username: str = Field("", description="user name at the broker")
    password: SecretStr | None = Field(None, description="password; better in password_file")
    password_file: Path | None = Field(None, description="file whose first line is the password")
    tls: bool = Field(False, description="encrypt, and check the broker's certificate")
    tls_ca: Path | None = Field(None, description="certificates to trust instead of the system's")
    tls_certificate: Path | None = Field(None, description="our certificate, when asked for one")
    tls_key: Path | None = Field(None, description="the key of our certificate")
    session_expiry: int = Field(
        7 * 86_400,
        ge=60,
        le=2**32 - 1,
        description="seconds that the broker keeps what arrives while the daemon is away",
    )
    in_flight: int = Field(
        500, ge=1, le=65_535, description="messages that may wait for their commit at once"
    )
    payload_limit: int = Field(
        65_536, ge=1_024, le=16_777_216, description="bytes of a payload; larger ones are dropped"
    )
    keepalive: int = Field(30, ge=5, le=65_535, description="seconds between signs of life")
    connect_timeout: Seconds = Field(10.0, description="seconds that connecting may take")

    @model_validator(mode="after")
    def _one_password(self) -> MqttSettings:
        if self.password is not None and self.password_file is not None:
            message = "password and password_file are both set; keep one"
            raise ValueError(message)
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls_certificate and tls_key belong together; set both or neither"
            raise ValueError(message)
        return self


class HttpIntakeSettings(SourceSettings):
    """Events that are posted to the facade."""

    max_events: int = Field(1_000, ge=1, le=100_000, description="most events of one request")
    text_limit: int = Field(
        16_384, ge=256, le=1_048_576, description="characters of a text that are kept"
    )


class ScheduleSettings(SourceSettings):
    """When the recurring work runs, local time."""

    review: str = Field("every 6h", description='holistic review: "HH:MM", "every 6h" or "off"')

    @field_validator("review")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        parse_when(text)
        return text
