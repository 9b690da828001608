"""Every command that a document tells to type is one that there is, with options that it has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from pages import PAGES, ROOT, arguments_of, blocks, commands, words_in_code

from daemon.cli.main import app

TRIAGED = Path(sys.executable).with_name("triaged")
SHELL = ("", "sh", "bash", "console")
HARMLESS = (
    ["hardware"],
    ["models", "list"],
    ["models", "recommend"],
    ["llama", "status"],
    ["check-config"],
    ["--version"],
    ["--help"],
)
"""What changes nothing, needs no daemon and no file: these are run as they are written."""
_ANYTHING = re.compile(r"…|\.\.\.|\[|\||\bCOMMAND\b")
"""A pattern for many commands ("models list|pull"), not one that can be typed."""
_CHANGES = {"--pull", "--save"}


def _mistake(arguments: list[str], *, named: bool) -> str:
    """What the command tree says against it, "" when nothing. A command that is only `named` in a
    sentence may lack what it needs."""
    command = typer.main.get_command(app)
    context, rest = None, arguments
    try:
        while True:
            context = command.make_context(command.name or "triaged", list(rest), parent=context)
            given = [*getattr(context, "_protected_args", ()), *context.args]
            if not hasattr(command, "resolve_command") or not given:
                return ""
            _, found, rest = command.resolve_command(context, given)
            if found is None:
                return f"no command {given[0]}"
            command = found
    except SystemExit:  # an option that answers and ends
        return ""
    except Exception as error:  # noqa: BLE001 -- typer has the classes of its click to itself
        if type(error).__name__ in ("Exit", "NoArgsIsHelpError"):
            return ""
        said = getattr(error, "format_message", lambda: repr(error))()  # noqa: F821
        if "does not exist" in said:  # a file that a reader has and we have not
            return ""
        return "" if named and said.startswith("Missing argument") else said


def typed() -> list[tuple[str, list[str], bool]]:
    """Where, what is given to `triaged`, and whether it is only named in a sentence."""
    found = []
    for block in blocks(*SHELL):
        for words in commands(block.body):
            arguments = arguments_of(words, "triaged")
            if arguments is not None and not _ANYTHING.search(" ".join(arguments[:1])):
                found.append((block.name, arguments, False))
    for page in PAGES:
        found += [
            (str(page.relative_to(ROOT)), words[1:], True)
            for code in words_in_code(page)
            if not _ANYTHING.search(code)
            for words in commands(code)
            if words[0] == "triaged" and len(words) > 1
        ]
    return found


ALL = typed()


def test_there_are_commands() -> None:
    assert len(ALL) > 80
    names = {arguments[0] for _, arguments, _ in ALL if arguments}
    assert {"run", "status", "doctor", "backup", "restore", "keys", "models", "ask"} <= names


@pytest.mark.parametrize(
    ("where", "arguments", "named"),
    [pytest.param(*each, id=f"{each[0]} {' '.join(each[1])}"[:80]) for each in ALL],
)
def test_every_command_is_one(where: str, arguments: list[str], named: bool) -> None:
    assert _mistake(arguments, named=named) == "", where


@pytest.mark.parametrize("wrong", ["stauts", "run --onyl api", "run --only web", "keys add"])
def test_a_mistake_would_be_found(wrong: str) -> None:
    assert _mistake(wrong.split(), named=False)


def _harmless() -> list[list[str]]:
    found: list[list[str]] = []
    for _, arguments, _ in ALL:
        same = any(arguments[: len(start)] == start for start in HARMLESS)
        named = any("/" in word or word.isupper() for word in arguments)
        if same and not named and not _CHANGES & set(arguments) and arguments not in found:
            found.append(arguments)
    return found


@pytest.mark.parametrize("arguments", _harmless(), ids=" ".join)
def test_harmless_commands_run(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [str(TRIAGED), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "COLUMNS": "120"},
    )
    assert done.returncode in (0, 6), done.stderr


def test_every_target_of_make_is_one() -> None:
    targets = set(re.findall(r"(?m)^([a-z][\w-]*):", (ROOT / "Makefile").read_text()))
    for block in blocks(*SHELL):
        for words in commands(block.body):
            if words[0] == "make" and len(words) > 1:
                wanted = [word for word in words[1:] if re.fullmatch(r"[a-z][\w-]*", word)]
                assert set(wanted) <= targets, block.name
    for page in PAGES:
        for code in words_in_code(page):
            if found := re.fullmatch(r"make ([a-z][\w-]*)", code):
                assert found[1] in targets, (page.name, code)


def test_every_option_of_the_installer_is_one() -> None:
    usage = subprocess.run(
        [ROOT / "deploy" / "install.sh", "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"--[a-z-]+", usage)) | {"--help"}
    verbs = set(re.findall(r"(?m)^install\.sh \[?(\w+)", usage))
    seen = 0
    given = [(block.name, words) for block in blocks(*SHELL) for words in commands(block.body)] + [
        (page.name, words)
        for page in PAGES
        for code in words_in_code(page)
        for words in commands(code)
    ]
    for where, words in given:
        if (arguments := arguments_of(words, "install.sh")) is not None:
            seen += 1
            for word in arguments:
                assert not word.startswith("--") or word in known, (where, word)
            if arguments and not arguments[0].startswith("-"):
                assert arguments[0] in verbs, (where, arguments)
    assert seen > 5
