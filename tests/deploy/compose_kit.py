"""The compose files as Compose reads them, and the tables of docs/docker.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
PAGE = (ROOT / "docs" / "docker.md").read_text()
PROFILES = ("cpu", "cuda", "rocm", "vulkan")
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+):-([^}]*)\}")


def load(name: str) -> dict[str, Any]:
    """The file with its anchors and merges resolved."""
    document: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return document


def variables(*names: str) -> dict[str, str]:
    """Default by variable, of all files; a variable has one default."""
    found: dict[str, str] = {}
    for name in names:
        text = (DOCKER / name).read_text()
        assert "${" not in _VARIABLE.sub("", text), f"{name}: a variable without a default"
        for variable, default in _VARIABLE.findall(text):
            assert found.setdefault(variable, default) == default, variable
    return found


def resolved(text: str) -> str:
    """With every variable's default."""
    return _VARIABLE.sub(lambda found: found[2], text)


def rows(head: str) -> list[list[str]]:
    """The cells of the table in the page whose first line is `head`."""
    lines = PAGE.partition(f"{head}\n")[2].splitlines()[1:]
    assert lines, f"no table {head}"
    table = []
    for line in lines:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def family(service: str) -> str:
    """What the page calls a service: the twelve llama-servers are one."""
    return "llama-servers" if service.startswith("llama-") else service


def mounted(service: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Source, target and whether it is read-only."""
    found = []
    for volume in service.get("volumes", []):
        if isinstance(volume, dict):
            found.append((volume["source"], volume["target"], volume.get("read_only", False)))
        else:
            source, target, *mode = volume.split(":")
            found.append((source, target, mode == ["ro"]))
    return found
