"""What the guard found out about a request, for the routes behind it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from api.keys.meter import Spend
from api.roles import Caller

_CALLER = "triaged.caller"
_REQUEST_ID = "triaged.request_id"
_SPEND = "triaged.spend"
_REFUSAL = "triaged.refusal"


def note(scope: MutableMapping[str, Any], *, caller: Caller, request_id: str, spend: Spend) -> None:
    """Keeps all of it with the request. The guard alone calls this."""
    scope[_CALLER] = caller
    scope[_REQUEST_ID] = request_id
    scope[_SPEND] = spend


def caller_of(scope: MutableMapping[str, Any]) -> Caller:
    """Who sent the request. Raises KeyError for one that no guard has seen."""
    found: Caller = scope[_CALLER]
    return found


def request_id_of(scope: MutableMapping[str, Any]) -> str:
    """The id that runs through logs, the tier's included, and is sent back as X-Request-ID."""
    found: str = scope[_REQUEST_ID]
    return found


def note_refusal(scope: MutableMapping[str, Any], *, code: str, key: str) -> None:
    """Keeps why a request was not let in: the code of the error, and the name of the configured key
    that it came with, "" without one. The guard alone calls this."""
    scope[_REFUSAL] = code, key


def refusal_of(scope: MutableMapping[str, Any]) -> tuple[str, str]:
    """What `note_refusal` kept; two empty texts for a request that was let in."""
    found: tuple[str, str] = scope.get(_REFUSAL, ("", ""))
    return found


def report_tokens(
    scope: MutableMapping[str, Any], *, model: str, prompt_tokens: int, completion_tokens: int
) -> None:
    """Counts an answer's tokens against its caller's budget. Called once an answer, at its end,
    also where it was cut off. `model` is a model's id here, never a client's words."""
    spend: Spend = scope[_SPEND]
    spend.report(scope[_CALLER], model, prompt_tokens, completion_tokens)
