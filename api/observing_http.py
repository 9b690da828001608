"""What is measured about requests as HTTP sees them, for whoever attaches an observer."""

from __future__ import annotations

import dataclasses
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request that has ended. `route` is the path's template, "" for a path that is none of
    ours; `status` is 499 where the client went away before there was one; `seconds` are until the
    last byte of the answer. `refusal` is the code of what did not let it in, "" otherwise, and
    `key` the name of the configured key that it met a limit of."""

    method: str
    route: str
    status: int
    seconds: float
    refusal: str
    key: str


class RequestObserver(Protocol):
    """Called on the event loop: must not wait or raise."""

    def came(self, *, method: str) -> None:
        """A request arrived; `ended` follows always. `method` is what the client said."""
        ...

    def ended(self, record: RequestRecord) -> None: ...


class NoRequestObserver:
    """Nobody wants to know."""

    def came(self, *, method: str) -> None:
        pass

    def ended(self, record: RequestRecord) -> None:
        pass
