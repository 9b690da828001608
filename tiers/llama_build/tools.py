"""Which compilers and build tools are here, and whether they are new enough."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tiers.llama_build.distribution import Manager, Need, how_to_get
from tiers.llama_build.errors import BuildError
from tiers.llama_build.values import GpuTools, Tool, Toolchain

_SECONDS = 20.0
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_NVCC_VERSION = re.compile(r"release (\d+)\.(\d+)")
_CMAKE = (3, 18)
"""What llama.cpp's own scripts ask for."""
_GCC, _CLANG = (9, 0), (10, 0)
"""The first with all of C++17's library."""
_PAIRS = (("cc", "c++"), ("gcc", "g++"), ("clang", "clang++"))


def find_toolchain(environ: Mapping[str, str], *, manager: Manager | None) -> Toolchain:
    """What every build needs. Raises `BuildError` that names everything that is missing or too
    old at once, with what to type."""
    troubles: list[str] = []
    needs: list[Need] = []
    cmake = _first(["cmake"], environ)
    if cmake is None:
        troubles.append("there is no cmake")
        needs.append(Need.CMAKE)
    elif (why := _too_old(cmake, _CMAKE)) is not None:
        troubles.append(f"{why}; 'pip install cmake' brings a newer one, too")
        needs.append(Need.CMAKE)
    pair, why = _compilers(environ)
    if pair is None:
        troubles.append(why)
        needs.append(Need.COMPILER)
    maker = _first(["ninja", "ninja-build", "make", "gmake"], environ)
    if maker is None:
        troubles.append("there is neither ninja nor make")
        needs.append(Need.MAKER)
    if cmake is None or pair is None or maker is None or troubles:
        raise BuildError(
            f"llama.cpp cannot be built here: {', '.join(troubles)}. To get what is missing: "
            f"{how_to_get(needs, manager)}."
        )
    generator = "Ninja" if maker.path.name.startswith("ninja") else "Unix Makefiles"
    return Toolchain(cmake=cmake, c=pair[0], cxx=pair[1], maker=maker, generator=generator)


def find_gpu_tools(environ: Mapping[str, str], *, root: Path = Path("/")) -> GpuTools:
    """What there is for GPUs, on the PATH and where vendors put it."""
    named = [environ.get(name) for name in ("CUDA_PATH", "CUDA_HOME")]
    cuda = [Path(folder) / "bin" for folder in named if folder] + [root / "usr/local/cuda/bin"]
    rocm = [Path(environ.get("ROCM_PATH") or root / "opt/rocm") / "bin"]
    nvcc = _first(["nvcc"], environ, folders=cuda, pattern=_NVCC_VERSION)
    hipconfig = _first(["hipconfig"], environ, folders=rocm)
    hip_root, hip_clang = None, None
    if hipconfig is not None:
        hip_root = _path_said([str(hipconfig.path), "-R"])
        clang = _path_said([str(hipconfig.path), "-l"])
        hip_clang = clang / "clang" if clang is not None else None
    sdk = environ.get("VULKAN_SDK")
    headers = [root / "usr/include", root / "usr/local/include"]
    headers += [Path(sdk) / "include"] if sdk else []
    return GpuTools(
        nvcc=nvcc,
        hipconfig=hipconfig,
        hip_root=hip_root,
        hip_clang=hip_clang,
        glslc=_first(["glslc"], environ, folders=[Path(sdk) / "bin"] if sdk else []),
        vulkan_headers=any((folder / "vulkan/vulkan.h").is_file() for folder in headers),
    )


def _compilers(environ: Mapping[str, str]) -> tuple[tuple[Tool, Tool] | None, str]:
    """C and C++ of one kind, or why there are none. What $CC and $CXX name is taken or refused."""
    named = (environ.get("CC"), environ.get("CXX"))
    pairs = [(named[0] or "cc", named[1] or "c++")] if any(named) else list(_PAIRS)
    why = "there is no C++ compiler"
    for c_name, cxx_name in pairs:
        c, cxx = _first([c_name], environ), _first([cxx_name], environ)
        if c is None or cxx is None:
            if any(named):
                why = f"there is no {c_name if c is None else cxx_name} ($CC and $CXX name it)"
            continue
        least = _CLANG if "clang" in _said([str(cxx.path), "--version"]) else _GCC
        old = _too_old(cxx, least)
        if old is None:
            return (c, cxx), ""
        why = old
    return None, why


def _too_old(tool: Tool, least: tuple[int, ...]) -> str | None:
    if not tool.version:
        return f"{tool.path} does not tell its version: does it run?"
    if tool.version < least:
        return f"{tool.path} is {tool.words()}, and at least {'.'.join(map(str, least))} is needed"
    return None


def _first(
    names: Sequence[str],
    environ: Mapping[str, str],
    *,
    folders: Iterable[Path] = (),
    pattern: re.Pattern[str] = _VERSION,
) -> Tool | None:
    """The first of `names` on the PATH, then in `folders`."""
    for name in names:
        places = [environ.get("PATH"), *map(str, folders)]
        for place in places:
            if (found := shutil.which(name, path=place)) is not None:
                said = _said([found, "--version"])
                match = pattern.search(said)
                numbers = match.groups() if match is not None else ()
                version = tuple(int(number) for number in numbers if number is not None)
                return Tool(name=name, path=Path(found), version=version)
    return None


def _path_said(command: Sequence[str]) -> Path | None:
    said = _said(command).strip().splitlines()
    return Path(said[-1]) if said and said[-1].startswith("/") else None


def _said(command: Sequence[str]) -> str:
    """What a tool prints; "" where it fails, hangs or cannot be run."""
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.decode("utf-8", "replace") if ended.returncode == 0 else ""
