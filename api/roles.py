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
        return _RANKS[self]

    def allows(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        return self.rank >= needed.rank


_RANKS = {role: rank for rank, role in enumerate(Role)}


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


_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ADMIN = ("keys", "daemon", "config")
"""Below `/api/v1`: what is about the daemon itself, reading included."""
_ASKS = frozenset(
    {
        "apply-template", "audio", "chat", "completion", "completions", "detokenize", "embedding",
        "embeddings", "infill", "messages", "rerank", "reranking", "responses", "systemone",
        "tokenize",
    }
)  # fmt: skip
"""First part of the paths of models: whoever sends something there asks, and changes nothing."""


def needed_role(method: str, path: str) -> Role:
    """The least role for a request. What is not known here and is no reading takes an operator.

    A chat can do more than ask: whether its caller may answer a proposal is checked there.
    """
    parts = path.split("/")[1:]
    if parts[:2] == ["api", "v1"]:
        if parts[2:3] and parts[2] in _ADMIN:
            return Role.ADMIN
        return Role.VIEWER if method in _READS else Role.OPERATOR
    if method in _READS or _asks(parts):
        return Role.VIEWER
    loads = "models" in parts and parts[-1] != "models"  # or unloads
    return Role.ADMIN if loads else Role.OPERATOR


def spends(method: str, path: str) -> bool:
    """Whether a request asks a model, which a budget of tokens is for."""
    return method not in _READS and _asks(path.split("/")[1:])


def _asks(parts: list[str]) -> bool:
    """Whether a path is one of the models', which may begin with `/tier/NAME` and with `/v1`."""
    if parts[:1] == ["tier"]:
        parts = parts[2:]
    if parts[:1] == ["v1"]:
        parts = parts[1:]
    return bool(parts) and parts[0] in _ASKS
