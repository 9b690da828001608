"""Where builds are kept: each under its key, complete or not at all, and which one is in use.

The layout is in `tiers/runtime/own_builds.py`; `work/` beside it is where a build goes on after it
was interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import orjson

from tiers.llama_build.errors import BuildError
from tiers.llama_build.values import Backend, Built, Proof
from tiers.runtime.own_builds import PROGRAM, RECORD, current_build

_KEPT = 3
"""Builds that stay beside the one in use, the newest: a way back."""
_LOG = "build.log"


class BuildStore:
    """`folder` is what `own_builds.builds_folder` says. Use one at a time: see `held`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.log = folder / _LOG
        self._builds = folder / "builds"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else builds here meanwhile. Raises `BuildError` where somebody does, or the
        folder cannot be written."""
        try:
            self.work.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._builds.mkdir(exist_ok=True, mode=0o755)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BuildError(
                f"{self.folder} cannot be written ({error.strerror}); choose another with "
                "--state-dir, or another user."
            ) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BuildError(
                    f"Another 'triaged llama build' works in {self.folder}; wait for it."
                ) from error
            yield
        finally:
            os.close(lock)

    def new_log(self) -> None:
        """Begins the log of one build."""
        self.log.write_bytes(b"")

    def room(self, needed: int) -> None:
        """Raises `BuildError` where `needed` bytes do not fit."""
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise BuildError(
                f"{self.folder} has {free // 2**20} MiB free and the build needs "
                f"{needed // 2**20} MiB: make room, or choose another place with --state-dir."
            )

    def build_folder(self, key: str) -> Path:
        """Where cmake works on `key`."""
        return self.work / f"build-{key}"

    def clear_work(self, *, keep: Collection[Path] = ()) -> None:
        """Deletes what earlier builds left, but for what is to be gone on with."""
        for entry in self.work.iterdir():
            if entry not in keep:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)

    def find(self, key: str) -> Built | None:
        """A complete build of that key."""
        return self._record(self._builds / key)

    def install(self, program: Path, built: Built) -> Built:
        """Copies `program` to its place; it appears there whole. Returns it with its new path."""
        place = self._builds / built.key
        part = self._builds / f".{built.key}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(mode=0o755)
            shutil.copy(program, part / PROGRAM)
            (part / PROGRAM).chmod(0o755)
            found = dataclasses.replace(built, program=place / PROGRAM)
            document = dataclasses.asdict(found) | {"program": str(found.program)}
            (part / RECORD).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            self._replace(part, place)
        except OSError as error:
            raise BuildError(f"{place} cannot be written: {error}.") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return found

    def use(self, key: str) -> None:
        """Makes it the one that runs at the next start. A server that runs goes on with its own."""
        link = self.folder / ".current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("builds") / key)
        link.replace(self.folder / "current")
        self._prune(key)

    def in_use(self) -> Built | None:
        """The record of the build in use."""
        program = current_build(self.folder)
        return self._record(program.parent) if program is not None else None

    def _replace(self, part: Path, place: Path) -> None:
        """A folder cannot be renamed over a full one: the old one steps aside first."""
        aside = place.with_name(f".{place.name}.old")
        shutil.rmtree(aside, ignore_errors=True)
        if place.exists():
            place.rename(aside)
        part.rename(place)
        shutil.rmtree(aside, ignore_errors=True)

    def _prune(self, used: str) -> None:
        others = [
            entry
            for entry in self._builds.iterdir()
            if entry.is_dir() and entry.name != used and not entry.name.startswith(".")
        ]
        others.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in others[_KEPT:]:
            shutil.rmtree(entry, ignore_errors=True)

    def _record(self, place: Path) -> Built | None:
        """None where there is none, or one of another version of triaged."""
        try:
            document: dict[str, Any] = orjson.loads((place / RECORD).read_bytes())
            proof = document.pop("proof")
            built = Built(
                **document
                | {
                    "program": place / PROGRAM,
                    "backend": Backend(document["backend"]),
                    "proof": Proof(**proof | {"devices": tuple(proof["devices"])}),
                    "fallen_back": tuple(document["fallen_back"]),
                    "fresh": False,
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return built if built.program.is_file() else None
