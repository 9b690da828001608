"""The root helper behind its shipped units on a real systemd: what its fences let through."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, machine, why_not

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "actions" / "systemd"
CALL = """
import json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/triaged-helper/socket")
connection.sendall(sys.argv[1].encode() + b"\\n")
print(connection.makefile().readline(), end="")
"""
CONFIG = """
verbs = ["unit-file", "restart-limit", "reversal-arm", "reversal-cancel", "journal-vacuum",
  "tmp-clean", "package-cache-clean", "process-end", "process-renice", "block", "unblock",
  "remount", "security-updates"]
folders = ["/srv/uploads"]
mounts = ["/srv/data"]
"""
WEB = """
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


class Helped:
    """A machine with the helper installed."""

    def __init__(self, debian: Machine) -> None:
        self.debian = debian

    def call(self, verb: str, *, user: str = "triaged", **arguments: object) -> dict[str, Any]:
        line = json.dumps({"verb": verb, "arguments": arguments})
        argv = ("runuser", "-u", user, "--", "/usr/bin/python3", "-c", CALL, line)
        done = self.debian.run(*argv, check=False, seconds=200)
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            return {"ok": False, "code": "none", "detail": done.stdout, "data": {}}

    def property(self, unit: str, name: str) -> str:
        return self.debian.say("systemctl", "show", "--value", f"--property={name}", unit)

    def process(self, unit: str) -> dict[str, int]:
        pid = int(self.property(unit, "MainPID"))
        raw = self.debian.say("cat", f"/proc/{pid}/stat")
        return {"pid": pid, "start": int(raw[raw.rindex(")") + 2 :].split()[19])}


@pytest.fixture(scope="module")
def helped() -> Iterator[Helped]:
    if why := why_not():
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(f"no Debian can be booted here: {why}")
    with machine(binds={}) as debian:
        _install(debian)
        yield Helped(debian)


def _install(debian: Machine) -> None:
    packages = debian.root / "usr/lib/python3/dist-packages/daemon"
    packages.mkdir(parents=True)
    shutil.copy(ROOT / "daemon" / "__init__.py", packages)
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "daemon" / "helper", packages / "helper", ignore=skipped)
    python = debian.root / "opt/triaged/current/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")
    debian.write("/etc/systemd/system/web.service", WEB)
    debian.write("/etc/triaged/triaged.toml", "")
    debian.run("useradd", "--system", "triaged")
    debian.run("mkdir", "-p", "/srv/uploads", "/srv/data")
    debian.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/srv/data")
    shutil.copytree(ROOT / "deploy" / "actions", debian.root / "root" / "actions")
    debian.run("systemctl", "start", "web.service")


def _by_install_sh(debian: Machine, *words: str) -> str:
    """Functions of install.sh, without the rest of an installation."""
    text = (ROOT / "deploy" / "install.sh").read_text()
    functions = text[: text.index("\nwhile (($#)); do")]
    script = "\n".join((functions, "actions=yes", *words))
    return debian.run("bash", "-c", script).stdout


def test_install_sh_grants_and_the_helper_answers(helped: Helped) -> None:
    said = _by_install_sh(helped.debian, "action_files /root", "enable_helper")
    assert "grants to the user triaged" in said
    hello = helped.call("hello")
    assert hello["ok"], hello
    assert set(hello["data"]["verbs"]) >= {"process-end", "block", "reversal-arm"}
    assert helped.debian.say("stat", "-c", "%U %a", "/etc/triaged/helper.toml") == "root 644"
    again = _by_install_sh(helped.debian, "action_files /root")
    assert "write" not in again
    helped.debian.write("/etc/triaged/helper.toml", CONFIG)


def test_only_the_user_triaged_gets_in(helped: Helped) -> None:
    assert helped.call("hello")["ok"]
    helped.debian.run("useradd", "--system", "stranger")
    assert "PermissionError" in helped.call("hello", user="stranger")["detail"]
    helped.debian.run("usermod", "--append", "--groups", "triaged", "stranger")
    assert helped.call("hello", user="stranger")["code"] == "peer"


def test_each_call_is_in_the_journal(helped: Helped) -> None:
    helped.call("process-end", pid=1, start=1, signal="kill")
    lines = helped.debian.say("journalctl", "-t", "triaged-helper", "-o", "cat", "-n", "50")
    assert 'verb="process-end" uid=' in lines
    assert "outcome=refused" in lines


def test_processes(helped: Helped) -> None:
    process = helped.process("web.service")
    said = helped.call("process-renice", **process, nice=7)
    assert said["ok"], said
    assert helped.debian.say("ps", "-o", "ni=", "-p", str(process["pid"])).strip() == "7"
    said = helped.call("process-end", **process, signal="term")
    assert said["ok"], said
    ended = f"/proc/{process['pid']}"
    helped.debian.until(
        lambda: "No such" in helped.debian.say("ls", ended), seconds=10, what="ended"
    )
    journald = helped.process("systemd-journald.service")
    assert helped.call("process-end", **journald, signal="kill")["code"] == "refused"


def test_units(helped: Helped) -> None:
    said = helped.call("restart-limit", change="raise", unit="web.service", burst=9, seconds=77)
    assert said["ok"], said
    assert helped.property("web.service", "StartLimitBurst") == "9"
    assert helped.call("restart-limit", change="lower", unit="web.service")["ok"]
    assert helped.property("web.service", "StartLimitBurst") != "9"
    for change, state in (("enable", "enabled"), ("disable", "disabled")):
        said = helped.call("unit-file", change=change, unit="web.service")
        assert said["ok"], said
        assert helped.property("web.service", "UnitFileState") == state
    said = helped.call("unit-file", change="disable", unit="systemd-journald.service")
    assert said["code"] == "refused"


def test_a_reversal_waits_and_is_carried_out_or_cancelled(helped: Helped) -> None:
    helped.debian.run("systemctl", "start", "web.service")
    arguments = {"kind": "start_unit", "target": "web.service", "after_seconds": 30}
    for token in ("00000000000000a1", "00000000000000a2"):
        said = helped.call("reversal-arm", token=token, **arguments)
        assert said["ok"], said
        assert helped.property(f"triaged-reversal-{token}.timer", "ActiveState") == "active"
    assert helped.call("reversal-cancel", token="00000000000000a1")["ok"]
    cancelled = helped.property("triaged-reversal-00000000000000a1.timer", "ActiveState")
    assert cancelled == "inactive"
    helped.debian.run("systemctl", "stop", "web.service")
    helped.debian.until(
        lambda: helped.property("web.service", "ActiveState") == "active",
        seconds=60,
        what="started by the reversal",
    )


def test_a_block_is_in_the_kernel(helped: Helped) -> None:
    said = helped.call("block", network="192.0.2.7", seconds=60)
    assert said["ok"], said
    assert "192.0.2.7" in helped.debian.say("nft", "list", "table", "inet", "triaged")
    assert helped.call("unblock", network="192.0.2.7")["ok"]
    assert "192.0.2.7" not in helped.debian.say("nft", "list", "table", "inet", "triaged")


def test_room(helped: Helped) -> None:
    helped.debian.run("touch", "/srv/uploads/young")
    for verb, arguments in (
        ("journal-vacuum", {"keep_megabytes": 50}),
        ("package-cache-clean", {}),
        ("tmp-clean", {"path": "/tmp", "older_than_days": 10}),
        ("tmp-clean", {"path": "/srv/uploads", "older_than_days": 10}),
    ):
        said = helped.call(verb, **arguments)
        assert said["ok"], (verb, said)
    assert helped.debian.say("ls", "/srv/uploads") == "young"
    assert helped.call("tmp-clean", path="/etc", older_than_days=1)["code"] == "refused"


def test_packages_need_their_drop_in(helped: Helped) -> None:
    _open(helped)
    said = helped.call("security-updates-list")
    assert said["code"] == "refused"
    assert "packages.conf" in said["detail"]
    _open(helped, "packages.conf")
    said = helped.call("security-updates-list")
    assert said["ok"], said
    assert said["data"] == {"manager": "apt", "packages": []}


def test_a_mount_needs_its_drop_in(helped: Helped) -> None:
    _open(helped)
    said = helped.call("remount", point="/srv/data", mode="ro")
    assert not said["ok"]
    assert "mounts.conf" in said["detail"]
    helped.debian.run("touch", "/srv/data/written")
    _open(helped, "mounts.conf")
    said = helped.call("remount", point="/srv/data", mode="ro")
    assert said["ok"], said
    assert "Read-only" in helped.debian.say("touch", "/srv/data/written")
    assert helped.call("remount", point="/srv/data", mode="rw")["ok"]
    helped.debian.run("touch", "/srv/data/written")


def _open(helped: Helped, *drop_ins: str) -> None:
    """These drop-ins and no others."""
    folder = "/etc/systemd/system/triaged-helper@.service.d"
    helped.debian.run("rm", "-rf", folder)
    for name in drop_ins:
        helped.debian.write(f"{folder}/{name}", (UNITS / "drop-ins" / name).read_text())
    helped.debian.run("systemctl", "daemon-reload")


def test_a_file_that_others_write_allows_nothing(helped: Helped) -> None:
    helped.debian.run("chmod", "0666", "/etc/triaged/helper.toml")
    try:
        said = helped.call("block", network="192.0.2.7", seconds=60)
        assert said["code"] == "not-allowed"
        assert "chmod 0644" in said["detail"]
    finally:
        helped.debian.run("chmod", "0644", "/etc/triaged/helper.toml")


def test_what_was_granted_is_taken_back(helped: Helped) -> None:
    _by_install_sh(helped.debian, "remove_actions", "systemctl daemon-reload")
    assert "FileNotFoundError" in helped.call("hello")["detail"]
    for left in ("/etc/systemd/system", "/etc/polkit-1/rules.d", "/etc/triaged"):
        assert "helper" not in helped.debian.say("ls", left), left
    assert "triaged" not in helped.debian.say("ls", "/etc/polkit-1/rules.d")
