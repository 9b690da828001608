"""For each kind an action, a host that is ready for it, and what its effect changes there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kinds_kit import ScriptedHelper, ScriptedHost, action

from daemon.actions.action import Action
from daemon.actions.host.host import Limits, MountState, ProcessState

SYSTEM = "/nix/store/{}-nixos-system"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`make` gives a new host each time; `effect` is what the verb does to it; `asks` is what the
    helper is asked."""

    action: Action
    make: Callable[[], ScriptedHost]
    effect: Callable[[ScriptedHost], None]
    asks: tuple[str, Mapping[str, Any]]


def _process(nice: int = 0) -> ProcessState:
    return ProcessState(
        pid=4711,
        start=99,
        name="worker",
        uid=1000,
        nice=nice,
        state="R",
        unit="",
        command="/usr/bin/worker",
        parent=1,
    )


def _journal(size: int) -> dict[str, str]:
    return {"du --summarize": f"{size}\t/var/log/journal\n"}


def _cache(size: int) -> dict[str, str]:
    return {"du --summarize": f"{size}\t/var/cache/apt/archives\n"}


def _log(inode: int, size: int) -> dict[str, str]:
    return {
        "ls -1": "web\napt\n",
        "cat --": "/etc/hostname {\n  rotate 4\n}\n",
        "stat --format": f"{inode} {size} /etc/hostname\n",
    }


def _mount(options: str) -> ScriptedHost:
    state = MountState(
        point="/srv/data", device="/dev/vdb", type="ext4", options=("ro",), total=0, free=0
    )
    return ScriptedHost(mounted=[state], programs={"findmnt": f"{options}\n"})


def _blocked(blocked: bool) -> ScriptedHost:
    left = 3_599 if blocked else 0
    looked = {"blocked": blocked, "left": left, "why_never": ""}
    return ScriptedHost(helper=ScriptedHelper({"blocked": looked}))


def _tmp(files: int) -> dict[str, Any]:
    return {"files": files, "bytes": files * 100, "whole": True}


def _container(day: int) -> dict[str, Any]:
    return {
        "name": "web",
        "started_at": f"1970-01-0{day}T00:00:00.123456789Z",
        "running": True,
        "restarting": False,
        "health": "",
        "status": "running",
    }


def nixos_links(running: str, boots: str, built: str = "", made: int = 0) -> dict[str, str]:
    read = "readlink --canonicalize-existing --"
    return {
        f"{read} /run/current-system": f"{SYSTEM.format(running)}\n",
        f"{read} /nix/var/nix/profiles/system": f"{SYSTEM.format(boots)}\n",
        f"{read} /nix/var/nix/gcroots": f"{SYSTEM.format(built)}\n",
        "stat --format=%Y": f"{made}\n" if made else "",
        "find /nix/var/nix/profiles": "".join(
            f"system-{number}-link {SYSTEM.format(name)}\n" for number, name in ((7, "a"), (8, "b"))
        ),
    }


def _flake(**programs: Any) -> ScriptedHost:
    limits = Limits(flake="/etc/nixos#host", steady_seconds=0.0)
    return ScriptedHost(limits=limits, programs=nixos_links("b", "b"))


def _updates() -> ScriptedHost:
    listed = {"manager": "apt", "packages": ["libssl3=3.0.2"]}
    return ScriptedHost(
        helper=ScriptedHelper({"security-updates-list": listed}),
        programs={"dpkg-query": "ii  3.0.1\n", "dpkg --compare-versions 3.0.1 ge 3.0.2": ""},
    )


def _updated(host: ScriptedHost) -> None:
    host.programs["dpkg-query"] = "ii  3.0.2\n"
    host.programs["dpkg --compare-versions 3.0.2 ge 3.0.2"] = "yes"


def _set(**changes: Any) -> Callable[[ScriptedHost], None]:
    """Updates of the host's programs, or of what its helper sees."""

    def apply(host: ScriptedHost) -> None:
        host.programs.update(changes.get("programs", {}))
        host.helper.looks.update(changes.get("looks", {}))

    return apply


def _block(kind: str, target: str) -> World:
    return World(
        action=action(kind, target),
        make=lambda: _blocked(False),
        effect=_set(looks=_blocked(True).helper.looks),
        asks=("block", {"network": target, "seconds": 3600}),
    )


def _unblock(kind: str, target: str) -> World:
    return World(
        action=action(kind, target),
        make=lambda: _blocked(True),
        effect=_set(looks=_blocked(False).helper.looks),
        asks=("unblock", {"network": target}),
    )


WORLDS = {
    world.action.kind: world
    for world in (
        World(
            action=action("vacuum_journal", "journal", keep_megabytes=50),
            make=lambda: ScriptedHost(programs=_journal(900_000_000)),
            effect=_set(programs=_journal(40_000_000)),
            asks=("journal-vacuum", {"keep_megabytes": 50}),
        ),
        World(
            action=action("clean_package_cache", "packages"),
            make=lambda: ScriptedHost(programs=_cache(90_000_000)),
            effect=_set(programs=_cache(4_096)),
            asks=("package-cache-clean", {}),
        ),
        World(
            action=action("clean_tmp", "/var/tmp"),
            make=lambda: ScriptedHost(helper=ScriptedHelper({"tmp-look": _tmp(5)})),
            effect=_set(looks={"tmp-look": _tmp(0)}),
            asks=("tmp-clean", {"path": "/var/tmp", "older_than_days": 10}),
        ),
        World(
            action=action("rotate_log", "web"),
            make=lambda: ScriptedHost(programs=_log(5, 1_000)),
            effect=_set(programs=_log(6, 0)),
            asks=("log-rotate", {"name": "web"}),
        ),
        World(
            action=action("remount", "/srv/data", mode="rw"),
            make=lambda: _mount("ro,errors=remount-ro"),
            effect=_set(programs={"findmnt": "rw,errors=remount-ro\n"}),
            asks=("remount", {"point": "/srv/data", "mode": "rw"}),
        ),
        World(
            action=action("end_process", "4711:99"),
            make=lambda: ScriptedHost(running={4711: _process()}),
            effect=lambda host: host.running.clear(),
            asks=("process-end", {"pid": 4711, "start": 99, "signal": "term"}),
        ),
        World(
            action=action("renice_process", "4711:99"),
            make=lambda: ScriptedHost(running={4711: _process()}),
            effect=lambda host: host.running.update({4711: _process(10)}),
            asks=("process-renice", {"pid": 4711, "start": 99, "nice": 10}),
        ),
        _block("block_address", "192.0.2.7"),
        _unblock("unblock_address", "192.0.2.7"),
        _block("block_network", "192.0.2.0/24"),
        _unblock("unblock_network", "192.0.2.0/24"),
        World(
            action=action("security_updates", "packages"),
            make=_updates,
            effect=_updated,
            asks=("security-updates", {"packages": ["libssl3=3.0.2"]}),
        ),
        World(
            action=action("restart_container", "web"),
            make=lambda: ScriptedHost(helper=ScriptedHelper({"containers": _container(1)})),
            effect=_set(looks={"containers": _container(2)}),
            asks=("container-restart", {"container": "web", "engine": "docker"}),
        ),
        World(
            action=action("nixos_build", "/etc/nixos#host"),
            make=_flake,
            effect=_set(programs=nixos_links("b", "b", "c", 1_000_005)),
            asks=("nixos", {"operation": "build"}),
        ),
        World(
            action=action("nixos_test", "/etc/nixos#host"),
            make=_flake,
            effect=_set(programs=nixos_links("c", "b", "c", 1_000_005)),
            asks=("nixos", {"operation": "test"}),
        ),
        World(
            action=action("nixos_switch", "/etc/nixos#host"),
            make=_flake,
            effect=_set(programs=nixos_links("c", "c", "c", 1_000_005)),
            asks=("nixos", {"operation": "switch"}),
        ),
        World(
            action=action("nixos_rollback", "7"),
            make=_flake,
            effect=_set(programs=nixos_links("a", "a")),
            asks=("nixos", {"operation": "rollback", "generation": 7}),
        ),
    )
}
