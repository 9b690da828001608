"""The words of a build, as values."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path

DEFAULT_URL = "https://github.com/ggml-org/llama.cpp"
DEFAULT_TAG = "b11549"
"""The build that the bundled models, the options and the endpoints were last checked against; the
same as the wheel's."""


class Backend(enum.StrEnum):
    """What a build computes on, beside the processor."""

    CPU = "cpu"
    CUDA = "cuda"
    HIP = "hip"
    VULKAN = "vulkan"
    METAL = "metal"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What was asked for. `source` is a checkout or an archive; without one `tag` is fetched from
    `url`. `backend` None: what fits the hardware, the processor alone if that fails. `portable`
    leaves out instructions that other processors may lack. `number` is the build number, where the
    source does not tell. `definitions` go to cmake as they are, last."""

    source: Path | None = None
    url: str = DEFAULT_URL
    tag: str = DEFAULT_TAG
    sha256: str | None = None
    number: int | None = None
    backend: Backend | None = None
    portable: bool = False
    jobs: int | None = None
    definitions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    force: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source tree. `identity` changes whenever its content may have; `label` is for people;
    `number` is the build number, None where nothing tells. `commit` is what the program will say
    of its own, `sha256` the archive's."""

    tree: Path
    identity: str
    label: str
    number: int | None
    commit: str
    sha256: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program of the toolchain. `version` is () where it does not tell."""

    name: str
    path: Path
    version: tuple[int, ...]

    def words(self) -> str:
        return f"{self.path.name} {'.'.join(map(str, self.version))}".strip()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What every build needs. `generator` is cmake's name for what `maker` reads."""

    cmake: Tool
    c: Tool
    cxx: Tool
    maker: Tool
    generator: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GpuTools:
    """What there is for GPUs; None for what is not here. `hip_root` and `hip_clang` are what
    hipconfig tells."""

    nvcc: Tool | None = None
    hipconfig: Tool | None = None
    hip_root: Path | None = None
    hip_clang: Path | None = None
    glslc: Tool | None = None
    vulkan_headers: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to build. `why` is for people. `definitions` are cmake's; `environment` is added to
    the steps'; `tools` are those that only this backend needs."""

    backend: Backend
    why: str
    definitions: Mapping[str, str]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tools: tuple[Tool, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the program did when it was tried. Times are in seconds."""

    version: str
    build: int | None
    devices: tuple[str, ...]
    ready_seconds: float
    decision_seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A llama-server that was built and tried. `fresh` False: it was there already. `fallen_back`
    are sentences on better ways that failed. `seconds` is how long it took to make."""

    program: Path
    key: str
    source: str
    sha256: str | None
    backend: Backend
    definitions: Mapping[str, str]
    compiler: str
    cmake: str
    seconds: float
    finished: str
    proof: Proof
    fresh: bool = True
    fallen_back: tuple[str, ...] = ()
