"""Every block of configuration in the documents is one that its program takes."""

# ruff: noqa: S607 -- tools of the machine, found as its administrator finds them

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from pages import ROOT, Block, blocks

from daemon.config.load import load_config
from daemon.config.settings import Settings

SYSTEMD = ROOT / "deploy" / "systemd"
_FILE = re.compile(r"(?m)^# (/\S+|~\S+)$")


def _named(*languages: str) -> list[object]:
    return [pytest.param(block, id=block.name) for block in blocks(*languages)]


@pytest.mark.parametrize("block", _named("toml"))
def test_toml_is_a_configuration(block: Block, tmp_path: Path) -> None:
    """Loaded as the daemon loads it: an unknown setting, a wrong value and sections that do not go
    together are mistakes."""
    path = tmp_path / "triaged.toml"
    path.write_text(block.body)
    load_config(given=path, environ={"HOME": str(tmp_path)})


@pytest.mark.parametrize("block", _named("yaml", "json"))
def test_yaml_and_json_are_well_formed(block: Block) -> None:
    if block.language == "json":
        json.loads(block.body)
    else:
        assert yaml.safe_load(block.body)


@pytest.mark.parametrize("block", _named("ini", "systemd"))
def test_units_are_taken_by_systemd(block: Block, tmp_path: Path) -> None:
    """A block of units names each file in a comment before it; drop-ins are put to the units that
    are shipped."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    parts = _FILE.split(block.body)
    assert len(parts) > 1, "say in a comment which file it is"
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        folder, file = Path(name).parent.name, Path(name).name
        goal = tmp_path
        if folder.endswith(".d"):
            goal = tmp_path / folder
            goal.mkdir(exist_ok=True)
            shipped = folder.removesuffix(".d")
            shutil.copy(SYSTEMD / shipped, tmp_path / shipped)
        (goal / file).write_text(text)
    units = [unit for unit in tmp_path.iterdir() if unit.is_file()]
    for unit in units:
        text = re.sub(r"(?m)^(Exec\w+=)/(?:opt|usr/local)\S+", r"\1/bin/true", unit.read_text())
        unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_blocks_of_each_kind() -> None:
    assert len(blocks("toml")) > 8
    assert blocks("yaml")
    assert blocks("ini")


def test_a_configuration_hides_in_no_other_block() -> None:
    """A block that begins with a section of ours is TOML and says so."""
    sections = "|".join(Settings.model_fields)
    for block in blocks("", "text", "sh"):
        assert not re.search(rf"(?m)^\[\[?(?:{sections})[\].]", block.body), block.name
