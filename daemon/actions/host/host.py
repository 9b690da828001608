"""The host as kinds of actions see it: protocols. `local` satisfies them on a real host.

What changes the host goes through two doors only: `Units` (systemd's manager on D-Bus, where polkit
decides) and `Helper` (the root helper with its fixed verbs). Everything else measures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """A unit as systemd's manager has it. Times are seconds since the epoch, 0.0 for never.

    `name` is its own name, also where it was asked for by an alias; `names` are all of them.
    `invocation` is the id of its current or last run, "" without one; `unit_file` is enabled,
    disabled, static, masked, ...; `main_pid` 0: none. `triggers` and `triggered_by` are unit names
    (a timer triggers a service). `requires_by` are loaded units that need this one, or are stopped
    with it. `service_type` is simple, oneshot, ...; `changed_at` is when its state last changed,
    a reload included; `drop_ins` are paths.
    """

    name: str
    load: str
    active: str
    sub: str
    description: str = ""
    unit_file: str = ""
    result: str = ""
    restarts: int = 0
    invocation: str = ""
    active_since: float = 0.0
    main_pid: int = 0
    can_start: bool = True
    can_stop: bool = True
    can_reload: bool = False
    refuse_manual_start: bool = False
    refuse_manual_stop: bool = False
    start_limit_burst: int = 0
    start_limit_interval: float = 0.0
    triggers: tuple[str, ...] = ()
    triggered_by: tuple[str, ...] = ()
    requires_by: tuple[str, ...] = ()
    last_trigger: float = 0.0
    names: tuple[str, ...] = ()
    service_type: str = ""
    inactive_since: float = 0.0
    changed_at: float = 0.0
    reload_result: str = ""
    drop_ins: tuple[str, ...] = ()


class Units(Protocol):
    """systemd's manager. Every method raises `HostUnavailableError` where there is none."""

    async def state(self, unit: str) -> UnitState | None:
        """None: no such unit (not loaded, and no unit file of that name; an instance of a template
        has to be loaded or enabled). Loads nothing that has no unit file."""
        ...

    async def names(self) -> Sequence[str]:
        """Every loaded unit and every unit file that can be started, sorted."""
        ...

    async def act(self, verb: str, unit: str) -> str:
        """`verb` is start, stop, restart, try-restart, reload or reset-failed. Returns when systemd
        has ended the job, with the job's result ("done", "failed", "timeout", ...). Raises
        `PrivilegeError` where polkit refuses."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HelperAnswer:
    """What the root helper says: whether the verb ran to its end, bounded text, data."""

    ok: bool
    detail: str
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    begun: bool = True
    """False: it was refused before anything was done."""


class Helper(Protocol):
    """The root helper: fixed verbs, arguments checked again on its side."""

    async def call(
        self, verb: str, arguments: Mapping[str, Any], *, timeout: float
    ) -> HelperAnswer:
        """Raises `PrivilegeError` where the helper is absent or does not allow the verb, and
        `HostUnavailableError` where it does not answer."""
        ...

    async def allows(self, verb: str) -> str | None:
        """None where the verb may be called; else the sentence that says what to do."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """A process, identified by `pid` and `start` (clock ticks since boot: never used twice).
    `uid` is the real one, `unit` the system unit it belongs to, "" for none; `kernel`: a thread of
    the kernel. `command` is its program, without arguments: those may hold secrets."""

    pid: int
    start: int
    name: str
    uid: int
    nice: int
    state: str
    unit: str
    command: str
    parent: int = 0
    kernel: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MountState:
    """A mounted file system. `options` are its own, not those of the daemon's view; bytes, 0 where
    it did not answer."""

    point: str
    device: str
    type: str
    options: tuple[str, ...]
    total: int
    free: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOutput:
    """What a read-only program printed. `status` is its exit status."""

    status: int
    text: str


class Host(Protocol):
    """Everything a kind may touch."""

    @property
    def units(self) -> Units: ...

    @property
    def helper(self) -> Helper: ...

    @property
    def limits(self) -> Limits: ...

    async def processes(self) -> Sequence[ProcessState]: ...

    async def process(self, pid: int) -> ProcessState | None: ...

    async def mounts(self) -> Sequence[MountState]: ...

    async def free_bytes(self, path: str) -> int:
        """Free space of the file system that holds `path`, for unprivileged users. Raises
        `HostUnavailableError`."""
        ...

    async def read(self, program: Sequence[str], *, timeout: float = 20.0) -> ProgramOutput:
        """Runs a program that only reads. An argument vector, never a shell. Raises
        `HostUnavailableError` where it is missing or hangs."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator allowed as targets, beyond the host's own inventory."""

    paths: tuple[str, ...] = ()
    """Folders that may be cleaned."""
    never_block: tuple[str, ...] = ()
    """Addresses and networks that are never blocked; loopback and our own never are."""
    certificates: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """By name: the certificate's file, and the unit that renews it."""
    flake: str | None = None
    """The NixOS configuration that may be built."""
    critical_units: tuple[str, ...] = ()
    """Globs beyond the built-in ones."""
    steady_seconds: float = 30.0
    """How long a unit must be well before an action on it is said to have worked."""
