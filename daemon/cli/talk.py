"""A chat with a model of the running daemon: what was said so far, and answers as they come."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Generator, Mapping
from typing import Any

from daemon.cli.client import DaemonClient
from daemon.cli.exits import CommandError

DEFAULT_MODEL = "triaged"
_PATH = "/v1/chat/completions"
CHAT_ID_HEADER = "X-Chat-Id"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """More of the answer."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """More of what the model thought or looked up."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The whole answer, last of all. `reason` is OpenAI's finish reason; `usage` is empty where the
    model's server does not count tokens."""

    text: str
    activity: str
    model: str
    reason: str
    usage: Mapping[str, Any]


Part = Words | Activity | Answer


class Talk:
    """One chat. Its id stays the same, so that the daemon remembers what was looked up in it."""

    def __init__(self, *, client: DaemonClient, model: str = DEFAULT_MODEL) -> None:
        self._client = client
        self.model = model
        self._messages: list[dict[str, str]] = []
        self.chat_id = _new_id()

    @property
    def messages(self) -> tuple[Mapping[str, str], ...]:
        """Questions and answers, oldest first: `role` and `content`."""
        return tuple(self._messages)

    def forget(self) -> None:
        """Begins a new chat with the same model."""
        self._messages.clear()
        self.chat_id = _new_id()

    def models(self) -> list[str]:
        """The ids of the models that answer here."""
        return [str(entry["id"]) for entry in self._client.get("/v1/models")["data"]]

    def ask(self, question: str) -> Generator[Part, None, None]:
        """The answer, part by part, and whole at the end. Raises `CommandError`.

        Closing this, or Ctrl-C in it, ends the request, which stops the model. What had been said
        until then stays in the chat; a question that got no word of an answer does not.
        """
        said: list[str] = []
        done: list[str] = []
        reason = ""
        usage: Mapping[str, Any] = {}
        body = {
            "model": self.model,
            "messages": [*self._messages, {"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        chunks = self._client.stream(_PATH, body, headers={CHAT_ID_HEADER: self.chat_id})
        try:
            with contextlib.closing(chunks):
                for chunk in chunks:
                    if "error" in chunk:
                        raise CommandError(_message(chunk["error"]))
                    usage = chunk.get("usage") or usage
                    for choice in chunk.get("choices") or ():
                        delta = choice.get("delta") or {}
                        if thought := delta.get("reasoning_content"):
                            done.append(thought)
                            yield Activity(text=thought)
                        if words := delta.get("content"):
                            said.append(words)
                            yield Words(text=words)
                        reason = choice.get("finish_reason") or reason
        finally:
            answer = "".join(said)
            if answer.strip():
                self._messages += [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ]
        if not reason:
            raise CommandError("the answer broke off: the daemon or its model stopped; ask again")
        yield Answer(
            text=answer, activity="".join(done), model=self.model, reason=reason, usage=usage
        )


def _message(error: object) -> str:
    return str(error.get("message", error)) if isinstance(error, Mapping) else str(error)


def _new_id() -> str:
    return f"cli-{uuid.uuid4().hex}"
