"""docs/nixos.md, flake.nix and test.nix: every configuration in them is one that works."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer.main
from nix_kit import FILES, NIXOS, ROOT, evaluated, mistakes, parsed
from test_nixos_package import wheels

from daemon.cli import main
from daemon.helper.verbs.table import VERBS

PAGE = (ROOT / "docs" / "nixos.md").read_text()
FLAKE, *MODULES = re.findall(r"```nix\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", MODULES, ids=range(1, len(MODULES) + 1))
def test_every_configuration_of_the_page_has_no_mistake(block: str) -> None:
    inside = block.strip().removeprefix("{").removesuffix("}")
    assert mistakes(inside) == []


def test_the_flake_of_the_page_takes_the_module(tmp_path: Path) -> None:
    path = tmp_path / "flake.nix"
    path.write_text(FLAKE)
    parsed(path)
    names = evaluated(
        f"let flake = import {path}; made = flake.outputs {{ nixpkgs.lib.nixosSystem = x: x;"
        " triaged.nixosModules.default = 1; };"
        " in map (m: m.services.triaged.enable or m)"
        " (lib.tail made.nixosConfigurations.myhost.modules)"
    )
    assert names == [1, True]


def test_our_flake_gives_what_the_page_names() -> None:
    found = evaluated(
        f"let flake = import {NIXOS}/flake.nix; made = flake.outputs {{ self = made;"
        " nixpkgs = { inherit lib; legacyPackages = lib.genAttrs"
        ' [ "x86_64-linux" "aarch64-linux" ] (system: {'
        " callPackage = path: arguments: arguments; stdenv.hostPlatform = { inherit system; };"
        " testers.runNixOSTest = test: toString test; nixfmt-tree = 1; }); }; };"
        " in { inherit (made) packages checks formatter; overlays = lib.attrNames made.overlays;"
        " module = toString made.nixosModules.default; }"
    )
    assert Path(found["module"]) == NIXOS / "module.nix"
    assert Path(found["checks"]["x86_64-linux"]["vm"]) == NIXOS / "test.nix"
    assert set(found["packages"]["aarch64-linux"]) == {"default", "triaged", "triaged-with-llama"}
    assert found["overlays"] == ["default"]


def test_the_virtual_machines_test_is_one() -> None:
    """It cannot be run here: its machine is one that the module takes, its script is Python, and
    every command of triaged's in it is one."""
    test = f"import {NIXOS}/test.nix {{ pkgs.callPackage = _: arguments: arguments; }}"
    script = evaluated(f"({test}).testScript")
    ast.parse(script)
    commands = getattr(typer.main.get_command(main.app), "commands", {})
    called = set(re.findall(r"(?:\"|-u triaged )triaged ([a-z][a-z-]*)", script))
    assert {"status", "check-config", "backup", "inject", "incidents"} <= called
    assert [name for name in called if name not in commands] == []
    configured = f'(builtins.removeAttrs ({test}).nodes.machine.services.triaged [ "package" ])'
    assert mistakes(f"services.triaged = {configured};") == []


def test_the_page_names_every_wheel() -> None:
    row = re.search(r"^\| (.*?) \| nixpkgs where it is new enough", PAGE, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`([^`]+)`", row[1])) == set(wheels()) - {"xllamacpp"}


def test_the_page_names_verbs_that_there_are() -> None:
    table = PAGE.split("| verb | does |")[1].split("Of no use")
    rows = re.findall(r"^\| (.*?) \|", table[0], re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}
    others = set(re.findall(r"`([a-z-]+)`", table[1].splitlines()[0]))
    assert len(names) > 10
    assert names | others <= set(VERBS)
    assert not names & others


def test_the_page_points_at_what_there_is() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    assert {"flake.nix", "package.nix", "module.nix", "test.nix"} <= {path.name for path in FILES}
