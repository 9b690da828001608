"""One endpoint of a tier: its client, its breaker, and what is told about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from tiers.config import Backend
from tiers.errors import TierError, TierMisfitError, TierRefusedError, TierUnavailableError, Trouble
from tiers.llm import breaker as circuit
from tiers.llm.breaker import Breaker, BreakerPolicy, BreakerState
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall

log = structlog.get_logger()

_PROBE_SECONDS = 5.0
_WORD_SECONDS = 30.0
_UNSURE = frozenset({Trouble.SLOW, Trouble.FAULT, Trouble.GARBAGE, Trouble.BROKEN})
_HANGING = frozenset({Trouble.SLOW, Trouble.HANGS})
"""After these a look-up proves little: a word is asked for."""
_LIVES = frozenset({Trouble.LOADING, Trouble.BUSY, Trouble.FAULT})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """What is known of one endpoint. `model` is what it answered with, else what is configured;
    `why` is a sentence, "" while all is well; `in_use` is whether the next call goes there.
    `failovers` counts calls that went on from here to the next, `openings` how often its breaker
    opened. `asked` is whether it was ever reached or tried."""

    url: str
    backend: Backend
    model: str
    state: BreakerState
    since: datetime
    why: str
    in_use: bool
    own: bool
    asked: bool
    failovers: int
    openings: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A call that was let in, as the breaker knows it."""

    epoch: int
    trial: bool


class Endpoint:
    """Not shared between tiers. `own` is whether the daemon runs the server; `hang_seconds` how
    long a working server may leave look-ups unanswered, 0 for ever."""

    def __init__(
        self,
        *,
        client: LlmClient,
        backend: Backend,
        own: bool,
        hang_seconds: float,
        policy: BreakerPolicy,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.client = client
        self.own = own
        self.hang_seconds = hang_seconds
        self.failovers = 0
        self._backend = backend
        self._policy = policy
        self._clock = clock
        self._on_change = on_change
        self._breaker = Breaker(since=clock())
        self._since = datetime.now(UTC)
        self._why = ""
        self._asked = False
        self._openings = 0

    @property
    def state(self) -> BreakerState:
        return self._breaker.state

    @property
    def hangs(self) -> bool:
        """Whether asking it costs its whole time."""
        return self._breaker.trouble in _HANGING

    @property
    def why(self) -> str:
        """Why it is not asked, as a sentence."""
        return self._why

    @property
    def rest_left(self) -> float:
        """Seconds until it may be tried again; 0 where it may."""
        if self.state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self._breaker.until - self._clock())

    @property
    def asked(self) -> bool:
        return self._asked

    def admits(self, *, by_time: bool) -> bool:
        """Whether a call may go there now."""
        return circuit.admits(self._breaker, now=self._clock(), by_time=by_time)

    def enter(self, *, by_time: bool) -> Ticket:
        """Lets a call in, also where the breaker would not: then it decides nothing but success."""
        if not self.admits(by_time=by_time):
            return Ticket(epoch=self._breaker.epoch, trial=False)
        self._breaker = circuit.entered(self._breaker, now=self._clock())
        return Ticket(epoch=self._breaker.epoch, trial=self._breaker.trying)

    def began(self, ticket: Ticket) -> Ticket:
        """The first of an answer came: enough for one that was on trial. The ticket to go on
        with."""
        if self._breaker.state is not BreakerState.CLOSED:
            self.answered(ticket)
            return Ticket(epoch=self._breaker.epoch, trial=False)
        return ticket

    def answered(self, ticket: Ticket) -> None:
        """The whole answer came."""
        self._asked = True
        if ticket.epoch != self._breaker.epoch:
            return
        before = self._breaker.state
        self._breaker = circuit.succeeded(self._breaker, now=self._clock())
        if before is not BreakerState.CLOSED:
            self._turned(why="")
            log.info("endpoint answers again", tier=self.client.name, url=self.client.url)

    def failed(self, ticket: Ticket, error: TierError) -> None:
        """The call was not answered."""
        self._asked = True
        state = self._breaker.state
        if ticket.epoch != self._breaker.epoch or (
            state is not BreakerState.CLOSED and not ticket.trial
        ):
            return
        self._opened(error)

    def cancelled(self, ticket: Ticket) -> None:
        """Nobody waits for the call any more: it says nothing about the endpoint."""
        if ticket.trial and ticket.epoch == self._breaker.epoch:
            self._breaker = circuit.given_up(self._breaker)

    async def probe(self) -> bool:
        """Asks whether it would answer, and notes it. Never raises `TierError`. An open one
        becomes half open; one that was never asked is known from then on."""
        trouble = await self._probed()
        self._asked = True
        if trouble is not None:
            if self._breaker.state is not BreakerState.HALF_OPEN:
                self._opened(trouble)
            return False
        if self._breaker.state is BreakerState.OPEN:
            self._breaker = circuit.half_opened(self._breaker, now=self._clock())
            self._turned(why=self._why)
        return True

    async def lives(self, seconds: float) -> bool:
        """Whether it answers look-ups at all, be it with an error, within `seconds`: so does a
        server that works."""
        try:
            await self.client.look(seconds)
        except TierRefusedError:
            return True
        except TierUnavailableError as error:
            return error.trouble in _LIVES
        return True

    def status(self, *, in_use: bool) -> EndpointStatus:
        return EndpointStatus(
            url=self.client.url,
            backend=self._backend,
            model=self.client.model,
            state=self._breaker.state,
            since=self._since,
            why=self._why,
            in_use=in_use,
            own=self.own,
            asked=self._asked,
            failovers=self.failovers,
            openings=self._openings,
        )

    async def _probed(self) -> TierError | None:
        try:
            await self.client.look(_PROBE_SECONDS)
            await self.client.info()
            if self._breaker.trouble in _UNSURE:
                await self.client.chat(
                    ChatCall(messages=[{"role": "user", "content": "ping"}], max_tokens=1),
                    timeout=min(_WORD_SECONDS, self.client.timeout_seconds),
                )
        except TierUnavailableError as error:
            return error
        except TierError as error:
            return error if isinstance(error, TierMisfitError) else None
        return None

    def _opened(self, error: TierError) -> None:
        before = self._breaker.state
        why = str(error).removeprefix(f"{self.client.name}: ")
        trouble, retry_after = Trouble.MISFIT, 0.0
        if isinstance(error, TierUnavailableError):
            trouble, retry_after = error.trouble, error.retry_after
        self._breaker = circuit.failed(
            self._breaker,
            self._policy,
            now=self._clock(),
            trouble=trouble,
            retry_after=retry_after,
        )
        if self._breaker.state is not BreakerState.OPEN:
            return
        if before is BreakerState.OPEN:
            self._why = why
            return
        if before is BreakerState.CLOSED:
            self._openings += 1
            log.warning(
                "endpoint does not answer",
                tier=self.client.name,
                url=self.client.url,
                why=why,
            )
        self._turned(why=why)

    def _turned(self, *, why: str) -> None:
        if not (why and self._why):
            self._since = datetime.now(UTC)  # since when it answers, or does not
        self._why = why
        self._on_change()
