"""The edge: a host whose two doors record every call, and whose state the calls change."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.actions.host.host import (
    HelperAnswer,
    Limits,
    MountState,
    ProcessState,
    ProgramOutput,
    UnitState,
)

LOOKS = frozenset({"hello", "tmp-look", "blocked", "security-updates-list", "containers"})
"""Verbs of the root helper that change nothing."""
HEALTHY = (
    "nginx.service", "shop.service", "sshd.service", "postgresql.service", "triaged.service",
    "NetworkManager.service", "certbot.service",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One call through a door: `door` is units or helper, `target` what it named."""

    door: str
    verb: str
    target: str


class Doors:
    """What came through both, in order."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []


class RecordedUnits:
    """Satisfies `Units`. What is started is well at once, and has been for long."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._runs = 0
        self.units = {name: _unit(name, active="active") for name in HEALTHY}

    def break_unit(self, name: str) -> None:
        self.units[name] = _unit(name, active="failed")

    async def state(self, unit: str) -> UnitState | None:
        return self.units.get(unit)

    async def names(self) -> Sequence[str]:
        return sorted(self.units)

    async def act(self, verb: str, unit: str) -> str:
        self._doors.effects.append(Effect(door="units", verb=verb, target=unit))
        self._runs += 1
        active = {"stop": "inactive", "reset-failed": "inactive"}.get(verb, "active")
        self.units[unit] = dataclasses.replace(
            _unit(unit, active=active), invocation=f"run{self._runs}", changed_at=time.time()
        )
        return "done"


class RecordedHelper:
    """Satisfies `Helper`. Root allowed every verb."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self.cleaned = False
        self.blocked = False

    async def call(
        self, verb: str, arguments: Mapping[str, Any], *, timeout: float
    ) -> HelperAnswer:
        if verb not in LOOKS:
            target = str(
                arguments.get("unit") or arguments.get("path") or arguments.get("pid")
                or arguments.get("network") or arguments.get("target") or ""
            )  # fmt: skip
            self._doors.effects.append(Effect(door="helper", verb=verb, target=target))
            self.cleaned = True
            self.blocked = verb == "block"
        return HelperAnswer(ok=True, detail="done", data=self._data(verb))

    async def allows(self, verb: str) -> str | None:
        return None

    def _data(self, verb: str) -> Mapping[str, Any]:
        files = 0 if self.cleaned else 12
        return {
            "tmp-look": {"files": files, "bytes": files * 1_000, "names": []},
            "blocked": {"blocked": self.blocked, "left": 3_600, "why_never": ""},
            "security-updates-list": {"packages": ["openssl"], "updates": ["openssl"]},
            "containers": {"names": ["web"], "status": "running", "name": "web", "id": "c0"},
        }.get(verb, {})


class RecordedHost:
    """Satisfies `Host`."""

    def __init__(self) -> None:
        self.doors = Doors()
        self.units = RecordedUnits(self.doors)
        self.helper = RecordedHelper(self.doors)
        self.limits = Limits(steady_seconds=1)

    async def processes(self) -> Sequence[ProcessState]:
        return [_PROCESS]

    async def process(self, pid: int) -> ProcessState | None:
        return _PROCESS if pid == _PROCESS.pid else None

    async def mounts(self) -> Sequence[MountState]:
        return [
            MountState(
                point="/", device="/dev/sda1", type="ext4", options=("rw",), total=100, free=1
            )
        ]

    async def free_bytes(self, path: str) -> int:
        return 1_000

    async def read(self, program: Sequence[str], *, timeout: float = 20.0) -> ProgramOutput:
        if program[0] == "du":
            used = 1_000 if self.helper.cleaned else 4_000_000_000
            folders = program[program.index("--") + 1 :]
            return ProgramOutput(status=0, text="\n".join(f"{used}\t{f}" for f in folders))
        return ProgramOutput(status=1, text="")

    def now(self) -> float:
        return time.time()


class RecordedArming:
    """Satisfies `Arming`: nothing here is a way in, so that an arming is an effect too."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def arm(self, *, token: str, kind: str, target: str, after_seconds: float) -> None:
        self._doors.effects.append(Effect(door="helper", verb=f"arm {kind}", target=target))

    async def cancel(self, *, token: str) -> None:
        return None

    async def waits(self, *, token: str) -> bool:
        return False


_PROCESS = ProcessState(
    pid=4242, start=77, name="miner", uid=1000, nice=0, state="S", unit="", command="/tmp/miner"
)


def _unit(name: str, *, active: str) -> UnitState:
    return UnitState(
        name=name,
        load="loaded",
        active=active,
        sub={"active": "running", "failed": "failed"}.get(active, "dead"),
        unit_file="enabled",
        result="exit-code" if active == "failed" else "success",
        invocation="before",
        active_since=time.time() - 1_000 if active == "active" else 0.0,
        inactive_since=time.time() - 1_000,
        can_reload=True,
        service_type="simple",
        names=(name,),
    )
