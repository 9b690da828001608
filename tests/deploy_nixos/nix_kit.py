"""Evaluates deploy/nixos with nixpkgs' lib: `$TRIAGED_NIXPKGS_LIB`, else that of <nixpkgs>."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NIXOS = ROOT / "deploy" / "nixos"
HERE = Path(__file__).parent
FILES = sorted(NIXOS.glob("*.nix"))
SMALLEST = "services.triaged.enable = true;"
"""The smallest configuration, which most begin with."""


def triaged(said: str) -> str:
    """A configuration with that of services.triaged which is said."""
    return f"services.triaged = {{ enable = true; {said} }};"


@cache
def instantiate() -> str:
    """The evaluator; skips without one."""
    program = shutil.which("nix-instantiate")
    if program is None:
        pytest.skip("no nix-instantiate: install Nix (Debian: nix-bin)")
    return program


@cache
def library() -> Path:
    """The folder of nixpkgs' lib; skips without one."""
    named = os.environ.get("TRIAGED_NIXPKGS_LIB")
    if named:
        place = Path(named)
        if not (place / "default.nix").is_file():
            pytest.fail(f"$TRIAGED_NIXPKGS_LIB is {named}, where there is no default.nix")
        return place
    found = _run("--find-file", "nixpkgs/lib")
    if found.returncode != 0:
        pytest.skip("no nixpkgs: set $TRIAGED_NIXPKGS_LIB to the folder lib of one")
    return Path(found.stdout.strip())


def parsed(path: Path) -> None:
    """Fails where a file is no Nix."""
    done = _run("--parse", str(path))
    assert done.returncode == 0, done.stderr


def evaluated(expression: str, *, store: Path | None = None) -> Any:
    """What an expression is; `lib`, `module` and `harness CONFIGURATION` are known in it. `store`:
    the folder of a store, where sources are copied into one."""
    done = _evaluate(expression, store=store)
    said = "\n".join(line[:300] for line in done.stderr.splitlines())
    assert done.returncode == 0, said
    return json.loads(done.stdout)


def refused(expression: str) -> str:
    """What Nix says of an expression that it refuses."""
    done = _evaluate(expression)
    assert done.returncode != 0, done.stdout
    return done.stderr


def host(configuration: str = SMALLEST, *, what: str = "config", loose: bool = False) -> Any:
    """`what` of a host with a configuration, the inside of a Nix set that knows `lib`, `pkgs`."""
    flag = "true" if loose else "false"
    return evaluated(
        f"let host = harness {{ loose = {flag}; }} ({{ lib, pkgs, ... }}: {{ {configuration} }}); "
        f"inherit (host) config options; in {what}"
    )


def mistakes(configuration: str) -> list[str]:
    """The messages of all assertions that fail."""
    found = host(
        configuration,
        what="map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions)",
    )
    assert isinstance(found, list)
    return [" ".join(message.split()) for message in found]


OPTIONS = (
    'builtins.filter (o: lib.hasPrefix "services.triaged" o.name && !o.internal)'
    " (lib.optionAttrSetToDocList options)"
)
OF_WHICH = {
    "services.triaged.tiers": "review",
    "services.triaged.llama-cpp.models": '"qwen3-4b"',
    "services.triaged.notifications.channels": "phone",
}
"""Options whose parts have names, and the name that stands for them here."""


@cache
def options() -> list[dict[str, Any]]:
    """Every option of services.triaged: name, description and example."""
    found = host(
        what="map (o: { inherit (o) name description; example = o.example or null; })"
        f" ({OPTIONS})"
    )
    assert isinstance(found, list)
    return found


def every_example() -> str:
    """A configuration in which each option is set to its example."""
    lines = []
    for option in options():
        name = option["name"]
        if name in OF_WHICH:
            continue
        for whole, part in OF_WHICH.items():
            name = name.replace(f"{whole}.<name>", f"{whole}.{part}")
        lines.append(f"{name} = {option['example']['text']};")
    return "\n".join(lines)


def toml(document: Mapping[str, Any]) -> str:
    """A document as TOML, as pkgs.formats.toml would write it."""
    return "\n".join(_lines(document, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield f"[{'.'.join(_text(name) for name in path)}]"
    for name, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{_text(name)} = {_value(value)}"
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*path, name))


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _evaluate(expression: str, *, store: Path | None = None) -> subprocess.CompletedProcess[str]:
    given = (
        f"let lib = import {library()}; module = {NIXOS}/module.nix; "
        f"harness = more: configuration: import {HERE}/harness.nix "
        f"({{ inherit module configuration; nixpkgsLib = {library()}; }} // more); in {expression}"
    )
    writing = () if store is None else ("--read-write-mode",)
    return _run("--eval", "--strict", "--json", *writing, "--expr", given, store=store)


def _run(*arguments: str, store: Path | None = None) -> subprocess.CompletedProcess[str]:
    # Nothing is built and nothing is fetched, so mostly no store is needed.
    remote = "dummy://" if store is None else f"local?root={store}"
    environment = os.environ | {"NIX_REMOTE": remote}
    return subprocess.run(
        [instantiate(), *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=environment,
    )
