"""A host of doubles that is scripted, word by word, and one that is this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from daemon.actions.action import Action
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import HostUnavailableError, PrivilegeError
from daemon.actions.host.host import (
    HelperAnswer,
    Limits,
    MountState,
    ProcessState,
    ProgramOutput,
    UnitState,
)
from daemon.actions.kinds import containers, network, nixos, packages, processes, storage

CATALOGUE = Catalogue(
    kinds=[
        *storage.KINDS,
        *processes.KINDS,
        *network.KINDS,
        *packages.KINDS,
        *containers.KINDS,
        *nixos.KINDS,
    ]
)


def action(kind: str, target: str, **parameters: object) -> Action:
    return CATALOGUE.action(host="web1", kind=kind, target=target, parameters=parameters)


class ScriptedHelper:
    """Answers by verb; everything that only looks from `looks`, everything else with `effect`."""

    def __init__(self, looks: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.looks = dict(looks or {})
        self.allowed = True
        self.refuses = ""
        self.begins = True
        self.effect: Callable[[], None] = lambda: None
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def call(
        self, verb: str, arguments: Mapping[str, Any], *, timeout: float
    ) -> HelperAnswer:
        if not self.allowed:
            raise PrivilegeError(f"{verb} is not allowed")
        if verb in self.looks:
            return HelperAnswer(ok=True, detail="looked", data=self.looks[verb])
        self.asked.append((verb, dict(arguments)))
        if self.refuses:
            return HelperAnswer(ok=False, detail=self.refuses, begun=self.begins)
        self.effect()
        return HelperAnswer(ok=True, detail="done")

    async def allows(self, verb: str) -> str | None:
        return None if self.allowed else f"{verb} is not allowed: root lists it"


class NoUnits:
    """A host without units."""

    async def state(self, unit: str) -> UnitState | None:
        return None

    async def names(self) -> Sequence[str]:
        return ()

    async def act(self, verb: str, unit: str) -> str:
        raise AssertionError("no kind of these acts on units")


@dataclasses.dataclass(slots=True, kw_only=True)
class ScriptedHost:
    """`programs` are outputs by the first words that match a program's; a missing one cannot be
    asked."""

    helper: ScriptedHelper = dataclasses.field(default_factory=ScriptedHelper)
    units: NoUnits = dataclasses.field(default_factory=NoUnits)
    limits: Limits = dataclasses.field(default_factory=lambda: Limits(steady_seconds=0.0))
    programs: dict[str, str] = dataclasses.field(default_factory=dict)
    mounted: list[MountState] = dataclasses.field(default_factory=list)
    running: dict[int, ProcessState] = dataclasses.field(default_factory=dict)
    free: int = 1_000
    at: float = 1_000_000.0

    async def processes(self) -> Sequence[ProcessState]:
        return list(self.running.values())

    async def process(self, pid: int) -> ProcessState | None:
        return self.running.get(pid)

    async def mounts(self) -> Sequence[MountState]:
        return self.mounted

    async def free_bytes(self, path: str) -> int:
        return self.free

    async def read(self, program: Sequence[str], *, timeout: float = 20.0) -> ProgramOutput:
        words = " ".join(program)
        for start, text in self.programs.items():
            if words.startswith(start):
                return ProgramOutput(status=0 if text else 1, text=text)
        raise HostUnavailableError(f"this host has no {words}")

    def now(self) -> float:
        return self.at
