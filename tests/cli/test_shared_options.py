"""`--config`, `--state-dir` and `--url` count before a command's name and behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli.exits import CommandError, Exit
from daemon.cli.main import app


def failure(*arguments: str) -> CommandError:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, CommandError), result.output
    return result.exception


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--state-dir", "X", "audit", "verify"),
        ("audit", "--state-dir", "X", "verify"),
        ("audit", "verify", "--state-dir", "X"),
        ("--state-dir", "other", "audit", "verify", "--state-dir", "X"),
    ],
    ids=" ".join,
)
def test_the_state_folder(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    error = failure("--url", "http://127.0.0.1:9", *arguments)
    assert error.code is Exit.NOT_FOUND
    assert f"no triaged state in {tmp_path / 'X'}" in str(error)


@pytest.mark.parametrize("command", [("status",), ("incidents",), ("incidents", "show", "1")])
def test_the_address(command: tuple[str, ...]) -> None:
    assert "127.0.0.1:9 " in str(failure(*command, "--url", "http://127.0.0.1:9"))


def test_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[api]\nprot = 1\n")
    assert failure("status", "-c", "wrong.toml").code is Exit.CONFIG


def test_an_option_of_a_command_itself_stays_its_own(tmp_path: Path) -> None:
    error = failure("scan", "--state-dir", "mine", "gone.log")
    assert error.code is Exit.NOT_FOUND
    assert "gone.log" in str(error)


def test_an_unknown_option_is_one_still() -> None:
    assert CliRunner().invoke(app, ["run", "--state-dri", "X"]).exit_code == 2
