"""What the user triaged may ask of systemd, and of root, on NixOS."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from nix_kit import ROOT, SMALLEST, host, refused, toml, triaged

from daemon.helper import config as helper_config
from daemon.helper.verbs.table import VERBS

RULES = (ROOT / "deploy" / "actions" / "polkit" / "50-triaged.rules").read_text()
ASKED = """
var rule;
var polkit = {
  Result: { NO: "no", YES: "yes", NOT_HANDLED: null },
  addRule: function (given) { rule = given; }
};
%s
function ask(user, unit, verb, message) {
  var told = {
    unit: unit,
    verb: verb || "restart",
    "polkit.message": message || "Authentication is required to restart '$(unit)'."
  };
  return rule(
    {
      id: "org.freedesktop.systemd1.manage-units",
      lookup: function (name) { return told[name]; }
    },
    { user: user });
}
console.log(JSON.stringify([
  ask("triaged", "postfix.service"),
  ask("triaged", "nginx.service"),
  ask("triaged", "nginx-cache.service"),
  ask("triaged", "borgbackup-job-home.timer"),
  ask("triaged", "sshd.service"),
  ask("triaged", "triaged.service"),
  ask("bob", "postfix.service"),
  ask("triaged", "x.service", "start", "Authentication is required to start '$(unit)'."),
  ask("triaged", "x.service", "start",
      "Authentication is required to start transient unit '$(unit)'.")
]));
"""


@pytest.mark.parametrize("autonomy", ["suggest", "auto-safe", "auto-full"])
def test_polkits_rule_is_that_of_every_other_host(autonomy: str) -> None:
    rule = host(triaged(f'autonomy = "{autonomy}";'), what="config.security.polkit.extraConfig")
    assert rule.strip() == RULES.strip()


def test_the_operators_critical_units_are_refused_too(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node to run polkit's rule with")
    rule = host(
        triaged('criticalUnits = [ "nginx" "borgbackup-job-*" ];'),
        what="config.security.polkit.extraConfig",
    )
    script = tmp_path / "rule.js"
    script.write_text(ASKED % rule)
    done = subprocess.run([node, script], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [
        *("yes", "no", "yes", "no", "no", "no", None),
        # A unit of the caller's own making, with a command of the caller's own choice, is no start.
        *("yes", "no"),
    ]


@pytest.mark.parametrize("said", ['autonomy = "observe";', "polkit.enable = false;"])
def test_who_only_observes_gets_no_rule(said: str) -> None:
    polkit = host(triaged(said), what="config.security.polkit")
    assert polkit == {"enable": False, "extraConfig": ""}


HELPER_FILE = (
    'let file = config.environment.etc."triaged/helper.toml";'
    " in { inherit (file) mode; inherit (file.source) value; }"
)


@pytest.mark.parametrize(
    "said",
    [
        'helper.verbs = [ "journal-vacuum" ]; criticalUnits = [ "nginx" ];',
        'helper.verbs = [ "process-end" ]; helper.settings.folders = [ "/var/cache/nginx" ];',
    ],
)
def test_the_helper_takes_its_file(said: str, tmp_path: Path) -> None:
    found = host(triaged(said), what=HELPER_FILE)
    assert found["mode"] == "0644"  # a file: the helper follows no link
    written = tomllib.loads(toml(found["value"]))
    allowed = helper_config._config(tmp_path, written, frozenset(VERBS))
    assert len(allowed.verbs) == 1
    assert str(allowed.drop_ins) == "/run/systemd/system"


def test_a_flake_allows_the_verb_of_nixos(tmp_path: Path) -> None:
    written = host(triaged('nixos.flake = "/etc/nixos#host";'), what=f"({HELPER_FILE}).value")
    assert written["flake"] == "/etc/nixos#host"
    allowed = helper_config._config(tmp_path, written, frozenset(VERBS))
    assert allowed.verbs == ("nixos", "reversal-arm", "reversal-cancel")


@pytest.mark.parametrize("flake", ["/etc/nixos", "github:a/b#host", "/etc/nixos#host;reboot"])
def test_a_flake_is_a_folder_and_a_host(flake: str) -> None:
    """As the helper reads it, which would refuse the rest later."""
    wrong = triaged(f'nixos.flake = "{flake}";')
    said = refused(f"(harness {{}} {{ {wrong} }}).config.services.triaged.nixos.flake")
    assert "matching the pattern" in said


def test_without_verbs_there_is_no_helper() -> None:
    assert "triaged/helper.toml" not in host(SMALLEST, what="config.environment.etc")
    watched = host(
        triaged('nixos.flake = "/etc/nixos#host"; autonomy = "observe";'),
        what="config.environment.etc",
    )
    assert "triaged/helper.toml" not in watched
