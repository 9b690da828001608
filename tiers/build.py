"""Makes the three tiers, the chat and the clerk out of settings and endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tiers.agent import Agent
from tiers.alternatives import (
    Alternative,
    ChatAlternatives,
    MetaAlternatives,
    ReviewAlternatives,
    TriggerAlternatives,
)
from tiers.chat_contracts import ChatAgent, Effects
from tiers.clerk import SmallClerk
from tiers.clerk_words import CodeClerk
from tiers.config import TierSettings, ToolLoopSettings
from tiers.contracts import MetaTier, ReviewTier, Toolbox, TriggerTier
from tiers.full_profile import FullProfile
from tiers.llm.away import Away, Whereabouts
from tiers.llm.client import LlmClient
from tiers.llm.endpoint import Endpoint
from tiers.llm.failover import FailoverClient
from tiers.llm.pool import Member, Pool
from tiers.meta import Meta
from tiers.nano.profile import NanoProfile
from tiers.observing import CallObserver
from tiers.profile import PromptProfile
from tiers.review import Review
from tiers.trigger import Trigger
from tiers.vocabulary import TierName

_Thinks = TypeVar("_Thinks")
_BRIEF = {"chat_template_kwargs": {"enable_thinking": False}}
"""A title is not worth a thought."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """Everything that thinks. `aclose` ends the connections; `watch` looks out for endpoints that
    are away until it is cancelled."""

    pools: Mapping[TierName, Pool]
    trigger: TriggerTier
    review: ReviewTier
    meta: MetaTier
    chat: ChatAgent
    clerk: SmallClerk

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for tier, pool in self.pools.items():
                group.create_task(pool.watch(), name=f"watch endpoints of {tier}")

    async def aclose(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for pool in self.pools.values():
                stack.push_async_callback(pool.aclose)


def profile_for(settings: TierSettings, *, loop: ToolLoopSettings) -> PromptProfile:
    """The prompts that fit a tier's model."""
    if _words_of(settings) == "nano":
        return NanoProfile()
    return FullProfile(output_chars=loop.output_chars)


def _words_of(settings: TierSettings) -> str:
    if settings.profile != "auto":
        return settings.profile
    return "nano" if settings.bundled else "full"


def build_tiers(
    settings: Mapping[TierName, TierSettings],
    endpoints: Callable[[TierName], str],
    *,
    away: Callable[[TierName], Away | None],
    toolbox: Toolbox,
    loop: ToolLoopSettings,
    facts: Callable[[], Sequence[tuple[str, str]]] = tuple,
    clerks: Sequence[TierName] = (TierName.TRIGGER, TierName.REVIEW),
    effects: Effects | None = None,
    observer: CallObserver | None = None,
) -> Tiers:
    """`endpoints` gives the URL of each tier (`Fleet.endpoint`), `away` why nothing may be sent to
    that URL now (`Fleet.away`); `facts` what is known about the
    host, asked anew for every chat; `effects` what the ledger says was done to it; `observer` is
    told of every call of an endpoint. Raises `tiers.errors.TierRefusedError` when a key file cannot
    be read. Nothing is contacted yet."""
    pools = {
        tier: _pool(tier, settings[tier], url=endpoints(tier), away=away, observer=observer)
        for tier in TierName
    }
    budgets = {tier: settings[tier].budget for tier in TierName}

    def families(tier: TierName, *, each_alone: bool = False) -> list[_Family]:
        return _families(pools[tier], loop=loop, each_alone=each_alone)

    metas = families(TierName.META)
    return Tiers(
        pools=pools,
        trigger=TriggerAlternatives(
            [
                each.thinking(Trigger(client=each.client, profile=each.profile))
                for each in families(TierName.TRIGGER, each_alone=True)
            ]
        ),
        review=ReviewAlternatives(
            [
                each.thinking(
                    Review(
                        client=each.client,
                        profile=each.profile,
                        toolbox=toolbox,
                        loop=loop,
                        budget=budgets[TierName.REVIEW],
                    )
                )
                for each in families(TierName.REVIEW)
            ]
        ),
        meta=MetaAlternatives(
            [
                each.thinking(
                    Meta(
                        client=each.client,
                        profile=each.profile,
                        toolbox=toolbox,
                        loop=loop,
                        budget=budgets[TierName.META],
                    )
                )
                for each in metas
            ]
        ),
        chat=ChatAlternatives(
            [
                each.thinking(
                    Agent(
                        client=each.client,
                        profile=each.profile,
                        toolbox=toolbox,
                        loop=loop,
                        facts=facts,
                        effects=effects,
                    )
                )
                for each in metas
            ]
        ),
        clerk=SmallClerk(
            clients=[
                (each.client, _BRIEF if each.brief else {})
                for tier in clerks
                for each in families(tier)
                if each.profile.review_tools
            ],
            code=CodeClerk(specs=toolbox.specs()),
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """Endpoints that are prompted alike. `brief` is whether they can be told not to think."""

    client: FailoverClient
    profile: PromptProfile
    brief: bool

    def thinking(self, thinks: _Thinks) -> Alternative[_Thinks]:
        return Alternative(client=self.client, thinks=thinks)


def _pool(
    tier: TierName,
    settings: TierSettings,
    *,
    url: str,
    away: Callable[[TierName], Away | None],
    observer: CallObserver | None,
) -> Pool:
    """Raises `TierRefusedError` when a key file cannot be read."""
    first: Whereabouts = functools.partial(away, tier)
    return Pool(
        tier=tier,
        members=[
            Member(
                client=LlmClient.for_tier(
                    name=str(tier),
                    url=url if number == 0 else each.endpoint or "",
                    settings=each,
                    observer=observer,
                    away=first if number == 0 else None,
                ),
                settings=each,
            )
            for number, each in enumerate(settings.chain())
        ],
    )


def _families(pool: Pool, *, loop: ToolLoopSettings, each_alone: bool) -> list[_Family]:
    groups: list[tuple[str, list[Endpoint]]] = []
    for endpoint in pool.endpoints:
        words = _words_of(pool.settings_of(endpoint))
        if groups and groups[-1][0] == words and not each_alone:
            groups[-1][1].append(endpoint)
        else:
            groups.append((words, [endpoint]))
    return [
        _Family(
            client=FailoverClient(
                pool=pool, endpoints=endpoints, followed=number < len(groups) - 1
            ),
            profile=profile_for(pool.settings_of(endpoints[0]), loop=loop),
            brief=pool.settings_of(endpoints[0]).backend != "openai",
        )
        for number, (_, endpoints) in enumerate(groups)
    ]
