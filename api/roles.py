"""Who asks, and what that one may do. Pure."""

from __future__ import annotations

import dataclasses
import enum


class Role(enum.StrEnum):
    """Each may do what those before it may: a viewer reads and chats, an operator answers
    proposals and closes incidents, an admin manages keys and the daemon itself."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def allows(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        return self.rank >= needed.rank


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request.

    `key` is the name of the key ("" without one, on loopback); `user` is whom a frontend says it
    asks for, believed only from keys that may say so; `client` is the peer's address.
    """

    key: str
    role: Role
    user: str | None = None
    client: str = ""

    @property
    def name(self) -> str:
        """For the ledger and for sentences: "alice via webui", "webui", "local"."""
        key = self.key or "local"
        return f"{self.user} via {key}" if self.user else key
