"""One tier: where its model answers, which model it is, and what a call may cost."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tiers.vocabulary import TierName

BUNDLED = "bundled"
"""The value of `model` that means the nano model in the distribution."""

KvType = Literal["f16", "q8_0", "q4_0"]
Backend = Literal["llama_cpp", "ollama", "openai"]
ProfileName = Literal["auto", "nano", "full"]

_PORT = "port of our llama-server; 0 picks a free one"
_PARALLEL = "calls that are answered at the same time"
_TIMEOUT = "seconds after which a call is given up"
_MAX_TOKENS = "most tokens of one answer"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _url(value: str | None) -> str | None:
    if value is None:
        return None
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    if urlsplit(value).username is not None:
        raise ValueError(
            "holds a name or password, which logs and metrics would show; "
            "put the key into a file and name it in api_key_file"
        )
    return value.rstrip("/")


class FallbackSettings(_Section):
    """An endpoint that is asked while the ones before it do not answer."""

    endpoint: str = Field(description="URL of a running server (OpenAI-compatible)")
    backend: Backend | None = Field(
        None, description="what answers there: llama_cpp, ollama or openai; default: the tier's"
    )
    model: str | None = Field(
        None, min_length=1, description="the model's name there; default: the first that it lists"
    )
    api_key_file: Path | None = Field(
        None, description="file whose first line is the endpoint's key"
    )
    profile: ProfileName = Field(
        "auto", description="prompts for nano or for large models; auto: for large ones"
    )
    context: int | None = Field(
        None, ge=256, le=1_048_576, description="tokens of prompt and answer of one call"
    )
    parallel: int | None = Field(
        None, ge=1, le=64, description="calls at the same time; default: as the tier"
    )
    timeout_seconds: float | None = Field(
        None, gt=0, le=3600, description=f"{_TIMEOUT}; default: as the tier"
    )
    max_tokens: int | None = Field(
        None, ge=16, le=131_072, description=f"{_MAX_TOKENS}; default: as the tier"
    )
    temperature: float | None = Field(
        None, ge=0, le=2, description="sampling temperature; default: the model's own"
    )
    hang_seconds: float | None = Field(
        None, ge=0, le=3600, description="see the tier's; default: as the tier"
    )

    _is_url = field_validator("endpoint")(_url)


class TierSettings(_Section):
    """One tier: a llama-server of our own, or an endpoint that somebody else runs."""

    host: str = Field("127.0.0.1", description="address that our llama-server listens on")
    port: int = Field(8080, ge=0, le=65_535, description=_PORT)
    model: str = Field(
        BUNDLED,
        min_length=1,
        description=(
            '"bundled", or the path of a GGUF file; with an endpoint: the model\'s name there '
            "(bundled: the first that it lists)"
        ),
    )
    endpoint: str | None = Field(
        None,
        description="URL of a running server (OpenAI-compatible); then none of ours is started",
    )
    api_key_file: Path | None = Field(
        None,
        description="file whose first line is the key: the endpoint's, or that of our own server",
    )
    served_by: Literal["daemon", "service"] = Field(
        "daemon",
        description="who runs the llama-server at host and port: the daemon, or a service manager "
        "(llama-*.service), to whose server the daemon attaches",
    )
    backend: Backend = Field(
        "llama_cpp", description="what answers there: llama_cpp, ollama or openai (vLLM, gateways)"
    )
    context: int | None = Field(
        None,
        ge=256,
        le=1_048_576,
        description="tokens of prompt and answer of one call; default: the model's, at most 8192",
    )
    parallel: int = Field(2, ge=1, le=64, description=_PARALLEL)
    threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="processor threads; default: 1 for bundled, else by hardware",
    )
    gpu_layers: int = Field(
        -1, ge=-1, description="layers kept on the GPU where there is one; -1: as many as fit"
    )
    cache_ram_mib: int = Field(
        64, ge=0, le=1_048_576, description="MiB of memory for prompts kept for reuse"
    )
    kv_type: KvType = Field(
        "f16", description="how the cache of keys and values is kept: f16, q8_0 (half), q4_0"
    )
    ubatch: int = Field(
        512, ge=16, le=8192, description="tokens of a prompt that are computed at once"
    )
    sleep_idle_seconds: int | None = Field(
        None,
        ge=10,
        le=604_800,
        description="seconds without work after which the model is unloaded; the next call waits "
        "until it is loaded again; default: never",
    )
    timeout_seconds: float = Field(120.0, gt=0, le=3600, description=_TIMEOUT)
    queue: int = Field(
        64, ge=0, le=10_000, description="calls that may wait for a free slot; more are turned away"
    )
    max_tokens: int = Field(1024, ge=16, le=131_072, description=_MAX_TOKENS)
    temperature: float | None = Field(
        None, ge=0, le=2, description="sampling temperature; default: the model's own"
    )
    profile: ProfileName = Field(
        "auto", description="prompts for nano or for large models; auto: nano for the bundled one"
    )
    budget: int | None = Field(
        None,
        ge=64,
        le=1_048_576,
        description="tokens that a case may fill; default: what the context leaves",
    )
    hang_seconds: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="seconds in which a server that works on a call may leave look-ups unanswered "
        "before the next endpoint is asked; 0: only timeout_seconds tells",
    )
    fallback: tuple[FallbackSettings, ...] = Field(
        (),
        max_length=8,
        description="endpoints that are asked, in this order, while the first does not answer: "
        "[[tiers.NAME.fallback]]",
    )

    _is_url = field_validator("endpoint")(_url)

    @model_validator(mode="after")
    def _fits_together(self) -> TierSettings:
        if self.endpoint is None and self.backend != "llama_cpp":
            raise ValueError(f"backend {self.backend} needs an endpoint: say its URL")
        if self.served_by == "service" and self.endpoint is None and self.port == 0:
            raise ValueError("a server that a service manager runs needs a port: 0 finds none")
        if self.endpoint is None and self.api_key_file is None and not _is_loopback(self.host):
            raise ValueError(
                f"a server that others reach on {self.host} needs a key: set api_key_file, "
                "or listen on 127.0.0.1"
            )
        return self

    @property
    def own_server(self) -> bool:
        """Whether the daemon starts and watches a llama-server for this tier."""
        return self.endpoint is None and self.served_by == "daemon"

    @property
    def bundled(self) -> bool:
        """Whether the model in the distribution is meant."""
        return self.endpoint is None and self.model == BUNDLED

    def chain(self) -> tuple[TierSettings, ...]:
        """The endpoints in the order in which they are asked, as a tier each."""
        return (
            self.model_copy(update={"fallback": ()}),
            *(self._behind(fallback) for fallback in self.fallback),
        )

    def _behind(self, fallback: FallbackSettings) -> TierSettings:
        """What is said for the tier holds there too, but for what belongs to its first model."""
        said = {
            name: value
            for name in ("parallel", "timeout_seconds", "max_tokens", "hang_seconds")
            if (value := getattr(fallback, name)) is not None
        }
        backend = self.backend if self.endpoint is not None else "openai"
        return self.model_copy(
            update={
                **said,
                "endpoint": fallback.endpoint,
                "backend": fallback.backend or backend,
                "model": fallback.model or BUNDLED,
                "api_key_file": fallback.api_key_file,
                "profile": fallback.profile,
                "context": fallback.context,
                "temperature": fallback.temperature,
                "fallback": (),
            }
        )


class TriggerSettings(TierSettings):
    """The trigger tier: many small calls."""

    port: int = Field(8080, ge=0, le=65_535, description=_PORT)
    parallel: int = Field(4, ge=1, le=64, description=_PARALLEL)
    timeout_seconds: float = Field(60.0, gt=0, le=3600, description=_TIMEOUT)
    max_tokens: int = Field(256, ge=16, le=131_072, description=_MAX_TOKENS)


class ReviewSettings(TierSettings):
    """The review tier: investigates with a few look-ups."""

    port: int = Field(8081, ge=0, le=65_535, description=_PORT)
    timeout_seconds: float = Field(300.0, gt=0, le=3600, description=_TIMEOUT)


class MetaSettings(TierSettings):
    """The meta tier: plans and chats."""

    port: int = Field(8082, ge=0, le=65_535, description=_PORT)
    timeout_seconds: float = Field(600.0, gt=0, le=3600, description=_TIMEOUT)
    max_tokens: int = Field(2048, ge=16, le=131_072, description=_MAX_TOKENS)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class BackendSettings(_Section):
    """A server for every tier that names no endpoint, in use while `tiers.backend` names it."""

    endpoint: str | None = Field(None, description="its URL")
    api_key_file: Path | None = Field(None, description="file whose first line is its key")
    model: str | None = Field(None, min_length=1, description="the model's name there")
    trigger_model: str | None = Field(
        None, min_length=1, description="another one for the trigger tier"
    )
    review_model: str | None = Field(
        None, min_length=1, description="another one for the review tier"
    )
    meta_model: str | None = Field(None, min_length=1, description="another one for the meta tier")

    _is_url = field_validator("endpoint")(_url)

    def model_for(self, tier: TierName) -> str | None:
        """What the tier's model is called there; None where nobody said."""
        named: dict[TierName, str | None] = {
            TierName.TRIGGER: self.trigger_model,
            TierName.REVIEW: self.review_model,
            TierName.META: self.meta_model,
        }
        return named[tier] or self.model


class OllamaSettings(BackendSettings):
    """An Ollama for every tier that names no endpoint, while `tiers.backend` is ollama."""

    endpoint: str | None = Field("http://127.0.0.1:11434", description="its URL")


class ToolLoopSettings(_Section):
    """How much looking-up one answer may do."""

    max_steps: int = Field(6, ge=1, le=50, description="model calls of one answer")
    max_calls: int = Field(12, ge=1, le=200, description="tool calls of one answer")
    parallel_calls: int = Field(4, ge=1, le=32, description="tool calls that run at the same time")
    seconds: float = Field(120.0, gt=0, le=3600, description="seconds that one answer may take")
    max_tokens: int = Field(
        32_768, ge=64, le=1_048_576, description="tokens that one answer may generate in all"
    )
    output_chars: int = Field(
        6_000, ge=200, le=1_000_000, description="characters of a tool's result shown to a model"
    )
    tool_seconds: float = Field(20.0, gt=0, le=600, description="seconds that one call may take")
    client_tools: int = Field(
        64, ge=0, le=512, description="tools that a chat's client may bring in one request"
    )
    client_tool_chars: int = Field(
        16_000, ge=256, le=1_000_000, description="characters of one such tool, as JSON"
    )
    remembered_chats: int = Field(
        200, ge=1, le=100_000, description="chats whose tool results are remembered"
    )
    remembered_results: int = Field(
        24, ge=1, le=1000, description="tool results remembered of one chat"
    )
    remembered_mib: int = Field(
        16, ge=1, le=65_536, description="MiB of memory for all remembered tool results"
    )
    remembered_seconds: float = Field(
        3600.0, gt=0, le=604_800, description="seconds that a tool result is remembered"
    )
    fresh_seconds: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="seconds in which a remembered result is as good as a new one",
    )
    unsupported_figures: Literal["mark", "off"] = Field(
        "mark",
        description="mark: an answer ends with the figures that no look-up supports; off: not so",
    )


_DEFAULTS: Mapping[TierName, TierSettings] = {
    TierName.TRIGGER: TriggerSettings(),
    TierName.REVIEW: ReviewSettings(),
    TierName.META: MetaSettings(),
}


def default_tier(tier: TierName) -> TierSettings:
    """The built-in settings of a tier: the bundled model on 8080, 8081 or 8082."""
    return _DEFAULTS[tier]
