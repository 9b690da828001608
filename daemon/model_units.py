"""What systemd knows of the models that it runs for us: llama-trigger, llama-review, llama-meta.

Those servers are no children of the daemon, so it cannot measure them itself.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence

from daemon.sources import child
from tiers.config import TierSettings
from tiers.vocabulary import TierName

_PROPERTIES = ("Id", "ActiveState", "MainPID", "MemoryCurrent", "NRestarts")
_INTERVAL = 15.0
_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnitUse:
    """One unit. `memory` in bytes, None where systemd does not account for it."""

    active: bool
    pid: int | None
    memory: int | None
    restarts: int


def unit_of(tier: TierName) -> str:
    return f"llama-{tier.value}.service"


def served_by_systemd(settings: Mapping[TierName, TierSettings]) -> list[TierName]:
    """The tiers whose servers a service manager of this host runs."""
    return [
        tier
        for tier, each in settings.items()
        if each.endpoint is None and each.served_by == "service"
    ]


class ModelUnits:
    """Asks every 15 seconds. Knows nothing where there is no systemd to ask."""

    def __init__(self, *, tiers: Sequence[TierName]) -> None:
        self._units = {unit_of(tier): tier for tier in tiers}
        self._known: dict[TierName, UnitUse] = {}

    def use(self, tier: TierName) -> UnitUse | None:
        return self._known.get(tier)

    async def run(self) -> None:
        """Asks until cancelled."""
        systemctl = shutil.which("systemctl")
        if systemctl is None or not self._units or not os.path.isdir("/run/systemd/system"):  # noqa: ASYNC240, PTH112
            return
        command = [systemctl, "show", *self._units, f"--property={','.join(_PROPERTIES)}"]
        while True:
            try:
                _, output, _ = await child.run(command, timeout=_SECONDS)
            except (TimeoutError, OSError):
                self._known = {}
            else:
                self._known = {
                    self._units[name]: use
                    for name, use in parse(output.decode(errors="replace").split("\n\n"))
                    if name in self._units
                }
            await asyncio.sleep(_INTERVAL)


def parse(shown: Iterable[str]) -> list[tuple[str, UnitUse]]:
    """From the blocks of `systemctl show`, by the unit's name."""
    found = []
    for block in shown:
        pairs = (line.partition("=") for line in block.splitlines())
        values = {name: value for name, sign, value in pairs if sign}
        if name := values.get("Id"):
            use = UnitUse(
                active=values.get("ActiveState") == "active",
                pid=_number(values.get("MainPID")) or None,
                memory=_number(values.get("MemoryCurrent")),
                restarts=_number(values.get("NRestarts")) or 0,
            )
            found.append((name, use))
    return found


def _number(text: str | None) -> int | None:
    """ "[not set]", and the largest number that systemd means by it, are none."""
    if text is None or not text.isascii() or not text.isdigit() or int(text) >= 2**64 - 1:
        return None
    return int(text)
