"""Writes the commented example of every setting: `python -m daemon.config.example`.

`deploy/triaged.example.toml` is its output. Every setting stands there behind `#` with its default,
so that taking the `#` away changes nothing.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.config.described import described, group_of, item_of, toml
from daemon.config.settings import Settings

_HEAD = """\
# Every setting of triaged with its default. Nothing has to be set: without a file the daemon runs
# as it is described here. Copy the lines that you want to change to one of
#   ./triaged.toml   ~/.config/triaged/triaged.toml   /etc/triaged/triaged.toml
# (the first that exists is used, and only that), take the # away, and ask `triaged check-config`.
# A single setting can come from the environment: TRIAGED__API__PORT=9000.
"""


def example() -> str:
    """The example as TOML."""
    return _HEAD + "\n" + "\n".join(_section((), Settings, Settings())).rstrip() + "\n"


def _section(path: tuple[str, ...], model: type[BaseModel], value: BaseModel) -> Iterator[str]:
    """Plain settings first: in TOML they would belong to the last table otherwise."""
    if path:
        yield f"[{'.'.join(path)}]"
    if path and model.__doc__:
        yield from _words(" ".join(model.__doc__.split()))
    below: list[Iterator[str]] = []
    for name, field in model.model_fields.items():
        current = getattr(value, name)
        here = (*path, name)
        if isinstance(current, BaseModel):
            below.append(_section(here, type(current), current))
        elif (group := group_of(field.annotation)) is not None:
            below.append(_groups(here, field, group, current))
        else:
            yield from _setting(name, field, current)
    yield ""
    for lines in below:
        yield from lines


def _groups(
    path: tuple[str, ...], field: FieldInfo, model: type[BaseModel], current: dict[str, BaseModel]
) -> Iterator[str]:
    """A table with free names: those that are there by default, else one as an example."""
    yield from _words(f"{'.'.join(path)}: {field.description or 'sections by name'}")
    for name, value in current.items():
        yield f"#[{'.'.join((*path, name))}]"
        for key, entry in model.model_fields.items():
            yield from _assignment(key, getattr(value, key), entry)
        yield ""
    if not current:
        yield f"# [{'.'.join((*path, 'NAME'))}]"
        for key, entry in model.model_fields.items():
            yield from _words(f"{key}: {described(entry)}")
        yield ""


def _setting(name: str, field: FieldInfo, current: Any) -> Iterator[str]:
    yield from _words(described(field))
    item = item_of(field.annotation)
    if item is not None:
        keys = (f"{key}: {described(entry)}" for key, entry in item.model_fields.items())
        yield from _words(f"each has {'; '.join(keys)}")
    yield from _assignment(name, current, field)


def _assignment(name: str, current: Any, field: FieldInfo) -> Iterator[str]:
    if current is None:
        yield f"# {name} is not set"
    else:
        yield f"#{name} = {toml(current)}"


def _words(text: str) -> Iterator[str]:
    yield from (f"# {line}" for line in textwrap.wrap(text, width=96, break_on_hyphens=False))


if __name__ == "__main__":
    sys.stdout.write(example())
