"""Source archives that are what they say, and those that want to write elsewhere."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from llama_fakes import llama_archive

from tiers.llama_build import archives
from tiers.llama_build.archives import extract, sha256_of
from tiers.llama_build.errors import BuildError


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _member(
    name: str, *, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b"text" if kind == tarfile.REGTYPE else b""


def test_a_tar_is_unpacked(tmp_path: Path) -> None:
    extract(llama_archive(tmp_path / "a.tar.gz"), tmp_path / "out")
    assert (tmp_path / "out/llama.cpp-b11549/CMakeLists.txt").is_file()
    assert not (tmp_path / "out.part").exists()


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("llama.cpp/CMakeLists.txt", "x")
        script = zipfile.ZipInfo("llama.cpp/scripts/run.sh")
        script.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(script, "y")
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/llama.cpp/CMakeLists.txt").read_text() == "x"
    assert (tmp_path / "out/llama.cpp/scripts/run.sh").stat().st_mode & 0o111


@pytest.mark.parametrize(
    "members",
    [
        [_member("../escaped")],
        [_member("a/../../escaped")],
        [_member("link", kind=tarfile.SYMTYPE, link="..")],
        [_member("link", kind=tarfile.SYMTYPE, link="/etc")],
        [_member("inside"), _member("hard", kind=tarfile.LNKTYPE, link="inside")],
        [_member("device", kind=tarfile.CHRTYPE)],
        [_member("pipe", kind=tarfile.FIFOTYPE)],
    ],
)
def test_a_hostile_tar_is_refused_and_writes_nothing(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    archive = _tar(tmp_path / "a.tar.gz", *members)
    with pytest.raises(BuildError, match="hostile"):
        extract(archive, tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []
    assert not (tmp_path / "escaped").exists()


def test_an_absolute_name_stays_inside(tmp_path: Path) -> None:
    target = tmp_path / "escaped"
    extract(_tar(tmp_path / "a.tar.gz", _member(str(target))), tmp_path / "out")
    assert not target.exists()


def _zip_entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        _zip_entry("../escaped"),
        _zip_entry("a/../../escaped"),
        _zip_entry("/escaped"),
        _zip_entry("a\\..\\escaped"),
        _zip_entry("link", stat.S_IFLNK | 0o777),
    ],
)
def test_a_hostile_zip_is_refused_and_writes_nothing(
    tmp_path: Path, entry: zipfile.ZipInfo
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "text")
    with pytest.raises(BuildError, match="hostile"):
        extract(tmp_path / "a.zip", tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []


def _as_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"0" * 5000)
        archive.writestr("b", b"0" * 5000)
    return path


def _as_tar(path: Path) -> Path:
    return _tar(path, *((tarfile.TarInfo(name), b"0" * 5000) for name in ("a", "b")))


@pytest.mark.parametrize("make", [_as_zip, _as_tar])
@pytest.mark.parametrize(("bound", "most"), [("_MOST_FILES", 1), ("_MOST_BYTES", 6000)])
def test_an_archive_that_grows_too_large_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Path],
    bound: str,
    most: int,
) -> None:
    monkeypatch.setattr(archives, bound, most)
    with pytest.raises(BuildError, match="holds more than"):
        extract(make(tmp_path / "archive"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.part").exists()


def test_what_is_cut_short_or_no_archive_is_refused(tmp_path: Path) -> None:
    whole = llama_archive(tmp_path / "a.tar.gz").read_bytes()
    for content in (whole[: len(whole) // 2], b"no archive at all", b""):
        (tmp_path / "b.tar.gz").write_bytes(content)
        with pytest.raises(BuildError, match="damaged or no archive"):
            extract(tmp_path / "b.tar.gz", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_what_is_too_large_is_not_even_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_MOST_ARCHIVE_BYTES", 3)
    (tmp_path / "a").write_bytes(b"four")
    with pytest.raises(BuildError, match="no source archive"):
        sha256_of(tmp_path / "a")
    with pytest.raises(BuildError, match="cannot be read"):
        sha256_of(tmp_path / "absent")
