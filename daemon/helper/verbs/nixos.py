"""Builds, tries and switches to the NixOS configuration that root's helper.toml names, and goes
back to a generation that exists. The same steps that nixos-rebuild takes, one program each."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.helper import generations
from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import FailedError, RefusedError
from daemon.helper.fences import require_writable

BUILT = Path("/nix/var/nix/gcroots/triaged-build")
"""A link to what was built last, which keeps it from being collected."""

_FLAKE = re.compile(r"(/[A-Za-z0-9_./-]+)#([A-Za-z0-9_-]{1,63})", re.ASCII)
_BUILD_SECONDS = 3_000.0
_SWITCH_SECONDS = 500.0
_FEATURES = ("--extra-experimental-features", "nix-command flakes")


def _run(arguments: Arguments, context: Context) -> Done:
    operation = arguments.choice("operation", ("build", "test", "switch", "rollback"))
    require_writable("/etc", drop_in="packages.conf")
    if operation == "rollback":
        generation = arguments.whole("generation", least=1, most=1_000_000)
        arguments.end()
        with context.lock("nixos"):
            return _rollback(generation, context)
    arguments.end()
    with context.lock("nixos"):
        system = _build(context)
        if operation == "switch":
            argv = ["nix-env", "--profile", str(generations.PROFILE), "--set", str(system)]
            context.programs.must(argv, seconds=60)
        if operation != "build":
            _activate(system, operation, context)
    done = {"build": "built", "test": "runs for now", "switch": "is switched to"}[operation]
    return Done(detail=f"{system} {done}", data={"system": str(system)})


def _build(context: Context) -> Path:
    flake = _FLAKE.fullmatch(context.config.flake)
    if flake is None:
        raise RefusedError(
            f'{context.config.file} names no configuration to build: flake = "/etc/nixos#host"'
        )
    path, host = flake.groups()
    what = f"path:{path}#nixosConfigurations.{host}.config.system.build.toplevel"
    argv = ["nix", *_FEATURES, "build", "--no-update-lock-file", "--out-link", str(BUILT), what]
    context.programs.must(argv, seconds=_BUILD_SECONDS)
    system = BUILT.resolve()
    if not (system / "bin" / "switch-to-configuration").is_file():
        raise FailedError(f"what was built is no system: {system}")
    return system


def _rollback(generation: int, context: Context) -> Done:
    system = generations.system_of(generation)
    profile = str(generations.PROFILE)
    argv = ["nix-env", "--profile", profile, "--switch-generation", str(generation)]
    context.programs.must(argv, seconds=60)
    _activate(system, "switch", context)
    return Done(detail=f"generation {generation} is switched to", data={"system": str(system)})


def _activate(system: Path, operation: str, context: Context) -> None:
    argv = [str(system / "bin" / "switch-to-configuration"), operation]
    context.programs.must(argv, seconds=_SWITCH_SECONDS)


NIXOS = Verb(name="nixos", seconds=3_700.0, run=_run)
