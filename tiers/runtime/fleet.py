"""The llama-servers of all tiers: started one after the other, stopped in reverse.

A tier with an endpoint of its own has no process here; its status says where it is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tiers.config import TierSettings
from tiers.errors import TierRefusedError
from tiers.llm.away import Away
from tiers.llm.requests import read_key
from tiers.runtime.binary import Binary, find_binary
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.flags import connect_host, url_of
from tiers.runtime.liveness import LivenessLimits
from tiers.runtime.models import server_flags
from tiers.runtime.own_builds import builds_folder
from tiers.runtime.ownership import free_port
from tiers.runtime.restarts import RestartPolicy
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

_ELSEWHERE = "endpoint run by somebody else; whether it answers, its calls tell"
OnStatus = Callable[[ServerStatus], None]


class Fleet:
    """Owns every llama-server that the daemon starts. Make and start it in the thread that lives
    as long as the daemon: the servers die with that thread."""

    def __init__(
        self,
        settings: Mapping[TierName, TierSettings],
        state_dir: Path,
        *,
        environ: Mapping[str, str] | None = None,
        builds: Path | None = None,
        policy: RestartPolicy | None = None,
        limits: LivenessLimits | None = None,
    ) -> None:
        """`builds` is where own llama-servers are; that of the state folder without."""
        self._builds = builds or builds_folder(state_dir)
        self._settings = {tier: _by_number(each) for tier, each in settings.items()}
        self._state_dir = state_dir
        self._environ = os.environ if environ is None else environ
        self._policy = policy
        self._limits = limits
        self._servers: dict[TierName, LlamaServer] = {}
        self._fixed: dict[TierName, ServerStatus] = {}
        """Of tiers without a server of ours: endpoints, and what cannot be started."""
        self._ports = {
            tier: each.port or free_port(each.host)
            for tier, each in self._settings.items()
            if each.endpoint is None
        }

    async def start(self, on_progress: OnStatus | None = None) -> list[ServerStatus]:
        """Starts the servers in the order of the tiers, each when the one before is ready or has
        failed: so each sees how much memory is left. A server that fails stops no other and goes
        on trying; its status says why. `on_progress` hears of every change from then on."""
        try:
            binary: Binary | str = await asyncio.to_thread(
                find_binary, self._environ, builds=self._builds
            )
        except MisconfiguredError as error:
            binary = str(error)
        try:
            for tier in TierName:
                if tier in self._settings:
                    await self._start_one(tier, binary, on_progress)
        except BaseException:
            await self.stop()
            raise
        return self.status()

    async def stop(self) -> None:
        """Ends every server, last started first. Safe to call twice."""
        while self._servers:
            tier, server = self._servers.popitem()
            await server.stop()
            self._fixed[tier] = server.status()

    async def rest(self, tier: TierName, *, why: str) -> None:
        """Stops one server until it is woken. Nothing happens to a tier without one."""
        if (server := self._servers.get(tier)) is not None:
            await server.stop(why=why)

    async def wake(self, tier: TierName) -> None:
        """Starts a server that rests. Returns when it is ready or its start has failed."""
        if (server := self._servers.get(tier)) is not None:
            await server.start()

    def status(self) -> list[ServerStatus]:
        """One per tier, in the order of the tiers."""
        found = [self._status_of(tier) for tier in self._settings]
        return sorted(found, key=lambda status: list(TierName).index(status.tier))

    def endpoint(self, tier: TierName) -> str:
        """The URL where the tier's model answers, now or after a restart. Raises `KeyError` for
        a tier that is not configured."""
        settings = self._settings[tier]
        if settings.endpoint is not None:
            return settings.endpoint
        return url_of(connect_host(settings.host), self._ports[tier])

    def away(self, tier: TierName) -> Away | None:
        """Why the tier's model is not to be asked where `endpoint` says: our server does not serve,
        and somebody else may listen there. None while it may be, and for a server that is not
        ours. Raises `KeyError` for a tier that is not configured."""
        return self._status_of(tier).away if self._settings[tier].own_server else None

    def _status_of(self, tier: TierName) -> ServerStatus:
        if (server := self._servers.get(tier)) is not None:
            return server.status()
        return self._fixed.get(tier) or self._without_server(tier, self._settings[tier])

    async def _start_one(
        self, tier: TierName, binary: Binary | str, on_progress: OnStatus | None
    ) -> None:
        settings = self._settings[tier]
        problem = binary if isinstance(binary, str) else ""
        if settings.own_server and isinstance(binary, Binary):
            try:
                api_key = await asyncio.to_thread(read_key, name=str(tier), settings=settings)
                flags, _ = await asyncio.to_thread(
                    server_flags,
                    tier=tier,
                    settings=settings,
                    port=self._ports[tier],
                )
            except (MisconfiguredError, TierRefusedError) as error:
                problem = str(error)
            else:
                server = LlamaServer(
                    tier=tier,
                    flags=flags,
                    binary=binary,
                    state_dir=self._state_dir,
                    api_key=api_key,
                    policy=self._policy,
                    limits=self._limits,
                    on_change=on_progress,
                )
                self._servers[tier] = server
                await server.start()
                return
        self._fixed[tier] = self._without_server(
            tier, settings, problem=problem if settings.own_server else ""
        )
        if on_progress is not None:
            on_progress(self._fixed[tier])

    def _without_server(
        self, tier: TierName, settings: TierSettings, *, problem: str = ""
    ) -> ServerStatus:
        """There is nothing to start for an endpoint: whether it answers, its calls tell."""
        state = ServerState.FAILED if problem else ServerState.ABSENT
        return ServerStatus(
            tier=tier,
            state=state if settings.own_server else ServerState.READY,
            model=settings.model,
            url=self.endpoint(tier),
            port=self._ports.get(tier),
            pid=None,
            restarts=0,
            rss_bytes=None,
            detail=problem or ("" if settings.own_server else _ELSEWHERE),
            since=datetime.now(UTC),
        )


def _by_number(settings: TierSettings) -> TierSettings:
    """`localhost` may be two addresses: where ours listens on one, anybody may on the other."""
    if settings.own_server and settings.host == "localhost":
        return settings.model_copy(update={"host": "127.0.0.1"})
    return settings
