"""`triaged llama` as it is typed, with a fake toolchain on the PATH."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from llama_fakes import FakeTools, llama_archive, program, talking_server

from tiers.runtime.own_builds import PROGRAM

TRIAGED = Path(sys.executable).with_name("triaged")


def _environ(path: str = "/bin", **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {**kept, "PATH": path, **more}


def _triaged(
    state: Path, *words: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TRIAGED), "--state-dir", str(state), "llama", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=environ or _environ(),
        cwd=state.parent,
    )


def test_the_status_says_what_would_run_and_what_would_not(tmp_path: Path) -> None:
    old = talking_server(tmp_path / "bin" / PROGRAM, version="4321 (abc)")
    ended = _triaged(tmp_path / "state", "status", "--json", environ=_environ(f"{old.parent}:/bin"))
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    path, wheel = said["candidates"]
    assert (path["origin"], path["build"]) == ("PATH", 4321)
    assert "older than" in path["problem"]
    assert wheel["build"] >= said["minimum_build"]
    assert said["runs"] == 1
    shown = _triaged(tmp_path / "state", "status", environ=_environ(f"{old.parent}:/bin"))
    assert "unfit" in shown.stdout
    assert "computes on" in shown.stdout


def test_a_named_program_that_is_unfit_is_a_finding(tmp_path: Path) -> None:
    environ = _environ(LLAMA_BIN=str(tmp_path / "absent"))
    ended = _triaged(tmp_path / "state", "status", "--json", environ=environ)
    assert ended.returncode == 6
    said = json.loads(ended.stdout)
    assert said["runs"] is None
    assert "named by $LLAMA_BIN" in said["problem"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--define", "X"], 2, "write NAME=VALUE"),
        (["--source", "/nowhere/x.tar.gz"], 1, "There is no /nowhere/x.tar.gz"),
        (["--backend", "abacus"], 2, "abacus"),
        (["--tag", "--evil"], 1, "no name of a git tag"),
        (["--jobs", "0"], 2, "jobs"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    fakes = FakeTools(tmp_path / "tools")
    ended = _triaged(tmp_path / "state", "build", *words, environ=_environ(fakes.environ["PATH"]))
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert ended.stdout == ""


def test_a_compiler_error_is_shown_and_the_rest_is_folded(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    fakes.cmake(build="echo 'x.cpp:1: error: [bold]no[/bold] such thing'; exit 1")
    archive = llama_archive(tmp_path / "llama.cpp-b11549.tar.gz")
    command = ["build", "--source", str(archive), "--backend", "cpu"]
    environ = _environ(fakes.environ["PATH"])
    ended = _triaged(tmp_path / "state", *command, environ=environ)
    assert ended.returncode == 1
    assert "x.cpp:1: error: [bold]no[/bold] such thing" in ended.stderr
    assert "Building for cpu: cmake ended with code 1; see" in ended.stderr
    assert "build.log" in ended.stderr
    unfolded = _triaged(tmp_path / "state", *command, "--verbose", environ=environ)
    assert "-- The C compiler identification" in unfolded.stderr
    assert unfolded.stderr.count("such thing") == 1


def test_a_program_that_only_pretends_is_not_installed(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    archive = llama_archive(tmp_path / "llama.cpp-b11549.tar.gz")
    ended = _triaged(
        tmp_path / "state", "build", "--source", str(archive), "--backend", "cpu",
        environ=_environ(fakes.environ["PATH"]),
    )  # fmt: skip
    assert ended.returncode == 1
    assert "The new build does not run" in ended.stderr
    assert not (tmp_path / "state/llama/current").exists()


def test_being_stopped_says_that_it_goes_on(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    fakes.cmake(build=f"touch {tmp_path}/up; exec sleep 600")
    archive = llama_archive(tmp_path / "llama.cpp-b11549.tar.gz")
    with subprocess.Popen(
        [
            *(str(TRIAGED), "--state-dir", str(tmp_path / "state"), "llama", "build"),
            *("--source", str(archive), "--verbose"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environ(fakes.environ["PATH"]),
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "one.cpp.o" in line:
                break
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert running.returncode not in (0, None)
    assert "goes on from here" in said
    assert list((tmp_path / "state/llama/work").glob("build-*"))


def test_the_state_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has somebody else to be wary of")
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    program(state / "llama" / "x", "")
    ended = _triaged(state, "build")
    assert ended.returncode == 1
    assert "can be changed by other users" in ended.stderr
