"""The command as a person meets it: help, examples, errors and exit codes, without a daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRIAGED = Path(sys.executable).with_name("triaged")


def triaged(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TRIAGED), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "COLUMNS": "100", **environ},
    )


COMMANDS = (
    "run",
    "check-config",
    "doctor",
    "status",
    "inject",
    "scan",
    "incidents",
    "proposals",
    "actions",
    "policy",
    "ask",
    "chat",
    "review",
    "memory",
    "keys",
    "audit",
)


def test_the_help_names_every_command() -> None:
    shown = triaged("--help").stdout
    for command in COMMANDS:
        assert command in shown


@pytest.mark.parametrize(
    "command", ["run", "check-config", "doctor", "inject", "scan", "ask", "chat"]
)
def test_the_help_of_a_command_shows_an_example(command: str) -> None:
    answer = triaged(command, "--help")
    assert answer.returncode == 0
    assert f"triaged {command}" in answer.stdout


def test_without_a_daemon_a_command_says_where_it_looked_and_what_to_do() -> None:
    answer = triaged("--url", "http://127.0.0.1:9", "status")
    assert answer.returncode == 3
    assert "http://127.0.0.1:9" in answer.stderr
    assert "triaged run" in answer.stderr


def test_a_mistake_in_the_configuration_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text("[api]\nprot = 1\n")
    answer = triaged("check-config", "--config", str(file))
    assert answer.returncode == 5
    assert f"{file}:2" in answer.stderr
    assert "port" in answer.stderr


def test_the_defaults_are_a_configuration_without_mistakes(tmp_path: Path) -> None:
    answer = triaged("check-config", "--json", TRIAGED_CONFIG="")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["api"]["port"] == 8083


def test_an_unknown_option_is_a_usage_error() -> None:
    answer = triaged("status", "--nonsense")
    assert answer.returncode == 2
    assert "--nonsense" in answer.stderr


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    answer = triaged("scan", "--state-dir", str(tmp_path), str(tmp_path / "gone.log"))
    assert answer.returncode == 4
    assert "gone.log" in answer.stderr


def test_doctor_reports_as_json(tmp_path: Path) -> None:
    answer = triaged("--state-dir", str(tmp_path / "state"), "doctor", "--json")
    findings = json.loads(answer.stdout)
    assert {finding["what"] for finding in findings} >= {"state", "ports", "rules", "access"}


@pytest.mark.parametrize("command", ["bench", "models pull", "llama build"])
def test_each_example_stands_in_a_line_of_its_own(command: str) -> None:
    lines = triaged(*command.split(), "--help").stdout.splitlines()
    examples = [line for line in lines if line.startswith(f" triaged {command} ")]
    assert len([line for line in lines if line.strip().startswith(f"triaged {command}")]) == 2
    assert all(line.count(f"triaged {command}") == 1 for line in examples)


@pytest.mark.parametrize("listing", ["incidents", "proposals", "actions"])
def test_a_listing_takes_json_without_the_word_list(listing: str) -> None:
    assert triaged("--url", "http://127.0.0.1:9", listing, "--json").returncode == 3
    misplaced = triaged("--url", "http://127.0.0.1:9", listing, "--json", "list")
    assert misplaced.returncode == 2
    assert "behind list" in misplaced.stderr


def test_a_wait_that_is_none_is_a_usage_error() -> None:
    assert triaged("--url", "http://127.0.0.1:9", "inject", "x", "--wait", "-1").returncode == 2
