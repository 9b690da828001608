"""Package managers: which one the host has, and which security updates it lists."""

from __future__ import annotations

import re
from collections.abc import Mapping

from daemon.helper.errors import FailedError, RefusedError
from daemon.helper.programs import Programs

APT_ENVIRONMENT: Mapping[str, str] = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_MODE": "l",
    "UCF_FORCE_CONFFOLD": "1",
}
_LIST_SECONDS = 120.0
_OUTPUT = 4_000_000
_APT_INSTALLS = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) (.*?) ?\[[^\]]*\]\)", re.MULTILINE)
_DNF_UPDATE = re.compile(r"^(\S+)\s+(\S*[0-9]\S*-\S+)\s+(\S+)$")
_UPDATES_THERE = 100
"""The exit status of `dnf check-update` when there are some."""


def manager(programs: Programs) -> str:
    """apt or dnf. Raises `RefusedError` for a host with neither."""
    if programs.find("apt-get") and programs.find("dpkg"):
        return "apt"
    if programs.find("dnf"):
        return "dnf"
    raise RefusedError("the helper knows apt and dnf, and this host has neither")


def security_updates(programs: Programs) -> frozenset[str]:
    """What the manager would install now for security, as "name=version"."""
    if manager(programs) == "apt":
        return frozenset(
            f"{name}={version}"
            for name, version, origins in apt_simulated(["upgrade"], programs)
            if "security" in origins.lower()
        )
    argv = ["dnf", "--quiet", "--security", "check-update"]
    output = programs.run(argv, seconds=_LIST_SECONDS, limit=_OUTPUT)
    if output.status not in {0, _UPDATES_THERE}:
        raise FailedError(f"dnf does not list updates: {output.last}")
    found = (_DNF_UPDATE.match(line) for line in _before_obsoletes(output.text))
    return frozenset(f"{match[1]}={match[2]}" for match in found if match)


def apt_simulated(words: list[str], programs: Programs) -> list[tuple[str, str, str]]:
    """Name, version and origins of what `apt-get WORDS` would install. It changes nothing."""
    argv = ["apt-get", "--simulate", "--quiet", "-o", "Debug::NoLocking=true", *words]
    output = programs.must(argv, seconds=_LIST_SECONDS, limit=_OUTPUT, environment=APT_ENVIRONMENT)
    if output.cut:
        raise FailedError("apt-get lists more than can be read")
    return _APT_INSTALLS.findall(output.text)


def _before_obsoletes(text: str) -> list[str]:
    return text.split("Obsoleting Packages")[0].splitlines()
