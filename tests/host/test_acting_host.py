"""triaged acts on a real Debian: one story, a test goes on where the last one ended.

Everything is real: systemd, polkit, the root helper behind its socket, nftables, the bundled
models, and the daemon as the user triaged. Only what is broken is broken on purpose.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acting_kit import Acting, aged, crashing
from machine import Machine, small_disk

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

STUCK = """
[Service]
Type=notify
NotifyAccess=all
WatchdogSec=2
ExecStart=/bin/sh -c 'systemd-notify --ready; while test -e /run/{name}.good; do \
systemd-notify WATCHDOG=1; sleep 0.5; done; sleep infinity'
"""
NODIR = "[Service]\nWorkingDirectory=/srv/{name}\nExecStart=/bin/sleep infinity\n"
ONCE = """
[Service]
ExecStart=/bin/sh -c 'echo >> /root/{name}.runs; test -e /run/{name}.good && exec sleep infinity; \
{first}; exit 3'
"""
SLOW = """
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo >> /root/slow.runs; exec sleep 8'
"""
SSH = "[Service]\nExecStart=/bin/sleep infinity\n"
SSH_RULE = """
polkit.addRule(function(action, subject) {
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "triaged"
      && action.lookup("unit") == "ssh.service") { return polkit.Result.YES; }
});
"""
BLOCK_RULE = """
polkit.addRule(function(action, subject) {
  if (action.lookup("unit") == "blocky.service") { return polkit.Result.NO; }
});
"""
BLOCK = """
import json, socket
door = socket.socket(socket.AF_UNIX)
door.connect("/run/triaged-helper/socket")
asked = {"verb": "block", "arguments": {"network": "203.0.113.9", "seconds": 60}}
door.sendall(json.dumps(asked).encode() + b"\\n")
print(door.makefile().readline())
"""
LIFE = [
    "action_request", "action_decision", "action_approval", "action_intent", "action_started",
    "action_result",
]  # fmt: skip


@pytest.fixture(scope="module")
def disk(possible: None) -> Iterator[Path | None]:
    """A small file system with an old file, where the kernel gives one."""
    try:
        with small_disk(megabytes=24, prepare=aged) as mounted:
            yield mounted
    except subprocess.CalledProcessError:
        yield None


@pytest.fixture(scope="module")
def acting(debian: Machine) -> Acting:
    """What the tests do on the machine; the first of them installs."""
    return Acting(debian)


def kinds_of(action: dict[str, object]) -> list[str]:
    steps = action["steps"]
    assert isinstance(steps, list)
    return [step["kind"] for step in steps]


def runs(acting: Acting, name: str) -> int:
    """How often a unit was started, by its own count."""
    return len(acting.debian.run("cat", f"/root/{name}.runs").stdout.splitlines())


def asked_in_chat(acting: Acting, words: str, *, user: str = "root") -> str:
    """The code of the proposal that a chat shows."""
    answer = acting.chat(words, key=acting.keys.get("olga", ""), user=user)
    found = re.search(r"Waiting for your answer: ([A-Z0-9]{4})\*\*", answer)
    assert found is not None, answer
    return found[1]


def brute_force(acting: Acting) -> None:
    line = "Failed password for root from 203.0.113.7 port 4$i ssh2"
    loop = f'for i in $(seq 100 130); do logger -t sshd -p auth.info "{line}"; done'
    acting.debian.run("sh", "-c", loop)


def test_it_installs_with_what_acting_needs(acting: Acting) -> None:
    acting.install(level="observe")
    acting.answers("units open; helper open")
    assert acting.property("User") == "triaged"
    assert "level observe" in acting.status()
    said = acting.debian.run("triaged", "notify", "test").stdout
    assert "here" in said


def test_at_observe_nothing_is_touched(acting: Acting) -> None:
    acting.unit("idle-crash", crashing("idle-crash"))
    acting.unit("idle-nodir", NODIR.format(name="idle-nodir"))
    acting.unit("idle-stuck", STUCK.format(name="idle-stuck"))
    names = ("idle-crash", "idle-nodir", "idle-stuck")
    for name in names:
        acting.broken(name)
    brute_force(acting)
    before = acting.host()
    found = [acting.incident(name)["id"] for name in names] + [acting.incident("sshd")["id"]]
    for incident in found:
        acting.thought_about(incident)
    time.sleep(3)  # whoever acts late is caught too
    after = acting.host()
    for part, was in before.items():
        assert after[part] == was, part
    assert acting.proposals() == []
    asked = acting.json("actions", "list")
    assert asked, "it says what it would have wanted"
    for row in asked:
        assert (row["state"], row["rule"]) == ("refused", "observe")
        assert not {"action_intent", "action_started"} & set(kinds_of(acting.whole(row["id"])))
    calls = acting.debian.say("journalctl", "-t", "triaged-helper", "-o", "cat", "--no-pager")
    assert not re.findall(r'verb="([a-z-]+)"', calls)  # greetings are not logged
    refused = acting.chat("restart idle-crash")
    assert "Waiting for your answer" not in refused


def test_a_crash_loop_is_proposed_approved_done_and_remembered(acting: Acting) -> None:
    acting.level("suggest")
    acting.unit("webby", crashing("webby"))
    proposal = acting.proposal("restart webby.service")
    shown = acting.debian.say("triaged", "proposals", "show", proposal["code"])
    for words in (proposal["content_hash"], "systemd vouches for it", "never done here before"):
        assert words in shown
    acting.noticed(f"{proposal['code']}: restart webby.service?")
    before = acting.property("InvocationID", "webby")
    acting.good("webby")
    done = acting.approve(proposal["code"])
    assert (done["state"], done["answered_by"]) == ("done", "local"), done["why"]
    assert kinds_of(done) == LIFE
    assert done["measured"]["active"] == "active"
    assert "active with a new run for 3 s" in done["why"]
    assert acting.active("webby") == "active"
    assert acting.property("InvocationID", "webby") not in ("", before)
    again = acting.debian.run(
        "triaged", "proposals", "approve", proposal["code"], "--yes", check=False
    )
    assert again.returncode != 0, "once"
    acting.closed(proposal["incident_id"])
    assert "restart webby.service: done" in acting.remembered("webby", proposal["incident_id"])
    acting.noticed("done: restart webby.service")
    assert "the chain holds" in acting.as_triaged("audit", "verify")


def test_a_restart_that_failed_is_never_called_a_success(acting: Acting) -> None:
    acting.unit("nodir", NODIR.format(name="nodir"))
    proposal = acting.proposal("restart nodir.service")
    failed = acting.approve(proposal["code"])
    assert failed["state"] == "failed"
    assert kinds_of(failed) == LIFE
    assert failed["steps"][-1]["body"]["outcome"] == "failed"
    told = acting.told(proposal["incident_id"])
    assert any("did not work" in entry["text"] for entry in told["evidence"])
    assert any("action failed" in step["summary"] or "attention" in step["summary"]
               for step in told["timeline"])  # fmt: skip
    acting.debian.until(
        lambda: acting.told(proposal["incident_id"])["incident"]["state"] == "attention",
        seconds=60,
        what="a human is asked for",
    )
    answer = acting.chat("did the restart of nodir work?").lower()
    assert "failed" in answer
    acting.noticed("FAILED: restart nodir")
    assert not any("done: restart nodir" in note["title"] for note in acting.notices())
    tallies = acting.json("status")["actions"]["tallies"]
    counted = {(row["kind"], row["outcome"]): row["count"] for row in tallies}
    assert counted["restart_unit", "failed"] == 1
    acting.debian.run("mkdir", "/srv/nodir")
    acting.debian.run("systemctl", "restart", "nodir")
    acting.closed(proposal["incident_id"])
    outcome = acting.remembered("nodir", proposal["incident_id"])
    assert "restart nodir.service: failed" in outcome
    assert "restart nodir.service: done" not in outcome


def test_a_restart_that_is_blocked_is_never_called_a_success(acting: Acting) -> None:
    acting.debian.write("/etc/polkit-1/rules.d/40-blocky.rules", BLOCK_RULE)
    acting.unit("blocky", crashing("blocky"))
    proposal = acting.proposal("restart blocky.service")
    acting.good("blocky")
    blocked = acting.approve(proposal["code"])
    assert blocked["state"] == "failed"
    assert "polkit" in blocked["why"]
    assert acting.active("blocky") == "failed"
    acting.debian.run("systemctl", "reset-failed", "blocky")
    acting.debian.run("systemctl", "start", "blocky")
    acting.closed(proposal["incident_id"])
    outcome = acting.remembered("blocky", proposal["incident_id"])
    assert "restart blocky.service: failed" in outcome


def test_without_a_key_root_answers_in_a_chat_and_nobody_else(acting: Acting) -> None:
    before = acting.property("InvocationID", "webby")
    code = asked_in_chat(acting, "restart webby", user="nobody")
    refused = acting.chat(f"approve {code}", user="nobody")
    assert "who is nobody on this host, cannot answer proposals" in refused
    assert [row["code"] for row in acting.proposals("webby")] == [code]
    assert acting.chat(f"approve {code}").startswith("Approved: restart webby.service.")
    done = acting.ended("webby.service")
    assert (done["state"], done["origin"], done["basis"]) == ("done", "chat", "text")
    assert done["answered_from"].startswith("chat from 127.0.0.1, user root")
    assert acting.property("InvocationID", "webby") not in ("", before)


def test_with_keys_an_operator_answers_in_a_chat_and_no_viewer(acting: Acting) -> None:
    for name, role in (("olga", "operator"), ("eve", "viewer")):
        acting.new_key(name, role=role)
    acting.debian.until(
        lambda: acting.chat("restart webby").startswith("401"), seconds=30, what="keys are needed"
    )
    code = asked_in_chat(acting, "restart webby")
    refused = acting.chat(f"approve {code}", key=acting.keys["eve"])
    assert "eve is a viewer and cannot answer proposals" in refused
    approved = acting.chat(f"approve {code}", key=acting.keys["olga"])
    assert approved.startswith("Approved: restart webby.service.")
    done = acting.ended("webby.service")
    assert (done["state"], done["answered_by"]) == ("done", "olga")
    again = acting.chat(f"approve {code}", key=acting.keys["olga"])
    assert "approved by olga" in again


def test_room_is_made_on_a_full_file_system(acting: Acting, disk: Path | None) -> None:
    if disk is None:
        pytest.skip("the kernel has no loop devices")
    acting.debian.run("sh", "-c", "head -c 11500000 /dev/zero > /srv/small/new")
    proposal = acting.proposal("/srv/small/cache")
    assert proposal["kind"] == "clean_tmp"

    def free() -> int:
        return int(acting.debian.say("stat", "-f", "-c", "%a", "/srv/small"))

    before = free()
    done = acting.approve(proposal["code"])
    assert done["state"] == "done", done["why"]
    assert free() - before > 8_000
    assert acting.debian.say("ls", "/srv/small/cache") == ""
    assert acting.debian.run("test", "-e", "/srv/small/new").returncode == 0
    acting.closed(proposal["incident_id"])


def test_a_stuck_service_runs_again(acting: Acting) -> None:
    acting.unit("stuck", STUCK.format(name="stuck"))
    proposal = acting.proposal("restart stuck.service")
    assert any("watchdog" in entry["text"] for entry in acting.evidence(proposal["code"]))
    acting.good("stuck")
    assert acting.approve(proposal["code"])["state"] == "done"
    assert acting.active("stuck") == "active"


def test_an_attacker_is_blocked_only_when_a_human_says_so(acting: Acting) -> None:
    acting.level("auto-full")
    old = str(acting.incident("sshd")["id"])
    acting.debian.run("triaged", "incidents", "close", old, "--reason", "seen, and it went on")
    brute_force(acting)
    proposal = acting.proposal("203.0.113.7")
    assert (proposal["kind"], proposal["rule"]) == ("block_address", "text-basis")
    assert "203.0.113.7" not in acting.debian.say("nft", "list", "ruleset")
    done = acting.approve(proposal["code"])
    assert (done["state"], done["undo_state"]) == ("done", "armed")
    table = acting.debian.say("nft", "list", "table", "inet", "triaged")
    assert re.search(r"203\.0\.113\.7 timeout 1h expires 59m", table), table
    # The shortest block there is, by the same door; the kernel lifts it while others are tested.
    argv = ("runuser", "-u", "triaged", "--", "python3", "-c", BLOCK)
    assert json.loads(acting.debian.run(*argv).stdout)["ok"]
    acting.blocked_at = time.monotonic()


def test_at_auto_safe_a_service_is_restarted_without_a_human(acting: Acting) -> None:
    acting.level("auto-safe")
    acting.unit("auto", ONCE.format(name="auto", first="touch /run/auto.good"))
    done = acting.ended("auto.service")
    assert (done["state"], done["rule"], done["answered_by"]) == ("done", "safe", None)
    assert "action_approval" not in kinds_of(done)
    assert acting.active("auto") == "active"
    assert runs(acting, "auto") == 2
    acting.closed(done["incident_id"])
    assert "restart auto.service: done" in acting.remembered("auto", done["incident_id"])


def test_at_auto_safe_what_did_not_help_is_not_done_again(acting: Acting) -> None:
    acting.unit("hopeless", ONCE.format(name="hopeless", first="true"))
    failed = acting.ended("hopeless.service")
    assert (failed["state"], failed["answered_by"]) == ("failed", None)
    acting.debian.run("systemctl", "start", "hopeless", check=False)  # a human tries, in vain
    time.sleep(12)
    assert runs(acting, "hopeless") == 3, "once by triaged"
    begun = [row for row in acting.actions("hopeless.service") if row["started_at"]]
    assert len(begun) == 1
    said = acting.as_triaged("policy", "explain", "restart_unit", "hopeless.service", "--live")
    assert "failed-before" in said
    assert acting.told(failed["incident_id"])["incident"]["state"] == "attention"


def test_the_stop_switch_outlives_a_restart(acting: Acting) -> None:
    code = asked_in_chat(acting, "restart webby")
    acting.debian.run("triaged", "policy", "stop", "moving", "the", "racks")
    acting.restart()
    assert "STOPPED by operator:local: moving the racks" in acting.status()
    acting.unit("halted", ONCE.format(name="halted", first="touch /run/halted.good"))
    acting.debian.until(
        lambda: bool(acting.actions("halted.service")), seconds=90, what="asked for, in vain"
    )
    (refused,) = acting.actions("halted.service")
    assert (refused["state"], refused["rule"]) == ("refused", "stopped")
    said = acting.chat(f"approve {code}", key=acting.keys["olga"])
    assert "cannot be approved now: the stop switch is on" in said
    assert runs(acting, "halted") == 1
    acting.debian.run("triaged", "policy", "resume", "they", "stand")
    acting.answers("level auto-safe")
    assert acting.chat(f"approve {code}", key=acting.keys["olga"]).startswith("Approved")
    assert acting.ended("webby.service")["state"] == "done"


def test_the_way_in_is_closed_to_automation(acting: Acting) -> None:
    acting.unit("ssh", SSH)
    refused = acting.chat("stop ssh", key=acting.keys["olga"])
    assert "Waiting" not in refused
    assert "critical (ssh.service is ssh)" in refused
    assert acting.active("ssh") == "active"


def test_what_may_lock_out_is_taken_back_unless_confirmed(acting: Acting) -> None:
    acting.level("auto-full", 'named = ["ssh.service"]')
    acting.debian.write("/etc/polkit-1/rules.d/49-local.rules", SSH_RULE)
    code = asked_in_chat(acting, "restart ssh")
    done = acting.approve(code)
    assert done["state"] == "done", done["why"]
    assert acting.reversals() == [f"triaged-reversal-{done['id']:016x}.timer"]
    assert "stays" in acting.debian.run("triaged", "proposals", "confirm", code).stdout
    assert acting.reversals() == []


def test_systemd_takes_it_back_while_the_daemon_is_away(acting: Acting) -> None:
    code = asked_in_chat(acting, "stop ssh")
    done = acting.approve(code)
    assert done["state"] == "done", done["why"]
    assert acting.active("ssh") == "inactive"
    (timer,) = acting.reversals()
    acting.debian.run("systemctl", "stop", "triaged", seconds=120)
    # Ten minutes are for people; the timer stays systemd's own, and comes sooner.
    soon = "[Timer]\nOnActiveSec=\nOnActiveSec=2s\n"
    acting.write_run(f"systemd/system/{timer}.d/soon.conf", soon)
    acting.debian.run("systemctl", "daemon-reload")
    acting.debian.until(lambda: acting.active("ssh") == "active", seconds=30, what="ssh is back")
    acting.debian.run("systemctl", "start", "triaged", seconds=180)
    acting.answers("level auto-full")


def test_killed_in_the_middle_it_measures_and_repeats_nothing(acting: Acting) -> None:
    acting.unit("slow", SLOW)
    acting.debian.until(lambda: acting.active("slow") == "active", seconds=30, what="slow is up")
    code = asked_in_chat(acting, "restart slow")
    assert acting.chat(f"approve {code}", key=acting.keys["olga"]).startswith("Approved")
    acting.debian.until(
        lambda: bool(acting.actions("slow.service", "started")), seconds=30, what="begun"
    )
    acting.debian.until(lambda: runs(acting, "slow") == 2, seconds=10, what="at work")
    acting.debian.run("kill", "-9", acting.property("MainPID"))
    acting.debian.until(lambda: acting.property("NRestarts") == "1", seconds=60, what="back")
    acting.answers("level")
    done = acting.ended("slow.service")
    assert done["state"] == "done"
    assert "triaged was ended while it ran; its effect was found" in done["why"]
    assert kinds_of(done) == LIFE
    time.sleep(3)
    assert runs(acting, "slow") == 2


def test_a_block_is_lifted_in_time(acting: Acting) -> None:
    time.sleep(max(0.0, 62 - (time.monotonic() - acting.blocked_at)))
    table = acting.debian.say("nft", "list", "table", "inet", "triaged")
    assert "203.0.113.9" not in table
    assert "203.0.113.7" in table


def test_a_reboot_forgets_nothing(acting: Acting) -> None:
    code = asked_in_chat(acting, "restart webby")
    acting.debian.run("triaged", "policy", "stop", "a", "new", "kernel")
    acting.debian.reboot()
    acting.answers("STOPPED by operator:local: a new kernel")
    assert [row["code"] for row in acting.proposals("webby")] == [code]
    (blocked,) = acting.actions("203.0.113.7", "done")
    assert acting.whole(blocked["id"])["undo_state"] == "armed"
    assert "the chain holds" in acting.as_triaged("audit", "verify")
    acting.debian.run("triaged", "policy", "resume")
    assert "Denied" in acting.debian.run("triaged", "proposals", "deny", code).stdout
