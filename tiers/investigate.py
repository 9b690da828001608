"""Read-only look-ups before an assessment or a plan: a bounded loop of tool calls."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tiers.config import ToolLoopSettings
from tiers.contracts import Case, Toolbox, ToolSpec, ToolTrace, Usage
from tiers.errors import CaseTooLargeError
from tiers.llm.counting import estimated_tokens
from tiers.llm.port import ModelClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import add_usage
from tiers.profile import PromptProfile
from tiers.routing import ToolRetriever
from tiers.tool_calls import ToolRunner, wanted_call

_ANSWER_NOW = "Now answer with the JSON object alone, from the case and from what was looked up."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Investigation:
    """The conversation that the final answer is asked in, and what was found on the way."""

    messages: Sequence[Mapping[str, Any]]
    traces: tuple[ToolTrace, ...] = ()
    usage: Usage | None = None


class Investigator:
    """Lets a model look things up about a case. Offers few tools to models that cope with few."""

    def __init__(
        self,
        *,
        client: ModelClient,
        profile: PromptProfile,
        toolbox: Toolbox,
        settings: ToolLoopSettings,
    ) -> None:
        self._client = client
        self._profile = profile
        self._toolbox = toolbox
        self._settings = settings

    async def investigate(
        self, case: Case, messages: Sequence[Mapping[str, Any]], *, budget: int
    ) -> Investigation:
        """At most `max_steps` model calls whose prompts stay within `budget` tokens. Raises
        `TierError`; running out of room, steps or time just ends the looking-up."""
        offered = self._offered(case)
        if not offered or not self._profile.review_tools:
            return Investigation(messages=messages)
        payload = [self._profile.tool_payload(spec) for spec in offered]
        runner = ToolRunner(toolbox=self._toolbox, profile=self._profile, settings=self._settings)
        talk: list[Mapping[str, Any]] = list(messages)
        usage: Usage | None = None
        until = time.monotonic() + self._settings.seconds
        for _ in range(self._settings.max_steps):
            left = until - time.monotonic()
            if left <= 0 or runner.exhausted:
                break
            call = ChatCall(messages=talk, tools=payload)
            try:
                answer = await self._client.chat(
                    call, timeout=min(left, self._client.timeout_seconds)
                )
            except CaseTooLargeError:
                talk = _without_last_round(talk, len(messages))
                break
            usage = answer.usage if usage is None else add_usage(usage, answer.usage)
            if not answer.tool_calls:
                if answer.text.strip():
                    talk.append({"role": "assistant", "content": answer.text[:4000]})
                break
            wanted = [wanted_call(each) for each in answer.tool_calls]
            parts = [each.as_message_part() for each in wanted]
            talk.append({"role": "assistant", "content": answer.text or None, "tool_calls": parts})
            contents: dict[str, str] = {}
            async with contextlib.aclosing(runner.run(wanted)) as results:
                async for each, trace in results:
                    contents[each.call_id] = runner.content(trace)
            talk += [
                {"role": "tool", "tool_call_id": each.call_id, "content": contents[each.call_id]}
                for each in wanted
            ]
            grown = sum(estimated_tokens(text) for text in contents.values())
            if answer.usage.prompt_tokens + grown > budget:
                break
            if usage.completion_tokens >= self._settings.max_tokens:
                break
        if len(talk) > len(messages):
            talk.append({"role": "user", "content": _ANSWER_NOW})
        return Investigation(messages=talk, traces=runner.traces, usage=usage)

    def _offered(self, case: Case) -> Sequence[ToolSpec]:
        specs = list(self._toolbox.specs())
        if len(specs) <= self._profile.max_tools:
            return specs
        words = " ".join((case.title, *(item.text for item in case.evidence[:2])))
        return ToolRetriever(specs=specs).offer(words[:1000], limit=self._profile.max_tools)


def _without_last_round(talk: Sequence[Mapping[str, Any]], least: int) -> list[Mapping[str, Any]]:
    """Without the last assistant message that called tools, and what they answered."""
    last = max(
        (at for at, message in enumerate(talk) if message.get("tool_calls")), default=len(talk)
    )
    return list(talk[: max(least, last)])
