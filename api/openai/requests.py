"""What the chat endpoint accepts. Unknown parameters are tolerated, known ones must be right."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.errors import WrongParameterError
from api.openai.fields import (
    Flag,
    Lenient,
    Limit,
    Penalty,
    Seed,
    ShallowJson,
    ShallowObject,
    Stops,
    none_is,
)
from api.openai.messages import ChatMessage
from api.openai.tools import Tools
from api.text import FitText

_FORMATS = ("text", "json_object", "json_schema")


class StreamOptions(Lenient):
    include_usage: Flag = False


class TriagedOptions(Lenient):
    """Our own extension. `show`: what of the tools' work is shown beside the reasoning: `status`
    (Open WebUI's status events in the stream) and `tools` (blocks in the answer's text)."""

    show: Annotated[list[Literal["status", "tools"]], Field(max_length=8)] | None = None


class Sampling(Lenient):
    """Parameters that go to the model as they are, by the names that endpoints know."""

    max_tokens: Limit = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=1_000_000)
    min_p: float | None = Field(None, ge=0, le=1)
    seed: Seed | None = None
    stop: Stops = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    repeat_penalty: float | None = Field(None, ge=0, le=10)
    logit_bias: Annotated[
        dict[str, Annotated[float, Field(ge=-100, le=100)]] | None, Field(max_length=1_024)
    ] = None

    def options(self) -> dict[str, Any]:
        """Those that were given."""
        given = ((name, getattr(self, name)) for name in Sampling.model_fields)
        return {name: value for name, value in given if value not in (None, [], {})}


class ChatRequest(Sampling):
    """`POST /v1/chat/completions`."""

    model: Annotated[str, none_is("triaged")] = "triaged"
    messages: list[ChatMessage] = Field(min_length=1, max_length=2_000)
    stream: Flag = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: Limit = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ShallowObject | None = None
    tools: Tools | None = None
    tool_choice: ShallowJson = None
    parallel_tool_calls: bool | None = None
    functions: list[Any] | None = None
    modalities: list[str] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    timings_per_token: Flag = False
    user: FitText | None = None
    safety_identifier: FitText | None = None
    metadata: ShallowObject | None = None
    store: bool | None = None
    service_tier: str | None = None
    chat_id: FitText | None = None
    conversation_id: FitText | None = None
    conversation: ShallowJson = None
    triaged: TriagedOptions | None = None

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with what it cost."""
        return self.stream_options is not None and self.stream_options.include_usage

    def checked_options(self) -> dict[str, Any]:
        """What the model is asked with beside the messages. Raises `WrongParameterError` for what
        triaged does not do."""
        self._refuse()
        options = self.options()
        if self.max_completion_tokens is not None:
            options["max_tokens"] = self.max_completion_tokens
        if self.reasoning_effort is not None:
            options["reasoning_effort"] = self.reasoning_effort
        if (form := _format(self.response_format)) is not None:
            options["response_format"] = form
        return options

    def _refuse(self) -> None:
        if self.n not in (None, 1):
            raise WrongParameterError(
                "triaged gives one answer; ask again for another, or ask the bare model", param="n"
            )
        for name in ("logprobs", "top_logprobs"):
            if getattr(self, name):
                raise WrongParameterError(
                    "an answer of triaged is made of several model calls and has no "
                    "probabilities; ask the bare model (tier/meta) for them",
                    param=name,
                )
        if self.functions:
            raise WrongParameterError(
                "is the old form, which triaged does not take; send the functions as `tools`",
                param="functions",
            )
        if self.modalities is not None and set(self.modalities) - {"text"}:
            raise WrongParameterError("triaged answers with text only", param="modalities")


def _format(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """`response_format` where it asks for more than text."""
    if given is None:
        return None
    kind = given.get("type")
    if kind not in _FORMATS:
        raise WrongParameterError(
            f"must be one of {', '.join(_FORMATS)}", param="response_format.type"
        )
    if kind == "json_schema":
        wrapper = given.get("json_schema")
        if not isinstance(wrapper, dict):
            raise WrongParameterError("must be an object", param="response_format.json_schema")
        if not isinstance(wrapper.get("schema"), dict):
            raise WrongParameterError(
                "must be an object: the JSON schema of the answer",
                param="response_format.json_schema.schema",
            )
    return None if kind == "text" else given
