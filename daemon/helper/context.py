"""What a verb is, and what it may use."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from daemon.helper import locks
from daemon.helper.arguments import Arguments
from daemon.helper.config import Config
from daemon.helper.peers import Peer
from daemon.helper.processes import Process, opened
from daemon.helper.programs import Programs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a verb did: a sentence, and data that is JSON-ready and small."""

    detail: str
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One call's surroundings."""

    config: Config
    programs: Programs
    peer: Peer

    def lock(self, target: str) -> contextlib.AbstractContextManager[None]:
        """Held while the verb works on `target`."""
        return locks.held(self.config.locks, target)

    def process(
        self, pid: int, start: int
    ) -> contextlib.AbstractContextManager[tuple[int, Process]]:
        """A pidfd and the facts of a process that may be touched: see `processes.opened`."""
        critical = self.config.critical_units
        return opened(pid, start, asker=self.peer.pid, critical=critical)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One fixed verb. `seconds` is how long it may take in all. `with_any` are verbs of which one
    has to be allowed, for what only looks; empty: the verb itself."""

    name: str
    seconds: float
    run: Callable[[Arguments, Context], Done]
    with_any: tuple[str, ...] = ()
