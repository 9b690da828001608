"""What a kind of action says of itself, and what it can do. One class a kind, in `kinds/`.

The order in which the executor asks: `find` (is the target in the inventory, and of which class),
`ready` (preconditions), `before` (what has to be measured first), then `run`, then `check` until it
holds or its time is over. Everything but `run` only measures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from daemon.actions.action import Action, Blast, Risk, TargetType, Value
from daemon.actions.host.host import Host, Limits


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A typed parameter. `least` and `most` bound numbers, and the length of texts; `choices` are
    all that a text may be where given. `default` None: it must be given."""

    name: str
    type: type[str] | type[int] | type[bool]
    description: str
    default: Value | None = None
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    """A text must match the whole of this regular expression."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KindSpec:
    """The facts of a kind, from which code computes risk and policy decides.

    `reversible`: it leaves no lasting change, or `inverse` takes it back. `disruptive`: users of
    the target notice. `locks_out`: on a wrong target it can cut the operator off, so a reversal is
    armed outside the daemon first. `timeout` is how long `run` may take, `settle` how long `check`
    may need until it holds, beyond `Limits.steady_seconds`, both in seconds. `sentence` has the
    place "{target}" and may have those of parameters: "block {address} for {seconds} s".
    """

    name: str
    family: str
    target: TargetType
    sentence: str
    risk: Risk
    blast: Blast
    reversible: bool
    disruptive: bool = False
    locks_out: bool = False
    inverse: str | None = None
    """The kind that undoes it, of the same target."""
    precondition: str
    """In words, for people: what has to be true of the host."""
    postcondition: str
    """In words: what is measured afterwards."""
    timeout: float = 60.0
    settle: float = 30.0
    outlives: float | None = None
    """Seconds for which, at most, the effect goes on when the daemon ends in the middle. None: as
    long as `timeout`, because systemd or the root helper has it in hand."""
    parameters: tuple[Parameter, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target that was found in the inventory just now. `critical`: ssh, networking, boot, the
    daemon itself, storage; `why_critical` says which. `way_in`: the operator may come in through
    it, so that a reversal is armed. `description` is the host's own word."""

    name: str
    type: TargetType
    critical: bool = False
    why_critical: str = ""
    way_in: bool = False
    description: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What `run` left: bounded text for people, never the measure of success."""

    text: str = ""
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a look at the host says of the postcondition.

    `holds` None: it cannot be said yet (or nobody can measure it). `final`: it will not change any
    more, so that nobody has to wait for `settle`. `detail` is a sentence with the figures.
    `measured` is JSON-ready.
    """

    holds: bool | None
    detail: str
    final: bool = False
    measured: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TimedInverse:
    """What has to be undone, and when: stored before the action runs. `in_kernel`: the kernel or
    systemd does it by itself at that time, and the daemon only checks that it happened."""

    kind: str
    target: str
    parameters: Mapping[str, Value]
    after_seconds: float
    in_kernel: bool = False


class Kind(Protocol):
    """One kind of action. Implementations hold no state."""

    @property
    def spec(self) -> KindSpec: ...

    def risk(self, action: Action, target: Target) -> Risk:
        """At least `spec.risk`; more where parameters or target ask for it. Pure."""
        ...

    def verbs(self, action: Action) -> tuple[str, ...]:
        """The root helper's, without which it cannot be done; none where systemd does it. Pure."""
        ...

    def require_target(self, action: Action, limits: Limits) -> None:
        """Raises `TargetError` for what is this kind's target on no host, whatever it holds: by its
        form, by what is never touched, and by what the operator listed. Pure."""
        ...

    async def find(self, action: Action, host: Host) -> Target:
        """The target as the host has it now. Raises `TargetError`, `HostUnavailableError`."""
        ...

    async def ready(self, action: Action, host: Host) -> None:
        """Raises `PreconditionError`, `PrivilegeError`, `HostUnavailableError`."""
        ...

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        """What `check` compares with; JSON-ready. Raises `HostUnavailableError`."""
        ...

    def timed_inverse(self, action: Action) -> TimedInverse | None:
        """What has to be undone in time, None where nothing. Pure."""
        ...

    async def run(self, action: Action, host: Host) -> Output:
        """The effect. `action.parameters` are checked. Returning proves nothing; raising
        `ActionError` neither: `check` decides."""
        ...

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        """Measures the postcondition. Asked again and again for `spec.settle` seconds, and after
        a crash of the daemon too: it has to tell an effect that happened from one that did not
        by what `before` holds. Raises `HostUnavailableError`."""
        ...
