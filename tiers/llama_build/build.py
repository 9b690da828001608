"""The straight line from a source to a llama-server that was tried and is in use."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tiers.hardware.facts import Machine
from tiers.llama_build.backends import choices
from tiers.llama_build.definitions import definitions, key_of
from tiers.llama_build.distribution import read_manager
from tiers.llama_build.errors import BuildError, StepError
from tiers.llama_build.jobs import disk_needed, parallel_jobs
from tiers.llama_build.proof import prove
from tiers.llama_build.sources import open_source
from tiers.llama_build.steps import compile_server
from tiers.llama_build.store import BuildStore
from tiers.llama_build.tools import find_gpu_tools, find_toolchain
from tiers.llama_build.values import (
    Backend,
    BuildRequest,
    Built,
    Choice,
    Proof,
    Source,
    Toolchain,
)


class Prover(Protocol):
    """Tries a program; see `proof.prove`."""

    def __call__(self, program: Path, *, backend: Backend) -> Proof: ...


class BuildListener(Protocol):
    """Hears how it goes, in the thread of the build."""

    def stage(self, words: str) -> None:
        """Something new begins, or was decided."""

    def line(self, line: str) -> None:
        """A line that git, cmake or a compiler printed."""

    def fell_back(self, words: str, said: tuple[str, ...]) -> None:
        """A better way failed; `said` are its last lines. The next one is tried."""


class LlamaBuilder:
    """Builds in `store` for `machine`. `environ` is what the steps see. `root` is where the
    system's files are."""

    def __init__(
        self,
        *,
        store: BuildStore,
        machine: Machine,
        environ: Mapping[str, str],
        listener: BuildListener,
        prover: Prover = prove,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._machine = machine
        self._environ = dict(environ)
        self._listener = listener
        self._prove = prover
        self._root = root
        self._clock = clock

    def build(self, request: BuildRequest) -> Built:
        """Returns the build that is in use now. Raises `BuildError`; then what was in use before
        still is, and the next call goes on where this one stopped."""
        with self._store.held():
            self._store.new_log()
            manager = read_manager(self._root)
            toolchain = find_toolchain(self._environ, manager=manager)
            ways, closed = choices(
                self._machine.gpus,
                find_gpu_tools(self._environ, root=self._root),
                wanted=request.backend,
                portable=request.portable,
                macos=sys.platform == "darwin",
                manager=manager,
            )
            for words in closed:
                self._listener.fell_back(words, ())
            self._listener.stage("looking at the source")
            source = open_source(
                request,
                work=self._store.work,
                log=self._store.log,
                environ=self._environ,
                manager=manager,
                on_line=self._listener.line,
            )
            built = self._first_that_works(request, source, toolchain, ways, closed)
            self._store.use(built.key)
            self._store.clear_work()
            return built

    def _first_that_works(
        self,
        request: BuildRequest,
        source: Source,
        toolchain: Toolchain,
        ways: list[Choice],
        closed: list[str],
    ) -> Built:
        fallen_back = list(closed)
        for number, choice in enumerate(ways, start=1):
            try:
                return self._one_way(request, source, toolchain, choice, tuple(fallen_back))
            except BuildError as error:
                if number == len(ways):
                    raise
                said = error.said if isinstance(error, StepError) else ()
                fallen_back.append(str(error))
                self._listener.fell_back(str(error), said)
        raise BuildError("There is no way to build llama.cpp here.")

    def _one_way(
        self,
        request: BuildRequest,
        source: Source,
        toolchain: Toolchain,
        choice: Choice,
        fallen_back: tuple[str, ...],
    ) -> Built:
        told = definitions(choice, source=source, toolchain=toolchain, extra=request.definitions)
        key = key_of(
            told,
            source=source,
            toolchain=toolchain,
            choice=choice,
            features=self._machine.processor.features,
        )
        made = None if request.force else self._store.find(key)
        if made is not None:
            self._listener.stage(f"{source.label} is built already; trying it")
            try:
                self._prove(made.program, backend=choice.backend)
            except BuildError as error:
                self._listener.stage(f"it is built anew: {error}")
            else:
                return made
        self._store.room(disk_needed(choice.backend))
        folder = self._store.build_folder(key)
        self._store.clear_work(keep=[folder, *self._trees(source)])
        jobs = parallel_jobs(
            self._machine.processor, self._machine.memory, choice.backend, asked=request.jobs
        )
        self._listener.stage(
            f"building {source.label} for {choice.why} with {toolchain.cxx.words()}, {jobs} at once"
        )
        begun = self._clock()
        program = compile_server(
            source=source,
            toolchain=toolchain,
            choice=choice,
            told=told,
            folder=folder,
            jobs=jobs,
            log=self._store.log,
            environ=self._environ,
            on_line=self._listener.line,
        )
        self._listener.stage("trying it with the bundled models")
        proof = self._prove(program, backend=choice.backend)
        return self._store.install(
            program,
            Built(
                program=program,
                key=key,
                source=source.label,
                sha256=source.sha256,
                backend=choice.backend,
                definitions=told,
                compiler=toolchain.cxx.words(),
                cmake=toolchain.cmake.words(),
                seconds=self._clock() - begun,
                finished=datetime.now(UTC).isoformat(timespec="seconds"),
                proof=proof,
                fallen_back=fallen_back,
            ),
        )

    def _trees(self, source: Source) -> list[Path]:
        """What the source needs below the work folder."""
        work = self._store.work
        return [work / source.tree.relative_to(work).parts[0]] if self._is_ours(source) else []

    def _is_ours(self, source: Source) -> bool:
        return source.tree.is_relative_to(self._store.work)
