"""The tools that a client brings: they run at the client, and triaged only asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from api.errors import WrongParameterError
from api.openai.fields import Lenient, ShallowObject
from api.text import FitText

Choice = str | Mapping[str, Any] | None
_NOTHING = {"type": "object", "properties": {}}


class FunctionSpec(Lenient):
    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    description: FitText | None = None
    parameters: ShallowObject | None = None
    strict: bool | None = None


class ClientTool(Lenient):
    """A function tool; others (`custom`, `web_search`) run at no client that we know."""

    type: Literal["function"]
    function: FunctionSpec

    def payload(self) -> dict[str, Any]:
        """As OpenAI writes it."""
        function: dict[str, Any] = {
            "name": self.function.name,
            "description": self.function.description or "",
            "parameters": self.function.parameters or _NOTHING,
        }
        if self.function.strict is not None:
            function["strict"] = self.function.strict
        return {"type": "function", "function": function}


Tools = Annotated[list[ClientTool], Field(max_length=128)]


def offered(tools: Sequence[ClientTool], choice: Any) -> tuple[tuple[dict[str, Any], ...], Choice]:
    """The tools as the agent gets them, and which of them it must call: `auto`, `required`, one
    by name, None without tools. `none` offers none. Raises `WrongParameterError`."""
    names = [tool.function.name for tool in tools]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise WrongParameterError(
                f"there are two tools named {name!r}; give each a name of its own",
                param=f"tools.{at}.function.name",
            )
    wanted = _choice(choice, names)
    if not tools or wanted == "none":
        return (), None
    return tuple(tool.payload() for tool in tools), wanted or "auto"


def _choice(choice: Any, names: Sequence[str]) -> Choice:
    match choice:
        case None:
            return None
        case "none" | "auto" | "required" as word:
            if word == "required" and not names:
                raise _wrong('"required" needs tools to choose from; send `tools`')
            return str(word)
        case {"type": "function", "function": {"name": str(name)}}:
            if name not in names:
                raise _wrong(f"there is no tool {name[:80]!r} in `tools`")
            return {"type": "function", "function": {"name": name}}
    raise _wrong(
        'must be "none", "auto", "required" or {"type": "function", "function": {"name": ...}}'
    )


def _wrong(message: str) -> WrongParameterError:
    return WrongParameterError(message, param="tool_choice")
