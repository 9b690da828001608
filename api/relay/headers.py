"""Which headers go up to a model's endpoint, and which come back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Headers = Sequence[tuple[bytes, bytes]]

# Only what means something to a model's server: whoever asks, from where and with which key is
# between the client and the facade.
_UP = frozenset(
    {
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-type",
        b"openai-beta",
        b"traceparent",
        b"tracestate",
    }
)
# Hop by hop (RFC 9110, 7.6.1), what the facade says itself, and what is for the facade alone.
# Which web pages may read answers is the facade's business too.
_NOT_DOWN = frozenset(
    {
        b"alt-svc",
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"www-authenticate",
        b"x-request-id",
    }
)
_FORM = b"application/x-www-form-urlencoded"
_JSON = "application/json"


def upward(headers: Iterable[tuple[bytes, bytes]], *, api_key: str | None) -> dict[str, str]:
    """Headers for the endpoint, with the tier's own key. Names come in small letters."""
    kept: dict[str, str] = {}
    for name, value in headers:
        if name in _UP and value.isascii():
            kept[name.decode()] = value.decode()
    # `curl -d` calls everything a form, and llama-server reads no form.
    if kept.get("content-type", "").encode().lower().startswith(_FORM) or not kept.get(
        "content-type"
    ):
        kept["content-type"] = _JSON
    if api_key is not None:
        kept["authorization"] = f"Bearer {api_key}"
    return kept


def downward(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers for the client. The length is the sender's business."""
    named = {
        word.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for word in value.split(b",")
    }
    return [
        (name, value)
        for name, value in headers
        if (lower := name.lower()) not in _NOT_DOWN
        and lower not in named
        and not lower.startswith(b"access-control-")
    ]


def value_of(headers: Headers, name: bytes) -> bytes:
    """The first header of that name (small letters), b"" without one."""
    return next((value for key, value in headers if key.lower() == name), b"")
