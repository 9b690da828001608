"""What a large model reads back within one answer: results kept and cut, and read on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiers.chat_memory import ChatResults, call_key
from tiers.chat_reading import READ_MORE, page_of, read_arguments, shown
from tiers.contracts import Toolbox, ToolResult, ToolSpec, ToolTrace
from tiers.profile import PromptProfile


class ReadingToolbox:
    """The host's tools and `read_more`. Satisfies `tiers.contracts.Toolbox`."""

    def __init__(self, *, toolbox: Toolbox, results: ChatResults, chars: int) -> None:
        self._toolbox = toolbox
        self._results = results
        self._chars = chars

    def specs(self) -> Sequence[ToolSpec]:
        return (*self._toolbox.specs(), READ_MORE)

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        if name != READ_MORE.name:
            return await self._toolbox.call(name=name, arguments=arguments)
        read = read_arguments(arguments)
        if read is None:
            return ToolResult(
                ok=False, summary='read_more takes a handle ("r3") and an offset (a number).'
            )
        handle, offset = read
        kept = self._results.find(handle)
        if kept is None:
            known = ", ".join(entry.handle for entry in self._results.all()) or "none"
            return ToolResult(
                ok=False,
                summary=f"There is no result {handle!r} (any more); there are: {known}. "
                "Call the tool again.",
            )
        if not 0 <= offset < max(1, len(kept.text)):
            return ToolResult(
                ok=False, summary=f"{handle} has {len(kept.text)} characters, counted from 0."
            )
        page = page_of(kept.text, offset=offset, chars=self._chars)
        return ToolResult(
            ok=True,
            summary=f"{kept.name}, characters {page.start} to {page.start + len(page.text)} "
            f"of {page.total}.",
            provenance=kept.result.provenance,
        )


class Reader:
    """Turns the traces of one answer into what the model reads, and remembers them with the chat.
    `asked` is the digest of the question."""

    def __init__(
        self, *, profile: PromptProfile, results: ChatResults, asked: str, chars: int
    ) -> None:
        self._profile = profile
        self._results = results
        self._asked = asked
        self._chars = chars
        self._contents: dict[str, str] = {}

    def content(self, trace: ToolTrace) -> str:
        """The same call has the same content within an answer."""
        key = call_key(trace.name, trace.arguments)
        if not trace.result.ok:
            return self._profile.tool_content(trace.result)[: self._chars]
        if key not in self._contents:
            self._contents[key] = self._read(trace)
        return self._contents[key]

    def _read(self, trace: ToolTrace) -> str:
        if trace.name == READ_MORE.name:
            handle, offset = read_arguments(trace.arguments) or ("", 0)
            kept = self._results.find(handle)
            if kept is None:  # forgotten while the model read
                return self._profile.tool_content(trace.result)
        else:
            kept, offset = self._results.keep(trace, asked=self._asked), 0
        page = page_of(kept.text, offset=offset, chars=self._chars)
        return shown(page, handle=kept.handle, ok=True)
