"""What is shipped for the helper: its units, its file, and what install.sh says of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from daemon.helper.config import load
from daemon.helper.verbs.table import VERBS

DEPLOY = Path(__file__).parents[2] / "deploy"
ACTIONS = DEPLOY / "actions"
LOOKING = {name for name, verb in VERBS.items() if verb.with_any} | {"hello"}
WIDE = {"container-restart", "remount", "security-updates", "nixos"}
"""What install.sh allows nobody: who wants it writes it into the file."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in (ACTIONS / "systemd").glob("triaged-helper*"):
        text = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def _said(units: Path) -> str:
    files = sorted(str(each) for each in units.iterdir() if each.is_file())
    argv = ["systemd-analyze", "verify", "--man=no", *files]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def test_systemd_warns_of_nothing(units: Path) -> None:
    assert _said(units) == ""


@pytest.mark.parametrize("drop_in", ["packages", "mounts"])
def test_systemd_warns_of_no_drop_in(units: Path, drop_in: str) -> None:
    folder = units / "triaged-helper@.service.d"
    folder.mkdir()
    shutil.copy(ACTIONS / "systemd" / "drop-ins" / f"{drop_in}.conf", folder)
    assert _said(units) == ""


def test_the_unit_is_fenced_in(units: Path) -> None:
    unit = ACTIONS / "systemd" / "triaged-helper@.service"
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=35"]
    done = subprocess.run([*argv, str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_shipped_file_allows_nothing_and_names_every_verb(root_only: None) -> None:
    file = ACTIONS / "helper.toml"
    assert tomllib.loads(file.read_text())["verbs"] == []
    named = set(re.findall(r'^#   "([a-z-]+)"', file.read_text(), re.MULTILINE))
    assert named == set(VERBS) - LOOKING


def test_every_default_in_the_shipped_file_is_the_helpers(root_only: None, tmp_path: Path) -> None:
    text = re.sub(r"(?m)^#([a-z_]+ = )", r"\1", (ACTIONS / "helper.toml").read_text())
    whole = tmp_path / "helper.toml"
    whole.write_text(text)
    shutil.copy(ACTIONS / "helper.toml", tmp_path / "shipped.toml")
    known = frozenset(VERBS)
    written, shipped = load(whole, known), load(tmp_path / "shipped.toml", known)
    for name in written.__slots__:
        if name != "file":
            assert getattr(written, name) == getattr(shipped, name), name


def test_install_sh_says_what_it_grants_before_it_does(tmp_path: Path) -> None:
    wheelhouse = _wheelhouse(tmp_path)
    done = subprocess.run(
        [
            str(wheelhouse / "install.sh"),
            "--allow-actions",
            "--dry-run",
            "--python",
            sys.executable,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (granted,) = re.findall(r"by the root helper: (.+)", done.stdout)
    assert set(granted.split()) == set(VERBS) - LOOKING - WIDE
    order = ["--allow-actions grants", "write /etc/polkit-1", "triaged-helper.socket", "helper@.s"]
    places = [done.stdout.index(words) for words in order]
    assert places == sorted(places)
    assert not Path("/etc/systemd/system/triaged-helper.socket").exists()


def test_without_the_option_nothing_is_granted(tmp_path: Path) -> None:
    wheelhouse = _wheelhouse(tmp_path)
    argv = [str(wheelhouse / "install.sh"), "--dry-run", "--python", sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "helper" not in done.stdout
    assert "polkit" not in done.stdout


def test_the_list_that_is_written_is_the_one_that_was_said(tmp_path: Path, root_only: None) -> None:
    text = (DEPLOY / "install.sh").read_text()
    functions = re.search(r"(?s)helper_verbs=\(.*?\n\)\n", text)
    make = re.search(r"(?s)make_helper_toml\(\) \{.*?\n\}\n", text)
    assert functions is not None
    assert make is not None
    script = f"etc={tmp_path}\n{functions[0]}{make[0]}make_helper_toml {ACTIONS}/helper.toml\n"
    subprocess.run(["bash", "-euc", script], check=True, timeout=20)  # noqa: S607
    config = load(tmp_path / "helper.toml", frozenset(VERBS))
    assert set(config.verbs) == set(VERBS) - LOOKING - WIDE


def _wheelhouse(tmp_path: Path) -> Path:
    folder = tmp_path / "wheelhouse"
    tag = "cp{}{}".format(*sys.version_info[:2])
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "triaged-0.1.0-py3-none-any.whl").touch()
    (folder / "wheels" / f"pydantic_core-2.0-{tag}-{tag}-linux_x86_64.whl").touch()
    (folder / "run.txt").touch()
    shutil.copy(DEPLOY / "install.sh", folder)
    shutil.copy(DEPLOY / "triaged.example.toml", folder)
    for each in ("systemd", "actions"):
        shutil.copytree(DEPLOY / each, folder / each)
    return folder
