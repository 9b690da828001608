"""The whole line with a fake toolchain: built, kept, gone on with, fallen back, never half done."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from llama_fakes import FakeTools, llama_archive, machine, program, proof

from tiers.hardware.facts import Gpu, Machine, Vendor
from tiers.llama_build import store as store_module
from tiers.llama_build.build import LlamaBuilder, Prover
from tiers.llama_build.errors import BuildError, StepError
from tiers.llama_build.store import BuildStore
from tiers.llama_build.values import Backend, BuildRequest, Proof
from tiers.runtime.own_builds import builds_folder, current_build

NVIDIA = Gpu(index=0, name="a card", vendor=Vendor.NVIDIA, total=1, free=1, architecture="89")


class Heard:
    """What a listener is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.lines: list[str] = []
        self.fallen: list[tuple[str, tuple[str, ...]]] = []

    def stage(self, words: str) -> None:
        self.stages.append(words)

    def line(self, line: str) -> None:
        self.lines.append(line)

    def fell_back(self, words: str, said: tuple[str, ...]) -> None:
        self.fallen.append((words, said))


class Bench:
    def __init__(self, folder: Path) -> None:
        self.store = BuildStore(builds_folder(folder / "state"))
        self.tools = FakeTools(folder / "tools")
        self.root = folder / "root"
        self.archive = llama_archive(folder / "llama.cpp-b11549.tar.gz")
        self.heard = Heard()
        self.prove: Prover = proof
        self.machine: Machine = machine()

    def build(self, **request: object) -> object:
        builder = LlamaBuilder(
            store=self.store,
            machine=self.machine,
            environ=self.tools.environ,
            listener=self.heard,
            prover=self.prove,
            root=self.root,
        )
        return builder.build(BuildRequest(**{"source": self.archive} | request))  # type: ignore[arg-type]

    @property
    def built(self) -> list[str]:
        return [call for call in self.tools.calls() if "--build" in call]

    @property
    def current(self) -> Path | None:
        return current_build(self.store.folder)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_is_built_tried_installed_and_in_use(bench: Bench) -> None:
    built = bench.build(jobs=3)
    assert bench.current == built.program.resolve()  # type: ignore[attr-defined]
    assert os.access(bench.current, os.X_OK)
    (configured, compiled) = bench.tools.calls()
    assert "-DGGML_NATIVE=ON" in configured
    assert "-G Ninja" in configured
    assert "-DLLAMA_BUILD_NUMBER=11549" in configured
    assert "--target llama-server --parallel 3" in compiled
    assert list(bench.store.work.iterdir()) == []
    assert bench.store.in_use() is not None
    record = json.loads((bench.current.parent / "build.json").read_text())
    assert record["backend"] == "cpu"
    assert record["sha256"]
    assert "[2/4] Building CXX object a/b/two.cpp.o" in bench.heard.lines
    assert "Linking" in bench.store.log.read_text()


def test_the_same_is_not_built_twice_unless_it_must(bench: Bench) -> None:
    first = bench.build()
    again = bench.build()
    assert not again.fresh  # type: ignore[attr-defined]
    assert again.program == first.program  # type: ignore[attr-defined]
    assert len(bench.built) == 1
    bench.build(force=True)
    assert len(bench.built) == 2
    bench.build(definitions={"GGML_BLAS": "ON"})
    assert len(bench.built) == 3
    bench.build()  # the first is still there
    assert len(bench.built) == 3
    assert bench.current == first.program.resolve()  # type: ignore[attr-defined]


def test_what_is_there_and_works_no_more_is_built_anew(bench: Bench) -> None:
    bench.build()
    tried: list[Path] = []

    def once_bad(program: Path, *, backend: Backend) -> Proof:
        tried.append(program)
        if len(tried) == 1:
            raise BuildError("It crashes now.")
        return proof(program, backend=backend)

    bench.prove = once_bad
    assert bench.build().fresh  # type: ignore[attr-defined]
    assert any("It crashes now" in words for words in bench.heard.stages)


def test_a_failed_build_leaves_what_was_in_use_and_is_gone_on_with(bench: Bench) -> None:
    before = bench.build()
    bench.tools.cmake(build="echo 'error: no such instruction'; exit 2")
    with pytest.raises(StepError) as caught:
        bench.build(definitions={"X": "1"})
    assert "error: no such instruction" in caught.value.said
    assert bench.current == before.program.resolve()  # type: ignore[attr-defined]
    (folder,) = bench.store.work.glob("build-*")
    (folder / "object.o").write_text("")
    bench.tools.cmake(build=f"ls {folder}/object.o")
    assert bench.build(definitions={"X": "1"}).fresh  # type: ignore[attr-defined]
    assert any("object.o" in line for line in bench.heard.lines)
    assert not folder.exists()


def test_a_build_that_is_another_clears_what_was_left(bench: Bench) -> None:
    bench.tools.cmake(build="exit 2")
    with pytest.raises(StepError):
        bench.build(definitions={"X": "1"})
    with pytest.raises(StepError):
        bench.build(definitions={"X": "2"})
    assert len(list(bench.store.work.glob("build-*"))) == 1


def test_a_program_that_does_not_prove_itself_is_not_installed(bench: Bench) -> None:
    def bad(program: Path, *, backend: Backend) -> Proof:
        raise BuildError("It computes wrongly.")

    bench.prove = bad
    with pytest.raises(BuildError, match="computes wrongly"):
        bench.build()
    assert bench.current is None
    assert list((bench.store.folder / "builds").iterdir()) == []


def _with_cuda(bench: Bench) -> None:
    bench.machine = machine(NVIDIA)
    bench.tools.tool("nvcc", "Cuda compilation tools, release 12.4, V12.4.131")


def test_a_card_is_built_for(bench: Bench) -> None:
    _with_cuda(bench)
    built = bench.build()
    assert built.backend is Backend.CUDA  # type: ignore[attr-defined]
    assert "-DCMAKE_CUDA_ARCHITECTURES=89-real" in bench.tools.calls()[0]


@pytest.mark.parametrize("step", ["configure", "build"])
def test_it_falls_back_to_the_processor(bench: Bench, step: str) -> None:
    _with_cuda(bench)
    fails = 'case "$*$(cat "$4/on" 2>/dev/null)" in *GGML_CUDA=ON*) echo no cuda; exit 1;; esac'
    if step == "build":
        fails = 'case "$2" in *build-cuda*) echo no cuda; exit 1;; esac'
    bench.tools.cmake(**{step: fails})
    built = bench.build()
    assert built.backend is Backend.CPU  # type: ignore[attr-defined]
    (no_vulkan, no_cuda) = bench.heard.fallen
    assert "there is no glslc" in no_vulkan[0]
    assert "no cuda" in no_cuda[1]
    assert len(built.fallen_back) == 2  # type: ignore[attr-defined]


def test_a_card_that_the_build_does_not_find_falls_back(bench: Bench) -> None:
    _with_cuda(bench)

    def finds_none(program: Path, *, backend: Backend) -> Proof:
        if backend is not Backend.CPU:
            raise BuildError("The new build finds no cuda device here.")
        return proof(program, backend=backend)

    bench.prove = finds_none
    assert bench.build().backend is Backend.CPU  # type: ignore[attr-defined]


def test_what_is_wanted_does_not_fall_back(bench: Bench) -> None:
    _with_cuda(bench)
    bench.tools.cmake(configure="exit 1")
    with pytest.raises(StepError, match="Configuring for cuda"):
        bench.build(backend=Backend.CUDA)
    assert len(bench.tools.calls()) == 1


def test_a_toolchain_that_makes_nothing_is_found_out(bench: Bench) -> None:
    bench.tools.cmake(build="exit 0")
    with pytest.raises(BuildError, match="made no llama-server"):
        bench.build()


def test_what_would_change_the_build_from_outside_is_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.tools.cmake(configure='echo "flags [$CFLAGS$CMAKE_GENERATOR] $LC_ALL"')
    builder = LlamaBuilder(
        store=bench.store,
        machine=machine(),
        environ=bench.tools.environ | {"CFLAGS": "-O0", "CMAKE_GENERATOR": "X", "LC_ALL": "de_DE"},
        listener=bench.heard,
        prover=proof,
        root=bench.root,
    )
    builder.build(BuildRequest(source=bench.archive))
    assert "flags [] C" in bench.heard.lines


def test_two_do_not_build_at_once(bench: Bench) -> None:
    bench.store.folder.mkdir(parents=True)
    with (bench.store.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BuildError, match="Another 'triaged llama build'"):
            bench.build()
    bench.build()


def test_a_full_disk_is_told_before_anything_is_compiled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 5 * 2**20

    monkeypatch.setattr(store_module.shutil, "disk_usage", lambda path: Full)
    with pytest.raises(BuildError, match="5 MiB free and the build needs 600 MiB"):
        bench.build()
    assert bench.tools.calls() == []


def test_old_builds_are_cleared_but_never_the_one_in_use(bench: Bench) -> None:
    first = bench.build()
    for number in range(6):
        bench.build(definitions={"X": str(number)})
    assert len(list((bench.store.folder / "builds").iterdir())) == 4
    assert not first.program.exists()  # type: ignore[attr-defined]
    assert bench.current is not None


def test_records_that_are_broken_are_none(bench: Bench) -> None:
    built = bench.build()
    record = built.program.with_name("build.json")  # type: ignore[attr-defined]
    for text in ("", "[]", "{}", '{"proof": 3}', '{"proof": {}, "backend": "none"}'):
        record.write_text(text)
        assert bench.store.in_use() is None
    assert bench.build().fresh  # type: ignore[attr-defined]


def test_missing_tools_are_told_before_the_source_is_touched(bench: Bench) -> None:
    (bench.root / "etc").mkdir(parents=True)
    (bench.root / "etc/os-release").write_text("ID=debian\n")
    program(bench.tools.folder / "cmake", "exit 1")
    with pytest.raises(BuildError, match="apt install cmake"):
        bench.build()
    assert list(bench.store.work.iterdir()) == []
