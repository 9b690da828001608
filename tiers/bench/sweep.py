"""The same questions to servers of one model that are started with different settings."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from tiers.bench.facts import Target
from tiers.bench.run import BenchError
from tiers.config import TierSettings
from tiers.runtime.binary import Binary
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.models import server_flags
from tiers.runtime.ownership import free_port
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName

SWEPT = ("threads", "parallel", "context", "ubatch", "kv_type", "gpu_layers")
"""Settings of a tier that change its speed."""


def variants(wanted: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Every combination of the given values, in order. Raises `BenchError` for another name."""
    for name in wanted:
        if name not in SWEPT:
            raise BenchError(f"{name} cannot be swept; {', '.join(SWEPT)} can")
    names = list(wanted)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*wanted.values())]


@contextlib.asynccontextmanager
async def served(
    settings: TierSettings, changes: Mapping[str, str], *, tier: TierName, binary: Binary
) -> AsyncIterator[Target]:
    """A server of the tier's model with some settings changed, on a port of its own, gone when the
    block is left. Raises `BenchError`."""
    name = " ".join(f"{key}={value}" for key, value in changes.items()) or "as configured"
    try:
        changed = TierSettings.model_validate(
            settings.model_dump() | dict(changes) | {"port": free_port("127.0.0.1")}
        )
        flags, _ = await asyncio.to_thread(
            server_flags, tier=tier, settings=changed, port=changed.port
        )
    except (ValidationError, MisconfiguredError) as error:
        raise BenchError(f"{name}: {error}") from error
    with tempfile.TemporaryDirectory(prefix="triaged-bench-") as folder:
        server = LlamaServer(tier=tier, flags=flags, binary=binary, state_dir=Path(folder))
        try:
            status = await server.start()
            if status.state is not ServerState.READY:
                raise BenchError(f"{name}: {status.detail}")
            yield Target(name=name, url=flags.url, model=flags.alias, pid=status.pid)
        finally:
            await server.stop()
