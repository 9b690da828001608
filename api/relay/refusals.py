"""What a client of a bare model is told when the facade itself answers."""

from __future__ import annotations

from starlette.responses import Response

from api.errors import envelope, error_response
from api.ports_chat import TierTarget
from api.relay.paths import PREFIX
from api.streaming import frame
from tiers.vocabulary import TierName

_TURNED_AWAY_SECONDS = 5
BARE = ", ".join(f"{PREFIX}{tier.value}" for tier in TierName)
_SHOWN = 80


def no_tier(asked: str) -> Response:
    """There is no such bare model."""
    return error_response(
        status=404,
        message=f"There is no bare model {asked[:_SHOWN]!r}; there are {BARE}.",
        param="model",
        code="model_not_found",
    )


def only_bare(path: str, asked: str | None) -> Response:
    """A path that only bare models answer, with another model or with none."""
    said = f"The model {asked[:_SHOWN]!r} does not answer" if asked else "No model is named for"
    return error_response(
        status=404 if asked else 400,
        message=f"{said} {path}: send it with the model {BARE}, or to /{PREFIX}meta{path}.",
        param="model",
        code="model_not_found" if asked else "model_missing",
    )


def not_relayed(method: str, path: str, *, other_method: bool) -> Response:
    """A path under `/tier/…` that is not passed on."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in path[:200])
    if other_method:
        return error_response(status=405, message=f"Method Not Allowed: {method} {shown}")
    return error_response(
        status=404, message=f"{method} {shown} is not passed on to a model.", code="not_relayed"
    )


def turned_away(target: TierTarget) -> Response:
    """Too many requests are with the tier."""
    return error_response(
        status=429,
        message=f"{_name(target)} has {target.most} requests already, those that wait included; "
        f"try again later, or raise `parallel` or `queue` of tiers.{target.tier.value}.",
        code="tier_busy",
        headers={"Retry-After": str(_TURNED_AWAY_SECONDS)},
    )


def down(target: TierTarget) -> Response:
    """The tier does not answer now, and why."""
    message = f"{_name(target)} does not answer now: {target.detail.rstrip('.')}."
    if target.loading:
        message = f"{_name(target)} is loading its model {target.served}"
        if target.progress is not None:
            message += f" ({target.progress:.0%})"
        message += "; try again in a moment."
    else:
        message += " `triaged status` and `triaged doctor` tell more."
    return error_response(
        status=503,
        message=message,
        code="tier_loading" if target.loading else "tier_unavailable",
        headers=retry_after(target),
    )


def unreachable(target: TierTarget, why: str) -> Response:
    """Nothing answers where the tier should be."""
    return error_response(
        status=503,
        message=f"{_name(target)} does not answer at {target.url}: {why}; is its server running? "
        "`triaged status` tells.",
        code="tier_unavailable",
        headers=retry_after(target),
    )


def broke_off(target: TierTarget, why: str) -> Response:
    """The endpoint ended an answer in the middle, before any of it was sent on."""
    return error_response(status=502, message=broken_sentence(target, why), code="tier_broke_off")


def silent(target: TierTarget) -> Response:
    """The endpoint said nothing at all for too long."""
    return error_response(status=504, message=silence_sentence(target), code="tier_silent")


def broken_sentence(target: TierTarget, why: str) -> str:
    return f"{_name(target)} broke the answer off in the middle ({why}); ask again."


def silence_sentence(target: TierTarget) -> str:
    return (
        f"{_name(target)} said nothing for {target.patience:g} s and was given up; ask for a "
        f"stream, or raise timeout_seconds of tiers.{target.tier.value}."
    )


def error_frame(endpoint: str, message: str) -> bytes:
    """The last events of a stream that was cut, in the form of its endpoint."""
    error = envelope(status=502, message=message, code="stream_cut")
    if endpoint in ("responses", "messages"):
        told = {"type": "error", "code": "stream_cut", "message": message, "param": None, **error}
        return b"event: error\n" + frame(told)
    done = b"data: [DONE]\n\n" if endpoint in ("chat/completions", "completions") else b""
    return frame(error) + done


def retry_after(target: TierTarget) -> dict[str, str]:
    """When to come again, as a header."""
    return {"Retry-After": str(max(1, round(target.retry_after)))}


def _name(target: TierTarget) -> str:
    return f"{PREFIX}{target.tier.value}"
