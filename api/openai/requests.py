"""What the facade accepts: the chat request. Unknown parameters are tolerated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.text import FitText, fit

_ROLES = {"developer": "system"}
_CLIENT_TOOLS = ("tool", "function")


def _none_is(default: Any) -> BeforeValidator:
    """Clients send null for what they do not set."""
    return BeforeValidator(lambda value: default if value is None else value)


def _no_limit(value: Any) -> Any:
    """-1 means "no limit" to clients of llama.cpp."""
    return None if value == -1 and not isinstance(value, bool) else value


_Limit = Annotated[Annotated[int, Field(ge=1, le=2**31 - 1)] | None, BeforeValidator(_no_limit)]
_Stop = Annotated[FitText, Field(min_length=1, max_length=1_000)]


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")

    include_usage: Annotated[bool, _none_is(False)] = False


class ChatMessage(BaseModel):
    """One message. `content` is text, or a list of parts of which the text parts count."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """The text of the message, parts joined with newlines."""
        if isinstance(self.content, str):
            return fit(self.content)
        parts = [part.get("text") for part in self.content or [] if part.get("type") == "text"]
        return fit("\n".join(part for part in parts if isinstance(part, str)))


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, _none_is("triaged")] = "triaged"
    messages: list[ChatMessage] = Field(min_length=1, max_length=2_000)
    stream: Annotated[bool, _none_is(False)] = False
    stream_options: StreamOptions | None = None
    max_tokens: _Limit = None
    max_completion_tokens: _Limit = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    stop: _Stop | Annotated[list[_Stop], Field(max_length=16)] | None = None
    n: Annotated[Literal[1], _none_is(1)] = 1

    @model_validator(mode="after")
    def _something_to_answer(self) -> ChatRequest:
        if not any(m["role"] == "user" for m in self.plain_messages()):
            raise ValueError("messages hold no text of a user to answer")
        return self

    def options(self) -> dict[str, Any]:
        """Sampling parameters that were given, by the names that the endpoint knows."""
        given = {
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": self.stop,
        }
        return {name: value for name, value in given.items() if value not in (None, [])}

    def plain_messages(self) -> list[dict[str, Any]]:
        """Role and text of each message: what the agent reads.

        `developer` is OpenAI's name for `system`. Results of tools that the client ran are left
        out: nobody vouches for them, and the agent asks the host itself.
        """
        plain = [
            {"role": _ROLES.get(message.role, message.role), "content": message.text()}
            for message in self.messages
            if message.role not in _CLIENT_TOOLS
        ]
        return [message for message in plain if message["content"]]
