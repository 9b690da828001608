"""What to build for on this hardware with these tools, the best way first. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tiers.hardware.facts import Gpu, Vendor
from tiers.llama_build.distribution import Manager, Need, how_to_get
from tiers.llama_build.errors import BuildError
from tiers.llama_build.values import Backend, Choice, GpuTools

_LEAST_CUDA = (11, 7)
# Compute capability to the first CUDA that knows it (CUDA's release notes).
_CUDA_KNOWS = {86: (11, 1), 87: (11, 4), 89: (11, 8), 90: (11, 8), 100: (12, 8), 103: (12, 9)}
_CUDA_KNOWS |= {110: (13, 0), 120: (12, 8), 121: (12, 9)}
_OLDEST_OF_CUDA_13 = 75
_LEAST_HIP = (6, 1)
_GFX = re.compile(r"gfx[0-9a-f]{3,5}")


def choices(
    gpus: Sequence[Gpu],
    tools: GpuTools,
    *,
    wanted: Backend | None,
    portable: bool,
    macos: bool = False,
    manager: Manager | None = None,
) -> tuple[list[Choice], list[str]]:
    """Ways to build in the order in which they are tried, and sentences on ways that are closed.

    The processor alone is always the last, unless another is `wanted`: then only that one. Raises
    `BuildError` where what is wanted cannot be built here."""
    native = "OFF" if portable else "ON"
    cpu = Choice(
        backend=Backend.CPU,
        why="the processor alone",
        definitions={"GGML_NATIVE": native},
    )
    ways: list[Choice] = []
    closed: list[str] = []
    for backend in _worth_trying(gpus, wanted=wanted, macos=macos):
        found = {
            Backend.CUDA: _cuda,
            Backend.HIP: _hip,
            Backend.VULKAN: _vulkan,
            Backend.METAL: _metal,
        }[backend](gpus, tools)
        if isinstance(found, Choice):
            ways.append(_with_native(found, native))
        else:
            need = {Backend.CUDA: Need.CUDA, Backend.HIP: Need.HIP, Backend.VULKAN: Need.VULKAN}
            get = f" (to get it: {how_to_get([need[backend]], manager)})" if backend in need else ""
            closed.append(f"{backend}: {found}{get}")
    if wanted is not None and wanted is not Backend.CPU:
        if not ways:
            raise BuildError(f"Nothing can be built for {'; '.join(closed)}.")
        return ways, closed
    return [*ways, cpu], closed


def _worth_trying(gpus: Sequence[Gpu], *, wanted: Backend | None, macos: bool) -> list[Backend]:
    if wanted is not None:
        return [] if wanted is Backend.CPU else [wanted]
    vendors = {gpu.vendor for gpu in gpus}
    ways = []
    if macos:
        ways.append(Backend.METAL)
    if Vendor.NVIDIA in vendors:
        ways.append(Backend.CUDA)
    if Vendor.AMD in vendors:
        ways.append(Backend.HIP)
    if vendors & {Vendor.NVIDIA, Vendor.AMD, Vendor.INTEL, Vendor.OTHER}:
        ways.append(Backend.VULKAN)
    return ways


def _with_native(choice: Choice, native: str) -> Choice:
    return Choice(
        backend=choice.backend,
        why=choice.why,
        definitions={"GGML_NATIVE": native, **choice.definitions},
        environment=choice.environment,
        tools=choice.tools,
    )


def _cuda(gpus: Sequence[Gpu], tools: GpuTools) -> Choice | str:
    if tools.nvcc is None:
        return "there is no nvcc"
    version = tools.nvcc.version
    said = ".".join(map(str, version)) or "of unknown version"
    if version < _LEAST_CUDA:
        return f"CUDA {said} is too old"
    cards = [gpu for gpu in gpus if gpu.vendor is Vendor.NVIDIA]
    targets = {
        int(gpu.architecture)
        for gpu in cards
        if gpu.architecture is not None and gpu.architecture.isdigit()
    }
    for target in sorted(targets):
        if version < _CUDA_KNOWS.get(target, _LEAST_CUDA):
            first = ".".join(map(str, _CUDA_KNOWS[target]))
            return f"CUDA {said} does not know the card (sm_{target}): {first} does"
        if version >= (13, 0) and target < _OLDEST_OF_CUDA_13:
            return f"CUDA {said} knows the card (sm_{target}) no more: 12.9 does"
    definitions = {"GGML_CUDA": "ON", "CMAKE_CUDA_COMPILER": str(tools.nvcc.path)}
    if targets:
        definitions["CMAKE_CUDA_ARCHITECTURES"] = ";".join(
            f"{target}-real" for target in sorted(targets)
        )
    names = ", ".join(dict.fromkeys(gpu.name for gpu in cards)) or "no card seen here"
    return Choice(
        backend=Backend.CUDA,
        why=f"CUDA {said} for {names}",
        definitions=definitions,
        tools=(tools.nvcc,),
    )


def _hip(gpus: Sequence[Gpu], tools: GpuTools) -> Choice | str:
    if tools.hipconfig is None:
        return "there is no hipconfig"
    if tools.hip_root is None or tools.hip_clang is None:
        return f"{tools.hipconfig.path} does not tell where its compiler is"
    said = ".".join(map(str, tools.hipconfig.version)) or "of unknown version"
    if tools.hipconfig.version < _LEAST_HIP:
        return f"ROCm {said} is too old"
    cards = [gpu for gpu in gpus if gpu.vendor is Vendor.AMD]
    targets = {
        gpu.architecture
        for gpu in cards
        if gpu.architecture is not None and _GFX.fullmatch(gpu.architecture)
    }
    if not targets:
        return (
            "the kernel does not tell the card's architecture (is amdgpu's compute driver there?)"
        )
    names = ", ".join(dict.fromkeys(gpu.name for gpu in cards))
    listed = ";".join(sorted(targets))
    return Choice(
        backend=Backend.HIP,
        why=f"ROCm {said} for {names}",
        # Older sources know only the older name.
        definitions={"GGML_HIP": "ON", "GPU_TARGETS": listed, "AMDGPU_TARGETS": listed},
        environment={"HIPCXX": str(tools.hip_clang), "HIP_PATH": str(tools.hip_root)},
        tools=(tools.hipconfig,),
    )


def _vulkan(gpus: Sequence[Gpu], tools: GpuTools) -> Choice | str:
    if tools.glslc is None:
        return "there is no glslc"
    if not tools.vulkan_headers:
        return "Vulkan's headers are not here"
    names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus)) or "no card seen here"
    return Choice(
        backend=Backend.VULKAN,
        why=f"Vulkan for {names}",
        definitions={"GGML_VULKAN": "ON", "Vulkan_GLSLC_EXECUTABLE": str(tools.glslc.path)},
        tools=(tools.glslc,),
    )


def _metal(gpus: Sequence[Gpu], tools: GpuTools) -> Choice | str:
    return Choice(
        backend=Backend.METAL,
        why="Metal",
        definitions={"GGML_METAL": "ON", "GGML_METAL_EMBED_LIBRARY": "ON"},
    )
