"""Where the bare models answer, as the facade asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from api.ports_chat import TierTarget
from tiers.config import BUNDLED, TierSettings
from tiers.llm.requests import read_key
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

_LOADING = frozenset({ServerState.ABSENT, ServerState.STARTING, ServerState.LOADING})
_SOON, _LATER = 2.0, 15.0

_SAID = {
    ServerState.ABSENT: "its server was not started yet",
    ServerState.STARTING: "its server is starting",
    ServerState.LOADING: "its server is reading the model",
    ServerState.STALLED: "its server made no progress and is being replaced",
    ServerState.COOLING: "its server ended and is started again in a while",
    ServerState.FAILED: "its server cannot run",
    ServerState.STOPPED: "its server was stopped",
}


class TargetsView:
    """Satisfies `api.ports_chat.TierTargets`. Keys are read once: `build_tiers` has read the same
    files and raised for what is wrong with them."""

    def __init__(
        self,
        *,
        settings: Mapping[TierName, TierSettings],
        servers: Callable[[], Sequence[ServerStatus]],
        endpoint: Callable[[TierName], str],
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._endpoint = endpoint
        self._keys = {
            tier: read_key(name=tier.value, settings=each) for tier, each in settings.items()
        }

    def target(self, tier: TierName) -> TierTarget:
        settings = self._settings[tier]
        status = next(status for status in self._servers() if status.tier is tier)
        named = None if settings.own_server or settings.model == BUNDLED else settings.model
        loading = status.state in _LOADING
        return TierTarget(
            tier=tier,
            url=self._endpoint(tier),
            backend=settings.backend,
            api_key=self._keys[tier],
            model=named,
            served=status.model,
            detail="" if status.state.serves else status.detail or _SAID[status.state],
            loading=loading and not status.detail,
            retry_after=_SOON if loading else _LATER,
            progress=None,
            most=settings.parallel + settings.queue,
            patience=settings.timeout_seconds,
        )
