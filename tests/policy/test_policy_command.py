"""`triaged policy`: explain, test, show, without a daemon."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import pytest
import typer
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner, Result

from daemon.cli import context, policy, policy_look
from daemon.cli.context import Context
from daemon.cli.exits import CommandError, Exit
from daemon.store.cluster import DAEMON

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


def test_a_target_of_which_only_the_host_can_say_more(capsys: pytest.CaptureFixture[str]) -> None:
    said = run("explain", "end_process", "12:34", capsys=capsys)
    assert re.search(r"critical +only the host can say", said)
    assert re.search(r"critical +no, by its name", run("explain", *UNIT, capsys=capsys))


UNIT = ("restart_unit", "nginx.service")
BOOK = """
[actions.runbooks.tidy]
description = "make room"
steps = [
  { action = "clean_tmp", target = "/tmp" },
  { action = "restart_unit", target = "web.service" },
]
"""


def test_a_runbook_is_as_risky_as_its_worst_step(capsys: pytest.CaptureFixture[str]) -> None:
    written('[actions]\nautonomy = "auto-safe"\n' + BOOK)
    said = json.loads(run("explain", "run_runbook", "tidy", "--json", capsys=capsys))
    assert (said["verdict"], said["rule"]) == ("ask", "not-safe")
    assert said["facts"]["reversible"] is False
    with pytest.raises(CommandError, match="there is no runbook 'other'"):
        run("explain", "run_runbook", "other", capsys=capsys)


def test_a_database_of_this_host_is_critical(capsys: pytest.CaptureFixture[str]) -> None:
    written('[store]\ndsn = "host=localhost dbname=triaged"\n[actions]\nautonomy = "auto-full"\n')
    said = run("explain", "restart_unit", "postgresql@16-main.service", capsys=capsys)
    assert "deny, by the rule critical-target" in said


def test_looking_at_this_host(
    database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.cli.policy_look.configure_logs", lambda **_: None)
    dsn = make_conninfo(database, user=DAEMON)
    written(f'[store]\ndsn = "{dsn}"\n[actions]\nautonomy = "auto-full"\n')
    said = run("explain", "clean_tmp", "/tmp", "--live", capsys=capsys)
    assert re.search(r"critical +no +$", said, re.MULTILINE)
    assert re.search(r"stop switch +off", said)
    assert re.search(r"of them clean_tmp +0 of 5", said)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into stops (stopped, by, reason) values (true, 'a', 'b')")
    said = run("explain", "clean_tmp", "/tmp", "--live", capsys=capsys)
    assert "deny, by the rule stopped" in said
    with pytest.raises(CommandError, match="refused before policy is asked: there is no process"):
        run("explain", "end_process", "4194303:1", "--live", capsys=capsys)


def test_a_name_is_completed_and_what_can_be_no_target_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = run("explain", "restart_unit", "ssh", "--level", "auto-full", capsys=capsys)
    assert said.startswith("restart ssh.service: deny, by the rule critical-target\n")
    assert "whether this host has it was not looked at" in said
    said = run("explain", "rerun_timer", "backup", "--level", "auto-full", capsys=capsys)
    assert said.startswith("run now what backup.timer runs: allow")
    said = run("explain", "end_process", "1:7", "--level", "auto-full", capsys=capsys)
    assert "deny, by the rule critical-target" in said
    assert "process 1 is the init" in said


@pytest.mark.parametrize(
    ("kind", "target", "why"),
    [
        ("restart_unit", "nginx.service; rm -rf /", "is not the name of a unit"),
        ("restart_unit", "$(reboot)", "is not the name of a unit"),
        ("restart_unit", "home.mount", "not of a kind that this action is for"),
        ("rerun_timer", "nginx.service", "not of a kind that this action is for"),
        ("end_process", "1", "write PID:START"),
        ("end_process", "sshd", "write PID:START"),
        ("block_address", "127.0.0.1", "is never blocked"),
        ("block_address", "::ffff:7f00:1", "stands for the IPv4 address 127.0.0.1"),
        ("block_address", "10.1.2.3", "never_block has 10.1.2.0/24"),
        ("block_network", "0.0.0.0/0", "wider than /16"),
        ("clean_tmp", "/etc", "not among the folders"),
        ("vacuum_journal", "syslog", "is called 'journal'"),
        ("security_updates", "kernel", "is called"),
        ("renew_certificate", "web", "no certificate"),
        ("nixos_build", "/etc/nixos", "[actions] nixos_flake names it"),
    ],
)
def test_no_target(kind: str, target: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    written('[actions]\nautonomy = "auto-full"\nnever_block = ["10.1.2.0/24"]\n')
    with pytest.raises(CommandError) as caught:
        run("explain", kind, target, capsys=capsys)
    assert caught.value.code is Exit.USAGE
    assert why in str(caught.value)


def test_another_level_of_the_running_daemon_is_noted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told:
        def get(self, path: str) -> dict[str, object]:
            return {"actions": {"level": "suggest"}}

    monkeypatch.setattr(Context, "client", lambda self: Told())
    noted: list[str] = []
    monkeypatch.setattr(policy_look.err, "print", lambda text, **_: noted.append(text))
    run("show", "--level", "suggest", capsys=capsys)
    assert noted == []
    run("show", capsys=capsys)
    run("explain", "restart_unit", "nginx", capsys=capsys)
    assert len(noted) == 2
    assert "runs at the level suggest; this is about the level auto-safe" in noted[0]
