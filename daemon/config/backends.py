"""Which server the tiers use that name none: `tiers.backend`, or `$LLM_BACKEND`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from tiers.config import BUNDLED, BackendSettings, OllamaSettings
from tiers.vocabulary import TierName

_SERVERS: Mapping[str, type[BackendSettings]] = {
    "llama_cpp": BackendSettings,
    "ollama": OllamaSettings,
    "openai": BackendSettings,
}


def spread(tiers: Mapping[str, Any]) -> dict[str, Any]:
    """The `tiers` section with what its backends say put into each tier that says nothing else.

    Whatever is no section or no backend is left as it is: validation speaks about it. Raises
    ValueError where Ollama is meant and no model is named.
    """
    found = dict(tiers)
    default = found.get("backend")
    unnamed: list[str] = []
    for tier in TierName:
        own = found.get(tier.value, {})
        if not isinstance(own, Mapping):
            continue
        said = dict(own)
        if isinstance(default, str):
            _put_default(said, default)
        backend = said.get("backend")
        server = _server(found, backend)
        if server is not None and server.endpoint is not None and not said.get("endpoint"):
            _put_server(said, server, tier)
            if backend == "ollama" and "model" not in said:
                unnamed.append(f"tiers.{tier.value}.model")
        if said:
            found[tier.value] = said
    if unnamed:
        raise ValueError(
            "Ollama serves many models, at its default endpoint too: name one for all tiers in "
            f"tiers.ollama.model, or each in {', '.join(unnamed)} (`ollama list` shows them)"
        )
    return found


def _put_default(said: dict[str, Any], backend: str) -> None:
    said.setdefault("backend", backend)
    fallbacks = said.get("fallback")
    if isinstance(fallbacks, list):
        said["fallback"] = [
            {"backend": backend, **each} if isinstance(each, Mapping) else each
            for each in fallbacks
        ]


def _server(tiers: Mapping[str, Any], backend: object) -> BackendSettings | None:
    """The backend's section; None where it is none, or has mistakes."""
    kind = _SERVERS.get(backend) if isinstance(backend, str) else None
    if kind is None:
        return None
    try:
        return kind.model_validate(tiers.get(str(backend), {}))
    except pydantic.ValidationError:
        return None


def _put_server(said: dict[str, Any], server: BackendSettings, tier: TierName) -> None:
    """A file that our own server loads, and its key, mean nothing at another server."""
    said["endpoint"] = server.endpoint
    named = server.model_for(tier)
    if named is not None:
        said["model"] = named
    elif _is_file(said.get("model", BUNDLED)):
        said.pop("model", None)
    said.pop("api_key_file", None)
    if server.api_key_file is not None:
        said["api_key_file"] = server.api_key_file


def _is_file(model: object) -> bool:
    text = str(model)
    return text == BUNDLED or text.endswith(".gguf") or text.startswith(("/", "~", "./"))
