"""From what a model wrote to a checked object, or a sentence that tells it what was wrong."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import orjson
import pydantic

from tiers.errors import BadAnswerError

_Model = TypeVar("_Model", bound=pydantic.BaseModel)
_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_THOUGHT = re.compile(r"<think>.*?</think>|^.*?</think>", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
_SHOWN = 2000
_MAX_PROBLEMS = 5


def parse_object(text: str, *, name: str) -> dict[str, Any]:
    """The JSON object in `text`: alone, in a fence, after thoughts, with prose around it, or with a
    comma too many.

    Raises `BadAnswerError` whose `problem` can be shown to the model.
    """
    stripped = _THOUGHT.sub("", text).strip()
    candidates = [stripped, *(found.strip() for found in _FENCED.findall(stripped))]
    begin, end = stripped.find("{"), stripped.rfind("}")
    if 0 <= begin < end:
        candidates.append(stripped[begin : end + 1])
        candidates.append(_TRAILING_COMMA.sub("", stripped[begin : end + 1]))
    reason = "it is empty" if not stripped else ""
    for candidate in candidates:
        try:
            document = orjson.loads(candidate)
        except orjson.JSONDecodeError as error:
            reason = reason or f"it is not JSON: {error}"
            continue
        if isinstance(document, dict):
            return document
        reason = f"it is a {type(document).__name__}, not an object"
    raise bad_answer(
        name=name, problem=f"the answer must be one JSON object, but {reason}", answer=text
    )


def validated(model: type[_Model], document: dict[str, Any], *, name: str) -> _Model:
    """`document` as a `model`. Raises `BadAnswerError` that names every wrong field."""
    try:
        return model.model_validate(document)
    except pydantic.ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'answer'}: {problem['msg']}"
            for problem in error.errors(include_url=False)[:_MAX_PROBLEMS]
        ]
        raise bad_answer(
            name=name, problem="; ".join(problems), answer=orjson.dumps(document).decode()
        ) from error


def bad_answer(*, name: str, problem: str, answer: str) -> BadAnswerError:
    """The error with bounded texts."""
    shown = answer[:_SHOWN]
    return BadAnswerError(
        f"{name}: the model's answer cannot be used: {problem[:500]}",
        problem=problem[:500],
        answer=shown,
    )
