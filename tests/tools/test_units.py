"""Units through a scripted systemctl and journalctl, and through this host's own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon.tools.command import run_program
from daemon.tools.toolbox import ToolError
from daemon.tools.units import count_failed, unit_name

Programs = Callable[[str, str], None]

SHOWN = """cat <<'END'
Id=nginx.service
Description=A server
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
NRestarts=5
MainPID=0
ExecMainStatus=1
MemoryCurrent=[not set]
StateChangeTimestamp=Sat 2026-03-01 10:00:00 UTC
UnitFileState=enabled
END"""


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("nginx", "nginx.service"),
        (" 'nginx.service' ", "nginx.service"),
        ("getty@tty1", "getty@tty1.service"),
        ("home-a\\x2db.mount", "home-a\\x2db.mount"),
        ("-.mount", "-.mount"),
        ("logrotate.timer", "logrotate.timer"),
    ],
)
def test_names(given: str, name: str) -> None:
    assert unit_name(given) == name


@pytest.mark.parametrize(
    "given",
    ["-h", "--", "--help", "-.service", "../../x", "/etc/passwd", "a;b", "a b", "$(id)", "*",
     "a\nb", "nginx\n", "x" * 300, "", "`id`", "a\x1bb", "ünit", "%n", "[a]", "a=b"],
)  # fmt: skip
async def test_names_that_are_none(call: Any, given: str) -> None:
    if given != "nginx\n":  # white space around a name is taken off
        with pytest.raises(ToolError):
            unit_name(given)
        for tool in ("unit_status", "unit_log"):
            assert not (await call(tool, unit=given)).ok


async def test_without_a_running_systemd(call: Any, programs: Programs) -> None:
    refusal = "echo 'System has not been booted with systemd as init system (PID 1).' >&2; exit 1"
    programs("systemctl", refusal)
    programs("journalctl", "echo 'No journal files were found.' >&2; exit 1")
    for tool, arguments in (
        ("unit_status", {"unit": "x"}), ("failed_units", {}), ("timers", {})
    ):  # fmt: skip
        result = await call(tool, arguments)
        assert not result.ok
        assert result.summary.startswith("systemd cannot be asked: System has not been booted")
    result = await call("unit_log", unit="x")
    assert result.summary == "The journal cannot be read: No journal files were found."
    assert "units cannot be asked" in (await call("system_overview")).summary
    assert await count_failed() is None


async def test_without_the_programs(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert (await call("failed_units")).summary == "This host does not run systemd."
    assert (await call("unit_log", unit="x")).summary == "This host has no journalctl."


async def test_unit_status(call: Any, programs: Programs, tmp_path: Path) -> None:
    programs("systemctl", f'echo "$@" > {tmp_path}/argv\n{SHOWN}')
    result = await call("unit_status", unit="nginx")
    assert (tmp_path / "argv").read_text().endswith(" -- nginx.service\n")
    assert result.summary == (
        "nginx.service is failed (failed) since Sat 2026-03-01 10:00:00 UTC, result exit-code, "
        "exit status 1, 5 restarts, enabled."
    )
    assert result.provenance == "systemd"


async def test_a_unit_that_is_not_there(call: Any, programs: Programs) -> None:
    programs(
        "systemctl",
        'case "$*" in *list-units*) echo \'[{"unit": "nginx.service"}, 5, {"x": 1}]\';;'
        " *) echo LoadState=not-found;; esac",
    )
    result = await call("unit_status", unit="nginxx")
    assert not result.ok
    assert result.summary == (
        "There is no unit nginxx.service on this host. Similar: nginx.service."
    )


async def test_failed_units_and_timers(call: Any, programs: Programs) -> None:
    programs("systemctl", "echo '[]'")
    assert (await call("failed_units")).summary == "0 units have failed."
    assert (await call("timers")).summary == "There are 0 timers."
    programs(
        "systemctl", 'printf \'%s\' \'[{"unit": "a.service", "description": "A\\u001b[2J\\nb"}]\''
    )
    result = await call("failed_units")
    assert result.summary == "1 unit has failed: a.service (A\ufffd[2J b)."
    soon = int((time.time() + 7_260) * 1e6)
    timers = (
        f'[{{"unit": "b.timer", "next": {2**64 - 1}, "last": {2**64 - 1}}},'
        f'{{"unit": "a.timer", "next": {soon}, "last": 1000000000000000}},'
        '{"unit": "c.timer", "next": null, "last": "n/a"}]'
    )
    programs("systemctl", f"echo '{timers}'")
    result = await call("timers")
    assert result.summary.startswith("3 timers: a.timer next in 2 h ")
    assert "last 2001-09-09 01:46 UTC" in result.summary
    assert "b.timer no next run, never ran" in result.summary
    programs("systemctl", "echo UNIT LOAD")
    assert "too old to list as JSON" in (await call("timers")).summary


async def test_unit_log(call: Any, programs: Programs, tmp_path: Path) -> None:
    programs(
        "journalctl",
        f'echo "$@" > {tmp_path}/argv\nfor i in 1 2 3 4 5 6; do printf "$i \\033[31mline\\n"; done',
    )
    result = await call("unit_log", unit="nginx", lines=5_000)
    assert "--lines=200" in (tmp_path / "argv").read_text()
    assert result.summary.endswith("5 \ufffd[31mline | 6 \ufffd[31mline")
    assert result.provenance == "text"
    programs("journalctl", "exit 0")
    assert (await call("unit_log", unit="x")).summary == "The journal has no lines of x.service."


async def test_this_host_answers_in_sentences(call: Any) -> None:
    for tool, arguments in (
        ("unit_status", {"unit": "cron"}), ("unit_log", {"unit": "cron"}), ("failed_units", {}),
        ("timers", {}),
    ):  # fmt: skip
        result = await call(tool, arguments)
        assert result.summary.endswith((".", "]")) or result.ok
        assert "Traceback" not in result.summary


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def left_over(command: str) -> bool:
    return any(
        " ".join(process.info["cmdline"] or []) == command
        for process in psutil.process_iter(["cmdline"])
    )


async def test_a_timeout_kills_the_whole_group(programs: Programs, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    programs("slow", f"trap '' TERM\nsleep 60 &\necho $! $$ > {pids}\nwait")
    with pytest.raises(ToolError, match=r"slow did not finish within 0\.5 s"):
        await run_program(["slow"], timeout=0.5)
    await asyncio.sleep(0.05)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    task = asyncio.create_task(run_program(["slow"], timeout=30))
    pids.unlink()
    while not pids.exists() or not pids.read_text():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


async def test_output_without_end_is_cut(programs: Programs) -> None:
    programs("yes-forever", "exec yes")
    output = await run_program(["yes-forever"], timeout=10, limit=100_000)
    assert output.cut
    assert len(output.text) == 100_000
    programs("child", "sleep 61 &\necho done")
    began = time.monotonic()
    with pytest.raises(ToolError, match="did not finish"):
        await run_program(["child"], timeout=0.5)
    assert time.monotonic() - began < 3
    await asyncio.sleep(0.1)
    assert not left_over("sleep 61")
    programs("child", "setsid sleep 2 &\necho done")
    with pytest.raises(ToolError, match="did not finish"):
        await run_program(["child"], timeout=0.5)


async def test_the_environment_of_programs(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("LD_PRELOAD_X", "x")
    programs("show", "env; echo err >&2; read line || echo no input")
    output = await run_program(["show"])
    assert "SECRET_TOKEN" not in output.text
    assert "LC_ALL=C" in output.text
    assert "err" in output.text
    assert "no input" in output.text
    assert os.environ["SECRET_TOKEN"]
