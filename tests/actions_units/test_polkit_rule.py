"""The second fence: polkit's rule has the daemon's own list, and decides as it does."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.actions.host.critical import CRITICAL, LOCAL_DATABASE, critical_name
from tests.actions_units.test_critical_targets import HARMLESS, NAMED

FOLDER = Path(__file__).parents[2] / "deploy" / "actions" / "polkit"
RULES = FOLDER / "50-triaged.rules"
START = "Authentication is required to start '$(unit)'."
RUNNABLE = (".service", ".socket", ".timer", ".path")
ACTION = "org.freedesktop.systemd1.manage-units"


def test_the_file_is_what_its_maker_makes() -> None:
    made = runpy.run_path(str(FOLDER / "make_rule.py"))["rule"]()
    assert RULES.read_text() == made, "run deploy/actions/polkit/make_rule.py"


def test_both_fences_have_the_same_list() -> None:
    listed = re.search(r"triagedCritical = (\[.*?\]);", RULES.read_text(), re.DOTALL)
    assert listed is not None
    own = {glob for globs in CRITICAL.values() for glob in globs}
    assert set(json.loads(listed.group(1))) == own | set(LOCAL_DATABASE)


_HARNESS = """
var rule, polkit = {
  Result: {YES: "yes", NO: "no", NOT_HANDLED: "not handled"},
  addRule: function (made) { rule = made; }
};
%s
var cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(cases.map(function (given) {
  return rule(
    {id: given.id, lookup: function (name) { return given.details[name]; }},
    {user: given.user}
  );
})));
"""


def decide(*cases: dict[str, object]) -> list[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing; tests of the host ask polkit itself")
    done = subprocess.run(
        [node, "-e", _HARNESS % RULES.read_text()],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[str] = json.loads(done.stdout)
    return answers


def case(
    unit: str, verb: str = "start", message: str | None = START, **more: str
) -> dict[str, object]:
    details = {"unit": unit, "verb": verb}
    if message is not None:
        details["polkit.message"] = message
    return {"id": more.get("id", ACTION), "user": more.get("user", "triaged"), "details": details}


def test_it_decides_on_units_as_the_daemon_does() -> None:
    names = [name for names in NAMED.values() for name in names.split()] + list(HARMLESS)
    names += ["postgresql@15-main.service", "SSH.service", "NETWORKMANAGER.service"]
    for name, answer in zip(names, decide(*map(case, names)), strict=True):
        harmless = critical_name(name, globs=LOCAL_DATABASE) is None
        assert answer == ("yes" if harmless and name.endswith(RUNNABLE) else "no"), name


def test_a_transient_unit_is_no_start() -> None:
    """systemd says "start" of it as well, with a name that the caller chose."""
    transient = "Authentication is required to start transient unit '$(unit)'."
    assert decide(
        case("nginx.service"),
        case("nginx.service", message=transient),
        case("nginx.service", message=None),
        case("nginx.service", "stop"),
        case("nginx.service", "kill", "Authentication is required to send a UNIX signal"),
        case("nginx.service", "set-property", "Authentication is required to set properties"),
        case("nginx.service", "toString", START),
        case("nginx.service", "ref", None),
        case("ssh.service", "ref", None),
    ) == ["yes", "no", "no", "no", "no", "no", "no", "yes", "no"]


def test_nothing_else_is_allowed() -> None:
    hostile = ("", "nginx", "nginx.service\n", "a b.service", "nginx.mount", "x" * 300 + ".service")
    assert set(decide(*map(case, hostile))) == {"no"}
    assert decide(
        case("nginx.service", user="alice"),
        case("nginx.service", id="org.freedesktop.login1.reboot"),
        case("nginx.service", id="org.freedesktop.systemd1.manage-unit-files"),
        case("nginx.service", id="org.freedesktop.systemd1.reload-daemon"),
        {"id": ACTION, "user": "triaged", "details": {}},
    ) == ["not handled", "not handled", "no", "no", "no"]
