"""The states of one llama-server, and what is told about it.

| state    | means                                               | goes to                        |
|----------|-----------------------------------------------------|--------------------------------|
| absent   | not asked for yet                                   | starting                       |
| starting | the process is being made; nothing answers yet      | loading, ready, cooling, failed|
| loading  | it answers HTTP with 503: the model is being read   | ready, cooling, failed         |
| ready    | it answers and is idle                              | busy, stalled, cooling, failed |
| busy     | calls are being worked on                           | ready, stalled, cooling, failed|
| stalled  | no progress: it is being killed                     | cooling, failed                |
| cooling  | it ended; the next start waits, longer each time    | starting                       |
| failed   | it cannot run, or ended too often: a long rest      | starting                       |
| stopped  | the daemon asked it to end                          | starting                       |
"""

from __future__ import annotations

import dataclasses
import enum
from datetime import datetime

from tiers.llm.away import Away
from tiers.runtime.work import ServerWork
from tiers.vocabulary import TierName


class ServerState(enum.StrEnum):
    """See the table above."""

    ABSENT = "absent"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    STALLED = "stalled"
    COOLING = "cooling"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def serves(self) -> bool:
        """Whether calls are answered."""
        return self in (ServerState.READY, ServerState.BUSY)


_LOADING = frozenset({ServerState.ABSENT, ServerState.STARTING, ServerState.LOADING})
_SAID = {
    ServerState.ABSENT: "its server was not started yet",
    ServerState.STARTING: "its server is starting",
    ServerState.LOADING: "its server is reading the model",
    ServerState.STALLED: "its server made no progress and is being replaced",
    ServerState.COOLING: "its server ended and is started again in a while",
    ServerState.FAILED: "its server cannot run",
    ServerState.STOPPED: "its server was stopped",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """What is known about one server or endpoint. `detail` is a sentence, empty when all is
    well; `rss_bytes` is None without a process of ours, `work` also before it was first asked and
    where the build has no counters."""

    tier: TierName
    state: ServerState
    model: str
    url: str
    port: int | None
    pid: int | None
    restarts: int
    rss_bytes: int | None
    detail: str
    since: datetime
    work: ServerWork | None = None

    @property
    def away(self) -> Away | None:
        """Why the server is not to be asked, None while it serves."""
        if self.state.serves:
            return None
        loading = self.state in _LOADING and not self.detail
        return Away(why=self.detail or _SAID[self.state], loading=loading)
