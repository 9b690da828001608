"""The endpoints of one tier in the order of the configuration, and the look-out for those away."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from tiers.config import TierSettings
from tiers.errors import QueueFullError, TierError, TierUnavailableError
from tiers.llm.breaker import BreakerPolicy, BreakerState
from tiers.llm.client import LlmClient
from tiers.llm.endpoint import Endpoint, EndpointStatus, Ticket
from tiers.llm.port import Narrowed
from tiers.vocabulary import TierName

_LEAST_PAUSE = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One endpoint to be: its client and its settings."""

    client: LlmClient
    settings: TierSettings


class Pool:
    """Who is asked, and who is not for a while. Satisfies `tiers.llm.port.Throttled`: what the
    memory guard does holds for every endpoint."""

    def __init__(
        self,
        *,
        tier: TierName,
        members: Sequence[Member],
        policy: BreakerPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`members` in the order in which they are preferred, at least one. Nothing is contacted;
        `clock` is in seconds."""
        self.tier = tier
        self._changed = asyncio.Event()
        self._watched = False
        self.endpoints = tuple(
            Endpoint(
                client=member.client,
                backend=member.settings.backend,
                own=member.settings.own_server,
                hang_seconds=member.settings.hang_seconds,
                policy=policy or BreakerPolicy(),
                clock=clock,
                on_change=self._changed.set,
            )
            for member in members
        )
        self._settings: Mapping[Endpoint, TierSettings] = dict(
            zip(self.endpoints, (member.settings for member in members), strict=True)
        )
        self.admission: Narrowed = _Admissions([each.client for each in self.endpoints])

    def settings_of(self, endpoint: Endpoint) -> TierSettings:
        return self._settings[endpoint]

    def cap_tokens(self, most: int | None) -> None:
        """Keeps all answers short from now on; None takes that back."""
        for endpoint in self.endpoints:
            endpoint.client.cap_tokens(most)

    def preferred(self, among: Sequence[Endpoint] | None = None) -> Endpoint:
        """Where the next call goes first. Where nobody may be asked, the one that may be soonest,
        and of equals the first."""
        among = among or self.endpoints
        for endpoint in among:
            if self.admits(endpoint):
                return endpoint
        return min(among, key=lambda endpoint: endpoint.rest_left)

    def admits(self, endpoint: Endpoint) -> bool:
        return endpoint.admits(by_time=not self._watched)

    def order(self, among: Sequence[Endpoint]) -> list[Endpoint]:
        """Whom to ask, one after the other: those that may be asked; where none may, all the same
        those that do not hang: an error costs less than work that waits for a rest to end."""
        allowed = [endpoint for endpoint in among if self.admits(endpoint)]
        if allowed:
            return allowed
        quick = [endpoint for endpoint in among if not endpoint.hangs]
        return quick or [among[0]]

    def enter(self, endpoint: Endpoint) -> Ticket:
        return endpoint.enter(by_time=not self._watched)

    def status(self) -> list[EndpointStatus]:
        """In the order of the configuration."""
        used = self.preferred()
        return [endpoint.status(in_use=endpoint is used) for endpoint in self.endpoints]

    async def watch(self) -> None:
        """Until cancelled: asks each endpoint that somebody else runs once, and then whoever is
        away when its rest is over. While nobody watches, a call is let through then."""
        self._watched = True
        try:
            first = [each for each in self.endpoints if not each.own and not each.asked]
            await self._probe(first)
            while True:
                self._changed.clear()
                resting = [e for e in self.endpoints if e.state is BreakerState.OPEN]
                if due := [each for each in resting if not each.rest_left]:
                    await self._probe(due)
                    continue
                pause = min((each.rest_left for each in resting), default=None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if pause is None else max(pause, _LEAST_PAUSE)):
                        await self._changed.wait()
        finally:
            self._watched = False

    async def aclose(self) -> None:
        """Closes every connection; calls that run are cut."""
        async with contextlib.AsyncExitStack() as stack:
            for endpoint in self.endpoints:
                stack.push_async_callback(endpoint.client.aclose)

    async def _probe(self, endpoints: Sequence[Endpoint]) -> None:
        async with asyncio.TaskGroup() as group:
            for endpoint in endpoints:
                group.create_task(endpoint.probe(), name=f"probe {endpoint.client.url}")


class _Admissions:
    """Every endpoint's slots as one."""

    def __init__(self, clients: Sequence[LlmClient]) -> None:
        self._clients = clients

    @property
    def running(self) -> int:
        return sum(client.admission.running for client in self._clients)

    @property
    def waiting(self) -> int:
        return sum(client.admission.waiting for client in self._clients)

    def narrow(self, to: int | None) -> None:
        """At most `to` calls at once at each endpoint; None for as many as configured."""
        for client in self._clients:
            client.admission.narrow(to)


def together(name: str, errors: Sequence[TierError]) -> TierError:
    """The error for several endpoints none of which answered: the only one as it is."""
    if len(errors) == 1 or isinstance(errors[-1], QueueFullError):
        return errors[-1]
    words = "; ".join(str(error).removeprefix(f"{name}: ") for error in errors)
    waits = [error.retry_after for error in errors if isinstance(error, TierUnavailableError)]
    return TierUnavailableError(
        f"{name}: none of {len(errors)} endpoints answers: {words}",
        retry_after=min(waits, default=30.0),
    )
