"""The `model` of a request: read, and replaced where an endpoint calls it otherwise. Pure."""

from __future__ import annotations

import re
from typing import Any

import orjson

from api.body import parsed

_MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')
_MARK = "triaged: the model goes here"


def model_of(body: bytes) -> str | None:
    """The model that a JSON object names; None where it names none. Raises
    `json.JSONDecodeError`."""
    document = parsed(body)
    model = document.get("model") if isinstance(document, dict) else None
    return model if isinstance(model, str) else None


def with_model(body: bytes, model: str) -> bytes:
    """`body` with its `model` replaced or added, and every other byte as it was where the key is
    written plainly. What is not a JSON object comes back unchanged: the endpoint says so."""
    try:
        document = parsed(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(document, dict):
        return body
    written = b'"model":' + orjson.dumps(model)
    if isinstance(document.get("model"), str):
        found = list(_MODEL.finditer(body))
        for match in found:
            if len(found) == 1 or _decides(body, match):
                return body[: match.start()] + written + body[match.end() :]
    elif "model" not in document:
        start = body.index(b"{") + 1
        comma = b"," if document else b""
        return body[:start] + written + comma + body[start:]
    return orjson.dumps({**document, "model": model})


def _decides(body: bytes, match: re.Match[bytes]) -> bool:
    """Whether this is the key of the object itself, not of a part of it: tried out."""
    marked = body[: match.start()] + b'"model":' + orjson.dumps(_MARK) + body[match.end() :]
    document: Any = parsed(marked)
    return bool(document.get("model") == _MARK)
