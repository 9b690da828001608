"""What Ollama tells of a model outside its OpenAI-compatible part.

That part says nothing of the context and lets nobody set it, and prompts that are longer are cut
silently. So the context has to be known.
"""

from __future__ import annotations

import re

from tiers.errors import TierError, TierUnavailableError, Trouble
from tiers.llm.transport import Transport
from tiers.llm.wire import count_of, mapping, text_of

_QUICK_SECONDS = 5.0
_NUM_CTX = re.compile(r"^\s*num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)
DEFAULT_CONTEXT = 4096
"""The least of Ollama's own defaults, which follow the memory of the graphics card."""


async def context_of(http: Transport, model: str) -> tuple[int, bool]:
    """Tokens of context, and whether they are those of the model as it is loaded now: before that
    they are what the model file says, or the default. Raises `TierUnavailableError` when nothing
    answers."""
    loaded = await _asked(http, "GET", "/api/ps", None)
    entries = loaded.get("models")
    for entry in entries if isinstance(entries, list) else []:
        found = mapping(entry)
        context = count_of(found.get("context_length"))
        if context and same_model(text_of(found.get("name")), model):
            return context, True
    shown = await _asked(http, "POST", "/api/show", {"model": model})
    said = _NUM_CTX.search(text_of(shown.get("parameters")))
    return (int(said[1]) if said else DEFAULT_CONTEXT), False


def same_model(listed: str, wanted: str) -> bool:
    """Whether both names mean one model: `latest` need not be said."""
    return listed == wanted or listed == f"{wanted}:latest" or f"{listed}:latest" == wanted


async def _asked(
    http: Transport, method: str, path: str, body: dict[str, str] | None
) -> dict[str, object]:
    """The answer; an empty one where a gateway before it does not let this through."""
    try:
        async with http.deadline(_QUICK_SECONDS):
            document, _ = await http.json(method, path, body)
    except TierUnavailableError as error:
        if error.trouble in (Trouble.REFUSED, Trouble.SLOW, Trouble.BROKEN):
            raise
        return {}
    except TierError:
        return {}
    return dict(document)
