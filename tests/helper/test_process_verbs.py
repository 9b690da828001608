"""Ending and renicing real processes, and the ones that are never touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helper_kit import RealHelper, start_of

Victim = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def allowed(helper: RealHelper) -> RealHelper:
    helper.allow("process-end", "process-renice")
    return helper


@pytest.mark.parametrize("name", ["term", "kill"])
def test_a_process_ends(allowed: RealHelper, victim: Victim, name: str) -> None:
    process = victim()
    said = allowed.call("process-end", pid=process.pid, start=start_of(process.pid), signal=name)
    assert said.ok, said.detail
    assert process.wait(timeout=5) == -{"term": signal.SIGTERM, "kill": signal.SIGKILL}[name]


def test_another_process_of_that_number_is_left_alone(allowed: RealHelper, victim: Victim) -> None:
    process = victim()
    other = start_of(process.pid) - 1
    said = allowed.call("process-end", pid=process.pid, start=other, signal="kill")
    assert said.code == "refused"
    assert process.poll() is None


def test_a_process_that_is_gone_is_refused(allowed: RealHelper, victim: Victim) -> None:
    process = victim()
    start = start_of(process.pid)
    process.kill()
    process.wait()
    assert (
        allowed.call("process-end", pid=process.pid, start=start, signal="term").code == "refused"
    )


def test_a_zombie_is_not_ended_again(allowed: RealHelper, victim: Victim) -> None:
    process = victim()
    start = start_of(process.pid)
    process.kill()
    time.sleep(0.2)
    said = allowed.call("process-end", pid=process.pid, start=start, signal="term")
    assert said.code == "refused"
    assert "ended by itself" in said.detail


@pytest.mark.parametrize("name", ["sshd", "NetworkManager", "dbus-daemon", "systemd"])
def test_names_that_keep_the_host_reachable_are_never_touched(
    allowed: RealHelper, victim: Victim, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / name
    copy.write_bytes(Path("/bin/sleep").read_bytes())
    copy.chmod(0o755)
    process = victim(str(copy), "60")
    said = allowed.call("process-end", pid=process.pid, start=start_of(process.pid), signal="kill")
    assert said.code == "refused"
    assert process.poll() is None


def test_the_first_process_and_whoever_asks_are_never_touched(allowed: RealHelper) -> None:
    for pid in (1, os.getpid()):
        said = allowed.call("process-end", pid=pid, start=start_of(pid), signal="kill")
        assert said.code == "refused"
        assert "never touched" in said.detail


@pytest.mark.parametrize(
    ("pid", "start", "name"),
    [
        (0, 0, "term"),
        (-1, 0, "term"),
        (2**40, 0, "term"),
        ("1", 0, "term"),
        (True, 0, "term"),
        (None, 0, "term"),
        (2, -1, "term"),
        (2, 2**70, "term"),
        (2, 0, "stop"),
        (2, 0, 9),
        (2, 0, ["term"]),
        ([2], 0, "term"),
    ],
)
def test_rubbish_is_refused(allowed: RealHelper, pid: object, start: object, name: object) -> None:
    assert allowed.call("process-end", pid=pid, start=start, signal=name).code == "refused"


def test_every_thread_gets_the_nice_value(allowed: RealHelper, victim: Victim) -> None:
    code = (
        "import threading, time, sys\n"
        "[threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(3)]\n"
        "print('up', flush=True); time.sleep(60)"
    )
    process = victim(sys.executable, "-c", code)
    tasks = Path(f"/proc/{process.pid}/task")
    _until(lambda: len(list(tasks.iterdir())) == 4)
    said = allowed.call("process-renice", pid=process.pid, start=start_of(process.pid), nice=7)
    assert said.ok, said.detail
    assert said.data["threads"] == 4
    for task in tasks.iterdir():
        assert os.getpriority(os.PRIO_PROCESS, int(task.name)) == 7


@pytest.mark.parametrize("nice", [-6, -20, 20, "5", 1.0])
def test_nice_values_have_bounds(allowed: RealHelper, victim: Victim, nice: object) -> None:
    process = victim()
    before = os.getpriority(os.PRIO_PROCESS, process.pid)
    said = allowed.call("process-renice", pid=process.pid, start=start_of(process.pid), nice=nice)
    assert said.code in {"refused", "bad-request"}
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == before


def test_one_call_at_a_time_on_a_target(allowed: RealHelper, victim: Victim) -> None:
    process = victim()
    codes: list[str] = []

    def renice(nice: int) -> None:
        said = allowed.call(
            "process-renice", pid=process.pid, start=start_of(process.pid), nice=nice
        )
        codes.append(said.code)

    threads = [threading.Thread(target=renice, args=(nice,)) for nice in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["done"] * 4


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
