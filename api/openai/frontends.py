"""Which frontend asks, and what of the tools' work it wants to see. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from api.openai.rendering import Show
from api.openai.requests import ChatRequest
from api.ports_chat import ChatOptions

SHOW_HEADER = "x-triaged-show"


def is_open_webui(headers: Mapping[str, str]) -> bool:
    """Whether Open WebUI sent this: it forwards who asks, and in which chat."""
    return any(name.lower().startswith("x-openwebui-") for name in headers)


def shown_to(*, body: ChatRequest, headers: Mapping[str, str], options: ChatOptions) -> Show:
    """What the client asked for in the header or the field, what the operator set for everybody,
    and status events for Open WebUI: other clients know no chunk without choices."""
    wanted = {word.strip().lower() for word in headers.get(SHOW_HEADER, "").split(",")}
    if body.triaged is not None and body.triaged.show:
        wanted.update(body.triaged.show)
    form = (body.response_format or {}).get("type")
    return Show(
        status="status" in wanted or is_open_webui(headers),
        tools="tools" in wanted or options.show_tools,
        json=form in ("json_object", "json_schema"),
    )
