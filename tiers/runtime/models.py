"""Which file a tier's own server loads, and what it is started with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import psutil

from tiers.config import TierSettings
from tiers.nano.files import BundledModelError, bundled_model
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.flags import ServerFlags
from tiers.runtime.gguf_header import ModelFile, read_model_file
from tiers.vocabulary import TierName

_MOST_CONTEXT = 8192
"""Without a configured context: more costs memory that nobody asked for."""
_UNKNOWN_CONTEXT = 4096
_NANO_CACHE_MIB = 8


def model_path(tier: TierName, settings: TierSettings) -> Path:
    """The GGUF file of a tier. Raises `MisconfiguredError` for a bundled one that is not whole."""
    if not settings.bundled:
        return Path(settings.model).expanduser()
    try:
        return bundled_model(tier).path
    except BundledModelError as error:
        raise MisconfiguredError(str(error)) from error


def server_flags(
    *, tier: TierName, settings: TierSettings, port: int
) -> tuple[ServerFlags, ModelFile]:
    """What the server of a tier is started with. Reads the model file's head; raises
    `MisconfiguredError`."""
    file = read_model_file(model_path(tier, settings))
    trained = file.context or _UNKNOWN_CONTEXT
    context = settings.context or min(trained, _MOST_CONTEXT)
    threads = settings.threads or (1 if settings.bundled else _threads())
    flags = ServerFlags(
        model=file.path.resolve(),
        alias=file.name if settings.bundled else file.path.stem,
        host=settings.host,
        port=port,
        context=context,
        parallel=settings.parallel,
        threads=threads,
        gpu_layers=0 if settings.bundled and settings.gpu_layers < 0 else settings.gpu_layers,
        cache_ram_mib=min(settings.cache_ram_mib, _NANO_CACHE_MIB)
        if settings.bundled
        else settings.cache_ram_mib,
        kv_type=settings.kv_type,
        ubatch=settings.ubatch,
        sleep_idle_seconds=settings.sleep_idle_seconds,
        fit=not settings.bundled,
    )
    return flags, dataclasses.replace(file, path=flags.model)


def _threads() -> int:
    """One per physical core: more only compete for the same arithmetic units."""
    return psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
