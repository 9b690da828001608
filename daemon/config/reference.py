"""Writes the reference of every setting: `python -m daemon.config.reference`.

`docs/configuration.md` is its output (`make config-docs`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from daemon.config.described import group_of, item_of, kind_of, toml
from daemon.config.settings import Settings

_HEAD = """\
# Configuration

Made from the settings themselves by `make config-docs`; change them there.

Nothing has to be set. The file is TOML: the first that exists of `--config`, `$TRIAGED_CONFIG`,
`./triaged.toml`, `~/.config/triaged/triaged.toml`, `/etc/triaged/triaged.toml`, and only that.
A single setting can come from the environment: `TRIAGED__API__PORT=9000` is `port` in `[api]`.
`triaged check-config` tells mistakes with file and line, `triaged check-config --json` what is in
force, and [triaged.example.toml](../deploy/triaged.example.toml) holds every setting to copy from.
"""
_TABLE = ("| setting | may be | default | is |", "|---|---|---|---|")


def reference() -> str:
    """The reference as Markdown."""
    sections = list(_section((), Settings, Settings()))
    return _HEAD + "\n" + "\n".join(sections).rstrip() + "\n"


def _section(path: tuple[str, ...], model: type[BaseModel], value: BaseModel) -> Iterator[str]:
    rows: list[str] = []
    below: list[Iterator[str]] = []
    for name, field in model.model_fields.items():
        current = getattr(value, name)
        here = (*path, name)
        if isinstance(current, BaseModel):
            below.append(_section(here, type(current), current))
        elif (group := group_of(field.annotation)) is not None:
            below.append(_groups(here, field, group, current))
        else:
            rows.append(_row(name, field, current))
            if (item := item_of(field.annotation)) is not None:
                below.append(_items(here, item))
    yield from _headed(f"[{'.'.join(path)}]" if path else "Before all sections", model.__doc__)
    yield from _tabled(rows)
    for lines in below:
        yield from lines


def _groups(
    path: tuple[str, ...], field: FieldInfo, model: type[BaseModel], current: dict[str, BaseModel]
) -> Iterator[str]:
    """A table with free names."""
    yield from _headed(f"[{'.'.join((*path, 'NAME'))}]", model.__doc__)
    if field.description:
        yield from (_sentence(field.description), "")
    yield from _tabled(
        _row(key, entry, _default(entry)) for key, entry in model.model_fields.items()
    )
    if current:
        yield "There by default:"
        yield ""
        for name, value in current.items():
            keys = ((key, getattr(value, key)) for key in model.model_fields)
            words = ", ".join(f"`{key} = {toml(its)}`" for key, its in keys if its is not None)
            yield f"- `{name}`: {words}"
        yield ""


def _items(path: tuple[str, ...], model: type[BaseModel]) -> Iterator[str]:
    yield from _headed(f"Each of {'.'.join(path)}", model.__doc__)
    yield from _tabled(
        _row(key, entry, _default(entry)) for key, entry in model.model_fields.items()
    )


def _headed(title: str, words: str | None) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    if words:
        yield " ".join(words.split())
        yield ""


def _tabled(rows: Any) -> Iterator[str]:
    rows = list(rows)
    if rows:
        yield from _TABLE
        yield from rows
        yield ""


def _row(name: str, field: FieldInfo, current: Any) -> str:
    words = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | {kind_of(field)} | {_shown(field, current)} | {words} |"


def _shown(field: FieldInfo, current: Any) -> str:
    if field.is_required():
        return "has to be said"
    if current is None:
        return "not set"
    return f"`{toml(current)}`".replace("|", "\\|")


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + "."


if __name__ == "__main__":
    sys.stdout.write(reference())
