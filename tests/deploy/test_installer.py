"""install.sh where nothing is installed: what it would do, on which system, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "install.sh"
TAG = "cp{}{}".format(*sys.version_info[:2])
SYSTEMS = {
    "debian": ('ID=debian\nVERSION_ID="12"\n', "apt install python3 python3-venv"),
    "ubuntu": ("ID=ubuntu\nID_LIKE=debian\n", "apt install python3 python3-venv"),
    "mint": ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "apt install python3 python3-venv"),
    "fedora": ("ID=fedora\n", "dnf install python3.12"),
    "rocky": ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf install python3.12"),
    "arch": ("ID=arch\n", "pacman -S python"),
    "manjaro": ("ID=manjaro\nID_LIKE=arch\n", "pacman -S python"),
    "unknown": ("", "with its venv module"),
}


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """As `make wheelhouse` lays it out, with empty wheels."""
    folder = tmp_path / "wheelhouse"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "triaged-0.1.0-py3-none-any.whl").touch()
    (folder / "wheels" / f"pydantic_core-2.0-{TAG}-{TAG}-linux_x86_64.whl").touch()
    (folder / "run.txt").touch()
    shutil.copy(SCRIPT, folder)
    shutil.copytree(ROOT / "deploy" / "systemd", folder / "systemd")
    shutil.copy(ROOT / "deploy" / "triaged.example.toml", folder)
    return folder


def _run(
    wheelhouse: Path, *arguments: str, release: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """With `release` as the system's /etc/os-release, in mounts of its own."""
    command = [str(wheelhouse / "install.sh"), *arguments]
    if release is not None:
        mount = f'mount --bind {release} "$(readlink -f /etc/os-release)" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mount, "sh", *command]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )


def _python(wheelhouse: Path) -> tuple[str, ...]:
    return ("--python", sys.executable, "--wheelhouse", str(wheelhouse))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_dry_run_says_each_step_on_every_system(
    wheelhouse: Path, tmp_path: Path, system: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("another /etc/os-release takes mounts of one's own")
    release = tmp_path / "os-release"
    release.write_text(SYSTEMS[system][0])
    done = _run(wheelhouse, "--dry-run", *_python(wheelhouse), release=release)
    assert done.returncode == 0, done.stderr
    for words in (
        "Only said, not done",
        "put the program into /opt/triaged/releases/0.1.0-",
        "write /etc/systemd/system/triaged.service",
        "write /etc/systemd/system/triaged-api.service",
        "write /etc/systemd/system/llama-meta.service",
        "make /opt/triaged/current point to it",
    ):
        assert words in done.stdout
    assert not Path("/opt/triaged/releases").exists()


@pytest.mark.parametrize("system", SYSTEMS)
def test_without_a_python_it_says_how_that_system_gets_one(
    wheelhouse: Path, tmp_path: Path, system: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("another /etc/os-release takes mounts of one's own")
    release = tmp_path / "os-release"
    text, hint = SYSTEMS[system]
    release.write_text(text)
    for wheel in (wheelhouse / "wheels").glob("pydantic_core*"):
        wheel.unlink()
    (wheelhouse / "wheels" / "pydantic_core-2.0-cp39-cp39-linux_x86_64.whl").touch()
    done = _run(wheelhouse, "--dry-run", release=release)
    assert done.returncode == 1
    assert hint in done.stderr
    assert "cp39" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--models", "nobody"), "--models is daemon or systemd"),
        (("--api", "nowhere"), "--api is daemon or apart"),
        (("--models",), "--models needs a value"),
        (("--wheelhouse", "/nowhere"), "holds no wheels"),
        (("rollback",), "there is no release to go back to"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    wheelhouse: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = _run(wheelhouse, *arguments, "--dry-run")
    if arguments == ("--models",):  # takes the next word for its value
        said = "--models is daemon or systemd"
    assert done.returncode == 1
    assert said in done.stderr


def test_what_it_does_not_know_is_a_mistake_of_the_command_line(wheelhouse: Path) -> None:
    done = _run(wheelhouse, "--everything")
    assert done.returncode == 2
    assert "--dry-run" in done.stderr


@pytest.mark.parametrize(
    ("option", "drop_in"),
    [(("--models", "systemd"), "attached"), (("--api", "apart"), "apart"), (("--gpu",), "gpu")],
)
def test_each_way_of_running_has_its_drop_in(
    wheelhouse: Path, option: tuple[str, ...], drop_in: str
) -> None:
    done = _run(wheelhouse, "--dry-run", *_python(wheelhouse), *option)
    assert f"write /etc/systemd/system/triaged.service.d/{drop_in}.conf" in done.stdout
    plain = _run(wheelhouse, "--dry-run", *_python(wheelhouse))
    assert f"{drop_in}.conf" not in plain.stdout


@pytest.mark.parametrize("script", [SCRIPT, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_shellcheck_agrees(script: Path) -> None:
    program = shutil.which("shellcheck")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("shellcheck is not installed; .ci/run installs it")
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([program, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
