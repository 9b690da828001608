"""docs/nixos.md and flake.nix: every configuration in them is one that works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nix_kit import FILES, NIXOS, ROOT, evaluated, mistakes, parsed
from test_nixos_package import wheels

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
