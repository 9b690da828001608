"""A streamed chat answer: from the chunks of an endpoint to typed deltas. Pure but for time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tiers.contracts import Usage
from tiers.errors import TierUnavailableError, Trouble
from tiers.llm.call_places import CallPlaces
from tiers.llm.faults import fault_in_stream
from tiers.llm.sse import SseOverflowError, SseParser
from tiers.llm.wire import (
    Delta,
    StreamEnd,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    arguments_of,
    cached_tokens_of,
    count_of,
    mapping,
    text_of,
    usage_from,
)


class StreamReader:
    """Feed it the bytes of a response; it yields deltas and knows whether the end was reached.

    `says_why`: the endpoint tells how every answer ended. Some gateways just end it.
    """

    def __init__(
        self, *, name: str, url: str, model: str, max_chars: int, says_why: bool = True
    ) -> None:
        self._says_why = says_why
        self._name = name
        self._url = url
        self._model = model
        self._parser = SseParser()
        self._room = max_chars
        self._finish = ""
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}
        self._done = False
        self._calls = CallPlaces()
        self._written: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """The deltas that end in `chunk`. Raises `TierError` for an error event, for what is not
        a chat stream, and for an answer that is longer than it may be."""
        try:
            for field, payload in self._parser.feed(chunk):
                yield from self._event(field, payload)
        except SseOverflowError as error:
            raise self._broken("sends an event without end") from error

    def end(self, *, seconds: float) -> StreamEnd:
        """The last delta. Raises `TierUnavailableError` when the stream was cut before its end:
        half an answer is none."""
        if not self._finish and (self._says_why or not self._done or not self._written):
            raise self._broken("ended the answer in the middle")
        usage: Usage = usage_from(
            self._usage, model=self._model, endpoint=self._url, seconds=seconds
        )
        return StreamEnd(
            finish_reason=self._finish or "stop",
            usage=usage,
            timings=self._timings,
            cached_tokens=cached_tokens_of(self._usage, self._timings),
        )

    @property
    def written(self) -> str:
        """Everything that the model wrote so far."""
        return "".join(self._written)

    @property
    def done(self) -> bool:
        """`[DONE]` was seen: nothing more comes."""
        return self._done

    def _event(self, field: str, payload: bytes) -> Iterator[Delta]:
        if self._done:
            return
        if payload.strip() == b"[DONE]":
            self._done = True
            return
        try:
            chunk = mapping(orjson.loads(payload))
        except orjson.JSONDecodeError as error:
            shown = payload[:80].decode("utf-8", "replace")
            raise self._broken(f"streams something that is not JSON ({shown!r})") from error
        if field == "error" or ("error" in chunk and not chunk.get("choices")):
            raise fault_in_stream(name=self._name, url=self._url, payload=payload)
        if mapping(chunk.get("usage")):
            self._usage = chunk
        self._timings = mapping(chunk.get("timings")) or self._timings
        choices = chunk.get("choices")
        for choice in choices[:1] if isinstance(choices, list) else []:
            yield from self._choice(mapping(choice))

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[Delta]:
        delta = mapping(choice.get("delta"))
        # llama-server and DeepSeek say reasoning_content; Ollama and OpenRouter say reasoning.
        thinking = text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning"))
        if thinking:
            self._spend(thinking)
            yield ThinkingPart(text=thinking)
        if text := text_of(delta.get("content")):
            self._spend(text)
            yield TextPart(text=text)
        calls = delta.get("tool_calls")
        for entry in calls if isinstance(calls, list) else []:
            call = mapping(entry)
            function = mapping(call.get("function"))
            part = ToolCallPart(
                index=count_of(call.get("index")),
                call_id=text_of(call.get("id")),
                name=text_of(function.get("name")),
                arguments=arguments_of(function.get("arguments")),
            )
            self._spend(part.arguments)
            yield dataclasses.replace(part, index=self._calls.place(part))
        self._finish = text_of(choice.get("finish_reason")) or self._finish

    def _spend(self, text: str) -> None:
        self._room -= len(text)
        self._written.append(text)
        if self._room < 0:
            raise self._broken("does not stop writing")

    def _broken(self, what: str) -> TierUnavailableError:
        return TierUnavailableError(
            f"{self._name}: {self._url} {what}", retry_after=5.0, trouble=Trouble.GARBAGE
        )
