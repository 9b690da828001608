"""What one endpoint understands of a chat request, as far as it has shown.

OpenAI-compatible servers differ in the parameters that they take and in how they take a JSON
schema. Nothing is asked in advance: a request says everything; what a refusal names is left out
from then on, and a schema that is refused or ignored is said in words.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

import orjson

from tiers.config import Backend
from tiers.errors import BadAnswerError, TierRefusedError
from tiers.llm.json_answers import parse_object
from tiers.llm.requests import ChatCall
from tiers.llm.wire import mapping, text_of

_NEEDED = frozenset({"model", "messages", "stream", "tools", "max_tokens"})
_COMPLAINS = re.compile(
    r"support|unrecogni|unknown|unexpected|extra|permitted|allowed|forbidden|invalid|not implement",
    re.IGNORECASE,
)
_ABOUT_FORM = re.compile(
    r"response_format|json_schema|json_object|guided|grammar|structured.output", re.IGNORECASE
)
_IN_WORDS = (
    "Answer with one JSON object alone, without a code fence, that matches this JSON schema:\n"
)


class _Form(enum.IntEnum):
    """How a schema is asked for, from the strictest on."""

    SCHEMA = 0
    OBJECT = 1
    WORDS = 2


class Dialect:
    """Of one endpoint; `forget` when another may answer there."""

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend
        self.forget()

    def forget(self) -> None:
        self._left_out: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._form = _Form.SCHEMA
        self._in_words = False

    def spoken(self, body: Mapping[str, Any], *, schema: bool) -> dict[str, Any]:
        """`body` as the endpoint understands it. `schema` is whether its `response_format` is
        ours; what the caller brought along is the caller's."""
        said = dict(body)
        if schema:
            self._formed(said)
        if self._backend == "ollama":
            _thoughtless(said)
        for name in self._left_out & said.keys():
            del said[name]
        for name, other in self._renamed.items():
            if name in said:
                said[other] = said.pop(name)
        return said

    def learned(self, error: TierRefusedError, body: Mapping[str, Any], *, schema: bool) -> bool:
        """Whether the refusal of `body`, as it was sent, says something that makes a second try
        worth it."""
        words = str(error)
        if not _COMPLAINS.search(words):
            return False
        if "max_completion_tokens" in words and "max_tokens" in body:
            self._renamed["max_tokens"] = "max_completion_tokens"
            return True
        if schema and "response_format" in body and _ABOUT_FORM.search(words):
            self._form = _Form(min(self._form + 1, _Form.WORDS))
            self._in_words = True
            return True
        # An own response_format that is left out, or a forced call, would change what was asked.
        named = [
            name
            for name in body.keys() - _NEEDED - {"response_format"}
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words)
            and (name != "tool_choice" or body[name] == "auto")
        ]
        self._left_out.update(named)
        return bool(named)

    def heard(self, call: ChatCall, text: str) -> None:
        """Notes whether an answer has the form that was asked for: some servers accept a schema
        and pay no attention to it."""
        if call.schema is None or self._in_words or self._backend == "llama_cpp":
            return
        try:
            found = parse_object(text, name="")
        except BadAnswerError:
            self._in_words = True
            return
        required = call.schema.get("required")
        if isinstance(required, list) and not found.keys() >= set(required):
            self._in_words = True

    def _formed(self, said: dict[str, Any]) -> None:
        schema = mapping(said.get("response_format")).get("json_schema", {}).get("schema", {})
        match self._form:
            case _Form.OBJECT:
                said["response_format"] = {"type": "json_object"}
            case _Form.WORDS:
                del said["response_format"]
            case _Form.SCHEMA:
                pass
        if self._in_words:
            said["messages"] = _with_words(said["messages"], schema)


def _with_words(messages: list[Mapping[str, Any]], schema: Any) -> list[Mapping[str, Any]]:
    """The schema at the end of what the user says last: not every template has a system message
    after the first."""
    words = _IN_WORDS + orjson.dumps(schema).decode()
    last = messages[-1] if messages else {}
    if last.get("role") == "user" and isinstance(last.get("content"), str):
        joined = f"{text_of(last['content'])}\n\n{words}"
        return [*messages[:-1], {**last, "content": joined}]
    return [*messages, {"role": "user", "content": words}]


def _thoughtless(said: dict[str, Any]) -> None:
    """Ollama knows no template options; that a model is not to think it knows by another name."""
    options = mapping(said.pop("chat_template_kwargs", None))
    if options.get("enable_thinking") is False:
        said.setdefault("reasoning_effort", "none")
