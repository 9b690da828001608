"""Makes the three tiers, the chat and the clerk out of settings and endpoints."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from tiers.agent import Agent
from tiers.chat_contracts import Effects
from tiers.clerk import SmallClerk
from tiers.clerk_words import CodeClerk
from tiers.config import TierSettings, ToolLoopSettings
from tiers.contracts import Toolbox
from tiers.full_profile import FullProfile
from tiers.llm.client import LlmClient
from tiers.meta import Meta
from tiers.nano.profile import NanoProfile
from tiers.observing import CallObserver
from tiers.profile import PromptProfile
from tiers.review import Review
from tiers.trigger import Trigger
from tiers.vocabulary import TierName

_BRIEF = {"chat_template_kwargs": {"enable_thinking": False}}
"""A title is not worth a thought."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """Everything that thinks. `aclose` ends the connections."""

    clients: Mapping[TierName, LlmClient]
    profiles: Mapping[TierName, PromptProfile]
    trigger: Trigger
    review: Review
    meta: Meta
    chat: Agent
    clerk: SmallClerk

    async def aclose(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for client in self.clients.values():
                stack.push_async_callback(client.aclose)


def profile_for(settings: TierSettings, *, loop: ToolLoopSettings) -> PromptProfile:
    """The prompts that fit a tier's model."""
    nano = settings.profile == "nano" or (settings.profile == "auto" and settings.bundled)
    return NanoProfile() if nano else FullProfile(output_chars=loop.output_chars)


def build_tiers(
    settings: Mapping[TierName, TierSettings],
    endpoints: Callable[[TierName], str],
    *,
    toolbox: Toolbox,
    loop: ToolLoopSettings,
    facts: Callable[[], Sequence[tuple[str, str]]] = tuple,
    clerks: Sequence[TierName] = (TierName.TRIGGER, TierName.REVIEW),
    effects: Effects | None = None,
    observer: CallObserver | None = None,
) -> Tiers:
    """`endpoints` gives the URL of each tier (`Fleet.endpoint`); `facts` what is known about the
    host, asked anew for every chat; `effects` what the ledger says was done to it; `observer` is
    told of every call of an endpoint. Raises `tiers.errors.TierRefusedError` when a key file cannot
    be read. Nothing is contacted yet."""
    clients = {
        tier: LlmClient.for_tier(
            name=str(tier), url=endpoints(tier), settings=settings[tier], observer=observer
        )
        for tier in TierName
    }
    profiles = {tier: profile_for(settings[tier], loop=loop) for tier in TierName}
    review, meta = settings[TierName.REVIEW], settings[TierName.META]
    return Tiers(
        clients=clients,
        profiles=profiles,
        trigger=Trigger(client=clients[TierName.TRIGGER], profile=profiles[TierName.TRIGGER]),
        review=Review(
            client=clients[TierName.REVIEW],
            profile=profiles[TierName.REVIEW],
            toolbox=toolbox,
            loop=loop,
            budget=review.budget,
        ),
        meta=Meta(
            client=clients[TierName.META],
            profile=profiles[TierName.META],
            toolbox=toolbox,
            loop=loop,
            budget=meta.budget,
        ),
        chat=Agent(
            client=clients[TierName.META],
            profile=profiles[TierName.META],
            toolbox=toolbox,
            loop=loop,
            facts=facts,
            effects=effects,
        ),
        clerk=SmallClerk(
            clients=[
                (clients[tier], _BRIEF if settings[tier].backend == "llama_cpp" else {})
                for tier in clerks
                if profiles[tier].review_tools
            ],
            code=CodeClerk(specs=toolbox.specs()),
        ),
    )
