"""What is sent to an endpoint: bodies, and the model that is meant. Pure but for the key file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tiers.config import Backend, TierSettings
from tiers.errors import TierRefusedError
from tiers.llm.wire import ModelInfo, count_of, mapping, text_of

# Options come from outside (a chat frontend): what decides what is asked, and of whom, is ours.
_OURS = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format"}
)

_ID_CHARS = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One chat request. `schema` constrains the answer to JSON, `form` too, as OpenAI's
    `response_format`; `options` are sampling parameters that the endpoint knows; `max_tokens` None
    takes the tier's; `request_id` goes along as X-Request-ID."""

    messages: Sequence[Mapping[str, Any]]
    schema: Mapping[str, Any] | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | None = None
    max_tokens: int | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    form: Mapping[str, Any] | None = None
    request_id: str = ""


def headers_of(call: ChatCall) -> Mapping[str, str]:
    """The headers that go along with a call. An id that no header may carry is left out."""
    plain = call.request_id.isascii() and call.request_id.isprintable()
    shown = call.request_id.strip()[:_ID_CHARS] if plain else ""
    return {"X-Request-ID": shown} if shown else {}


def chat_body(
    call: ChatCall, *, model: str, backend: Backend, max_tokens: int, temperature: float | None
) -> dict[str, Any]:
    """The body of `/v1/chat/completions`. The caller's bound on tokens can only be lowered."""
    body: dict[str, Any] = {key: value for key, value in call.options.items() if key not in _OURS}
    if temperature is not None:
        body.setdefault("temperature", temperature)
    limit = min(call.max_tokens or max_tokens, max_tokens)
    asked = count_of(body.pop("max_completion_tokens", None)) or count_of(body.get("max_tokens"))
    body["max_tokens"] = min(limit, asked or limit)
    body["model"] = model
    body["messages"] = list(call.messages)
    if call.tools:
        body["tools"] = list(call.tools)
        body["tool_choice"] = call.tool_choice or "auto"
    if call.form is not None:
        body["response_format"] = dict(call.form)
    if call.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": call.schema},
        }
    if backend == "llama_cpp":
        body["cache_prompt"] = True
    return body


def chosen_model(
    body: Mapping[str, Any], *, wanted: str | None, context: int | None = None
) -> ModelInfo | None:
    """Which of the models that `/v1/models` lists is meant: `wanted`, else the first. None where
    nothing is served. A wanted model that is not listed is tried all the same: some gateways
    route names that they do not list. `context` is what the operator says of it: many endpoints
    say nothing, and where both speak the smaller one holds."""
    entries = body.get("data")
    served = [mapping(entry) for entry in entries] if isinstance(entries, list) else []
    served = [entry for entry in served if text_of(entry.get("id"))]
    if wanted is not None:
        served = [entry for entry in served if entry["id"] in (wanted, f"{wanted}:latest")]
        if not served:
            return ModelInfo(model=wanted, context=context, decision=False)
    if not served:
        return None
    entry = served[0]
    meta = mapping(entry.get("meta"))
    modalities = mapping(entry.get("architecture")).get("output_modalities")
    said = count_of(meta.get("n_ctx")) or count_of(entry.get("max_model_len"))
    return ModelInfo(
        model=text_of(entry.get("id")),
        context=min(said, context) if said and context else said or context,
        decision=isinstance(modalities, list) and "decisions" in modalities,
    )


def read_key(*, name: str, settings: TierSettings) -> str | None:
    """The key for the endpoint, None where none is configured. Raises `TierRefusedError`."""
    if settings.api_key_file is None:
        return None
    try:
        lines = settings.api_key_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TierRefusedError(
            f"{name}: the key file {settings.api_key_file} cannot be read ({error}); "
            "check api_key_file"
        ) from error
    key = lines[0].strip() if lines else ""
    if not key or not key.isascii() or not key.isprintable():
        raise TierRefusedError(
            f"{name}: the first line of {settings.api_key_file} is not a key; "
            "put the key there, alone"
        )
    return key
