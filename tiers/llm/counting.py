"""How many tokens a text is: the server's own count, remembered; an upper estimate elsewhere."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tiers.config import Backend
from tiers.contracts import Usage
from tiers.errors import TierRefusedError, TierUnavailableError, Trouble
from tiers.llm.requests import ChatCall
from tiers.llm.transport import Transport
from tiers.llm.wire import count_of, text_of

_QUICK_SECONDS = 10.0
_CACHED_COUNTS = 2048
_CACHED_TEXT_CHARS = 16_384
_TURN_TOKENS = 16
"""What a chat template puts around one message, at most."""


def estimated_tokens(text: str) -> int:
    """More tokens than most tokenizers make of `text`: three bytes each."""
    return -(-len(text.encode("utf-8", "replace")) // 3)


def estimated_prompt(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> int:
    """More tokens than most templates and tokenizers make of a chat's prompt."""
    parts = [str(message.get("content") or "") for message in messages]
    parts += [str(message["tool_calls"]) for message in messages if message.get("tool_calls")]
    parts += [str(tool) for tool in tools]
    return sum(_TURN_TOKENS + estimated_tokens(part) for part in parts)


def with_estimates(usage: Usage, call: ChatCall, written: str) -> Usage:
    """`usage`, with estimates where the endpoint told nothing: limits on tokens have to hold
    there too. `written` is the answer."""
    if usage.prompt_tokens or usage.completion_tokens:
        return usage
    return dataclasses.replace(
        usage,
        prompt_tokens=estimated_prompt(call.messages, call.tools),
        completion_tokens=estimated_tokens(written),
    )


class TokenCounter:
    """Counts for one endpoint, in the way of its backend; estimates where it cannot count.

    llama-server writes out a chat's prompt and counts a text; vLLM does both at once; Ollama and
    most gateways do neither. `model` is sent along: routers serve several.
    """

    def __init__(self, *, http: Transport, backend: Backend) -> None:
        self._http = http
        self._known: collections.OrderedDict[str, int] = collections.OrderedDict()
        self._backend = backend
        self._exact = backend != "ollama"
        self.model = ""

    def forget(self) -> None:
        """Another model, or another server, may answer from now on."""
        self._known.clear()
        self._exact = self._backend != "ollama"

    async def text(self, text: str) -> int:
        """Tokens of a text, control words counted as one. Raises `TierError`."""
        if not text:
            return 0
        if (known := self._known.get(text)) is not None:
            self._known.move_to_end(text)
            return known
        count = None
        if self._backend == "llama_cpp":
            body = await self._asked("/tokenize", {"content": text, "parse_special": True})
            tokens = body.get("tokens")
            count = len(tokens) if isinstance(tokens, list) else None
        else:
            body = await self._asked("/tokenize", {"prompt": text, "add_special_tokens": False})
            count = count_of(body.get("count")) or None
        if count is None:
            return estimated_tokens(text)
        if len(text) <= _CACHED_TEXT_CHARS:
            self._known[text] = count
            if len(self._known) > _CACHED_COUNTS:
                self._known.popitem(last=False)
        return count

    async def prompt(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]]
    ) -> int:
        """Tokens of a chat's prompt, within the model's own template. Raises `TierError`."""
        asked: dict[str, Any] = {"messages": list(messages)}
        if tools:
            asked["tools"] = list(tools)
        if self._backend == "llama_cpp":
            body = await self._asked("/apply-template", asked)
            if prompt := text_of(body.get("prompt")):
                return await self.text(prompt)
        else:
            asked["add_generation_prompt"] = True
            body = await self._asked("/tokenize", asked)
            if count := count_of(body.get("count")):
                return count
        return estimated_prompt(messages, tools)

    async def _asked(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer; an empty one where the endpoint cannot count, which is remembered."""
        if not self._exact:
            return {}
        named = {"model": self.model} if self.model else {}
        try:
            async with self._http.deadline(_QUICK_SECONDS):
                document, _ = await self._http.json("POST", path, {**named, **body})
        except TierRefusedError:
            self._exact = False
            return {}
        except TierUnavailableError as error:
            # What stands before it may answer a page, or an error of its own, on a strange path.
            strange = error.trouble in (Trouble.GARBAGE, Trouble.FAULT)
            if self._backend == "llama_cpp" or not strange:
                raise
            self._exact = False
            return {}
        return document
