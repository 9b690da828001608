"""Who may answer proposals, and the way to the answer: one for the API and for chats."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, MutableMapping
from typing import Any

from api.ports import NotAllowedError, NotFoundError, TooOftenError
from api.ports_actions import Address, Peer, Peers, Proposals
from api.roles import Caller, Role

_WRONG_CODES = 10
_WRONG_SECONDS = 60.0
_MOST_CALLERS = 1_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The two ends of the connection that a request came over; None where it came over none."""

    client: Address | None
    server: Address | None


def connection_of(scope: MutableMapping[str, Any]) -> Connection:
    """From an ASGI scope."""
    return Connection(client=_address(scope.get("client")), server=_address(scope.get("server")))


class Approvals:
    """Answers proposals for callers that may, and counts what they guess.

    Whoever has a key of the role of an operator may. Without any key (on loopback, where anybody
    on this host can connect) only root and the daemon's own user may, who could read the daemon's
    own key anyway. A viewer may never.
    """

    def __init__(self, *, proposals: Proposals, peers: Peers, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._proposals = proposals
        self._peers = peers
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}

    async def answer(
        self,
        *,
        code: str,
        approve: bool,
        by: Caller,
        connection: Connection,
        way: str,
        content_hash: str | None = None,
    ) -> str:
        """A sentence on what follows. `way` is "api" or "chat". Raises `NotAllowedError`,
        `TooOftenError`, and what `Proposals.answer` raises."""
        where = await self.admit(by, connection, way=way)
        self._check(by)
        try:
            return await self._proposals.answer(
                code=code, approve=approve, by=by, where=where, content_hash=content_hash
            )
        except NotFoundError:
            self._note_wrong(by)
            raise

    async def confirm(self, *, code: str, by: Caller, connection: Connection, way: str) -> str:
        """As `answer`, for what would be taken back without a word of the operator's."""
        where = await self.admit(by, connection, way=way)
        self._check(by)
        try:
            return await self._proposals.confirm(code=code, by=by, where=where)
        except NotFoundError:
            self._note_wrong(by)
            raise

    async def admit(self, by: Caller, connection: Connection, *, way: str) -> str:
        """From where the caller answers, for the ledger. Raises `NotAllowedError`."""
        if not by.role.allows(Role.OPERATOR):
            raise NotAllowedError(
                f"{by.name} is a {by.role} and cannot answer proposals; an operator can."
            )
        where = f"{way} from {by.client or 'nowhere'}"
        if by.key:
            return where
        peer = None
        if connection.client is not None and connection.server is not None:
            peer = await self._peers.owner(client=connection.client, server=connection.server)
        if peer is None or not peer.trusted:
            raise NotAllowedError(_without_key(peer))
        return f"{where}, user {peer.name}"

    def _check(self, by: Caller) -> None:
        wrong = self._recent(by)
        if len(wrong) >= _WRONG_CODES:
            wait = wrong[0] + _WRONG_SECONDS - self._clock()
            raise TooOftenError(
                f"{by.name} gave {len(wrong)} codes that are none within a minute; wait "
                f"{max(1, round(wait))} s.",
                retry_after=max(1.0, wait),
            )

    def _recent(self, by: Caller) -> list[float]:
        # By key: its users are names that the key's holder makes up.
        since = self._clock() - _WRONG_SECONDS
        return [at for at in self._wrong.get(by.key, ()) if at > since]

    def _note_wrong(self, by: Caller) -> None:
        wrong = [*self._recent(by), self._clock()]
        self._wrong.pop(by.key, None)
        self._wrong[by.key] = wrong
        while len(self._wrong) > _MOST_CALLERS:
            del self._wrong[next(iter(self._wrong))]


def _without_key(peer: Peer | None) -> str:
    who = "whose process is not known" if peer is None else f"who is {peer.name} on this host"
    return (
        f"A caller without a key, {who}, cannot answer proposals: only root and the daemon's own "
        "user can without one. An operator's key is made with "
        "`triaged keys add NAME --role operator`, and sent as 'Authorization: Bearer KEY'."
    )


def _address(value: Any) -> Address | None:
    match value:
        case (str(host), int(port)):
            return host, port
        case _:
            return None
