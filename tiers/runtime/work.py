"""What one llama-server has done and has to do, by its own counters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

_NAMES = {
    "prompt_tokens": "prompt_tokens_total",
    "cached_tokens": "prompt_tokens_cached_total",
    "prompt_seconds": "prompt_seconds_total",
    "output_tokens": "tokens_predicted_total",
    "output_seconds": "tokens_predicted_seconds_total",
    "decodes": "n_decode_total",
    "drafted_tokens": "spec_decode_num_draft_tokens_total",
    "accepted_tokens": "spec_decode_num_accepted_tokens_total",
    "running": "requests_processing",
    "waiting": "requests_deferred",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerWork:
    """Totals since the process began, whoever asked; `running` and `waiting` are requests now.

    `prompt_tokens` were read anew, `cached_tokens` were not; seconds are the model's own, of all
    slots together; `decodes` are calls of the model. A counter that a build does not have is 0.
    """

    prompt_tokens: float = 0.0
    cached_tokens: float = 0.0
    prompt_seconds: float = 0.0
    output_tokens: float = 0.0
    output_seconds: float = 0.0
    decodes: float = 0.0
    drafted_tokens: float = 0.0
    accepted_tokens: float = 0.0
    running: float = 0.0
    waiting: float = 0.0


def work_of(values: Mapping[str, float]) -> ServerWork:
    """From the values of `/metrics` by name, without their prefix. Pure."""
    return ServerWork(**{field: values.get(name, 0.0) for field, name in _NAMES.items()})
