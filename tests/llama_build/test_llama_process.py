"""The steps of a build as processes: they fail, hang, are stopped, and leave nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from llama_fakes import program

from tiers.llama_build import process
from tiers.llama_build.errors import StepError
from tiers.llama_build.process import run_step


def _run(tmp_path: Path, lines: str, *, silence: float = 20.0) -> list[str]:
    heard: list[str] = []
    run_step(
        [str(program(tmp_path / "tool", lines)), "an argument; not a command"],
        what="Trying",
        folder=tmp_path,
        log=tmp_path / "log",
        environ={"PATH": os.environ["PATH"]},
        silence=silence,
        on_line=heard.append,
    )
    return heard


def _is_gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    return False


def test_lines_are_heard_and_logged(tmp_path: Path) -> None:
    heard = _run(tmp_path, r"printf 'one\rtwo\n\nthree\377'; echo four >&2; echo \"$1\"; ls -l")
    assert heard[:2] == ["one", "two"]
    assert heard[2].startswith("three")
    log = (tmp_path / "log").read_text(errors="replace")
    assert "an argument; not a command" in log
    assert "four" in log


def test_it_runs_gently_and_without_a_terminal(tmp_path: Path) -> None:
    heard = _run(tmp_path, "nice; if [ -t 0 ]; then echo terminal; fi; cat")
    assert int(heard[0]) >= 10
    assert heard[1:] == []


def test_a_failure_says_how_and_with_which_last_words(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        _run(tmp_path, "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; exit 7")
    assert "tool ended with code 7" in str(caught.value)
    assert str(tmp_path / "log") in str(caught.value)
    assert caught.value.said[-1] == "line 50"
    assert len(caught.value.said) == 30
    with pytest.raises(StepError, match="--jobs 1"):
        _run(tmp_path, "kill -KILL $$")


def test_a_tool_that_is_silent_for_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="said nothing for"):
        _run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; wait", silence=0.5)
    assert _is_gone(int((tmp_path / "child").read_text()))


def test_a_child_that_keeps_the_pipe_open_does_not_keep_us(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert _run(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; echo done") == ["done"]
    assert time.monotonic() - begun < 10
    assert _is_gone(int((tmp_path / "child").read_text()))


def test_who_ignores_the_first_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_TERM_SECONDS", 0.3)
    with pytest.raises(StepError, match="said nothing"):
        _run(tmp_path, f"trap '' TERM; echo $$ > {tmp_path}/self; while :; do sleep 1; done",
             silence=0.5)  # fmt: skip
    assert _is_gone(int((tmp_path / "self").read_text()))


def test_an_error_of_the_listener_ends_the_tool(tmp_path: Path) -> None:
    def broken(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        run_step(
            [str(program(tmp_path / "tool", f"echo $$ > {tmp_path}/self; echo x; sleep 600"))],
            what="Trying",
            folder=tmp_path,
            log=tmp_path / "log",
            environ={"PATH": os.environ["PATH"]},
            silence=20,
            on_line=broken,
        )
    assert _is_gone(int((tmp_path / "self").read_text()))


def test_a_tool_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot be run"):
        run_step(
            [str(tmp_path / "absent")],
            what="Trying",
            folder=tmp_path,
            log=tmp_path / "log",
            environ={},
            silence=1,
            on_line=lambda line: None,
        )


def test_a_flood_is_bounded_in_the_log_and_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_MOST_LOG", 200_000)
    heard = _run(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end")
    assert heard[-1] == "end"
    assert max(map(len, heard)) <= 2000
    assert (tmp_path / "log").stat().st_size < 400_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_stopped_ends_the_whole_group(tmp_path: Path, number: signal.Signals) -> None:
    tool = program(tmp_path / "tool", f"sleep 600 & echo $! > {tmp_path}/child; echo up; wait")
    code = """\
import os, sys
from pathlib import Path
from daemon.cli.signals import ending_with_signals
from tiers.llama_build.process import run_step
tool, log = sys.argv[1:]
with ending_with_signals():
    run_step([tool], what="x", folder=Path("/"), log=Path(log), environ=dict(os.environ),
             silence=60, on_line=lambda line: print(line, flush=True))
"""
    command = [sys.executable, "-c", code, str(tool), str(tmp_path / "log")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.send_signal(number)
        running.communicate(timeout=20)
    assert running.returncode != 0
    assert _is_gone(int((tmp_path / "child").read_text()))
