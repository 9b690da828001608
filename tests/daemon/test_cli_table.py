"""Commands are made when they are used, and none is missing for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.table import MODULES, SHORT, CommandTable

TRIAGED = Path(sys.executable).with_name("triaged")


@pytest.mark.parametrize("name", MODULES)
def test_every_module_holds_its_command(name: str) -> None:
    table = CommandTable(modules=MODULES, made={})
    assert table[name].name == name
    assert table[name] is table[name]
    assert table[name].get_short_help_str()
    said = table[name].short_help or table[name].help
    assert SHORT[name] == " ".join(said.strip().split("\n\n")[0].split())


def test_names_are_known_before_anything_is_made() -> None:
    table = CommandTable(modules={"broken": "daemon.cli.no_such_module"}, made={"other": object()})
    assert list(table) == ["broken", "other"]
    assert len(table) == 2
    assert "broken" in table
    assert "absent" not in table
    assert table.get("absent") is None
    with pytest.raises(ModuleNotFoundError):
        table["broken"]


def test_the_version_is_printed() -> None:
    answer = subprocess.run(
        [str(TRIAGED), "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("triaged ")


def test_the_list_of_commands_imports_none_of_them() -> None:
    program = (
        "import sys\nfrom daemon.cli.main import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('imported', sorted(set(MODULES.values()) & sys.modules.keys()))"
    ).replace("import app", "import app\nfrom daemon.cli.table import MODULES")
    for arguments in (["--help"], []):
        answer = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "Watch this host." in answer.stdout
        assert "imported []" in answer.stdout, answer.stderr


def test_a_small_command_does_not_wait_for_what_the_daemon_needs() -> None:
    program = (
        "import sys, daemon.cli.main, daemon.cli.status\n"
        "print(sorted({'daemon.app', 'fastapi', 'psycopg', 'chromadb'} & sys.modules.keys()))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.stdout.strip() == "[]", answer.stderr
