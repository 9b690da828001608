"""The two steps of cmake: configure and build. What was built already is not built again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiers.llama_build.definitions import arguments
from tiers.llama_build.errors import BuildError
from tiers.llama_build.process import OnLine, run_step
from tiers.llama_build.values import Choice, Source, Toolchain
from tiers.runtime.own_builds import PROGRAM

_CONFIGURE_SILENCE = 300.0
_BUILD_SILENCE = 1800.0
"""The largest files for GPUs take minutes each on a slow processor."""

# What would change the result behind the key's back.
_DROPPED = ("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CUDAFLAGS", "HIPFLAGS", "MAKEFLAGS")
_DROPPED_PREFIXES = ("CMAKE_", "LLAMA_", "GGML_", "NINJA", "HF_")


def step_environment(environ: Mapping[str, str], choice: Choice) -> dict[str, str]:
    """The environment of the steps: in English, so that what is printed can be read."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)
    }
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **choice.environment}


def compile_server(
    *,
    source: Source,
    toolchain: Toolchain,
    choice: Choice,
    told: Mapping[str, str],
    folder: Path,
    jobs: int,
    log: Path,
    environ: Mapping[str, str],
    on_line: OnLine,
) -> Path:
    """Configures and builds in `folder`; goes on where it stopped. Returns the program. Raises
    `StepError`."""
    folder.mkdir(parents=True, exist_ok=True)
    stepping = step_environment(environ, choice)
    run_step(
        [
            *(str(toolchain.cmake.path), "-S", str(source.tree), "-B", str(folder)),
            *("-G", toolchain.generator, f"-DCMAKE_MAKE_PROGRAM={toolchain.maker.path}"),
            *arguments(told),
        ],
        what=f"Configuring for {choice.backend}",
        folder=folder,
        log=log,
        environ=stepping,
        silence=_CONFIGURE_SILENCE,
        on_line=on_line,
    )
    run_step(
        [
            *(str(toolchain.cmake.path), "--build", str(folder), "--target", PROGRAM),
            *("--parallel", str(jobs)),
        ],
        what=f"Building for {choice.backend}",
        folder=folder,
        log=log,
        environ=stepping,
        silence=_BUILD_SILENCE,
        on_line=on_line,
    )
    for place in (folder / "bin" / PROGRAM, folder / "bin" / "Release" / PROGRAM):
        if place.is_file():
            return place
    raise BuildError(f"The build ended well but made no {PROGRAM}; see {log}.")
