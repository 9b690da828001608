"""Which llama-server runs: `$LLAMA_BIN`, else the one that `triaged llama build` made, else one on
the PATH, else the one in the wheel.

What the operator names is taken or refused, never passed over. What was only found is passed over
when it is too old or does not run, and `triaged llama status` says so.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiers.runtime.capabilities import Capabilities
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.flags import REQUIRED_FLAGS
from tiers.runtime.known import KnownPrograms
from tiers.runtime.own_builds import PROGRAM, current_build

MINIMUM_BUILD = 11434
"""The oldest build that this was checked against. The bundled models are decision models, which
(`/v1/systemone`) and the options of `flags.py` older ones may lack."""

LLAMA_BIN = "$LLAMA_BIN"
OWN_BUILD = "triaged llama build"
PATH = "PATH"
WHEEL = "wheel"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A llama-server. `path` None means the one in the wheel; `origin` says how it was found.
    `capabilities` None: nobody asked it, and every option is passed."""

    path: Path | None
    origin: str
    capabilities: Capabilities | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A llama-server that could run. `problem` is a sentence on why it is not taken, "" where it
    is fit."""

    binary: Binary
    problem: str = ""


def find_binary(environ: Mapping[str, str], *, builds: Path | None = None) -> Binary:
    """The first that is fit. `builds` is the folder of own builds. Blocks for up to a second.
    Raises `MisconfiguredError` when `$LLAMA_BIN` is not fit, or nothing is."""
    return choose(candidates(environ, builds=builds))


def choose(found: Sequence[Candidate]) -> Binary:
    """Of what `candidates` found. Raises `MisconfiguredError`."""
    for candidate in found:
        if not candidate.problem:
            return candidate.binary
        if candidate.binary.origin == LLAMA_BIN:
            raise MisconfiguredError(candidate.problem)
    raise MisconfiguredError(
        " ".join(
            [
                *(candidate.problem for candidate in found),
                (
                    "There is no llama-server: install the xllamacpp package, build one with "
                    "'triaged llama build', put llama-server on the PATH, or set $LLAMA_BIN."
                ),
            ]
        )
    )


def candidates(environ: Mapping[str, str], *, builds: Path | None = None) -> list[Candidate]:
    """Every llama-server there is, the preferred one first, each looked at."""
    known = KnownPrograms(builds)
    found = []
    if named := environ.get("LLAMA_BIN"):
        found.append(_named(Path(named).expanduser(), known))
    if builds is not None and (own := current_build(builds)) is not None:
        found.append(_looked_at(own, OWN_BUILD, known))
    if on_path := shutil.which(PROGRAM, path=environ.get("PATH")):
        found.append(_looked_at(Path(on_path).resolve(), PATH, known))
    if importlib.util.find_spec("xllamacpp") is not None:
        found.append(_wheel())
    return found


def _named(path: Path, known: KnownPrograms) -> Candidate:
    if path.is_dir():
        path /= PROGRAM
    problem = ""
    if not path.is_file():
        problem = (
            f"There is no {path} (named by $LLAMA_BIN); set it to a llama-server program, "
            "or unset it to use the built-in one."
        )
    elif not os.access(path, os.X_OK):
        problem = f"{path} (named by $LLAMA_BIN) is not executable; chmod +x it, or unset it."
    if problem:
        return Candidate(binary=Binary(path=path, origin=LLAMA_BIN), problem=problem)
    return _looked_at(path.resolve(), LLAMA_BIN, known)


def _looked_at(path: Path, origin: str, known: KnownPrograms) -> Candidate:
    try:
        capabilities = known.capabilities(path)
    except MisconfiguredError as error:
        return Candidate(binary=Binary(path=path, origin=origin), problem=f"{error} ({origin})")
    return Candidate(
        binary=Binary(path=path, origin=origin, capabilities=capabilities),
        problem=unfit(capabilities, name=f"{path} ({origin})"),
    )


def unfit(capabilities: Capabilities, *, name: str) -> str:
    """Why a program cannot be used, "" where it can."""
    if capabilities.build is not None and capabilities.build < MINIMUM_BUILD:
        return (
            f"{name} is build {capabilities.build}, older than {MINIMUM_BUILD}, the oldest that "
            "works with this version; take a newer one, or build one with 'triaged llama build'."
        )
    if missing := sorted(REQUIRED_FLAGS - capabilities.flags):
        return (
            f"{name} does not know {', '.join(missing)}; take a build of {MINIMUM_BUILD} or later, "
            "or build one with 'triaged llama build'."
        )
    return ""


def _wheel() -> Candidate:
    version = importlib.metadata.version("xllamacpp")
    number = re.search(r"\.(\d{4,})(?:\.\d+)?$", version)
    build = int(number[1]) if number is not None else None
    capabilities = Capabilities(build=build, version=f"xllamacpp {version}")
    problem = ""
    if build is not None and build < MINIMUM_BUILD:
        problem = (
            f"The xllamacpp package {version} has build {build}, older than {MINIMUM_BUILD}, the "
            "oldest that works with this version: install a newer one."
        )
    return Candidate(
        binary=Binary(path=None, origin=WHEEL, capabilities=capabilities), problem=problem
    )
