"""Stand-ins at the edge: llama-servers that only talk of themselves, and toolchains to order."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tiers.hardware.facts import Gpu, Machine, Memory, Processor
from tiers.llama_build.values import Backend, Proof
from tiers.runtime.flags import OPTIONAL_FLAGS, REQUIRED_FLAGS

ALL_FLAGS = REQUIRED_FLAGS | OPTIONAL_FLAGS
GIB = 2**30


def program(path: Path, lines: str) -> Path:
    """A shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def talking_server(
    path: Path,
    *,
    version: str = "0.6.0 (build 11549, commit abc)",
    flags: Iterable[str] = ALL_FLAGS,
) -> Path:
    """Says its version and options, and counts in `calls` beside it how often it was asked."""
    return program(
        path,
        f"""echo x >> {path.parent}/calls
case $1 in
--version) echo 'version: {version}' >&2; echo 'built with GNU 12.2.0 for Linux x86_64' >&2 ;;
--help) printf '%s\\n' {" ".join(sorted(flags))} ;;
esac""",
    )


def calls(path: Path) -> int:
    return len((path.parent / "calls").read_text().splitlines())


CMAKE = r"""
case "$*" in
--version) echo "cmake version {version}"; exit 0 ;;
esac
echo "$*" >> {log}
case "$*" in
*--build*)
  printf '[1/4] Building CXX object a/b/one.cpp.o\n'
  {build}
  printf '[2/4] Building CXX object a/b/two.cpp.o\nwarning: of a compiler\n[4/4] Linking\n'
  mkdir -p "$2/bin"
  printf '#!/bin/sh\necho built\n' > "$2/bin/llama-server"
  chmod 755 "$2/bin/llama-server" ;;
*)
  echo "-- The C compiler identification is GNU"
  {configure}
  mkdir -p "$4" ;;
esac
"""


class FakeTools:
    """A folder of tools for the PATH. cmake's calls are in `calls`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "cmake.log"
        self.cmake()
        for name in ("cc", "c++"):
            self.tool(name, f"{name} (Debian 12.2.0-14) 12.2.0")
        self.tool("ninja", "1.11.1")

    def cmake(self, *, version: str = "3.25.1", configure: str = ":", build: str = ":") -> None:
        """`configure` and `build` are shell lines in the middle of each step."""
        program(
            self.folder / "cmake",
            CMAKE.format(version=version, log=self._log, configure=configure, build=build),
        )

    def tool(self, name: str, says: str) -> None:
        program(self.folder / name, f"echo '{says}'")

    def remove(self, *names: str) -> None:
        for name in names:
            (self.folder / name).unlink()

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": f"{self.folder}:/bin", "HOME": str(self.folder)}

    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


def without_system_tools(folder: Path) -> str:
    """A PATH with a shell's basics and no compiler."""
    folder.mkdir(exist_ok=True)
    for name in ("sh", "echo", "printf", "mkdir", "chmod", "sleep", "cat"):
        for place in ("/bin", "/usr/bin"):
            if (found := Path(place, name)).exists() and not (folder / name).exists():
                (folder / name).symlink_to(found)
    return str(folder)


def llama_tree(folder: Path, *, endpoint: bool = True) -> Path:
    """What the source of llama.cpp is recognised by."""
    server = folder / "tools" / "server"
    server.mkdir(parents=True)
    (folder / "CMakeLists.txt").write_text('project("llama.cpp" C CXX)\n')
    (server / "server.cpp").write_text("/v1/systemone" if endpoint else "none of that")
    return folder


def llama_archive(path: Path, *, top: str = "llama.cpp-b11549", endpoint: bool = True) -> Path:
    texts = {
        "CMakeLists.txt": b'project("llama.cpp" C CXX)\n',
        "tools/server/server.cpp": b"/v1/systemone" if endpoint else b"",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(f"{top}/{name}" if top else name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return path


def machine(*gpus: Gpu, usable: int = 8 * GIB, threads: int = 4) -> Machine:
    return Machine(
        processor=Processor(
            name="a processor",
            architecture="x86_64",
            sockets=1,
            cores=threads,
            threads=threads,
            usable_threads=threads,
            quota=None,
            features=("AVX2",),
            numa_nodes=1,
        ),
        memory=Memory(total=usable, available=usable, swap_total=0, swap_free=0),
        gpus=gpus,
        listed=(),
        disks=(),
        container=None,
        notes=(),
    )


def proof(program: Path, *, backend: Backend) -> Proof:
    """Finds every program good."""
    return Proof(version="0.6.0", build=11549, devices=(), ready_seconds=0.5, decision_seconds=0.01)
