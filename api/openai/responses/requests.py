"""What `/v1/responses` accepts. Unknown parameters are tolerated, wrong types are not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.errors import WrongParameterError
from api.openai.fields import Flag, Lenient, ShallowJson, ShallowObject, none_is
from api.text import FitText

_MOST_TOOLS = 128
_Label = Annotated[FitText, Field(max_length=512)]
_Key = Annotated[FitText, Field(max_length=64)]
_Summary = Literal["auto", "concise", "detailed"]
_Tokens = Annotated[int, Field(ge=1, le=2**31 - 1)]


class ReasoningOptions(Lenient):
    """`summary`: the thinking comes as a summary, which is what most frontends show."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: _Summary | None = None
    generate_summary: _Summary | None = None

    @property
    def wanted_summary(self) -> str | None:
        return self.summary or self.generate_summary


class TextFormat(Lenient):
    """How the answer is formed. `name` and `schema` are for `json_schema`."""

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    description: FitText | None = None
    schema_: ShallowObject | None = Field(None, alias="schema")
    strict: bool | None = None


class TextOptions(Lenient):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class InputRequest(Lenient):
    """What makes up a prompt: `POST /v1/responses/input_tokens`, and a half of
    `POST /v1/responses`."""

    model: Annotated[str, none_is("triaged")] = "triaged"
    input: ShallowJson = None
    instructions: FitText | None = None
    previous_response_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    tools: Annotated[list[ShallowObject], Field(max_length=_MOST_TOOLS), none_is([])] = Field([])
    tool_choice: ShallowJson = None
    parallel_tool_calls: Annotated[bool, none_is(True)] = True
    reasoning: ReasoningOptions | None = None
    text: TextOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    conversation: ShallowJson = None
    prompt: ShallowJson = None

    def refuse(self) -> None:
        """Raises `WrongParameterError` for what triaged does not do."""
        for name, why in (
            ("conversation", "there are no conversation objects here; send previous_response_id"),
            ("prompt", "there are no stored prompts here; send instructions and input"),
        ):
            if getattr(self, name) is not None:
                raise WrongParameterError(why, param=name, code="unsupported_parameter")


class ResponsesRequest(InputRequest):
    """`POST /v1/responses`."""

    stream: Flag = False
    store: Annotated[bool, none_is(True)] = True
    background: Flag = False
    include: Annotated[list[str], Field(max_length=64), none_is([])] = Field([])
    max_output_tokens: _Tokens | None = None
    max_tool_calls: int | None = None
    metadata: Annotated[dict[_Key, _Label], Field(max_length=16)] | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    user: _Label | None = None
    safety_identifier: _Label | None = None
    prompt_cache_key: _Label | None = None
    service_tier: str | None = None

    def refuse(self) -> None:
        """Raises `WrongParameterError` for what triaged does not do."""
        super().refuse()
        if self.background:
            raise WrongParameterError(
                "triaged does not answer in the background; leave it out, and use stream to see"
                " the answer as it comes",
                param="background",
                code="unsupported_parameter",
            )

    def options(self) -> dict[str, Any]:
        """Sampling parameters that were given, by the names that endpoints know."""
        effort = self.reasoning.effort if self.reasoning is not None else None
        given = {
            "max_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "reasoning_effort": effort,
        }
        return {name: value for name, value in given.items() if value is not None}
