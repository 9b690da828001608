"""Acting on a booted Debian: what is set there, what is broken, and what is compared afterwards."""

# ruff: noqa: S607 -- tools of the machine, found as its administrator finds them

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from machine import Machine

INSTALL = "/root/wheelhouse/install.sh"
CONFIG = """
state_dir = "/var/lib/triaged"
[escalation]
steady_seconds = 3
[sources.systemd]
steady_after = 3
[sources.metrics]
interval = 2
slow_interval = 2
[notify.channels.here]
urls = ["json://127.0.0.1:9099/"]
most_per_hour = 1000
summary_from = 100
[actions]
steady_seconds = 3
lease_seconds = 10
paths = ["/srv/small/cache"]
"""
ASK = "/opt/ask.py"
_ASK = """
import json, sys, urllib.error, urllib.request
words, key = sys.argv[1], sys.argv[2]
headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
body = {"model": "triaged", "messages": [{"role": "user", "content": words}]}
url = "http://127.0.0.1:8083/v1/chat/completions"
request = urllib.request.Request(url, json.dumps(body).encode(), headers)
try:
    print(json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"])
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""
CATCH = "/opt/catch.py"
_CATCH = """
import http.server
class Notices(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/root/notices", "ab") as file:
            file.write(text + b"\\n")
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9099), Notices).serve_forever()
"""
_STATE = "ActiveState,SubState,InvocationID,NRestarts,UnitFileState"
_NOT_COMPARED = ("triaged", "systemd-", "dbus", "polkit", "user@", "user-runtime", "session-")
"""Units that live by themselves, and the daemon's own."""


def crashing(name: str) -> str:
    """A service that crashes until systemd gives up, unless /run/NAME.good is there."""
    return f"""
[Unit]
StartLimitIntervalSec=600
StartLimitBurst=3
[Service]
ExecStart=/bin/sh -c 'test -e /run/{name}.good && exec sleep infinity; sleep 0.3; exit 3'
Restart=on-failure
RestartSec=200ms
"""


def aged(image: Path) -> None:
    """Half a file system of a file that nobody has touched for months, by any of its times."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(9_000_000))
        file.flush()
        times = [f"sif cache/old {field} 20240101" for field in ("atime", "ctime", "mtime")]
        commands = ["mkdir cache", f"write {file.name} cache/old", *times]
        subprocess.run(
            ["debugfs", "-w", "-f", "-", str(image)],
            input="\n".join(commands) + "\n",
            text=True,
            check=True,
            capture_output=True,
        )


class Acting:
    """A machine on which triaged acts."""

    def __init__(self, debian: Machine) -> None:
        self.debian = debian
        self.keys: dict[str, str] = {}
        """Of people, from the moment on that there are any."""
        self.blocked_at = 0.0
        """When the shortest block began, in monotonic seconds."""

    # --- setting up ------------------------------------------------------------------------------

    def install(self, *, level: str) -> None:
        """As an operator would, who lets it act. Timers of the system stay quiet meanwhile."""
        self.debian.run("systemctl", "stop", "*.timer")
        self.debian.write(ASK, _ASK)
        self.debian.write(CATCH, _CATCH)
        catcher = f"[Service]\nExecStart=/usr/bin/python3 {CATCH}\n[Install]\n"
        self.unit("catcher", f"{catcher}WantedBy=multi-user.target\n", start=False)
        self.debian.run("systemctl", "enable", "--now", "catcher")
        self.debian.write("/etc/triaged/triaged.toml", f'{CONFIG}autonomy = "{level}"\n')
        self.debian.run(INSTALL, "--allow-actions", seconds=600)
        helper = self.debian.root / "etc/triaged/helper.toml"
        folders = 'folders = ["/srv/small/cache"]'
        helper.write_text(helper.read_text().replace("folders = []", folders))

    def level(self, level: str, *more: str) -> None:
        """Another level, and more lines of [actions], by a reload."""
        lines = "\n".join((f'autonomy = "{level}"', *more))
        self.debian.write("/etc/triaged/triaged.toml", f"{CONFIG}{lines}\n")
        self.debian.run("systemctl", "reload", "triaged")
        self.answers(level)

    def restart(self) -> None:
        self.debian.run("systemctl", "restart", "triaged", seconds=180)
        self.answers("level")

    def answers(self, words: str) -> None:
        """Waits until the status is told, with these words in the line of acting."""
        self.debian.until(lambda: words in self.status(), seconds=120, what=f"acting: {words}")

    def status(self) -> str:
        """The line of acting in the status."""
        lines = self.debian.say("triaged", "status").splitlines()
        return next((line for line in lines if line.startswith("actions ")), "")

    def write_run(self, path: str, text: str) -> None:
        """A file below /run, which only those inside see."""
        program = 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"'
        self.debian.run("sh", "-c", program, "sh", f"/run/{path}", text)

    def unit(self, name: str, text: str, *, start: bool = True) -> None:
        self.debian.write(f"/etc/systemd/system/{name}.service", text)
        self.debian.run("systemctl", "daemon-reload")
        if start:
            self.debian.run("systemctl", "start", "--no-block", name)

    def good(self, name: str) -> None:
        """From now on it can run."""
        self.debian.run("touch", f"/run/{name}.good")

    def active(self, unit: str) -> str:
        return self.property("ActiveState", unit)

    def broken(self, unit: str) -> None:
        what = f"{unit} broken"
        self.debian.until(lambda: self.active(unit) == "failed", seconds=30, what=what)

    def property(self, name: str, unit: str = "triaged") -> str:
        return self.debian.say("systemctl", "show", unit, "--value", f"--property={name}")

    # --- asking triaged --------------------------------------------------------------------------

    def json(self, *command: str) -> Any:
        return json.loads(self.debian.run("triaged", *command, "--json").stdout)

    def incident(self, words: str, *, seconds: float = 90) -> dict[str, Any]:
        """The live incident with these words in its title, when there is one."""

        def found() -> list[dict[str, Any]]:
            listed = self.json("incidents", "list")
            rows = listed["incidents"] if isinstance(listed, dict) else listed
            return [row for row in rows if words in row["title"]]

        self.debian.until(lambda: bool(found()), seconds=seconds, what=f"incident of {words}")
        return found()[0]

    def proposals(self, words: str = "") -> list[dict[str, Any]]:
        listed = self.json("proposals", "list")
        rows = listed["proposals"] if isinstance(listed, dict) else listed
        return [row for row in rows if words in row["content"]]

    def proposal(self, words: str, *, seconds: float = 90) -> dict[str, Any]:
        """The one with these words in its content, when there is one."""
        what = f"proposed: {words}"
        try:
            self.debian.until(lambda: bool(self.proposals(words)), seconds=seconds, what=what)
        except AssertionError as error:
            say = self.debian.say
            raise AssertionError(
                "\n".join((str(error), say("triaged", "incidents"), say("triaged", "actions")))
            ) from error
        (found,) = self.proposals(words)
        return found

    def actions(self, target: str, *states: str) -> list[dict[str, Any]]:
        """Newest first; all states where none is named."""
        rows: list[dict[str, Any]] = self.json("actions", "list", "--target", target)
        return [row for row in rows if not states or row["state"] in states]

    def ended(self, target: str, *, seconds: float = 90) -> dict[str, Any]:
        """The newest action on a target, when it has ended as one that was begun."""
        over = ("done", "failed", "unknown")
        self.debian.until(
            lambda: bool(self.actions(target)) and self.actions(target)[0]["state"] in over,
            seconds=seconds,
            what=f"ended: {target}",
        )
        return self.whole(self.actions(target)[0]["id"])

    def whole(self, action: int) -> dict[str, Any]:
        """One action with its entries in the ledger."""
        found: dict[str, Any] = self.json("actions", "show", str(action))
        return found

    def approve(self, code: str) -> dict[str, Any]:
        """By the command line, as root, followed to its end."""
        command = ("triaged", "proposals", "approve", code, "--yes", "--wait", "--json")
        done = self.debian.run(*command, check=False, seconds=200)
        ended: dict[str, Any] = json.loads(done.stdout)["action"]
        assert (done.returncode == 0) == (ended["state"] == "done")
        return ended

    def chat(self, words: str, *, key: str = "", user: str = "root") -> str:
        """What is answered to one message."""
        argv = ("runuser", "-u", user, "--", "python3", ASK, words, key)
        return self.debian.run(*argv, seconds=120).stdout

    def as_triaged(self, *command: str) -> str:
        argv = ("runuser", "-u", "triaged", "--", "env", "HOME=/var/lib/triaged", "triaged")
        return self.debian.run(*argv, *command).stdout

    def new_key(self, name: str, *, role: str) -> None:
        made = self.as_triaged("keys", "add", name, "--role", role, "--json")
        self.keys[name] = json.loads(made)["key"]

    def evidence(self, code: str) -> list[dict[str, Any]]:
        """What a proposal rests on."""
        found: list[dict[str, Any]] = self.json("proposals", "show", code)["evidence"]
        return found

    def reversals(self) -> list[str]:
        """Timers that wait to take something back."""
        command = ("systemctl", "list-timers", "--all", "--no-legend", "triaged-reversal-*")
        return re.findall(r"triaged-reversal-[0-9a-f]+\.timer", self.debian.say(*command))

    def thought_about(self, incident: int) -> None:
        """Waits until every tier that is asked has answered."""
        over = ("watching", "attention")
        self.debian.until(
            lambda: self.told(incident)["incident"]["state"] in over, seconds=60, what="thought of"
        )

    def closed(self, incident: int, *, seconds: float = 120) -> None:
        self.debian.until(
            lambda: self.told(incident)["incident"]["state"] == "closed",
            seconds=seconds,
            what=f"incident {incident} closed",
        )

    def told(self, incident: int) -> dict[str, Any]:
        found: dict[str, Any] = self.json("incidents", "show", str(incident))
        return found

    def notices(self) -> list[dict[str, Any]]:
        text = self.debian.say("cat", "/root/notices")
        return [json.loads(line) for line in text.splitlines()]

    def noticed(self, words: str) -> None:
        """Waits for a notice with these words in its title."""
        self.debian.until(
            lambda: any(words in notice["title"] for notice in self.notices()),
            seconds=60,
            what=f"told: {words}",
        )

    def remembered(self, words: str, incident: int) -> str:
        """The outcome of an incident, as the memory has it."""

        def found() -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = self.json("memory", "search", words, "--limit", "50")
            return [row for row in rows if row["incident_id"] == incident]

        self.debian.until(lambda: bool(found()), seconds=60, what=f"remembered: {words}")
        return str(found()[0]["outcome"])

    # --- the host --------------------------------------------------------------------------------

    def host(self) -> dict[str, Any]:
        """Everything on the host that an action could change."""
        say = self.debian.say
        names = [
            line.split()[0]
            for line in say("systemctl", "list-units", "--all", "--plain", "--no-legend").split(
                "\n"
            )
            if line.split() and not line.startswith(_NOT_COMPARED)
        ]
        files = ("/etc", "/srv", "/opt", "/usr/local", "/tmp", "/var/tmp", "/var/cache/apt")
        units = ("/run/systemd/transient", "/run/systemd/system", "/run/systemd/generator")
        format_ = "%p %s %m %T@ %C@ %i %l\\n"
        return {
            "units": say("systemctl", "show", f"--property=Id,{_STATE}", *names),
            "files": sorted(say("find", *files, *units, "-printf", format_).splitlines()),
            "processes": self._processes(),
            "packets": say("nft", "list", "ruleset"),
            "timers": say("systemctl", "list-timers", "--all", "--no-legend"),
            "mounts": say("cat", "/proc/mounts"),
        }

    def _processes(self) -> list[str]:
        """Number and start of each that is neither triaged's nor ours."""
        told = self.debian.say("ps", "-eo", "pid,ppid,lstart,user,args", "--no-headers")
        ours = ("triaged", "root/wheelhouse", "ps -eo", "nft ")
        return [line for line in told.splitlines() if not any(word in line for word in ours)]
