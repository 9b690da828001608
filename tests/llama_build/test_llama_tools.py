"""Toolchains that are there, missing, too old or hung; and what is built for on which hardware."""

from __future__ import annotations

from pathlib import Path

import pytest
from llama_fakes import GIB, FakeTools, machine, program, without_system_tools

from tiers.hardware.facts import Gpu, Vendor
from tiers.llama_build import tools as tools_module
from tiers.llama_build.backends import choices
from tiers.llama_build.definitions import arguments, definitions, key_of
from tiers.llama_build.distribution import Manager, Need, how_to_get, manager_in, read_manager
from tiers.llama_build.errors import BuildError
from tiers.llama_build.jobs import parallel_jobs
from tiers.llama_build.progress import step_in
from tiers.llama_build.tools import find_gpu_tools, find_toolchain
from tiers.llama_build.values import Backend, Choice, GpuTools, Source, Tool


def _bare(folder: Path) -> dict[str, str]:
    return {"PATH": without_system_tools(folder)}


def _only(fakes: FakeTools, folder: Path) -> dict[str, str]:
    return {"PATH": f"{fakes.folder}:{without_system_tools(folder)}"}


def test_a_toolchain_is_found(tmp_path: Path) -> None:
    found = find_toolchain(FakeTools(tmp_path).environ, manager=None)
    assert found.cmake.version == (3, 25, 1)
    assert found.cxx.words() == "c++ 12.2.0"
    assert found.generator == "Ninja"


def test_make_serves_where_ninja_is_not(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    fakes.remove("ninja")
    fakes.tool("make", "GNU Make 4.3")
    found = find_toolchain(_only(fakes, tmp_path / "bin"), manager=None)
    assert (found.generator, found.maker.path.name) == ("Unix Makefiles", "make")


@pytest.mark.parametrize(
    ("manager", "words"),
    [
        (Manager.APT, "apt install cmake g++ ninja-build"),
        (Manager.DNF, "dnf install cmake gcc-c++ ninja-build"),
        (Manager.PACMAN, "pacman -S cmake gcc ninja"),
        (None, "cmake: with this system's package manager"),
    ],
)
def test_everything_that_is_missing_is_told_at_once(
    tmp_path: Path, manager: Manager | None, words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        find_toolchain(_bare(tmp_path / "bin"), manager=manager)
    said = str(caught.value)
    assert words in said
    for missing in ("no cmake", "no C++ compiler", "neither ninja nor make"):
        assert missing in said


def test_tools_that_are_too_old_are_told_with_their_version(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    fakes.cmake(version="3.10.2")
    fakes.tool("c++", "c++ (GCC) 8.5.0")
    with pytest.raises(BuildError) as caught:
        find_toolchain(_only(fakes, tmp_path / "bin"), manager=Manager.DNF)
    assert "cmake 3.10.2, and at least 3.18" in str(caught.value)
    assert "c++ 8.5.0, and at least 9.0" in str(caught.value)
    fakes.cmake()
    fakes.tool("clang", "Debian clang version 9.0.1")
    fakes.tool("clang++", "Debian clang version 9.0.1")
    with pytest.raises(BuildError, match=r"clang\+\+ 9.0.1, and at least 10.0"):
        find_toolchain(_only(fakes, tmp_path / "bin"), manager=None)


def test_a_newer_compiler_beside_an_old_one_is_taken(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    fakes.tool("c++", "c++ (GCC) 8.5.0")
    fakes.tool("gcc", "gcc (GCC) 13.1.0")
    fakes.tool("g++", "g++ (GCC) 13.1.0")
    assert find_toolchain(_only(fakes, tmp_path / "bin"), manager=None).cxx.path.name == "g++"


def test_a_compiler_that_is_named_is_taken_or_refused(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path / "tools")
    fakes.tool("gcc-13", "gcc-13 13.1.0")
    fakes.tool("g++-13", "g++-13 13.1.0")
    environ = _only(fakes, tmp_path / "bin") | {"CC": "gcc-13", "CXX": "g++-13"}
    assert find_toolchain(environ, manager=None).cxx.path.name == "g++-13"
    environ["CXX"] = "g++-99"
    with pytest.raises(BuildError, match=r"no g\+\+-99 \(\$CC and \$CXX name it\)"):
        find_toolchain(environ, manager=None)


def test_a_tool_that_hangs_or_fails_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools_module, "_SECONDS", 0.3)
    fakes = FakeTools(tmp_path / "tools")
    program(fakes.folder / "cmake", "exec sleep 60")
    program(fakes.folder / "c++", "exit 1")
    with pytest.raises(BuildError) as caught:
        find_toolchain(_only(fakes, tmp_path / "bin"), manager=None)
    assert str(caught.value).count("does not tell its version") == 2


def test_gpu_tools_are_found_on_the_path_and_where_vendors_put_them(tmp_path: Path) -> None:
    root, path = tmp_path / "root", _bare(tmp_path / "bin")
    assert find_gpu_tools(path, root=root) == GpuTools()
    nvcc = "Cuda compilation tools, release 12.4, V12.4.131"
    program(root / "usr/local/cuda/bin/nvcc", f"echo '{nvcc}'")
    program(
        root / "opt/rocm/bin/hipconfig",
        "case $1 in -R) echo /opt/rocm ;; -l) echo /opt/rocm/llvm/bin ;; "
        "*) echo 6.2.41133-dd7f95766 ;; esac",
    )
    (root / "usr/include/vulkan").mkdir(parents=True)
    (root / "usr/include/vulkan/vulkan.h").write_text("")
    found = find_gpu_tools(path, root=root)
    assert found.nvcc is not None
    assert found.nvcc.version == (12, 4)
    assert found.hipconfig is not None
    assert found.hipconfig.version == (6, 2, 41133)
    assert found.hip_clang == Path("/opt/rocm/llvm/bin/clang")
    assert found.vulkan_headers


@pytest.mark.parametrize(
    ("text", "manager"),
    [
        ('ID=debian\nVERSION_ID="12"', Manager.APT),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', Manager.APT),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', Manager.DNF),
        ("ID=cachyos\nID_LIKE=arch", Manager.PACMAN),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', Manager.ZYPPER),
        ("ID=alpine", Manager.APK),
        ("ID=nixos", None),
        ("", None),
    ],
)
def test_distributions_are_told_apart(text: str, manager: Manager | None, tmp_path: Path) -> None:
    assert manager_in(text) is manager
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(text)
    assert read_manager(tmp_path) is manager


def test_every_need_has_a_way_everywhere() -> None:
    for manager in (*Manager, None):
        for need in Need:
            assert how_to_get([need], manager)


# --- what to build for


def _gpu(vendor: Vendor, architecture: str | None = None) -> Gpu:
    return Gpu(
        index=0, name=f"a {vendor} card", vendor=vendor, total=8 * GIB, free=8 * GIB,
        architecture=architecture,
    )  # fmt: skip


def _tool(name: str, *version: int) -> Tool:
    return Tool(name=name, path=Path("/opt/bin") / name, version=version)


CUDA_12_4 = GpuTools(nvcc=_tool("nvcc", 12, 4))
HIP = GpuTools(
    hipconfig=_tool("hipconfig", 6, 2, 1),
    hip_root=Path("/opt/rocm"),
    hip_clang=Path("/opt/rocm/llvm/bin/clang"),
)
VULKAN = GpuTools(glslc=_tool("glslc", 2023, 8), vulkan_headers=True)


def _ways(*gpus: Gpu, tools: GpuTools, wanted: Backend | None = None) -> list[Choice]:
    return choices(gpus, tools, wanted=wanted, portable=False)[0]


def test_without_a_gpu_the_processor_alone_is_built_for() -> None:
    (only,) = _ways(tools=CUDA_12_4)
    assert only.backend is Backend.CPU
    assert only.definitions == {"GGML_NATIVE": "ON"}
    ((portable,), _) = choices((), GpuTools(), wanted=None, portable=True)
    assert portable.definitions == {"GGML_NATIVE": "OFF"}


def test_nvidia_gets_cuda_for_its_card() -> None:
    cuda, cpu = _ways(_gpu(Vendor.NVIDIA, "89"), _gpu(Vendor.NVIDIA, "86"), tools=CUDA_12_4)
    assert cuda.definitions["CMAKE_CUDA_ARCHITECTURES"] == "86-real;89-real"
    assert cuda.definitions["GGML_CUDA"] == "ON"
    assert cpu.backend is Backend.CPU


@pytest.mark.parametrize(
    ("nvcc", "card", "words"),
    [
        ((11, 5), "86", "CUDA 11.5 is too old"),
        ((12, 4), "120", "does not know the card (sm_120): 12.8 does"),
        ((13, 0), "61", "knows the card (sm_61) no more"),
        ((), "89", "of unknown version is too old"),
    ],
)
def test_a_cuda_that_does_not_fit_the_card_is_left_out(
    nvcc: tuple[int, ...], card: str, words: str
) -> None:
    tools = GpuTools(nvcc=_tool("nvcc", *nvcc))
    ways, closed = choices(
        (_gpu(Vendor.NVIDIA, card),), tools, wanted=None, portable=False, manager=Manager.APT
    )
    assert [way.backend for way in ways] == [Backend.CPU]
    assert words in closed[0]
    assert "nvidia-cuda-toolkit" in closed[0]
    assert "glslc libvulkan-dev" in closed[1]


def test_vulkan_stands_in_for_a_toolchain_that_is_not_there() -> None:
    assert [way.backend for way in _ways(_gpu(Vendor.NVIDIA, "89"), tools=VULKAN)] == [
        Backend.VULKAN,
        Backend.CPU,
    ]
    assert _ways(_gpu(Vendor.INTEL), tools=VULKAN)[0].backend is Backend.VULKAN


def test_amd_gets_hip_for_its_card() -> None:
    hip, _ = _ways(_gpu(Vendor.AMD, "gfx1100"), tools=HIP)
    assert hip.definitions["GPU_TARGETS"] == "gfx1100"
    assert hip.environment["HIPCXX"] == "/opt/rocm/llvm/bin/clang"
    (cpu,) = _ways(_gpu(Vendor.AMD, None), tools=HIP)
    assert cpu.backend is Backend.CPU
    (cpu,) = _ways(_gpu(Vendor.AMD, "gfx1100 -DEVIL=1"), tools=HIP)
    assert cpu.backend is Backend.CPU


def test_macos_gets_metal() -> None:
    ways, _ = choices((), GpuTools(), wanted=None, portable=False, macos=True)
    assert [way.backend for way in ways] == [Backend.METAL, Backend.CPU]


def test_what_is_wanted_is_built_for_or_refused() -> None:
    (only,) = _ways(_gpu(Vendor.NVIDIA, "89"), tools=CUDA_12_4, wanted=Backend.CPU)
    assert only.backend is Backend.CPU
    (only,) = _ways(tools=CUDA_12_4, wanted=Backend.CUDA)  # for another machine
    assert "CMAKE_CUDA_ARCHITECTURES" not in only.definitions
    with pytest.raises(BuildError, match="cuda: there is no nvcc"):
        _ways(_gpu(Vendor.NVIDIA, "89"), tools=VULKAN, wanted=Backend.CUDA)


# --- how


SOURCE = Source(tree=Path("/s"), identity="id", label="s", number=11549, commit="abc")


def test_what_cmake_is_told(tmp_path: Path) -> None:
    toolchain = find_toolchain(FakeTools(tmp_path).environ, manager=None)
    (cpu,) = _ways(tools=GpuTools())
    told = definitions(cpu, source=SOURCE, toolchain=toolchain, extra={"GGML_BLAS": "ON"})
    said = arguments(told)
    assert "-DLLAMA_BUILD_NUMBER=11549" in said
    assert "-DGGML_BLAS=ON" in said
    assert "-DLLAMA_USE_PREBUILT_UI=OFF" in said  # nothing is downloaded
    assert definitions(cpu, source=SOURCE, toolchain=toolchain, extra={"LLAMA_OPENSSL": "ON"})[
        "LLAMA_OPENSSL"
    ] == "ON"  # fmt: skip
    for name in ("X Y", "-P", "A:B", ""):
        with pytest.raises(BuildError, match="no name of a cmake variable"):
            definitions(cpu, source=SOURCE, toolchain=toolchain, extra={name: "x"})


def test_the_key_follows_what_matters(tmp_path: Path) -> None:
    fakes = FakeTools(tmp_path)
    toolchain = find_toolchain(fakes.environ, manager=None)
    (cpu,) = _ways(tools=GpuTools())
    told = definitions(cpu, source=SOURCE, toolchain=toolchain, extra={})

    def key(**changes: object) -> str:
        given = {
            "source": SOURCE, "toolchain": toolchain, "choice": cpu, "features": ("AVX2",),
        } | changes  # fmt: skip
        return key_of(changes.pop("told", told) if "told" in changes else told, **{
            name: value for name, value in given.items() if name != "told"
        })  # type: ignore[arg-type]  # fmt: skip

    assert key() == key()
    fakes.tool("c++", "c++ (Debian) 13.1.0")
    other = Source(tree=Path("/s"), identity="other", label="s", number=11549, commit="abc")
    keys = [
        key(),
        key(source=other),
        key(features=("AVX2", "AVX-512")),
        key(told=told | {"GGML_BLAS": "ON"}),
        key(toolchain=find_toolchain(fakes.environ, manager=None)),
    ]
    assert len(set(keys)) == len(keys)
    portable = told | {"GGML_NATIVE": "OFF"}
    assert key(told=portable) == key(told=portable, features=("AVX-512",))


def test_compilers_run_as_threads_and_memory_allow() -> None:
    def jobs(backend: Backend = Backend.CPU, **given: int) -> int:
        found = machine(**given)
        return parallel_jobs(found.processor, found.memory, backend)

    assert jobs(threads=2, usable=8 * GIB) == 2
    assert jobs(threads=16, usable=4 * GIB) == 3
    assert jobs(Backend.CUDA, threads=16, usable=8 * GIB) == 2
    assert jobs(threads=16, usable=0) == 1
    found = machine(threads=2)
    assert parallel_jobs(found.processor, found.memory, Backend.CPU, asked=7) == 7


@pytest.mark.parametrize(
    ("line", "share", "what"),
    [
        (
            "[12/211] Building CXX object src/CMakeFiles/llama.dir/llama.cpp.o",
            12 / 211,
            "llama.cpp",
        ),
        ("[ 37%] Building C object ggml/CMakeFiles/x.dir/ggml.c.o", 0.37, "ggml.c"),
        ("[100%] Built target llama-server", 1.0, "Built target llama-server"),
        ("[5/0] odd", 1.0, "odd"),
        ("[300/211] odd", 1.0, "odd"),
    ],
)
def test_progress_is_read(line: str, share: float, what: str) -> None:
    step = step_in(line)
    assert step is not None
    assert (step.share, step.what) == (pytest.approx(share), what)


@pytest.mark.parametrize("line", ["", "warning: x", "-- Configuring done", "[x/y] no", "[1/2]"])
def test_what_is_no_progress_is_none(line: str) -> None:
    assert step_in(line) is None
