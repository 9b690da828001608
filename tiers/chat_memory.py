"""What tools said in each chat, remembered so that follow-up questions need no second look.

Bounded in chats, results of a chat, bytes of all and age. In memory alone: after a restart the
host is looked at again.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tiers.chat_reading import counts_of, whole_text
from tiers.config import ToolLoopSettings
from tiers.contracts import ToolResult, ToolTrace
from tiers.llm.neutralise import middle_cut

_TEXT_CHARS = 128 * 1024
_SUMMARY_CHARS = 4000
_OVERHEAD = 400
"""Bytes that a result takes beside its texts."""
_MOST_VOUCHED = 1000
_MOST_COUNTS = 64


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A tool's result in a chat. `handle` ("r3") names it for reading on; `text` is all of it as
    a model may read it; `asked` is the digest of the question it was looked up for."""

    handle: str
    name: str
    arguments: Mapping[str, Any]
    result: ToolResult
    text: str
    at: datetime
    asked: str
    counts: tuple[str, ...]
    """How many entries its lists have."""
    size: int
    """Bytes, roughly."""

    def as_trace(self) -> ToolTrace:
        return ToolTrace(name=self.name, arguments=self.arguments, result=self.result, seconds=0.0)


class ChatResults:
    """The results of one chat. `begun` is when its first request came."""

    def __init__(self, *, most: int, clock: Callable[[], datetime]) -> None:
        self._most = most
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._count = 0
        self.begun = clock()
        self.used = self.begun

    def keep(self, trace: ToolTrace, *, asked: str) -> Kept:
        """Remembers a result; an older one of the same call is forgotten."""
        key = call_key(trace.name, trace.arguments)
        self._kept.pop(key, None)
        self._count += 1
        # The text holds the data; it is not kept a second time.
        summary = middle_cut(trace.result.summary, _SUMMARY_CHARS)
        result = dataclasses.replace(trace.result, summary=summary, data={})
        text = middle_cut(whole_text(trace.result), _TEXT_CHARS)
        kept = Kept(
            handle=f"r{self._count}",
            name=trace.name,
            arguments=dict(trace.arguments),
            result=result,
            text=text,
            at=self._clock(),
            asked=asked,
            counts=tuple(itertools.islice(counts_of(trace.result), _MOST_COUNTS)),
            size=len(text.encode()) + len(result.summary) + len(key) + _OVERHEAD,
        )
        self._kept[key] = kept
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
        return kept

    def all(self) -> tuple[Kept, ...]:
        """Oldest first."""
        return tuple(self._kept.values())

    def find(self, handle: str) -> Kept | None:
        return next((kept for kept in self._kept.values() if kept.handle == handle), None)

    def same(self, name: str, arguments: Mapping[str, Any]) -> Kept | None:
        """The result of the same call."""
        return self._kept.get(call_key(name, arguments))

    def age(self, kept: Kept) -> float:
        """Seconds since it was looked up."""
        return max(0.0, (self._clock() - kept.at).total_seconds())

    def forget_before(self, moment: datetime) -> None:
        """Forgets what was looked up before then."""
        self._kept = {key: kept for key, kept in self._kept.items() if kept.at >= moment}

    @property
    def size(self) -> int:
        return sum(kept.size for kept in self._kept.values())


class ChatMemory:
    """All chats, least recently used first. `clock` gives aware datetimes."""

    def __init__(self, *, settings: ToolLoopSettings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._chats: collections.OrderedDict[str, ChatResults] = collections.OrderedDict()
        self._vouched: collections.OrderedDict[bytes, None] = collections.OrderedDict()

    def chat(self, chat_id: str | None) -> ChatResults:
        """The results of a chat; None is a chat of its own that nobody asks for again."""
        results = self._chats.get(chat_id) if chat_id is not None else None
        if results is None:
            results = ChatResults(most=self._settings.remembered_results, clock=self._clock)
            if chat_id is not None:
                self._chats[chat_id] = results
        if chat_id is not None:
            results.used = self._clock()
            self._chats.move_to_end(chat_id)
        self.trim()
        return results

    def trim(self) -> None:
        """Forgets what is too old or too much."""
        oldest = self._clock() - timedelta(seconds=self._settings.remembered_seconds)
        for chat_id, results in list(self._chats.items()):
            results.forget_before(oldest)
            if results.used < oldest:
                del self._chats[chat_id]
        while len(self._chats) > self._settings.remembered_chats:
            self._chats.popitem(last=False)
        most = self._settings.remembered_mib * 1024 * 1024
        while self._chats and self.size > most:
            self._chats.popitem(last=False)

    @property
    def size(self) -> int:
        """Bytes of all results, roughly."""
        return sum(results.size for results in self._chats.values())

    def __len__(self) -> int:
        return len(self._chats)

    def vouch(self, text: str) -> None:
        """Every figure of this answer was looked up: later answers may repeat it."""
        self._vouched[_digest(text)] = None
        if len(self._vouched) > _MOST_VOUCHED:
            self._vouched.popitem(last=False)

    def vouched(self, text: str) -> bool:
        """Whether an answer is one that was vouched for, word for word."""
        return _digest(text) in self._vouched


def call_key(name: str, arguments: Mapping[str, Any]) -> str:
    """The same for the same call."""
    return name + json.dumps(dict(arguments), sort_keys=True, default=str)


def asked_digest(question: str) -> str:
    """Finds a question again in the conversation that a frontend sends back."""
    return hashlib.blake2b(" ".join(question.split()).encode(), digest_size=8).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).digest()
