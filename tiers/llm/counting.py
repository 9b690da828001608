"""How many tokens a text is: the server's own count, remembered; an upper estimate elsewhere."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from tiers.errors import TierRefusedError
from tiers.llm.transport import Transport
from tiers.llm.wire import text_of

_QUICK_SECONDS = 10.0
_CACHED_COUNTS = 2048
_CACHED_TEXT_CHARS = 16_384
_TURN_TOKENS = 16
"""What a chat template puts around one message, at most."""


def estimated_tokens(text: str) -> int:
    """More tokens than most tokenizers make of `text`: three bytes each."""
    return -(-len(text.encode("utf-8", "replace")) // 3)


class TokenCounter:
    """Counts for one endpoint. `exact` false means that it cannot count: estimates are used."""

    def __init__(self, *, http: Transport, exact: bool) -> None:
        self._http = http
        self._known: collections.OrderedDict[str, int] = collections.OrderedDict()
        self.exact = exact

    def forget(self) -> None:
        """Another model may answer from now on."""
        self._known.clear()

    async def text(self, text: str) -> int:
        """Tokens of a text, control words counted as one. Raises `TierError`."""
        if not text:
            return 0
        if (known := self._known.get(text)) is not None:
            self._known.move_to_end(text)
            return known
        count = await self._asked(text) if self.exact else None
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
        if self.exact:
            body: dict[str, Any] = {"messages": list(messages)}
            if tools:
                body["tools"] = list(tools)
            try:
                async with self._http.deadline(_QUICK_SECONDS):
                    document, _ = await self._http.json("POST", "/apply-template", body)
                return await self.text(text_of(document.get("prompt")))
            except TierRefusedError:
                self.exact = False
        parts = [str(message.get("content") or "") for message in messages]
        parts += [str(tool) for tool in tools]
        return sum(_TURN_TOKENS + estimated_tokens(part) for part in parts)

    async def _asked(self, text: str) -> int | None:
        try:
            async with self._http.deadline(_QUICK_SECONDS):
                body, _ = await self._http.json(
                    "POST", "/tokenize", {"content": text, "parse_special": True}
                )
        except TierRefusedError:
            self.exact = False
            return None
        tokens = body.get("tokens")
        return len(tokens) if isinstance(tokens, list) else None
