"""The units as systemd reads them: no warning, closed enough, and alike where they must be."""

# ruff: noqa: S607 -- tools of the machine, found as its administrator finds them

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.config.load import load_config

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "deploy" / "systemd"
SERVICES = sorted(SYSTEMD.glob("*.service"))
DROP_INS = sorted((SYSTEMD / "drop-ins").glob("*.conf"))
MOST_EXPOSED = {"triaged": 1.5, "triaged-api": 1.5}
"""systemd's own figure, 0 to 10. The models' servers may have 2.5."""
MAY = {
    "attached": ("triaged",),
    "apart": ("triaged",),
    "network": ("triaged", "triaged-api"),
    "gpu": ("triaged", "llama-trigger", "llama-review", "llama-meta"),
}
"""Which units a drop-in is for."""


@pytest.fixture(scope="module", autouse=True)
def _systemd() -> None:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is not installed; .ci/run installs it")
        pytest.skip("systemd-analyze is not installed")


def _verified(folder: Path) -> str:
    """What systemd says of units whose program is there."""
    for unit in folder.glob("*.service"):
        text = re.sub(r"(?m)^(Exec\w+=)/opt/triaged\S+", r"\1/bin/true", unit.read_text())
        unit.write_text(text)
    units = sorted(str(unit) for unit in folder.iterdir() if unit.is_file())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    return said or ("" if done.returncode == 0 else f"exit {done.returncode}")


def _copied(goal: Path) -> Path:
    for unit in [*SERVICES, SYSTEMD / "triaged.target"]:
        shutil.copy(unit, goal)
    return goal


def test_systemd_warns_of_nothing(tmp_path: Path) -> None:
    assert _verified(_copied(tmp_path)) == ""


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_systemd_warns_of_no_drop_in(tmp_path: Path, drop_in: Path) -> None:
    _copied(tmp_path)
    for unit in MAY[drop_in.stem]:
        (tmp_path / f"{unit}.service.d").mkdir()
        shutil.copy(drop_in, tmp_path / f"{unit}.service.d")
    assert _verified(tmp_path) == ""


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    unit = _copied(tmp_path) / "triaged.service"
    unit.write_text(unit.read_text().replace("ProtectClock=yes", "ProtectClocks=yes"))
    assert "ProtectClocks" in _verified(tmp_path)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_exposure(unit: Path) -> None:
    most = MOST_EXPOSED.get(unit.stem, 2.5)
    threshold = f"--threshold={round(most * 10)}"  # in tenths
    within = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", threshold, str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (figure,) = re.findall(r"exposure level for \S+: ([\d.]+)", within.stdout)
    assert float(figure) <= most
    assert within.returncode == 0, within.stdout


def _settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if re.match(r"^\w+=", line):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_models_differ_in_name_port_order_and_memory_alone() -> None:
    trigger, review, meta = (
        _settings(SYSTEMD / f"llama-{tier}.service") for tier in ("trigger", "review", "meta")
    )
    own = {"Description", "After", "ExecStart", "MemoryMax"}
    for other in (review, meta):
        assert {name for name in trigger if trigger[name] != other.get(name)} <= own
        assert trigger.keys() == other.keys()


def test_the_api_is_closed_as_the_daemon_is() -> None:
    """What is opened for one must be thought of for the other."""
    daemon, api = (_settings(SYSTEMD / f"{name}.service") for name in ("triaged", "triaged-api"))
    hardening = [
        name
        for name in daemon
        if name.startswith(("Protect", "Private", "Restrict", "System", "Capab", "IPAddress"))
        and name != "RestartPreventExitStatus"
    ]
    assert len(hardening) > 15
    for name in hardening:
        assert api[name] == daemon[name], name


def test_the_target_has_all() -> None:
    for unit in SERVICES:
        found = _settings(unit)
        if unit.stem.startswith(("triaged", "llama")) and "WantedBy" in found:
            assert found["WantedBy"] == ["triaged.target"], unit.name
            assert found["PartOf"] == ["triaged.target"], unit.name


def test_drop_ins_set_settings_that_there_are() -> None:
    """An environment variable that names no setting keeps a daemon from starting."""
    for drop_in in DROP_INS:
        lines = re.findall(r"(?m)^Environment=(\w+)=(.*)$", drop_in.read_text())
        if lines:
            load_config(environ={"HOME": "/nonexistent", **dict(lines)})
