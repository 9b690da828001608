"""docs/safety.md claims nothing that is not there: its examples are typed, its tests exist, and
both lists of threats are whole."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from daemon.cli import policy
from daemon.cli.context import Context

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"(?m)^\| `triaged policy (explain [^`]+)` \| (\w+) \| `([\w-]+)` \|$", TEXT)
THREATS = re.findall(r"(?m)^\| ((?:LLM|T)\d+) [^|]+\|([^|]+)\|([^|]+)\|([^|]+)\|", TEXT)


@pytest.mark.parametrize(("words", "verdict", "rule"), EXAMPLES)
def test_worked_examples(
    words: str,
    verdict: str,
    rule: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("TRIAGED_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.toml").write_text("")
    here = Context(config=tmp_path / "empty.toml", state_dir=tmp_path, url=None)
    command = typer.main.get_command(policy.app)
    command.main(shlex.split(words), standalone_mode=False, obj=here)
    said = capsys.readouterr().out.splitlines()[0]
    assert said.endswith(f": {verdict}, by the rule {rule}")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10
    assert {verdict for _, verdict, _ in EXAMPLES} == {"allow", "ask", "deny"}


def test_both_lists_are_whole() -> None:
    assert [name for name, *_ in THREATS] == [
        *(f"LLM{number:02}" for number in range(1, 11)),
        *(f"T{number}" for number in range(1, 18)),
    ]


@pytest.mark.parametrize(("name", "holds", "code", "tests"), THREATS)
def test_every_threat_names_code_and_tests_that_exist(
    name: str, holds: str, code: str, tests: str
) -> None:
    assert holds.strip(), name
    for column, prefix in ((code, ""), (tests, "tests/")):
        paths = re.findall(r"`([^`]+)`", column)
        assert paths, (name, column)
        for path in paths:
            assert path.startswith(prefix), (name, path)
            assert (ROOT / path).exists(), (name, path)


def test_every_rule_of_the_agentic_top_ten_is_named() -> None:
    assert {f"ASI{number:02}" for number in range(1, 11)} <= set(re.findall(r"ASI\d\d", TEXT))
