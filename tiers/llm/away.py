"""An endpoint of which it is known, without asking it, that it must not be asked.

Our own llama-servers listen on ports that anybody on the host may take while they are away. Whoever
listens there then must not get a byte: a request carries what the host's logs say, and our key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tiers.errors import TierUnavailableError, Trouble

_RETRY_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """`why` is a sentence without the tier's name; `loading` says that it is on its way."""

    why: str
    loading: bool = False

    def error(self, name: str) -> TierUnavailableError:
        """For a call that is not made. `name` is the tier's."""
        return TierUnavailableError(
            f"{name}: {self.why}",
            retry_after=_RETRY_SECONDS,
            trouble=Trouble.LOADING if self.loading else Trouble.REFUSED,
        )


Whereabouts = Callable[[], Away | None]
"""Asked before every request and once more when its connection stands: it must be quick. None
where the endpoint may be asked."""
