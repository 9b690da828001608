"""Values of labels: few, and never a client's words. Pure."""

from __future__ import annotations

from api.observing_relay import Ending, Outcome
from tiers.vocabulary import TierName

OTHER = "other"
TRIAGED = "triaged"

# Operations as OpenTelemetry names them; what it does not know goes by the endpoint's own name.
_OPERATIONS = {
    "approval": "chat",
    "chat": "chat",
    "chat/completions": "chat",
    "completion": "text_completion",
    "completions": "text_completion",
    "decide": "systemone",
    "embed": "embeddings",
    "embedding": "embeddings",
    "housekeeping": "chat",
    "infill": "text_completion",
    "messages": "chat",
    "responses": "chat",
}
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
_TIERS = {tier.value: f"tier/{tier.value}" for tier in TierName}
_WELL = frozenset({"stop", "length", "tool_calls"})
_ERRORS = frozenset(
    {
        "bad_answer",
        "busy",
        "conflict",
        "context_length_exceeded",
        "defect",
        "gone",
        "not_found",
        "queue_full",
        "refused_by_model",
        "tier_unavailable",
    }
)
_RELAYED = {
    Outcome.TURNED_AWAY: "queue_full",
    Outcome.UNAVAILABLE: "tier_unavailable",
    Outcome.BROKEN: "broken",
    Outcome.CLIENT_GONE: "gone",
    Outcome.STOPPED: "stopped",
}
_REFUSALS = {
    "bad_content_length": "body",
    "body_too_large": "body",
    "body_too_slow": "body",
    "busy": "memory",
    "duplicate_header": "header",
    "insufficient_quota": "budget",
    "invalid_api_key": "auth",
    "queue_full": "queue",
    "rate_limit_exceeded": "limits",
    "role_too_low": "role",
    "too_many_at_once": "limits",
    "wrong_host": "origin",
    "wrong_origin": "origin",
    "wrong_purpose": "role",
}


def tier_model(name: str) -> str:
    """The id of a tier's bare model ("tier/meta")."""
    return _TIERS.get(name, OTHER)


def operation(endpoint: str) -> str:
    """What is done at one of our endpoints ("chat", "embeddings")."""
    return _OPERATIONS.get(endpoint, endpoint)


def method(said: str) -> str:
    """The HTTP method, `_OTHER` for one that nobody knows."""
    return said if said in _METHODS else "_OTHER"


def answer_error(outcome: str, status: int) -> str:
    """The `error_type` of an answer of `triaged`, "" for one that is well."""
    if outcome in _WELL:
        return ""
    if outcome in _ERRORS:
        return outcome
    return "invalid_request" if 400 <= status < 500 else OTHER


def relay_error(ending: Ending) -> str:
    """The `error_type` of a relayed answer, "" for one that is well: how it ended, or the status
    that the endpoint gave."""
    if ending.outcome is not Outcome.ANSWERED:
        return _RELAYED[ending.outcome]
    if ending.status < 400:
        return ""
    return str(ending.status) if ending.status < 600 else OTHER


def refusal(code: str) -> str:
    """Why a request was not let in: auth, body, budget, header, limits, memory, origin, queue or
    role."""
    return _REFUSALS.get(code, OTHER)
