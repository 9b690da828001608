"""What a failure at an endpoint becomes: an error named after what the caller can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson

from tiers.errors import (
    BadAnswerError,
    CaseTooLargeError,
    TierError,
    TierMisfitError,
    TierRefusedError,
    TierUnavailableError,
    Trouble,
)
from tiers.llm.wire import count_of, mapping, text_of

_UNAVAILABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_SHOWN = 300

# OpenAI-compatible servers say it in words: "maximum context length is 4096 tokens. However, you
# requested 5000 tokens", "prompt has 5000 tokens … context window of 4096".
_CONTEXT_WORDS = re.compile(
    r"context (?:length|window|size)|maximum context|too many tokens", re.IGNORECASE
)
_NO_MODEL = re.compile(
    r"model\b.{0,80}\b(?:not found|not exist|unknown)|(?:invalid|unknown|no such) model",
    re.IGNORECASE | re.DOTALL,
)
_NUMBERS = re.compile(r"\d{2,9}")


def fault_from_response(
    *, name: str, url: str, status: int, headers: Mapping[str, str], body: bytes
) -> TierError:
    """The error for a response that is not a success."""
    error = _error_object(body)
    message = text_of(error.get("message")) or body[:_SHOWN].decode("utf-8", "replace").strip()
    said = message[:_SHOWN] or "nothing more"
    kind = text_of(error.get("type"))
    if status in (400, 413) and (
        kind == "exceed_context_size_error" or _CONTEXT_WORDS.search(message)
    ):
        return CaseTooLargeError(
            f"{name}: the prompt does not fit the context of the model at {url}: {said}",
            excess_tokens=_excess(error, message),
        )
    if status >= 500 and "does not match" in message:
        return BadAnswerError(
            f"{name}: the model at {url} did not finish an answer of the asked form: {said}",
            problem="the answer was cut off or is not the JSON that was asked for; keep it short",
            answer="",
        )
    if status == 501:
        return TierRefusedError(f"{name}: the model at {url} cannot do this: {said}")
    if status in _UNAVAILABLE:
        loading = status == 503 and "oading" in message
        return TierUnavailableError(
            f"{name}: the model at {url} is still loading"
            if loading
            else f"{name}: {url} answers {status}: {said}",
            retry_after=_retry_after(headers, otherwise=1.0 if loading else 5.0),
            trouble=_trouble(status, loading=loading),
        )
    if status in (401, 402, 403):
        return TierMisfitError(
            f"{name}: {url} answers {status}: {said}; check the key in api_key_file",
            status=status,
        )
    if status == 404 or (status == 400 and _NO_MODEL.search(message)):
        return TierMisfitError(
            f"{name}: {url} answers {status}: {said}; "
            "check the endpoint's URL and the model's name",
            status=status,
        )
    return TierRefusedError(f"{name}: {url} refuses the request ({status}): {said}")


def fault_in_stream(*, name: str, url: str, payload: bytes) -> TierError:
    """The error for an error event in the middle of a stream."""
    error = _error_object(payload)
    code = count_of(error.get("code")) or 500
    return fault_from_response(name=name, url=url, status=code, headers={}, body=payload)


def fault_from_transport(error: httpx2.HTTPError, *, name: str, url: str) -> TierError:
    """The error for a connection that was refused, broke off or was not HTTP."""
    match error:
        case httpx2.ConnectError():
            why, after, trouble = f"nothing answers at {url}", 2.0, Trouble.REFUSED
        case httpx2.TimeoutException():
            why, after = f"{url} did not take the connection in time", 5.0
            trouble = Trouble.REFUSED
        case httpx2.RemoteProtocolError() | httpx2.ReadError() | httpx2.WriteError():
            why, after = f"{url} broke the connection off in the middle of a call", 2.0
            trouble = Trouble.BROKEN
        case _:
            why, after, trouble = f"{url} cannot be talked to", 5.0, Trouble.GARBAGE
    detail = str(error)[:_SHOWN] or type(error).__name__
    return TierUnavailableError(
        f"{name}: {why} ({detail}); is the server running?", retry_after=after, trouble=trouble
    )


def _trouble(status: int, *, loading: bool) -> Trouble:
    if loading:
        return Trouble.LOADING
    if status in (408, 504):
        return Trouble.SLOW
    return Trouble.BUSY if status in (425, 429, 529) else Trouble.FAULT


def _error_object(body: bytes) -> Mapping[str, Any]:
    """The `error` of an OpenAI-style envelope; some servers put a text there, or no envelope."""
    try:
        document = mapping(orjson.loads(body))
    except orjson.JSONDecodeError:
        return {}
    error = document.get("error", document)
    return {"message": error} if isinstance(error, str) else mapping(error)


def _excess(error: Mapping[str, Any], message: str) -> int:
    """How many tokens are too many: as the server says, else from the numbers in its words."""
    prompt, context = count_of(error.get("n_prompt_tokens")), count_of(error.get("n_ctx"))
    if not (prompt and context):
        numbers = sorted({int(found) for found in _NUMBERS.findall(message)})
        if len(numbers) < 2:
            return 1
        context, prompt = numbers[0], numbers[-1]
    return max(1, prompt - context + 1)


def _retry_after(headers: Mapping[str, str], *, otherwise: float) -> float:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return otherwise
    return min(max(seconds, 0.1), 600.0) if seconds == seconds else otherwise
