"""What a llama-server is started with, as typed values; argv and wheel parameters are made here."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from pathlib import Path
from typing import Any

from tiers.config import KvType

_HTTP_THREADS_EXTRA = 4
"""Beside one thread per slot: health, metrics, tokenize."""
_BATCH = 2048
"""Tokens that are taken in at once; llama.cpp's own default."""
_WARNINGS = 2
"""Verbosity that logs warnings and errors; the next writes several lines per request."""

REQUIRED_FLAGS = frozenset(
    {
        "--model",
        "--alias",
        "--host",
        "--port",
        "--ctx-size",
        "--parallel",
        "--threads",
        "--n-gpu-layers",
        "--cache-type-k",
        "--cache-type-v",
        "--no-slots",
        "--jinja",
    }
)
"""Without these a llama-server is not what the settings say, or shows others' prompts."""
OPTIONAL_FLAGS = frozenset(
    {
        "--threads-http",
        "--cache-ram",
        "--ubatch-size",
        "--batch-size",
        "--verbosity",
        "--sleep-idle-seconds",
        "--metrics",
        "--fit",
        "--no-ui",
    }
)
"""These only make it faster, smaller or quieter."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerFlags:
    """`context` is tokens of one call; `gpu_layers` -1 leaves it to llama-server; `fit` lets it
    shrink to the device's memory."""

    model: Path
    alias: str
    host: str
    port: int
    context: int
    parallel: int
    threads: int
    gpu_layers: int = -1
    cache_ram_mib: int = 64
    kv_type: KvType = "f16"
    ubatch: int = 512
    sleep_idle_seconds: int | None = None
    fit: bool = True

    @property
    def url(self) -> str:
        """Where this machine reaches it."""
        return url_of(connect_host(self.host), self.port)

    def argv(self, known: Set[str] | None = None) -> list[str]:
        """The arguments of a llama-server program. `known` are the options that it has: what only
        makes it faster or quieter is left out where it has not; None passes everything."""
        arguments: dict[str, str | int | None] = {
            "--model": str(self.model),
            "--alias": self.alias,
            "--host": self.host,
            "--port": self.port,
            "--ctx-size": self.context * self.parallel,
            "--parallel": self.parallel,
            "--threads": self.threads,
            "--threads-http": self.parallel + _HTTP_THREADS_EXTRA,
            "--cache-ram": self.cache_ram_mib,
            "--cache-type-k": self.kv_type,
            "--cache-type-v": self.kv_type,
            "--ubatch-size": self.ubatch,
            "--batch-size": max(_BATCH, self.ubatch),
            "--verbosity": _WARNINGS,
        }
        if self.sleep_idle_seconds is not None:
            arguments["--sleep-idle-seconds"] = self.sleep_idle_seconds
        if self.gpu_layers >= 0:
            arguments["--n-gpu-layers"] = self.gpu_layers
        if not self.fit:
            arguments["--fit"] = "off"
        arguments |= dict.fromkeys(("--metrics", "--no-slots", "--jinja", "--no-ui"))
        words: list[str] = []
        for name, value in arguments.items():
            if known is None or name in known or name not in OPTIONAL_FLAGS:
                words += [name] if value is None else [name, str(value)]
        return words

    def wheel_parameters(self) -> dict[str, Any]:
        """The same as attributes of the wheel's `CommonParams`."""
        parameters: dict[str, Any] = {
            "model.path": str(self.model),
            "model_alias": [self.alias],
            "hostnames": [self.host],
            "port": self.port,
            "n_ctx": self.context * self.parallel,
            "n_parallel": self.parallel,
            "cpuparams.n_threads": self.threads,
            "cpuparams_batch.n_threads": self.threads,
            "n_threads_http": self.parallel + _HTTP_THREADS_EXTRA,
            "cache_ram_mib": self.cache_ram_mib,
            "endpoint_metrics": True,
            "endpoint_slots": False,
            "ui": False,
            "cors_origins": "localhost",
            "use_jinja": True,
            "fit_params": self.fit,
            "cache_type_k": self.kv_type,
            "cache_type_v": self.kv_type,
            "n_ubatch": self.ubatch,
            "n_batch": max(_BATCH, self.ubatch),
            "sleep_idle_seconds": self.sleep_idle_seconds or -1,
            "verbosity": _WARNINGS,
        }
        if self.gpu_layers >= 0:
            parameters["n_gpu_layers"] = self.gpu_layers
        return parameters


def connect_host(host: str) -> str:
    """The address by which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def url_of(host: str, port: int) -> str:
    """The URL of a server that is reached at `host`."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
