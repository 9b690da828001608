"""Which chat a request goes on with: the key of what the agent remembers of it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.openai.messages import ChatMessage
from api.openai.requests import ChatRequest
from api.roles import Caller

HEADERS = (
    "x-openwebui-chat-id",
    "x-librechat-conversation-id",
    "x-conversation-id",
    "x-chat-id",
)
"""In the order in which they are believed. LibreChat sends what its configuration says."""

_NO_ID = frozenset({"", "new", "null", "undefined", "none"})
_DIGITS = re.compile(r"\d+")


def chat_id(*, body: ChatRequest, headers: Mapping[str, str], caller: Caller) -> str:
    """The same for every request of one chat, and never the same for two callers.

    Without an id from the client it is made of how the chat began: clients send the whole chat
    again each time. Figures of the system prompt do not count, because many prompts say the time.
    """
    source, value = next(_named(body, headers), ("", ""))
    if not source:
        source, value = "beginning", _beginning(body.messages)
    user = body.user or body.safety_identifier or ""
    told = json.dumps([caller.key, caller.user or "", user, source, value])
    return "chat-" + hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _named(body: ChatRequest, headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Ids that the client gave, best first. A placeholder that no frontend filled in is none."""
    metadata = body.metadata or {}
    conversation = body.conversation
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    candidates: list[tuple[str, Any]] = [
        *(("header", headers.get(name)) for name in HEADERS),
        *(("metadata", metadata.get(name)) for name in ("chat_id", "conversation_id")),
        ("body", body.chat_id),
        ("body", body.conversation_id),
        ("body", conversation),
    ]
    for source, value in candidates:
        if isinstance(value, str):
            text = value.strip()
            if text.lower() not in _NO_ID and "{{" not in text:
                yield source, text


def _beginning(messages: Sequence[ChatMessage]) -> str:
    first: dict[str, str] = {}
    for message in messages:
        role = "system" if message.role == "developer" else message.role
        if role in ("system", "user") and role not in first:
            first[role] = message.text()
    return json.dumps([_DIGITS.sub("0", first.get("system", "")), first.get("user", "")])
