"""The tools that a chat's client brings: offered to the model beside ours, run by the client. Pure.

A name that one of ours has is offered as `client_NAME`; calls and the messages of earlier calls are
translated both ways, so that neither side sees the other's name.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tiers.chat_schemas import bounded_schema
from tiers.config import ToolLoopSettings
from tiers.errors import TierRefusedError
from tiers.llm.neutralise import middle_cut, neutralise
from tiers.llm.wire import mapping, text_of

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PREFIX = "client_"
_LONGEST_NAME = 64
_DESCRIPTION_CHARS = 2000


class Choice(enum.Enum):
    """What the client's `tool_choice` means for its own tools. Ours stand apart from it."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"
    """The answer has to call one of the client's."""
    NAMED = "named"
    """The answer has to be a call of exactly one: nothing else is offered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientTool:
    """`name` is the client's, `offered` the model's."""

    name: str
    offered: str
    description: str
    parameters: Mapping[str, Any]

    def payload(self) -> dict[str, Any]:
        """One entry of the request's `tools`."""
        return {
            "type": "function",
            "function": {
                "name": self.offered,
                "description": self.description,
                "parameters": dict(self.parameters),
            },
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientTools:
    """Those that may be called in this answer. `taken` are the names of our own tools."""

    tools: tuple[ClientTool, ...]
    choice: Choice
    taken: frozenset[str]

    def named(self, offered: str) -> ClientTool | None:
        """The tool that the model calls so."""
        return next((tool for tool in self.tools if tool.offered == offered), None)

    def offered_as(self, name: str) -> str:
        """What the model knows a client's tool as, one of an earlier request too."""
        known = next((tool.offered for tool in self.tools if tool.name == name), None)
        return known or _apart(_plain_name(name), self.taken)


def client_tools(
    tools: Sequence[Mapping[str, Any]],
    tool_choice: str | Mapping[str, Any] | None,
    *,
    taken: Collection[str],
    settings: ToolLoopSettings,
) -> ClientTools:
    """Reads what the client sent. Raises `TierRefusedError` with what is wrong with it."""
    if len(tools) > settings.client_tools:
        raise TierRefusedError(
            f"The request brings {len(tools)} tools and {settings.client_tools} are allowed; "
            "send fewer, or raise tools.loop.client_tools."
        )
    ours = frozenset(taken)
    found: list[ClientTool] = []
    for number, entry in enumerate(tools):
        tool = _tool(entry, number=number, settings=settings)
        if any(tool.name == other.name for other in found):
            raise TierRefusedError(f"Two of the request's tools are called {tool.name}.")
        used = ours | {other.offered for other in found}
        found.append(dataclasses.replace(tool, offered=_apart(tool.name, used)))
    choice, only = _choice(tool_choice)
    if choice is Choice.NAMED and not any(tool.name == only for tool in found):
        raise TierRefusedError(
            f"tool_choice names {only!r}, which is none of the request's tools; "
            "name one of them, or send auto."
        )
    if choice is Choice.REQUIRED and not found:
        raise TierRefusedError("tool_choice is required, but the request brings no tools.")
    chosen = {
        Choice.NONE: (),
        Choice.NAMED: tuple(tool for tool in found if tool.name == only),
    }.get(choice, tuple(found))
    return ClientTools(tools=chosen, choice=choice if found else Choice.NONE, taken=ours)


def _tool(entry: object, *, number: int, settings: ToolLoopSettings) -> ClientTool:
    where = f"tools[{number}]"
    function = mapping(mapping(entry).get("function"))
    if mapping(entry).get("type", "function") != "function" or not function:
        raise TierRefusedError(
            f'{where} is no function tool; send {{"type": "function", "function": {{...}}}}.'
        )
    name = text_of(function.get("name"))
    if not _NAME.fullmatch(name):
        raise TierRefusedError(
            f"{where} has the name {name[:80]!r}; 1 to 64 letters, digits, '_', '-' and '.' "
            "are allowed."
        )
    parameters = bounded_schema(
        function.get("parameters") or {},
        what=f"the schema of {name}",
        most_chars=settings.client_tool_chars,
    )
    description = neutralise(text_of(function.get("description")))
    return ClientTool(
        name=name,
        offered=name,
        description=middle_cut(description, _DESCRIPTION_CHARS),
        parameters=parameters,
    )


def _choice(wanted: str | Mapping[str, Any] | None) -> tuple[Choice, str]:
    """The choice, and the name where one is chosen."""
    if wanted is None:
        return Choice.AUTO, ""
    if isinstance(wanted, str) and wanted in ("none", "auto", "required"):
        return Choice(wanted), ""
    if name := text_of(mapping(mapping(wanted).get("function")).get("name")):
        return Choice.NAMED, name
    raise TierRefusedError(
        f"tool_choice {str(wanted)[:80]!r} is not known; send none, auto, required, or "
        '{"type": "function", "function": {"name": "..."}}.'
    )


def _apart(name: str, taken: Collection[str]) -> str:
    """`name`, or one like it that is not taken."""
    if name not in taken:
        return name
    for number in range(1, len(taken) + 2):
        tail = "" if number == 1 else f"_{number}"
        candidate = _PREFIX + name[: _LONGEST_NAME - len(_PREFIX) - len(tail)] + tail
        if candidate not in taken:
            return candidate
    raise AssertionError("one more name than are taken was tried")


def _plain_name(name: str) -> str:
    """A name out of an old message, which nobody has checked."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:_LONGEST_NAME] or "unknown"
