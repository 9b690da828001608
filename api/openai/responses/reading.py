"""Reads items as clients send them. Every mistake names where it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.errors import WrongParameterError
from api.openai.responses.items import (
    COMPLETED,
    STATUSES,
    FunctionCall,
    FunctionOutput,
    Item,
    Message,
    Reasoning,
    Reference,
    input_text,
    new_id,
    output_text,
)
from api.text import fit

MOST_ITEMS = 2_000
_MOST_PARTS = 500
_ID = re.compile(r"^[A-Za-z0-9_.:-]{1,200}\Z")
_NAME = re.compile(r"^[A-Za-z0-9_.:-]{1,200}\Z")
_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = ("input_text", "output_text", "text")
UNREAD = ("input_image", "input_file", "input_audio")
"""Content parts that are kept and not read."""


def read_input(value: Any) -> list[Item | Reference]:
    """The `input` of a request: text, or a list of items. Raises `WrongParameterError`."""
    if value is None:
        return []
    if isinstance(value, str):
        return [Message(id=new_id("msg"), role="user", parts=(input_text(fit(value)),))]
    if not isinstance(value, list):
        raise WrongParameterError("must be text or a list of items", param="input")
    if len(value) > MOST_ITEMS:
        raise WrongParameterError(f"at most {MOST_ITEMS} items are taken", param="input")
    return [read_item(entry, f"input.{at}") for at, entry in enumerate(value)]


def read_item(raw: Any, where: str) -> Item | Reference:
    """One item. Raises `WrongParameterError`."""
    if not isinstance(raw, Mapping):
        raise WrongParameterError("must be an object", param=where)
    kind = raw.get("type")
    if kind is None:
        kind = "message" if "role" in raw else "item_reference"
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise WrongParameterError(
            f"items of type {fit(str(kind))[:60]!r} are not known here; known are "
            f"{', '.join(_READERS)}",
            param=f"{where}.type",
        )
    return reader(raw, where)


def _message(raw: Mapping[str, Any], where: str) -> Message:
    role = raw.get("role")
    if role not in _ROLES:
        raise WrongParameterError(f"must be one of {', '.join(_ROLES)}", param=f"{where}.role")
    if "content" not in raw:
        raise WrongParameterError("is missing", param=f"{where}.content")
    parts = _parts(raw["content"], f"{where}.content", said=role == "assistant")
    return Message(
        id=_id(raw, where, "msg"), role=str(role), parts=parts, status=_status(raw, where)
    )


def _parts(value: Any, where: str, *, said: bool) -> tuple[Mapping[str, Any], ...]:
    """Content as parts; `said` by the model, not to it."""
    texts = output_text if said else input_text
    if isinstance(value, str):
        return (texts(fit(value)),)
    if not isinstance(value, list):
        raise WrongParameterError("must be text or a list of parts", param=where)
    if len(value) > _MOST_PARTS:
        raise WrongParameterError(f"at most {_MOST_PARTS} parts are taken", param=where)
    return tuple(_part(part, f"{where}.{at}", texts=texts) for at, part in enumerate(value))


def _part(raw: Any, where: str, *, texts: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise WrongParameterError("must be an object", param=where)
    kind = raw.get("type")
    if kind in _TEXTS:
        return texts(_text(raw, "text", where))
    if kind == "refusal" and texts is output_text:
        return {"type": "refusal", "refusal": _text(raw, "refusal", where)}
    if kind == "input_image" and texts is input_text:
        return {"detail": "auto", **raw}
    if kind in UNREAD and texts is input_text:
        return dict(raw)
    known = ("output_text", "refusal") if texts is output_text else ("input_text", *UNREAD)
    raise WrongParameterError(f"must be one of {', '.join(known)}", param=f"{where}.type")


def _call(raw: Mapping[str, Any], where: str) -> FunctionCall:
    return FunctionCall(
        id=_id(raw, where, "fc"),
        call_id=_named(raw, "call_id", where, _ID),
        name=_named(raw, "name", where, _NAME),
        arguments=_text(raw, "arguments", where),
        status=_status(raw, where),
    )


def _output(raw: Mapping[str, Any], where: str) -> FunctionOutput:
    if "output" not in raw:
        raise WrongParameterError("is missing", param=f"{where}.output")
    output = raw["output"]
    return FunctionOutput(
        id=_id(raw, where, "fco"),
        call_id=_named(raw, "call_id", where, _ID),
        output=fit(output)
        if isinstance(output, str)
        else _parts(output, f"{where}.output", said=False),
        status=_status(raw, where),
    )


def _reasoning(raw: Mapping[str, Any], where: str) -> Reasoning:
    encrypted = raw.get("encrypted_content")
    if encrypted is not None:
        encrypted = _text(raw, "encrypted_content", where)
    return Reasoning(
        id=_id(raw, where, "rs"),
        content=_thoughts(raw, "content", where),
        summary=_thoughts(raw, "summary", where),
        encrypted=encrypted,
        status=_status(raw, where),
    )


def _thoughts(raw: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = raw.get(key)
    if value is None:
        return ()
    here = f"{where}.{key}"
    if not isinstance(value, list) or len(value) > _MOST_PARTS:
        raise WrongParameterError(f"must be a list of at most {_MOST_PARTS} texts", param=here)
    found = []
    for at, part in enumerate(value):
        if not isinstance(part, Mapping):
            raise WrongParameterError("must be an object", param=f"{here}.{at}")
        found.append(_text(part, "text", f"{here}.{at}"))
    return tuple(found)


def _reference(raw: Mapping[str, Any], where: str) -> Reference:
    return Reference(id=_named(raw, "id", where, _ID))


def _text(raw: Mapping[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise WrongParameterError("must be text", param=f"{where}.{key}")
    return fit(value)


def _named(raw: Mapping[str, Any], key: str, where: str, form: re.Pattern[str]) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not form.match(value):
        raise WrongParameterError(
            "must be 1 to 200 letters, digits and any of _ . : -",
            param=f"{where}.{key}",
        )
    return value


def _id(raw: Mapping[str, Any], where: str, prefix: str) -> str:
    """The item's own id, or a new one: most clients send none, and some an empty one."""
    return new_id(prefix) if raw.get("id") in (None, "") else _named(raw, "id", where, _ID)


def _status(raw: Mapping[str, Any], where: str) -> str:
    status = raw.get("status")
    if status is None:
        return COMPLETED
    if status not in STATUSES:
        raise WrongParameterError(f"must be one of {', '.join(STATUSES)}", param=f"{where}.status")
    return str(status)


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Item | Reference]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
    "item_reference": _reference,
}


def stored_items(raw: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Items that `items.wire` wrote. Raises `WrongParameterError` for what another release kept and
    this one does not know."""
    found = [read_item(entry, "previous_response_id") for entry in raw]
    return [item for item in found if not isinstance(item, Reference)]
