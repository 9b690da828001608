"""Every setting, composed from what each room defines for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from api.cors import unfit_origin
from api.ports_chat import ChatOptions
from daemon.actions.settings import ActionsSettings
from daemon.config.backends import spread
from daemon.notify.settings import NotifySettings
from daemon.sources.settings import (
    BackoffSettings,
    FilesSettings,
    HttpIntakeSettings,
    JournaldSettings,
    MetricsSettings,
    MqttSettings,
    ScheduleSettings,
    ServicesSettings,
    SystemdSettings,
)
from daemon.store.settings import StoreSettings
from tiers.config import (
    Backend,
    BackendSettings,
    MetaSettings,
    OllamaSettings,
    ReviewSettings,
    TierSettings,
    ToolLoopSettings,
    TriggerSettings,
)
from tiers.pressure.settings import GuardSettings
from tiers.vocabulary import Severity, TierName

Port = Annotated[int, Field(ge=1, le=65_535)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourcesSettings(_Section):
    """Where events come from."""

    journald: JournaldSettings = Field(default_factory=JournaldSettings)
    files: dict[str, FilesSettings] = Field(
        default_factory=dict, description="groups of log files by name: [sources.files.web]"
    )
    systemd: SystemdSettings = Field(default_factory=SystemdSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    services: ServicesSettings = Field(default_factory=ServicesSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    http: HttpIntakeSettings = Field(default_factory=HttpIntakeSettings)
    schedule: ScheduleSettings = Field(default_factory=ScheduleSettings)
    syslog_fallback: bool = Field(
        True,
        description="without a journal and without configured files, watch /var/log's usual files",
    )
    backoff: BackoffSettings = Field(default_factory=BackoffSettings)


class IntakeSettings(_Section):
    """What is folded, and when a model looks again."""

    rules: tuple[Path, ...] = Field(
        (), description="rule files of the operator, after the built-in"
    )
    max_patterns: int = Field(20_000, ge=100, le=1_000_000, description="most patterns known")
    queue_batches: int = Field(
        64, ge=1, le=10_000, description="batches that may wait for their commit; then sources wait"
    )
    group_events: int = Field(
        10_000, ge=1, le=1_000_000, description="most events committed in one transaction"
    )
    rate_factor: float = Field(
        8.0, ge=1.5, description="a known pattern that comes this many times faster is judged again"
    )
    rate_least: int = Field(20, ge=2, description="... if it comes this often within a minute")
    verdict_days: float = Field(30.0, gt=0, description="days after which a verdict is too old")
    storm_patterns: int = Field(
        500, ge=10, description="new patterns within a minute that are called a storm"
    )


class EscalationSettings(_Section):
    """How incidents travel."""

    workers: int = Field(2, ge=1, le=64, description="incidents that are thought about at once")
    lease_seconds: float = Field(300.0, gt=1, description="how long a worker owns an incident")
    deadline_minutes: float = Field(
        60.0,
        gt=0,
        description="minutes after which an incident that no tier settled is for a human",
    )
    max_attempts: int = Field(5, ge=1, le=100, description="tries before a human is asked")
    join_minutes: float = Field(
        60.0, gt=0, description="what belongs together within this time becomes one incident"
    )
    reopen_hours: float = Field(
        24.0, gt=0, description="what returns within this time reopens its incident"
    )
    max_new_per_minute: int = Field(
        30, ge=1, description="incidents opened in a minute; more go to one storm incident"
    )
    sure_from: float | None = Field(
        None,
        ge=0,
        le=1,
        description="probability from which a pattern that no rule speaks about gets an incident "
        "of its own; less sure ones share one. Default: 0.97 for the bundled model, else 0.7",
    )
    burst_review: int = Field(
        10, ge=1, description="incidents opened in ten minutes that start a holistic review"
    )
    steady_seconds: float = Field(
        120.0, ge=0, description="how long a condition must be gone before an incident closes"
    )
    meta_from: Severity = Field(
        Severity.CRITICAL,
        description="incidents this bad go to the meta tier after the review tier",
    )


class MemorySettings(_Section):
    """What past incidents taught."""

    enabled: bool = Field(True, description="whether similar incidents are looked up")
    embedder: Literal["lexical", "endpoint"] = Field(
        "lexical", description="our own vectors, or those of an embeddings endpoint"
    )
    endpoint: str | None = Field(
        None, description="URL of an OpenAI-compatible embeddings endpoint"
    )
    model: str = Field("embeddings", description="model name at that endpoint")
    timeout: float = Field(0.5, gt=0, le=30, description="seconds after which triage goes on alone")
    limit: int = Field(3, ge=0, le=20, description="similar incidents shown to a tier")

    @model_validator(mode="after")
    def _endpoint_where_needed(self) -> Self:
        if self.embedder == "endpoint" and self.endpoint is None:
            raise ValueError('embedder "endpoint" needs an endpoint: say its URL')
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise ValueError("endpoint must begin with http:// or https://")
        return self


class ToolsSettings(_Section):
    """What tiers and chats may look up."""

    readable: tuple[str, ...] = Field(
        (
            "/var/log/**",
            "/etc/fstab",
            "/etc/hosts",
            "/etc/os-release",
            "/etc/resolv.conf",
            "/proc/mdstat",
            "/etc/systemd/**",
        ),
        description="globs of files that file_excerpt may show",
    )
    timeout: float = Field(10.0, gt=0, le=600, description="seconds that a tool may take")
    loop: ToolLoopSettings = Field(default_factory=ToolLoopSettings)

    @field_validator("readable")
    @classmethod
    def _absolute(cls, readable: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in readable:
            if not pattern.startswith("/"):
                raise ValueError(f"{pattern!r} is not an absolute path; write it from / on")
        return readable


class ChatSettings(_Section):
    """How chats with the model `triaged` are answered."""

    housekeeping: Literal["auto", "trigger", "review", "meta", "off"] = Field(
        "auto",
        description="tier that writes what frontends ask for beside the chat (titles, tags, "
        "follow-up questions, search queries); auto: trigger, then review; where no model that "
        "writes prose answers, code does; off: such requests are answered like any chat",
    )
    show_tools: bool = Field(
        False,
        description="show each tool call with its result in the text of every answer; without it "
        "only clients that ask for it get that",
    )


class KeylessSettings(_Section):
    """Callers without a key: only on loopback, and only while there is no file with keys."""

    role: Literal["viewer", "operator", "admin"] = Field(
        "operator", description="what they may do; a viewer reads and chats"
    )
    requests_per_minute: int | None = Field(None, ge=1, description="requests a minute, together")
    tokens_per_day: int | None = Field(
        None, ge=1, description="tokens of models a day (UTC), together"
    )
    concurrent: int | None = Field(None, ge=1, description="requests in progress at once")
    forwards_users: bool = Field(
        False,
        description="believe the headers in which a frontend says whom it asks for; anybody on "
        "this host can write them",
    )


class ApiSettings(_Section):
    """The facade."""

    enabled: bool = Field(
        True,
        description="whether the daemon itself answers; false where `triaged run --only api` does, "
        "in a process of its own (triaged-api.service)",
    )
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: Port = Field(8083, description="port to listen on")
    body_limit: int = Field(
        8 * 1024 * 1024, ge=1024, description="bytes of a request's body that are accepted"
    )
    keys_file: Path | None = Field(
        None,
        description="file with keys, as `triaged keys add` makes it, or with a key a line; without "
        "keys nothing but loopback is listened on; default: STATE/keys.toml",
    )
    keyless: KeylessSettings = Field(default_factory=KeylessSettings)
    cors_origins: tuple[str, ...] = Field(
        (),
        description="web pages that may use the API from a browser, as origins: "
        "https://chat.example.org",
    )
    chat: ChatSettings = Field(default_factory=ChatSettings)

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if why := unfit_origin(origin):
                raise ValueError(why)
        return origins


class TiersSettings(_Section):
    """The three tiers, and where their models run."""

    backend: Backend | None = Field(
        None,
        description="where the models of tiers run that name no endpoint: llama_cpp (a "
        "llama-server of our own, unless tiers.llama_cpp names one), ollama or openai; "
        "$LLM_BACKEND overrides it; default: llama_cpp",
    )
    trigger: TriggerSettings = Field(default_factory=TriggerSettings)
    review: ReviewSettings = Field(default_factory=ReviewSettings)
    meta: MetaSettings = Field(default_factory=MetaSettings)
    ollama: OllamaSettings = Field(default_factory=OllamaSettings)
    openai: BackendSettings = Field(default_factory=BackendSettings)
    llama_cpp: BackendSettings = Field(default_factory=BackendSettings)

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, tiers: Any) -> Any:
        return spread(tiers) if isinstance(tiers, dict) else tiers

    def by_name(self) -> dict[TierName, TierSettings]:
        return {
            TierName.TRIGGER: self.trigger,
            TierName.REVIEW: self.review,
            TierName.META: self.meta,
        }


class ModelsSettings(_Section):
    """Model files that are pulled."""

    folder: Path | None = Field(None, description="where they are kept; default: STATE/models")
    catalogue: tuple[Path, ...] = Field(
        (), description="catalogues of the operator, after the built-in one"
    )


class LogSettings(_Section):
    """What the daemon says of itself."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level")
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: for people on a terminal, JSON elsewhere"
    )
    prompts: bool = Field(
        False, description="log what is asked in chats and what is answered, word for word"
    )


class Settings(_Section):
    """The whole configuration."""

    host_name: str = Field("", description="what this host is called; empty: its own name")
    state_dir: Path | None = Field(
        None, description="where state is kept; see --state-dir for the order of places"
    )
    store: StoreSettings = Field(default_factory=StoreSettings)
    sources: SourcesSettings = Field(default_factory=SourcesSettings)
    intake: IntakeSettings = Field(default_factory=IntakeSettings)
    tiers: TiersSettings = Field(default_factory=TiersSettings)
    escalation: EscalationSettings = Field(default_factory=EscalationSettings)
    actions: ActionsSettings = Field(default_factory=ActionsSettings)
    memory: MemorySettings = Field(default_factory=MemorySettings)
    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    log: LogSettings = Field(default_factory=LogSettings)

    def chat_options(self) -> ChatOptions:
        """What the facade is told of chats."""
        return ChatOptions(
            housekeeping=self.api.chat.housekeeping != "off",
            show_tools=self.api.chat.show_tools,
            log_prompts=self.log.prompts,
        )

    def clerks(self) -> tuple[TierName, ...]:
        """The tiers that write for frontends beside the chat, in the order they are asked in."""
        match self.api.chat.housekeeping:
            case "auto":
                return (TierName.TRIGGER, TierName.REVIEW)
            case "off":
                return ()
            case name:
                return (TierName(name),)

    @model_validator(mode="after")
    def _a_port_each(self) -> Self:
        taken = {self.api.port: "api.port"}
        for tier, its in self.tiers.by_name().items():
            if its.endpoint is not None or its.port == 0:
                continue
            name = f"tiers.{tier.value}.port"
            if (other := taken.setdefault(its.port, name)) != name:
                raise ValueError(f"{other} and {name} are both {its.port}; give each its own port")
        return self
