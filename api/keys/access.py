"""Who may ask what, for one request: key, user, role, limits."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from api.keys.forwarded import HEADERS, forwarded_role, forwarded_user
from api.keys.key import Key, serves
from api.keys.limits import NO_QUOTA, Limiter, Quota
from api.keys.meter import Meter
from api.keys.ring import KeyRing
from api.roles import Caller, Role, needed_role, spends

log = structlog.get_logger()

KEY_HEADERS = frozenset({b"authorization", b"x-api-key"})
USER_HEADERS = HEADERS
OPEN_PATHS = frozenset({"/healthz"})
_SAY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not let in, as an answer."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    quota: Quota = NO_QUOTA


@dataclasses.dataclass(eq=False, slots=True, kw_only=True)
class Exchange:
    """A request that was let in, until it ends. `streaming`: its answer has begun. `ended`: it was
    ended because its key is no longer valid."""

    caller: Caller
    key: Key
    quota: Quota
    task: asyncio.Task[object] | None
    streaming: bool = False
    ended: bool = False


class Access:
    """Lets requests in, or says why not.

    `keyless` is what callers without a key are, None where everybody needs one. It is a key with
    the name "" that nobody can present, and counts only while `ring` holds no keys.
    """

    def __init__(
        self,
        *,
        ring: KeyRing,
        keyless: Key | None,
        meter: Meter,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        """`clock` is monotonic, in seconds. Raises ValueError where nobody could ask: without keys
        and not without."""
        if keyless is None and not ring.needed:
            raise ValueError("a facade that is not on loopback needs keys")
        self.ring = ring
        self.meter = meter
        self._keyless = keyless
        self.now = now
        self._clock = clock
        self._limiter = Limiter(clock=clock, now=now)
        self._open: set[Exchange] = set()
        self._unknown = 0  # requests with a wrong key that no log line has told of
        self._told = -math.inf

    def identify(self, headers: Mapping[bytes, bytes], *, client: str) -> Key | Refusal:
        """Whose request this is. `headers` are those of `KEY_HEADERS` at least."""
        secret = _presented(headers)
        if secret is not None and (key := self.ring.find(secret)) is not None:
            return key
        if (keyless := self.keyless) is not None:
            # A key that nobody asked for is no mistake: most clients insist on sending one.
            return keyless
        if secret is None:
            message = "A key is needed: send it as 'Authorization: Bearer KEY'."
        else:
            self._tell_unknown(client)
            message = "This key is not known here, was revoked or has expired."
        return Refusal(
            status=401,
            code="invalid_api_key",
            message=message,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def admit(
        self, key: Key, *, method: str, path: str, headers: Mapping[bytes, bytes], client: str
    ) -> Exchange | Refusal:
        """Lets a request in, to be given to `leave` at its end. `headers` are those of
        `USER_HEADERS` at least."""
        user, role = None, key.role
        if key.forwards_users:
            user, role = forwarded_user(headers), forwarded_role(headers, key)
        caller = Caller(key=key.name, role=role, user=user, client=client)
        if not serves(key.only, method, path):
            return Refusal(
                status=403,
                code="wrong_purpose",
                message=f"The key {key.name!r} is for {key.only} only.",
            )
        needed = needed_role(method, path)
        if not role.allows(needed):
            return Refusal(
                status=403,
                code="role_too_low",
                message=f"This needs the role {needed}; {_described(caller)} is {role}.",
            )
        limits = key.limits
        exceeded, quota = self._limiter.enter(
            key.name,
            limits,
            tokens_used=self.meter.tokens_today(key.name) if limits.tokens_per_day else 0,
            spends=spends(method, path),
        )
        if exceeded is not None:
            return Refusal(
                status=429,
                code=exceeded.code,
                message=exceeded.message,
                headers={"Retry-After": str(math.ceil(exceeded.retry_after))},
                quota=quota,
            )
        self.meter.seen(key.name)
        exchange = Exchange(caller=caller, key=key, quota=quota, task=asyncio.current_task())
        self._open.add(exchange)
        return exchange

    def leave(self, exchange: Exchange) -> None:
        """The request has ended, however it did."""
        self._open.discard(exchange)
        self._limiter.leave(exchange.key.name)

    def renew(self) -> None:
        """Keys may have changed: ends the streams of those that are no longer valid. What is not
        streaming ends by itself, and may be in the middle of something."""
        names = {key.name for key in self.ring.keys} | {""}
        self._limiter.keep_only(names)
        for exchange in list(self._open):
            if not exchange.streaming or exchange.ended or self._valid(exchange.key):
                continue
            exchange.ended = True
            log.info("stream ended", why="its key is no longer valid", key=exchange.key.name)
            if exchange.task is not None:
                exchange.task.cancel()

    @property
    def keyless(self) -> Key | None:
        """What callers without a key are now, None where they are not let in."""
        return None if self.ring.needed else self._keyless

    def running(self, name: str) -> int:
        """Requests of this key in progress."""
        return self._limiter.running(name)

    @property
    def open(self) -> Sequence[Exchange]:
        """Every request in progress."""
        return tuple(self._open)

    def _valid(self, key: Key) -> bool:
        if key is self._keyless:
            return not self.ring.needed
        return self.ring.in_force(key)

    def _tell_unknown(self, client: str) -> None:
        """At most a line a minute, however many come."""
        self._unknown += 1
        if (now := self._clock()) - self._told >= _SAY_SECONDS:
            log.warning("wrong key", requests=self._unknown, last_from=client)
            self._unknown, self._told = 0, now


def anonymous(client: str) -> Caller:
    """Whoever asks what is open to everybody."""
    return Caller(key="", role=Role.VIEWER, client=client)


def _presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    said = headers.get(b"authorization")
    if said is None:
        return headers.get(b"x-api-key")
    scheme, _, secret = said.partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else b""


def _described(caller: Caller) -> str:
    if caller.user:
        return f"{caller.user!r} through the key {caller.key!r}"
    return f"the key {caller.key!r}" if caller.key else "who has no key"
