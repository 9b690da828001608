"""Takes a source archive apart, trusting nothing in it: no path that leads out, no link that does,
no device, no more than a source tree can need."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from tiers.llama_build.errors import BuildError

_MOST_FILES = 60_000
_MOST_BYTES = 2 * 2**30
_MOST_ARCHIVE_BYTES = 2**30
_BLOCK = 2**20
_SAFER = "get it again from where it was published; nothing of it was kept"


def sha256_of(archive: Path) -> str:
    """Raises `BuildError` where it cannot be read, or is larger than any source."""
    try:
        with archive.open("rb") as file:
            if (size := archive.stat().st_size) > _MOST_ARCHIVE_BYTES:
                raise BuildError(f"{archive} has {size} bytes: that is no source archive.")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BuildError(f"{archive} cannot be read: {error.strerror}.") from error


def extract(archive: Path, into: Path) -> None:
    """Into the folder `into`, which appears only when everything is there. Raises `BuildError`."""
    part = into.with_name(f"{into.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True, mode=0o700)
        if zipfile.is_zipfile(archive):
            _unzip(archive, part)
        else:
            _untar(archive, part)
        part.rename(into)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise BuildError(f"{archive} is damaged or no archive ({error}): {_SAFER}.") from error
    except OSError as error:
        raise BuildError(f"{archive} cannot be unpacked in {into.parent}: {error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _untar(archive: Path, into: Path) -> None:
    if not hasattr(tarfile, "data_filter"):  # before Python 3.11.4
        raise BuildError("This Python cannot unpack archives safely: take 3.11.4 or later.")
    files = size = 0
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            files, size = files + 1, size + member.size
            _bounded(archive, files, size)
            # A source needs no devices, and nothing that is there already is written over.
            try:
                opened.extract(member, into, set_attrs=True, filter=_plain)
            except tarfile.FilterError as error:
                raise BuildError(f"{archive} is hostile ({error}): {_SAFER}.") from error


def _plain(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Python's own filter, and no hard links, which reach what a symbolic link may point to."""
    if member.islnk():
        raise tarfile.SpecialFileError(member)
    return tarfile.data_filter(member, path)


def _unzip(archive: Path, into: Path) -> None:
    files = size = 0
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            files += 1
            name = PurePosixPath(entry.filename)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if (
                name.is_absolute()
                or ".." in name.parts
                or "\\" in entry.filename
                or "\0" in entry.orig_filename
                or kind not in (0, stat.S_IFREG, stat.S_IFDIR)
            ):
                raise BuildError(f"{archive} is hostile ({entry.filename!r}): {_SAFER}.")
            target = into.joinpath(*name.parts)
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(entry) as packed, target.open("xb") as file:
                while block := packed.read(_BLOCK):
                    size += len(block)
                    _bounded(archive, files, size)
                    file.write(block)
            _bounded(archive, files, size)
            with contextlib.suppress(OSError):
                target.chmod(0o755 if entry.external_attr >> 16 & 0o100 else 0o644)


def _bounded(archive: Path, files: int, size: int) -> None:
    if files > _MOST_FILES or size > _MOST_BYTES:
        raise BuildError(
            f"{archive} holds more than {_MOST_FILES} files or {_MOST_BYTES // 2**30} GiB: "
            f"{_SAFER}."
        )
