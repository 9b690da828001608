"""Reversals outside of the daemon: transient timers of systemd that carry out one command.

The command is derived here from kind and target, and leads back to what holds while it is armed:
a unit that runs is started, one that does not is stopped, an enabled one is enabled, the running
generation of NixOS is switched to, a block is lifted. So nobody gets more by it than by waiting.
"""

from __future__ import annotations

import re

from daemon.helper import firewall, generations, units
from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import FailedError, RefusedError

_TOKEN = re.compile(r"[0-9a-f]{8,32}", re.ASCII)
_TARGET = re.compile(r"[A-Za-z0-9:_.\\@/-]{1,250}", re.ASCII)
_KINDS = (
    "start_unit",
    "stop_unit",
    "enable_unit",
    "nixos_rollback",
    "unblock_address",
    "unblock_network",
)
_RUNS = frozenset({"active", "activating", "reloading"})
_WANTED = _RUNS | {"failed", "deactivating", "refreshing", "maintenance"}
"""Somebody started it. Else a start would be one of any unit: a shell without password, a halt."""


def _arm(arguments: Arguments, context: Context) -> Done:
    token = arguments.text("token", _TOKEN)
    kind = arguments.choice("kind", _KINDS)
    target = arguments.text("target", _TARGET)
    seconds = arguments.whole("after_seconds", least=30, most=7_200)
    arguments.end()
    with context.lock(f"reversal {token}"):
        command = _command(kind, target, context)
        argv = [
            *("systemd-run", "--quiet", "--collect", "--no-ask-password"),
            f"--unit=triaged-reversal-{token}",
            f"--description=Reversal {token} of triaged, unless a person confirms",
            f"--on-active={seconds}s",
            "--timer-property=AccuracySec=1s",
            "--timer-property=RemainAfterElapse=no",
            "--service-type=oneshot",
            *("--", *command),
        ]
        context.programs.must(argv, seconds=30)
    return Done(
        detail=f"triaged-reversal-{token}.timer waits {seconds} s", data={"command": command}
    )


def _cancel(arguments: Arguments, context: Context) -> Done:
    token = arguments.text("token", _TOKEN)
    arguments.end()
    timer = f"triaged-reversal-{token}.timer"
    with context.lock(f"reversal {token}"):
        argv = ["systemctl", "--no-ask-password", "stop", "--", timer]
        context.programs.must(argv, seconds=30)
    return Done(detail=f"{timer} was cancelled")


def _command(kind: str, target: str, context: Context) -> list[str]:
    if kind.startswith("unblock_"):
        network = firewall.network_of(target)
        return [_path("nft", context), *firewall.delete_words(network)]
    if kind == "nixos_rollback":
        generation = generations.number_of(target)
        if generation != generations.current():
            raise RefusedError(f"generation {generation} is not the one that runs")
        return [str(generations.switcher(generation)), "switch"]
    if not units.NAME.fullmatch(target):
        raise RefusedError("the target is not a unit that can be started or stopped")
    unit = units.look(target, context.programs)
    if kind == "stop_unit" and unit.active in _RUNS:
        raise RefusedError(f"{target} runs: to stop it would not lead back to what is now")
    if kind == "start_unit" and unit.active not in _WANTED:
        raise RefusedError(
            f"{target} is {unit.active}: to start it would not lead back to what is now"
        )
    if kind == "enable_unit" and unit.file != "enabled":
        raise RefusedError(f"{target} is {unit.file}: to enable it would not lead back to now")
    verb = kind.removesuffix("_unit")
    return [_path("systemctl", context), "--no-ask-password", verb, "--", target]


def _path(name: str, context: Context) -> str:
    path = context.programs.find(name)
    if path is None:
        raise FailedError(f"this host has no {name} that is root's alone")
    return str(path)


REVERSAL_ARM = Verb(name="reversal-arm", seconds=60.0, run=_arm)
REVERSAL_CANCEL = Verb(name="reversal-cancel", seconds=60.0, run=_cancel)
