"""The helper is the standard library's alone: read from its imports, and from what is loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import daemon.helper

ROOM = Path(daemon.helper.__file__).parent


def test_it_imports_nothing_but_the_standard_library_and_itself() -> None:
    for file in ROOM.rglob("*.py"):
        for name in _imported(ast.parse(file.read_text())):
            own = name == "daemon.helper" or name.startswith("daemon.helper.")
            assert own or name.split(".")[0] in sys.stdlib_module_names, (file, name)


def test_a_running_helper_has_loaded_nothing_of_the_project() -> None:
    code = (
        "import sys, daemon.helper.main\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('daemon', 'api', 'tiers')"
        " and m != 'daemon' and not m.startswith('daemon.helper')])"
    )
    argv = [sys.executable, "-I", "-c", code]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"[]\n"


def test_nothing_in_it_knows_a_shell() -> None:
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword):
                assert node.arg != "shell", file
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"system", "popen"}, file
            if isinstance(node, ast.Name):
                assert node.id not in {"eval", "exec", "compile", "__import__"}, file


def _imported(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names += [node.module or ""]
    return names
