"""The clerk: what frontends ask beside the chat goes to a small tier, never to the meta tier.

Its model writes within few tokens and seconds, without tools. Where no small tier has a model that
writes prose, or it fails, code writes (`clerk_words.py`): a title is not worth an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tiers.chat_contracts import Conversation, Errand
from tiers.chat_history import cleaned
from tiers.clerk_words import KEYS, LISTS, CodeClerk, asks_for_json, formed
from tiers.contracts import Usage
from tiers.errors import TierError, TierRefusedError
from tiers.llm.neutralise import middle_cut, neutralise
from tiers.llm.port import ModelClient
from tiers.llm.requests import ChatCall
from tiers.llm.wire import ChatAnswer, mapping

_SECONDS = 20.0
_TOKENS = 256
_PROMPT_CHARS = 12_000
"""The beginning says what is wanted and the end what was said last."""
_VALUE_CHARS = 160
_MOST_VALUES = 6
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_ANSWERING = re.compile(r"\b(?:approve|deny)\b", re.IGNORECASE)
_NOBODY = Usage(
    model="triaged", endpoint="", prompt_tokens=0, completion_tokens=0, seconds=0.0, calls=0
)


class SmallClerk:
    """Satisfies `tiers.chat_contracts.Clerk`. `clients` are the small tiers that write prose,
    smallest first, with the options that keep each from thinking long."""

    def __init__(
        self,
        *,
        clients: Sequence[tuple[ModelClient, Mapping[str, Any]]],
        code: CodeClerk,
    ) -> None:
        self._clients = tuple(clients)
        self._code = code

    async def write(
        self, conversation: Conversation, errand: Errand = Errand.OTHER
    ) -> tuple[str, Usage]:
        """Raises `TierRefusedError` where only a model can do it and none does."""
        messages = [
            {**message, "content": middle_cut(str(message["content"]), _PROMPT_CHARS)}
            for message in cleaned(conversation.messages)
            if message["role"] != "tool" and message["content"]
        ]
        prompt = "\n".join(
            str(message["content"]) for message in messages if message["role"] == "user"
        )
        if not prompt.strip():
            raise TierRefusedError("The request holds no message of a user; send one.")
        failed: TierError | None = None
        for client, options in self._clients:
            try:
                answer = await self._asked(client, options, messages, errand, prompt, conversation)
            except TierError as error:
                failed = error
                continue
            if answer is not None:
                return answer
        text = self._code.write(errand, prompt)
        if text is not None:
            return text, _NOBODY
        if failed is not None:
            raise failed
        raise TierRefusedError(
            "No small tier has a model that can write this; configure a larger one for the "
            "trigger or the review tier."
        )

    async def _asked(
        self,
        client: ModelClient,
        options: Mapping[str, Any],
        messages: Sequence[Mapping[str, Any]],
        errand: Errand,
        prompt: str,
        conversation: Conversation,
    ) -> tuple[str, Usage] | None:
        """What a model wrote; None where it is not what was asked for. Raises `TierError`."""
        if (await client.info()).decision:
            return None
        call = ChatCall(
            messages=messages,
            schema=_schema(errand) if asks_for_json(errand, prompt) else None,
            max_tokens=_TOKENS,
            options=options,
            request_id=conversation.request_id,
        )
        answer = await client.chat(call, timeout=min(_SECONDS, client.timeout_seconds))
        text = _read(answer, errand, prompt)
        return (text, answer.usage) if text else None


def _schema(errand: Errand) -> dict[str, Any]:
    short = {"type": "string", "maxLength": _VALUE_CHARS}
    value: dict[str, Any] = short
    if errand in LISTS:
        value = {"type": "array", "items": short, "maxItems": _MOST_VALUES}
    return {
        "type": "object",
        "properties": {KEYS[errand]: value},
        "required": [KEYS[errand]],
        "additionalProperties": False,
    }


def _without_answers(texts: Sequence[str]) -> list[str]:
    """A suggestion is sent as the user's own message by one click: none may be an approval, which
    the words of others in the chat could have asked for."""
    return [text for text in texts if text and not _ANSWERING.search(text)]


def _read(answer: ChatAnswer, errand: Errand, prompt: str) -> str:
    """The text of an answer, in its form; "" where it has another one."""
    if errand is Errand.OTHER or errand not in KEYS:
        return neutralise(answer.text.strip())
    if not asks_for_json(errand, prompt):
        lines = neutralise(answer.text.strip()).splitlines()[:_MOST_VALUES]
        if lines and errand is Errand.TITLE:
            return lines[0].strip(" \"'#*")[:_VALUE_CHARS]
        return "\n".join(_without_answers(lines))
    found = _OBJECT.search(answer.text)
    try:
        value = mapping(orjson.loads(found[0])).get(KEYS[errand]) if found else None
    except orjson.JSONDecodeError:
        return ""
    if errand in LISTS:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            return ""
        kept = [neutralise(each.strip())[:_VALUE_CHARS] for each in value[:_MOST_VALUES]]
        return formed(errand, prompt, _without_answers(kept))
    if not isinstance(value, str) or (not value.strip() and errand is Errand.TITLE):
        return ""
    if errand is not Errand.TITLE and not _without_answers([value]):
        value = ""
    return formed(errand, prompt, neutralise(value)[:_VALUE_CHARS])
