"""Where the source comes from: a checkout, an archive, or a tag that is fetched."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tiers.llama_build.archives import extract, sha256_of
from tiers.llama_build.clone import fetch_tag
from tiers.llama_build.distribution import Manager
from tiers.llama_build.errors import BuildError
from tiers.llama_build.process import OnLine
from tiers.llama_build.values import BuildRequest, Source
from tiers.runtime.binary import MINIMUM_BUILD

_NUMBER = re.compile(r"(?:^|[^A-Za-z0-9])b(\d{4,6})(?![0-9])")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_SECONDS = 60.0
_ENDPOINT = b"systemone"
"""What decision models are asked by; the server's own source names it."""


def open_source(
    request: BuildRequest,
    *,
    work: Path,
    log: Path,
    environ: Mapping[str, str],
    manager: Manager | None,
    on_line: OnLine,
) -> Source:
    """The tree, below `work` unless it is a checkout. What an earlier try unpacked or fetched is
    used again. Raises `BuildError` for what is no llama.cpp, too old, or not what `sha256` says."""
    if request.sha256 is not None and (request.source is None or request.source.is_dir()):
        raise BuildError("--sha256 is of an archive: say --source FILE with it.")
    if request.source is None:
        source = _tag(request, work, log, environ, manager, on_line)
    elif request.source.is_dir():
        source = _checkout(request.source.resolve(), environ)
    elif request.source.is_file():
        source = _archive(request.source.resolve(), request.sha256, work)
    else:
        raise BuildError(f"There is no {request.source}.")
    number = request.number if request.number is not None else source.number
    found = Source(
        tree=source.tree,
        identity=source.identity,
        label=source.label,
        number=number,
        commit=source.commit,
        sha256=source.sha256,
    )
    _check(found)
    return found


def number_in(*names: str) -> int | None:
    """The build number in a name like `llama.cpp-b11549.tar.gz`, the first of the names that has
    one."""
    for name in names:
        if (match := _NUMBER.search(name)) is not None:
            return int(match[1])
    return None


def _archive(archive: Path, wanted: str | None, work: Path) -> Source:
    found = sha256_of(archive)
    if wanted is not None:
        if not _SHA256.fullmatch(wanted.lower()):
            raise BuildError("--sha256 is 64 hexadecimal digits.")
        if wanted.lower() != found:
            raise BuildError(
                f"{archive} is not what it should be: its SHA-256 is {found}, not "
                f"{wanted.lower()}. Get it again."
            )
    folder = work / f"source-{found[:16]}"
    if not folder.is_dir():
        extract(archive, folder)
    tree = _root(folder)
    return Source(
        tree=tree,
        identity=found,
        label=archive.name,
        number=number_in(tree.name, archive.name),
        commit="archive",
        sha256=found,
    )


def _root(folder: Path) -> Path:
    """Archives hold one folder with everything in it, or everything."""
    inside = sorted(folder.iterdir())
    folders = [entry for entry in inside if entry.is_dir() and not entry.is_symlink()]
    if not (folder / "CMakeLists.txt").is_file() and len(folders) == 1:
        return folders[0]
    return folder


def _checkout(tree: Path, environ: Mapping[str, str]) -> Source:
    """A tree of somebody's own: only read, built elsewhere."""
    commit = _git(tree, environ, "rev-parse", "HEAD")
    # A folder of another repository says nothing of llama.cpp.
    if not commit or _git(tree, environ, "rev-parse", "--show-prefix"):
        return Source(
            tree=tree,
            identity=_fingerprint(tree),
            label=str(tree),
            number=number_in(tree.name),
            commit="unknown",
        )
    changed = bool(_git(tree, environ, "status", "--porcelain", "--untracked-files=no"))
    tag = _git(tree, environ, "describe", "--tags", "--exact-match")
    number = number_in(tag)
    if number is None and _git(tree, environ, "rev-parse", "--is-shallow-repository") == "false":
        count = _git(tree, environ, "rev-list", "--count", "HEAD")
        number = int(count) if count.isdigit() else None
    return Source(
        tree=tree,
        identity=f"{commit}-{_fingerprint(tree)}" if changed else commit,
        label=f"{tree} at {tag or commit[:9]}{', changed' if changed else ''}",
        number=number if number is not None else number_in(tree.name),
        commit=commit[:9],
    )


def _tag(
    request: BuildRequest,
    work: Path,
    log: Path,
    environ: Mapping[str, str],
    manager: Manager | None,
    on_line: OnLine,
) -> Source:
    name = hashlib.sha256(f"{request.url}\0{request.tag}".encode()).hexdigest()[:16]
    folder = work / f"source-{name}"
    if not folder.is_dir():
        fetch_tag(
            request.url,
            request.tag,
            into=folder,
            log=log,
            environ=environ,
            manager=manager,
            on_line=on_line,
        )
    commit = _git(folder, environ, "rev-parse", "HEAD")
    return Source(
        tree=folder,
        identity=commit or f"{request.url} {request.tag}",
        label=f"{request.tag} of {request.url} ({commit[:9]})",
        number=number_in(request.tag),
        commit=commit[:9] or "unknown",
    )


def _check(source: Source) -> None:
    """Refuses what would only fail, or be refused, after minutes of compiling."""
    lists = source.tree / "CMakeLists.txt"
    try:
        is_llama = 'project("llama.cpp"' in lists.read_text(encoding="utf-8", errors="replace")
    except OSError:
        is_llama = False
    server = source.tree / "tools" / "server"
    if not is_llama:
        raise BuildError(
            f"{source.label} is no source of llama.cpp: there is no CMakeLists.txt of it."
        )
    if source.number is not None:
        old = source.number < MINIMUM_BUILD
    else:
        old = not any(_ENDPOINT in file.read_bytes() for file in server.glob("*.cpp"))
    if old:
        which = f"b{source.number}" if source.number is not None else "a source without a number"
        raise BuildError(f"{source.label} is {which}, too old: take b{MINIMUM_BUILD} or later.")


def _fingerprint(tree: Path) -> str:
    """Of names, sizes and times: enough to see that somebody has edited."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name not in (".git", "build"))
        for name in sorted(files):
            path = Path(folder, name)
            found = path.lstat()
            digest.update(
                f"{path.relative_to(tree)}\0{found.st_size}\0{found.st_mtime_ns}\n".encode(
                    "utf-8", "surrogateescape"
                )
            )
    return digest.hexdigest()


def _git(tree: Path, environ: Mapping[str, str], *words: str) -> str:
    """What git prints, "" where it fails or is not here."""
    git = shutil.which("git", path=environ.get("PATH"))
    if git is None:
        return ""
    try:
        ended = subprocess.run(
            [git, "-C", str(tree), *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=False,
            env={**environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.decode("utf-8", "replace").strip() if ended.returncode == 0 else ""
