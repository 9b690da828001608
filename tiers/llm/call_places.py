"""Which call of a streamed answer a piece belongs to, where servers do not say it well."""

from __future__ import annotations

import dataclasses

import orjson

from tiers.llm.wire import ToolCallPart


@dataclasses.dataclass(slots=True)
class _Open:
    place: int
    call_id: str
    arguments: str


class CallPlaces:
    """Some servers number every call 0, or none: a piece with a name and another id, or with a
    name after whole arguments, begins a call of its own."""

    def __init__(self) -> None:
        self._open: dict[int, _Open] = {}
        self._next = 0

    def place(self, part: ToolCallPart) -> int:
        """The number of the call that `part` belongs to, in the order in which they began."""
        known = self._open.get(part.index)
        if known is None or (part.name and _is_another(known, part)):
            known = _Open(place=self._next, call_id=part.call_id, arguments="")
            self._next += 1
            self._open[part.index] = known
        known.call_id = known.call_id or part.call_id
        known.arguments += part.arguments
        return known.place


def _is_another(known: _Open, part: ToolCallPart) -> bool:
    if known.call_id and part.call_id:
        return known.call_id != part.call_id
    return bool(part.arguments) and _is_whole(known.arguments)


def _is_whole(arguments: str) -> bool:
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False
