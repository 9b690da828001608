"""The reference of the settings is whole and up to date.

`UPDATE_DOCS=1 pytest tests/config/test_reference.py` (`make config-docs`) writes it anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from daemon.config.described import group_of, item_of
from daemon.config.reference import reference
from daemon.config.settings import Settings

FILE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_file_is_what_the_settings_say() -> None:
    if os.environ.get("UPDATE_DOCS"):
        FILE.write_text(reference(), encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == reference(), "run: make config-docs"


def settings_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting: its section, as the reference heads it, and its name."""
    for name, field in model.model_fields.items():
        here = f"{path}.{name}".lstrip(".")
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings_of(inner, here)
        elif (group := group_of(inner)) is not None:
            yield from ((f"[{here}.NAME]", key) for key in group.model_fields)
        else:
            yield f"[{path}]" if path else "Before all sections", name
            if (item := item_of(inner)) is not None:
                yield from ((f"Each of {here}", key) for key in item.model_fields)


def test_every_setting_has_its_row_and_is_explained() -> None:
    text = reference()
    settings = list(settings_of(Settings))
    assert len(settings) > 200
    for section, name in settings:
        body = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
        rows = re.findall(rf"^\| `{name}` \| .+ \| .+ \| .+ \|$", body, re.MULTILINE)
        assert len(rows) == 1, f"{section} {name}: {rows or 'no row with a description'}"


def test_no_row_is_torn_by_what_stands_in_it() -> None:
    for line in reference().splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, line
