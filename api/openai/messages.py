"""The messages of a chat: what is accepted, and what the agent is given of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from api.errors import WrongParameterError
from api.openai.fields import Lenient
from api.openai.marks import defused, without_tool_details
from api.text import FitText, fit

_TEXT = ("text", "input_text", "output_text")
_UNSEEN = "[{kind} that cannot be shown here]"


class ContentPart(Lenient):
    """A piece of a message: text, a refusal, or something that is not text."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    text: FitText | None = None
    refusal: FitText | None = None

    def said(self) -> str | None:
        """Its text; None where it is none."""
        if self.type in _TEXT:
            return self.text or ""
        return (self.refusal or "") if self.type == "refusal" else None


class FunctionCall(Lenient):
    name: str = Field(min_length=1, max_length=128)
    arguments: Annotated[FitText, Field(max_length=1_000_000)] = ""


class GivenCall(Lenient):
    """A call of a client's tool, as an earlier answer asked for it."""

    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"] = "function"
    function: FunctionCall


def _kind(content: Any) -> str:
    return "(parts)" if isinstance(content, list) else "(text)"


Content = Annotated[
    Annotated[FitText, Tag("(text)")]
    | Annotated[list[ContentPart], Field(max_length=1_000), Tag("(parts)")],
    Discriminator(_kind),
]


class ChatMessage(Lenient):
    """One message. `content` is a text, or a list of parts."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: FitText | None = None
    refusal: FitText | None = None
    tool_calls: Annotated[list[GivenCall], Field(max_length=256)] | None = None
    tool_call_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None

    def text(self) -> str:
        """The text alone, parts joined with newlines; what is not text is named in brackets."""
        if isinstance(self.content, list):
            return "\n".join(
                _UNSEEN.format(kind=fit(part.type)) if (said := part.said()) is None else said
                for part in self.content
            )
        return self.content or self.refusal or ""


def for_agent(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """The messages as `Conversation` has them.

    `developer` is OpenAI's name for `system`. What triaged itself put into earlier answers for
    people to see (tool calls, the marks of proposals) is taken out of them again. Messages that
    say nothing are left out. Raises `WrongParameterError` for pictures and the like in what was
    sent last, and for results of calls that nobody asked for.
    """
    found: list[dict[str, Any]] = []
    asked: set[str] = set()
    newest = 1 + max(
        (at for at, message in enumerate(messages) if message.role == "assistant"), default=-1
    )
    for at, message in enumerate(messages):
        if at >= newest:
            _only_text(at, message)
        match message.role:
            case "tool":
                if message.tool_call_id not in asked:
                    raise WrongParameterError(
                        "answers no call of an assistant message before it; send that message too",
                        param=f"messages.{at}.tool_call_id",
                    )
                found.append(
                    {
                        "role": "tool",
                        "tool_call_id": message.tool_call_id,
                        "content": message.text(),
                    }
                )
            case "assistant":
                said = defused(without_tool_details(message.text()))
                calls = message.tool_calls or []
                asked.update(call.id for call in calls)
                if calls:
                    found.append(
                        {
                            "role": "assistant",
                            "content": said or None,
                            "tool_calls": [call.model_dump() for call in calls],
                        }
                    )
                elif said.strip():
                    found.append({"role": "assistant", "content": said})
            case role:
                if text := message.text():
                    found.append(
                        {"role": "system" if role == "developer" else role, "content": text}
                    )
    if not any(message["role"] == "user" and message["content"].strip() for message in found):
        raise WrongParameterError("holds no text of a user to answer", param="messages")
    return found


def _only_text(at: int, message: ChatMessage) -> None:
    """What is sent now must be readable; of earlier turns a placeholder is enough, so that one
    picture does not end a chat."""
    if not isinstance(message.content, list):
        return
    for number, part in enumerate(message.content):
        if part.said() is None:
            raise WrongParameterError(
                f"{fit(part.type)!r} is no text, and triaged reads text only; leave it out, or ask "
                "the bare model (tier/meta) if it can take this",
                param=f"messages.{at}.content.{number}",
                code="unsupported_content",
            )
