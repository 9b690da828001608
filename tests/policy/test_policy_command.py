"""`triaged policy`: explain, test, show, without a daemon."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from daemon.cli import context, policy
from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit

SHIPPED = Path(__file__).parents[2] / "deploy" / "policy-examples.toml"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGED_CONFIG", str(tmp_path / "triaged.toml"))
    monkeypatch.setenv("COLUMNS", "200")
    written('[actions]\nautonomy = "auto-safe"\n')


def written(text: str, name: str = "triaged.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    here = Context(config=None, state_dir=Path("state"), url=None)
    typer.main.get_command(policy.app).main(list(words), standalone_mode=False, obj=here)
    return capsys.readouterr().out


def test_explaining(capsys: pytest.CaptureFixture[str]) -> None:
    said = run("explain", "restart_unit", "nginx.service", capsys=capsys)
    assert said.startswith("restart nginx.service: allow, by the rule safe\n")
    said = run("explain", "restart_unit", "nginx.service", "--basis", "text", capsys=capsys)
    assert "ask, by the rule text-basis" in said
    assert re.search(r"text-basis +ask +decides +only text speaks for it", said)
    assert re.search(r"suggest +ask +- +the level is suggest", said)
    assert "observe deny (observe), suggest ask (text-basis)" in said
    said = run("explain", "restart_unit", "sshd.service", "--origin", "operator", capsys=capsys)
    assert "ask, by the rule critical" in said
    assert "sshd.service is ssh" in said


def test_explaining_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explain", "restart_unit", "nginx.service", "--level", "observe", "--json")
    said = json.loads(run(*words, capsys=capsys))
    assert (said["verdict"], said["rule"], said["level"]) == ("deny", "observe", "observe")
    assert [rule["name"] for rule in said["rules"] if rule["decides"]] == ["observe"]
    assert said["levels"]["auto-safe"] == {"verdict": "allow", "rule": "safe"}
    assert said["facts"]["critical"] == ""
    assert said["live"] is False


def test_a_time_and_a_policy_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    bold = written('[actions]\nautonomy = "auto-full"\nquiet = "22:00-07:00"\n', "bold.toml")
    words = ("explain", "stop_unit", "nginx.service", "--policy", str(bold))
    assert "ask, by the rule quiet-hours" in run(*words, "--at", "Sun 03:00", capsys=capsys)
    assert "allow, by the rule full" in run(*words, "--at", "12:00", capsys=capsys)


@pytest.mark.parametrize(
    ("words", "why", "code"),
    [
        (("explain", "restart_units", "x"), "there is no action 'restart_units'", Exit.USAGE),
        (("explain", "restart_unit", "x", "--param", "a"), "write NAME=VALUE", Exit.USAGE),
        (("explain", "restart_unit", "x", "--param", "a=1"), "no parameter a", Exit.USAGE),
        (("explain", "restart_unit", ""), "1 to 300 printable characters", Exit.USAGE),
        (("explain", "restart_unit", "x\x1b[2J"), "printable characters", Exit.USAGE),
        (("explain", "restart_unit", "x", "--at", "noon"), "no time of the week", Exit.USAGE),
        (("show", "--policy", "none.toml"), "no policy file none.toml", Exit.NOT_FOUND),
        (("test",), "deploy/policy-examples.toml", Exit.NOT_FOUND),
        (("test", "."), "cannot be read", Exit.FAILED),
    ],
)
def test_mistakes(
    words: tuple[str, ...], why: str, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError) as raised:
        run(*words, capsys=capsys)
    assert why in str(raised.value)
    assert raised.value.code == code


def test_a_policy_with_mistakes_names_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = written('[actions]\nautonomy = "suggest"\nquiet = "22-7"\n', "wrong.toml")
    with pytest.raises(CommandError, match=r"wrong.toml:3: actions.quiet: '22-7' is no span"):
        run("show", "--policy", str(wrong), capsys=capsys)


def test_examples_that_hold_and_one_that_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert "14 examples, all as expected" in run("test", str(SHIPPED), capsys=capsys)
    beside = '[[example]]\nkind = "restart_unit"\ntarget = "web.service"\nexpect = "deny"\n'
    written(beside + 'why = "web is\\u001b[2J dear"\n', "policy-examples.toml")
    answer = invoke("test")
    assert answer.exit_code == Exit.FINDINGS
    assert "example 1: restart_unit web.service, on systemd, for tier" in answer.output
    assert "expected deny, but it is allow by safe" in answer.output
    assert "\x1b" not in answer.output
    answer = invoke("test", "--json")
    assert json.loads(answer.output)[0]["holds"] is False
    written("[[example]]", "policy-examples.toml")
    with pytest.raises(CommandError, match=r"policy-examples.toml: example 1: kind: is missing"):
        run("test", capsys=capsys)


def invoke(*words: str) -> Result:
    """In a double's terminal, for the exit code."""
    runner = CliRunner()
    here = Context(config=None, state_dir=Path("state"), url=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context.out, "_file", None)
        return runner.invoke(policy.app, list(words), obj=here)


def test_showing(capsys: pytest.CaptureFixture[str]) -> None:
    said = run("show", capsys=capsys)
    assert "auto-safe: triaged does by itself what is reversible" in said
    assert "10 actions, 5 of a kind, 2 on a target" in said
    assert "note:" not in said
    written('[actions]\ndeny = ["restart_units", "nixos_*"]\ntargets = ["web-*"]\n')
    notes = json.loads(run("show", "--json", capsys=capsys))["notes"]
    assert notes[0].startswith("actions.deny: 'restart_units' matches no kind of action")
    assert any("actions.targets is for auto-safe" in note for note in notes)


def test_kinds_are_completed() -> None:
    assert {"restart_unit", "start_unit"} <= set(policy.known_kinds())
