"""Sources: checkouts, archives and tags, and those that are none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from llama_fakes import llama_archive, llama_tree

from tiers.llama_build.errors import BuildError
from tiers.llama_build.sources import number_in, open_source
from tiers.llama_build.values import BuildRequest, Source

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def _open(request: BuildRequest, folder: Path) -> Source:
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return open_source(
        request,
        work=work,
        log=folder / "log",
        environ=ENVIRON,
        manager=None,
        on_line=lambda line: None,
    )


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["/usr/bin/git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t", *words],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    tree = llama_tree(tmp_path / "checkout")
    _git(tree, "init", "-q", "-b", "master")
    _git(tree, "add", ".")
    _git(tree, "commit", "-q", "-m", "all")
    _git(tree, "tag", "b11549")
    return tree


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (["llama.cpp-b11549"], 11549),
        (["llama.cpp-master", "b11549.tar.gz"], 11549),
        (["b11549"], 11549),
        (["web12345", "llama-0.6"], None),
        (["b123456789"], None),
    ],
)
def test_the_number_is_read_from_names(names: list[str], number: int | None) -> None:
    assert number_in(*names) == number


def test_an_archive_is_unpacked_once(tmp_path: Path) -> None:
    archive = llama_archive(tmp_path / "x.tar.gz")
    first = _open(BuildRequest(source=archive), tmp_path)
    assert first.number == 11549
    assert first.sha256 == first.identity
    assert first.commit == "archive"
    (first.tree / "mark").write_text("")
    again = _open(BuildRequest(source=archive, sha256=first.sha256.upper()), tmp_path)
    assert (again.tree / "mark").exists()
    assert again == first
    flat = _open(BuildRequest(source=llama_archive(tmp_path / "b11550.tar", top="")), tmp_path)
    assert flat.number == 11550


def test_an_archive_that_is_another_is_refused(tmp_path: Path) -> None:
    archive = llama_archive(tmp_path / "x.tar.gz")
    with pytest.raises(BuildError, match="is not what it should be"):
        _open(BuildRequest(source=archive, sha256="0" * 64), tmp_path)
    with pytest.raises(BuildError, match="64 hexadecimal"):
        _open(BuildRequest(source=archive, sha256="abc"), tmp_path)
    with pytest.raises(BuildError, match="is of an archive"):
        _open(BuildRequest(sha256="0" * 64), tmp_path)
    with pytest.raises(BuildError, match="There is no"):
        _open(BuildRequest(source=tmp_path / "absent"), tmp_path)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_checkout_tells_its_number_and_its_changes(checkout: Path, tmp_path: Path) -> None:
    clean = _open(BuildRequest(source=checkout), tmp_path)
    assert clean.number == 11549
    assert clean.commit == _git(checkout, "rev-parse", "HEAD")[:9]
    (checkout / "tools/server/server.cpp").write_text("/v1/systemone changed")
    changed = _open(BuildRequest(source=checkout), tmp_path)
    assert changed.identity != clean.identity
    assert changed.label.endswith("changed")
    assert changed.identity == _open(BuildRequest(source=checkout), tmp_path).identity
    assert list((tmp_path / "work").iterdir()) == []


def test_a_folder_inside_another_repository_takes_no_number_from_it(checkout: Path) -> None:
    inner = llama_tree(checkout / "third_party" / "llama")
    found = _open(BuildRequest(source=inner), checkout)
    assert found.number is None
    assert found.commit == "unknown"
    given = _open(BuildRequest(source=inner, number=11600), checkout)
    assert given.number == 11600


def test_what_is_no_llama_or_too_old_is_refused_before_anything_is_compiled(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BuildError, match=r"no source of llama\.cpp"):
        _open(BuildRequest(source=tmp_path / "empty"), tmp_path)
    named = llama_tree(tmp_path / "llama.cpp-b9000")
    with pytest.raises(BuildError, match="b9000, too old"):
        _open(BuildRequest(source=named), tmp_path)
    unnamed = llama_tree(tmp_path / "unnamed", endpoint=False)
    with pytest.raises(BuildError, match="a source without a number, too old"):
        _open(BuildRequest(source=unnamed), tmp_path)


def test_a_tag_is_fetched_once(checkout: Path, tmp_path: Path) -> None:
    request = BuildRequest(url=f"file://{checkout}", tag="b11549")
    found = _open(request, tmp_path)
    assert found.number == 11549  # a shallow clone itself counts one commit
    assert found.identity == _git(checkout, "rev-parse", "HEAD")
    checkout.rename(tmp_path / "away")
    assert _open(request, tmp_path) == found


def test_a_tag_that_cannot_be_had_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no tag b99999"):
        _open(BuildRequest(url=str(checkout), tag="b99999"), tmp_path)
    with pytest.raises(BuildError, match="--source FILE"):
        _open(BuildRequest(url="https://127.0.0.1:9/x"), tmp_path)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("tag", ["--upload-pack=x", "a b", "a..b", "", "x:y", "@{1}"])
def test_a_tag_is_no_option(tag: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no name of a git tag"):
        _open(BuildRequest(url="file:///x", tag=tag), tmp_path)


@pytest.mark.parametrize("url", ["ext::sh -c id", "--upload-pack=x", "http://plain/x", "relative"])
def test_an_address_runs_nothing(url: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no address of a git repository"):
        _open(BuildRequest(url=url), tmp_path)


def test_without_git_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="there is none"):
        open_source(
            BuildRequest(),
            work=tmp_path,
            log=tmp_path / "log",
            environ={"PATH": "/nowhere"},
            manager=None,
            on_line=lambda line: None,
        )
