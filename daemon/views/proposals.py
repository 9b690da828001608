"""Actions that wait for a human, as the facade asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from api.ports import NotFoundError
from api.roles import Caller
from tiers.chat_contracts import Proposal


class ProposalsView:
    """Satisfies `api.ports_chat.Proposals` for a daemon that does not act on the host: nothing
    makes proposals, so none waits and none can be answered."""

    async def waiting(self) -> Sequence[Proposal]:
        return ()

    async def answer(self, *, code: str, approve: bool, by: Caller) -> str:
        raise NotFoundError(f"there is no proposal {code}; nothing waits for an answer")
