"""What the model sees of earlier look-ups: rounds of calls where they were made, with their age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tiers.chat_closing_words import age_words
from tiers.chat_memory import ChatResults, Kept, asked_digest
from tiers.chat_reading import page_of, shown

_LEAST_CHARS = 540
"""Of a result that there is little room for: its beginning, and the handle to read on."""
_MOST_SHORT = 12
_LOOK_AGAIN = "the user asks how it is now: look again"


def recalled(
    talk: Sequence[Mapping[str, Any]], results: ChatResults, *, chars: int, fresh: bool
) -> list[Mapping[str, Any]]:
    """The conversation with the remembered results in it: after the question that each was looked
    up for, else before the last one. The newest are shown whole within `chars` characters, older
    ones by their beginning. `fresh` says that the user wants a new look."""
    rounds = _rounds(results, chars=chars) if chars > 0 else {}
    if not rounds:
        return list(talk)
    users = [at for at, message in enumerate(talk) if message["role"] == "user"]
    last = users[-1] if users else 0
    # A question that is asked once more has an answer already: the results belong to the first.
    again = talk[-1]["role"] == "user" if talk else False
    where: dict[str, int] = {}
    for at in users:
        asked = asked_digest(str(talk[at]["content"]))
        if at != last or not again or asked not in where:
            where[asked] = at
    after: dict[int, list[Mapping[str, Any]]] = {}
    for asked, entries in rounds.items():
        at = where.get(asked, last - 1)
        after.setdefault(at, []).extend(_messages(entries, results, fresh=fresh))
    found = list(after.get(-1, ()))
    for at, message in enumerate(talk):
        found += [message, *after.get(at, ())]
    return found


def _rounds(results: ChatResults, *, chars: int) -> dict[str, list[tuple[Kept, int]]]:
    """The results to show by their question, oldest first, each with its room in characters."""
    left, short = chars, 0
    chosen: list[tuple[Kept, int]] = []
    for kept in reversed(results.all()):
        room = min(chars, max(_LEAST_CHARS, left))
        if room <= _LEAST_CHARS:
            short += 1
        if short > _MOST_SHORT:
            break
        chosen.append((kept, room))
        left -= min(room, len(kept.text))
    rounds: dict[str, list[tuple[Kept, int]]] = {}
    for kept, room in reversed(chosen):
        rounds.setdefault(kept.asked, []).append((kept, room))
    return rounds


def _messages(
    entries: Sequence[tuple[Kept, int]], results: ChatResults, *, fresh: bool
) -> list[Mapping[str, Any]]:
    calls, told = [], []
    for kept, room in entries:
        # Nine letters and digits: some chat templates accept no other id.
        call_id = f"r{kept.handle[1:]:0>8}"
        arguments = orjson.dumps(kept.arguments, default=str).decode()
        function = {"name": kept.name, "arguments": arguments}
        calls.append({"id": call_id, "type": "function", "function": function})
        note = f"looked up {age_words(results.age(kept))}"
        content = shown(
            page_of(kept.text, offset=0, chars=room),
            handle=kept.handle,
            ok=True,
            note=f"{note}; {_LOOK_AGAIN}" if fresh else note,
        )
        told.append({"role": "tool", "tool_call_id": call_id, "content": content})
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *told]
