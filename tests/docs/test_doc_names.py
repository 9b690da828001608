"""What the documents name is there: files, settings, pages and their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, ROOT, anchors, links, words_in_code
from pydantic import BaseModel

from daemon.config.settings import Settings

_ROOMS = "deploy|docs|tests|daemon|api|tiers|benchmarks|training|requirements"
_PATH = re.compile(rf"^(?:{_ROOMS})/[\w./-]+$")
_SETTING = re.compile(r"^\[?(?P<dotted>[a-z_]+(?:\.(?:[a-z_]+|\*|NAME))+)\]?(?: = .*)?$")
_DROP_IN = re.compile(r"^(?:drop-ins/)?(?P<name>[a-z]+\.conf)$")


def _code() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for code in words_in_code(page):
            yield page, code


def test_every_path_in_the_repository_is_there() -> None:
    seen = 0
    for page, code in _code():
        if _PATH.match(code) and "*" not in code:
            seen += 1
            places = (ROOT, page.parent)
            assert any((place / code).exists() for place in places), (page.name, code)
    assert seen > 20


def test_every_drop_in_is_there() -> None:
    shipped = {path.name for path in (ROOT / "deploy" / "systemd" / "drop-ins").iterdir()}
    for page, code in _code():
        if (found := _DROP_IN.match(code)) and code.startswith("drop-ins/"):
            assert found["name"] in shipped, (page.name, code)


def _fields(model: type[BaseModel]) -> dict[str, object]:
    return {name: field.annotation for name, field in model.model_fields.items()}


def _known(dotted: str) -> bool:
    """Whether a name leads to a setting. Below a table with names of the operator's own anything
    may stand."""
    current: object = Settings
    for part in dotted.split("."):
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return "dict" in str(current)
        fields = _fields(current)
        if part in ("*", "NAME"):
            current = next(iter(fields.values()))
        elif part not in fields:
            return False
        else:
            current = fields[part]
    return True


def test_every_setting_is_one() -> None:
    sections = set(Settings.model_fields)
    seen = 0
    for page, code in _code():
        found = _SETTING.match(code)
        if found is None or found["dotted"].split(".")[0] not in sections:
            continue
        if found["dotted"].endswith((".py", ".md", ".toml", ".json", ".sh", ".yaml", ".sock")):
            continue
        seen += 1
        assert _known(found["dotted"]), (page.name, code)
    assert seen > 30


def test_every_variable_sets_a_setting() -> None:
    for page in PAGES:
        for name in re.findall(r"\bTRIAGED__([A-Z_]+)\b", page.read_text()):
            dotted = name.lower().replace("__", ".")
            if dotted != "section.key":
                assert _known(dotted), (page.name, name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for goal in links(page):
        if re.match(r"[a-z]+:", goal):
            continue
        path, _, anchor = goal.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), goal
        if anchor:
            assert anchor in anchors(target), goal
