"""What the facade accepts: the chat request. Unknown parameters are tolerated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")

    include_usage: bool = False


class ChatMessage(BaseModel):
    """One message. `content` is text, or a list of parts of which the text parts count."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """The text of the message, parts joined with newlines."""
        if isinstance(self.content, str):
            return self.content
        parts = [part.get("text") for part in self.content or [] if part.get("type") == "text"]
        return "\n".join(part for part in parts if isinstance(part, str))


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`."""

    model_config = ConfigDict(extra="allow")

    model: str = "triaged"
    messages: list[ChatMessage] = Field(min_length=1, max_length=2_000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int = Field(1, ge=1, le=1)

    def options(self) -> dict[str, Any]:
        """Sampling parameters that were given, by the names that the endpoint knows."""
        given = {
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": self.stop,
        }
        return {name: value for name, value in given.items() if value is not None}

    def plain_messages(self) -> list[dict[str, Any]]:
        """Role and text of each message: what the agent reads. Tool messages of the client and
        roles that only OpenAI has are folded into the ones that every template knows."""
        roles = {"developer": "system", "function": "tool"}
        return [
            {"role": roles.get(message.role, message.role), "content": message.text()}
            for message in self.messages
            if message.role not in ("tool", "function") and (message.content or message.text())
        ]
