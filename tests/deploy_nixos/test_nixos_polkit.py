"""polkit's rule on NixOS, run: what the user triaged may ask of systemd."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from nix_kit import SMALLEST, host, triaged

RULE = """
var rule;
var polkit = {
  Result: { NO: "no", YES: "yes", NOT_HANDLED: null },
  addRule: function (given) { rule = given; }
};
%s
function ask(id, user, unit, verb) {
  return rule(
    { id: id, lookup: function (name) { return { unit: unit, verb: verb }[name]; } },
    { user: user });
}
var manage = "org.freedesktop.systemd1.manage-units";
console.log(JSON.stringify([
  ask(manage, "triaged", "nginx.service", "restart"),
  ask(manage, "triaged", "backup@db.service", "reset-failed"),
  ask(manage, "triaged", "certbot.timer", "start"),
  ask(manage, "triaged", "nginx.service", "kill"),
  ask(manage, "triaged", "nginx.service", "set-property"),
  ask(manage, "triaged", "sshd.service", "restart"),
  ask(manage, "triaged", "sshd@1.service", "stop"),
  ask(manage, "triaged", "systemd-networkd.service", "stop"),
  ask(manage, "triaged", "triaged.service", "stop"),
  ask(manage, "triaged", "postgresql.service", "stop"),
  ask(manage, "triaged", "poweroff.target", "start"),
  ask(manage, "triaged", "home.mount", "stop"),
  ask(manage, "triaged", "rescue.target.service/../x.service", "start"),
  ask(manage, "triaged", undefined, "start"),
  ask(manage, "bob", "nginx.service", "restart"),
  ask("org.freedesktop.login1.power-off", "triaged", "nginx.service", "restart")
]));
"""


@pytest.mark.parametrize("autonomy", ["suggest", "auto-safe", "auto-full"])
def test_polkit_allows_verbs_on_units_that_are_not_critical(autonomy: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to run polkit's rule with")
    rule = host(
        f'{SMALLEST} services.triaged.autonomy = "{autonomy}";',
        what="config.security.polkit.extraConfig",
    )
    script = tmp_path / "rule.js"
    script.write_text(RULE % rule)
    done = subprocess.run([node, script], capture_output=True, text=True, timeout=60, check=True)
    answers = done.stdout.strip()
    assert answers == str(["yes"] * 3 + ["no"] * 11 + [None, None]).replace("'", '"').replace(
        "None", "null"
    ).replace(" ", "")


@pytest.mark.parametrize("said", ['autonomy = "observe";', "polkit.enable = false;"])
def test_who_only_observes_gets_no_rule(said: str) -> None:
    polkit = host(triaged(said), what="config.security.polkit")
    assert polkit == {"enable": False, "extraConfig": ""}
