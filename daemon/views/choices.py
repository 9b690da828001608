"""Words that a listing is narrowed by: one that there is not would pass for an empty listing."""

from __future__ import annotations

from collections.abc import Iterable

from api.errors import WrongParameterError


def require_known(wanted: Iterable[str], known: Iterable[str], *, param: str) -> None:
    """Raises `WrongParameterError` with what there is, where one of `wanted` is not among it."""
    choices = [str(each) for each in known]
    for word in wanted:
        if word not in choices:
            message = f"there is no {word!r}; there are {', '.join(choices)}"
            raise WrongParameterError(message, param=param)
