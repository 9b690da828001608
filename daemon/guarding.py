"""Makes the memory guard out of settings."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.config.settings import Settings
from tiers.llm.port import Throttled
from tiers.pressure.guard import MemoryGuard, Servers
from tiers.pressure.reading import PressureReader
from tiers.vocabulary import TierName


def make_guard(
    settings: Settings, *, clients: Mapping[TierName, Throttled], servers: Servers
) -> MemoryGuard:
    """GPUs are looked at where a model of ours may be on one: the bundled ones never are."""
    gpus = any(
        tier.own_server and not tier.bundled and tier.gpu_layers != 0
        for tier in settings.tiers.by_name().values()
    )
    return MemoryGuard(
        settings=settings.guard,
        read=PressureReader(gpus=gpus),
        clients=clients,
        servers=servers,
    )
