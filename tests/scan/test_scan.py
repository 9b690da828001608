"""Whole scans: without a tier, with the bundled ones, and stopped in the middle."""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon.config.settings import Settings
from daemon.scan import scan as scanning
from daemon.scan.report import AccountingError, ScanReport
from daemon.scan.scan import ScanProgress, remove_left_over, scan_files

TRIAGED = Path(sys.executable).with_name("triaged")
QUIET = ScanProgress(step=lambda name, total: None, advance=lambda amount: None)
NOWHERE = "http://127.0.0.1:9/v1"
OOM = "Mar  3 04:05:06 host kernel: Out of memory: Killed process 42 (java) total-vm:1kB"


@pytest.fixture
def without_tiers(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Every tier is an endpoint where nobody is; a scan gives up on it soon."""
    monkeypatch.setattr(scanning, "_NO_PROGRESS_SECONDS", 1.0)
    names = ("trigger", "review", "meta")
    return Settings.model_validate({"tiers": {name: {"endpoint": NOWHERE} for name in names}})


def left_in(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


async def scan(
    settings: Settings, state: Path, *paths: Path, lines: Path | None = None
) -> ScanReport:
    return await scan_files(
        paths, settings=settings, state_dir=state, lines_out=lines, progress=QUIET
    )


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_record_for_every_line_whatever_the_files_hold(
    without_tiers: Settings, state_dir: Path, tmp_path: Path
) -> None:
    chance = random.Random(11)
    choices = [
        b"", b"   ", b"plain words here", b"\xff\xfe\x80", b"x" * 3_000, OOM.encode(),
        b"Traceback (most recent call last):", b'  File "a.py", line 1', b"ValueError: 7",
        b"Mar  3 04:05:06 host cron[9]: job 7 ran", b"\tat a.b.C(D.java:1)",
    ]  # fmt: skip
    paths, expected = [], []
    for number in range(6):
        path = tmp_path / f"some{number}.log"
        lines = [chance.choice(choices) for _ in range(chance.randint(0, 1_500))]
        end = chance.choice([b"\n", b"\r\n"])
        data = end.join(lines) + (end if chance.random() < 0.5 else b"")
        path.write_bytes(data)
        count = data.count(b"\n") + (0 if not data or data.endswith(b"\n") else 1)
        expected += [(str(path), line) for line in range(1, count + 1)]
        paths.append(path)
    binary = tmp_path / "wtmp"
    binary.write_bytes(bytes(range(16)) * 100)
    paths += [binary, paths[0]]  # the same file twice
    expected += [entry for entry in expected if entry[0] == str(paths[0])]
    out = tmp_path / "lines.jsonl"
    report = await scan(without_tiers, state_dir, *paths, lines=out)
    found = records(out)
    assert [(record["file"], record["line"]) for record in found] == expected
    assert report.lines == len(expected) == report.folded + report.judged + report.dropped
    assert report.files == 7
    assert any("wtmp is not a text file" in problem for problem in report.problems)
    # No tier answered: rules alone, said, and nothing counted as a call.
    assert set(report.calls.values()) <= {0, report.calls["review"]}
    assert report.calls["trigger"] == 0
    assert any("were not judged" in problem for problem in report.problems)
    (incident,) = report.incidents
    assert (incident.incident.severity, incident.incident.assessed) == ("critical", False)
    escalated = [record for record in found if record["decision"] == "escalated"]
    assert {record["incident"] for record in escalated} == {incident.incident.id}
    assert len(escalated) >= incident.incident.event_count  # joined lines
    assert all(record["fingerprint"] is not None for record in escalated)
    assert left_in(state_dir) == []


async def test_no_file_that_can_be_read(
    without_tiers: Settings, state_dir: Path, tmp_path: Path
) -> None:
    report = await scan(without_tiers, state_dir, tmp_path, tmp_path / "nothing")
    assert (report.files, report.lines, report.patterns) == (0, 0, 0)
    assert len(report.problems) == 2


async def test_rules_speak_of_every_pattern_though_no_tier_does(
    without_tiers: Settings, state_dir: Path, tmp_path: Path
) -> None:
    """More patterns than are claimed at once, and bad ones among them."""
    path = tmp_path / "many.log"
    units = [f"unit{first}{second}" for first in "abcdefg" for second in "abcdefg"]
    path.write_text(
        "".join(f"Mar  3 04:05:06 host {unit}: something that is new\n" for unit in units)
        + "".join(
            f"Mar  3 04:05:07 host {unit}: segfault at 0 ip 00 sp 00 error 4 in x[1+1]\n"
            for unit in units[:12]
        )
    )
    report = await scan(without_tiers, state_dir, path)
    assert len(report.incidents) == 12


def auth_log(path: Path, lines: int = 300) -> collections.Counter[str]:
    """An ssh brute force; how often each address tried."""
    chance, second = random.Random(3), 0
    tried: collections.Counter[str] = collections.Counter()
    with path.open("w") as out:
        for number in range(lines):
            second += chance.randint(1, 9)
            address = chance.choice(["203.0.113.7"] * 6 + ["198.51.100.23"] * 3 + ["192.0.2.99"])
            tried[address] += 1
            port = chance.randint(1024, 65_000)
            user = chance.choice(["admin", "oracle", "test", "pi"])
            text = (
                f"Failed password for invalid user {user} from {address} port {port} ssh2",
                f"Failed password for root from {address} port {port} ssh2",
                f"pam_unix(sshd:auth): authentication failure; tty=ssh rhost={address} user=root",
            )[number % 3]
            moment = f"{4 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            out.write(f"Mar  3 {moment} gate sshd[{2000 + number}]: {text}\n")
    return tried


def run_scan(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TRIAGED), "scan", "--json", "--state-dir", str(state), *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_brute_force_is_one_incident_that_names_who(state_dir: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "auth.log", tmp_path / "lines.jsonl"
    tried = auth_log(path)
    done = run_scan(state_dir, "--lines", str(out), str(path))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lines"] == 300 == report["folded"] + report["judged"] + report["dropped"]
    assert 1 <= report["calls"]["trigger"] <= report["patterns"]
    (incident,) = report["incidents"]
    assert incident["count"] == 300
    leaders = [lead["value"] for lead in incident["leading"] if lead["kind"] == "ip"]
    assert leaders[:2] == [address for address, _ in tried.most_common(2)]
    assert "300 events" in incident["summary"]
    assert "203.0.113.7" in incident["summary"]
    assert {record["incident"] for record in records(out)} == {incident["id"]}
    assert list(state_dir.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_scan_that_is_stopped_leaves_nothing_behind(
    state_dir: Path, tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "big.log"
    auth_log(path, 200_000)
    with subprocess.Popen(
        [str(TRIAGED), "scan", "--json", "--state-dir", str(state_dir), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        mine = psutil.Process(process.pid)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and len(mine.children(recursive=True)) < 8:
            time.sleep(0.05)
        children = mine.children(recursive=True)
        assert children
        process.send_signal(number)
        process.communicate(timeout=40)
    assert process.returncode not in (0, None)
    if number is not signal.SIGINT:
        assert process.returncode == 128 + number
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert list(state_dir.iterdir()) == []


def test_what_a_killed_scan_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone, own = tmp_path / f"scan-{ended.pid}-abc", tmp_path / f"scan-{os.getpid()}-abc"
    for folder in (gone, own, tmp_path / "scan-notes"):
        folder.mkdir()
    remove_left_over(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([own.name, "scan-notes"])


def test_a_report_that_does_not_add_up_is_refused() -> None:
    values: dict[str, Any] = {
        "files": 1, "lines": 10, "patterns": 2, "folded": 7, "judged": 2, "dropped": 1,
        "calls": {}, "incidents": [], "seconds": 1.0, "problems": [],
    }  # fmt: skip
    assert ScanReport(**values).to_json()["folded"] == 7
    for change in ({"lines": 11}, {"judged": 3, "folded": 6}, {"folded": -1, "dropped": 9}):
        with pytest.raises(AccountingError):
            ScanReport(**{**values, **change})
