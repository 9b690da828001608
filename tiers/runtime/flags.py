"""What a llama-server is started with, as typed values; argv and wheel parameters are made here."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tiers.config import KvType

_HTTP_THREADS_EXTRA = 4
"""Beside one thread per slot: health, metrics, tokenize."""
_BATCH = 2048
"""Tokens that are taken in at once; llama.cpp's own default."""
_WARNINGS = 2
"""Verbosity that logs warnings and errors; the next writes several lines per request."""


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

    def argv(self) -> list[str]:
        """The arguments of a llama-server program."""
        arguments: dict[str, str | int] = {
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
        words = [str(word) for pair in arguments.items() for word in pair]
        return [*words, "--metrics", "--no-slots", "--jinja"]

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
