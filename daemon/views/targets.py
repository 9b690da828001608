"""Where the bare models answer, as the facade asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from api.ports_chat import TierTarget
from tiers.config import BUNDLED
from tiers.errors import TierUnavailableError, Trouble
from tiers.llm.breaker import BreakerState
from tiers.llm.endpoint import Endpoint
from tiers.llm.pool import Pool
from tiers.llm.requests import read_key
from tiers.runtime.states import ServerStatus
from tiers.vocabulary import TierName

_SOON, _LATER = 2.0, 15.0


class TargetsView:
    """Satisfies `api.ports_chat.TierTargets`. Keys are read once: `build_tiers` has read the same
    files and raised for what is wrong with them."""

    def __init__(
        self,
        *,
        pools: Mapping[TierName, Pool],
        servers: Callable[[], Sequence[ServerStatus]],
    ) -> None:
        self._pools = pools
        self._servers = servers
        self._keys = {
            endpoint: read_key(name=tier.value, settings=pool.settings_of(endpoint))
            for tier, pool in pools.items()
            for endpoint in pool.endpoints
        }

    def target(self, tier: TierName) -> TierTarget:
        pool = self._pools[tier]
        endpoint = self._endpoint(pool)
        settings = pool.settings_of(endpoint)
        named = None if settings.endpoint is None or settings.model == BUNDLED else settings.model
        detail, served, loading = "", endpoint.client.model or settings.model, False
        if endpoint.own:
            status = self._server(tier)
            served = status.model
            if (away := status.away) is not None:
                detail, loading = away.why, away.loading
        elif endpoint.state is BreakerState.OPEN:
            # A single endpoint is always asked: its own words are the best there are.
            detail = endpoint.why if len(pool.endpoints) > 1 else ""
        return TierTarget(
            tier=tier,
            url=endpoint.client.url,
            backend=settings.backend,
            api_key=self._keys[endpoint],
            model=named,
            served=served,
            detail=detail,
            loading=loading,
            retry_after=_SOON if loading else _LATER,
            progress=None,
            most=settings.parallel + settings.queue,
            patience=settings.timeout_seconds,
        )

    def unreachable(self, target: TierTarget, why: str) -> TierTarget:
        pool = self._pools[target.tier]
        for endpoint in pool.endpoints:
            if endpoint.client.url == target.url:
                error = TierUnavailableError(
                    f"{target.tier.value}: nothing answers at {target.url} ({why})",
                    retry_after=_SOON,
                    trouble=Trouble.REFUSED,
                )
                endpoint.failed(pool.enter(endpoint), error)
        return self.target(target.tier)

    def _endpoint(self, pool: Pool) -> Endpoint:
        """Of our own server we know without asking that it does not answer."""
        preferred = pool.preferred()
        if preferred.own and not self._server(pool.tier).state.serves:
            others = [each for each in pool.endpoints if not each.own and pool.admits(each)]
            return others[0] if others else preferred
        return preferred

    def _server(self, tier: TierName) -> ServerStatus:
        return next(status for status in self._servers() if status.tier is tier)
