"""Cleaning folders that hold hostile things: links, other file systems, names that change."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helper_kit import RealHelper

from daemon.helper import folders
from daemon.helper.errors import RefusedError
from daemon.helper.folders import Swept, sweep, why_never

DAY = 86_400.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def _sweep(folder: Path, *, later: float = 30 * DAY, remove: bool = True) -> Swept:
    """As if `later` seconds had gone by."""
    now = time.time() + later
    return sweep(folder, older_than=10 * DAY, now=now, seconds=30, remove=remove)


def test_old_files_go_and_folders_stay(place: Path) -> None:
    (place / "deep" / "er").mkdir(parents=True)
    for name in ("one", "deep/two", "deep/er/three", "new\nline", "-rf", "\udcff"):
        (place / name).write_bytes(b"x" * 5_000)
    counted = _sweep(place, remove=False)
    swept = _sweep(place)
    assert (counted.files, counted.bytes) == (swept.files, swept.bytes)
    assert swept.files == 6
    assert swept.bytes >= 6 * 5_000
    assert swept.whole
    assert sorted(path.name for path in place.rglob("*")) == ["deep", "er"]


def test_what_is_young_by_any_of_its_times_stays(place: Path) -> None:
    for name in ("changed", "read"):
        (place / name).touch()
    future = time.time() + 25 * DAY
    os.utime(place / "changed", (0, future))
    os.utime(place / "read", (future, 0))
    assert _sweep(place).files == 0
    assert _sweep(place, later=0).files == 0
    os.utime(place / "changed", (0, 0))  # an old file that was put there just now
    assert _sweep(place, later=0).files == 0


def test_links_lead_nowhere(place: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (place / "folder").symlink_to(outside)
    (place / "file").symlink_to(outside / "precious")
    (place / "up").symlink_to("..")
    (place / "self").symlink_to(".")
    (place / "dangling").symlink_to("/nowhere")
    assert _sweep(place).files == 0
    assert (outside / "precious").exists()
    assert len(list(place.iterdir())) == 5


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for path in (tmp_path / "link", tmp_path / "link" / "below", tmp_path / "none"):
        with pytest.raises(RefusedError, match="without a link"):
            _sweep(path)


def test_pipes_sockets_and_devices_stay(place: Path) -> None:
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
    assert _sweep(place).files == 0
    assert len(list(place.iterdir())) == 2


def test_open_files_stay(place: Path, root_only: None) -> None:
    (place / "open").touch()
    (place / "shut").touch()
    with (place / "open").open():
        swept = _sweep(place)
    assert (swept.files, swept.left) == (1, 1)
    assert (place / "open").exists()


def test_mapped_files_stay(place: Path, root_only: None) -> None:
    shutil.copy("/bin/sleep", place / "program")
    process = subprocess.Popen([str(place / "program"), "30"])
    try:
        time.sleep(0.1)
        assert _sweep(place).files == 0
    finally:
        process.kill()
        process.wait()


def test_another_file_system_is_not_entered(place: Path, root_only: None) -> None:
    (place / "mounted").mkdir()
    with _mounted("tmpfs", "tmpfs", place / "mounted"):
        (place / "mounted" / "theirs").touch()
        assert _sweep(place).files == 0
        assert (place / "mounted" / "theirs").exists()


def test_a_bound_folder_is_not_entered(place: Path, tmp_path: Path, root_only: None) -> None:
    """It has the same device: only the number of the mount tells."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (place / "bound").mkdir()
    with _mounted("--bind", str(outside), place / "bound"):
        assert _sweep(place).files == 0
    assert (outside / "precious").exists()


def test_deep_nesting_ends(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    for _ in range(folders.DEEPEST + 40):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    swept = _sweep(place)
    assert swept.files == 0
    assert not swept.whole
    subprocess.run(["rm", "-rf", str(place / "d")], check=True)  # noqa: S607


def test_there_is_a_limit_to_one_call(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_REMOVED", 5)
    for number in range(9):
        (place / str(number)).touch()
    swept = _sweep(place)
    assert (swept.files, swept.whole) == (5, False)
    assert _sweep(place).whole


def test_names_that_are_swapped_for_links_lead_nowhere(place: Path, tmp_path: Path) -> None:
    """Somebody exchanges a folder and a link to another one, as fast as can be."""
    outside = tmp_path / "outside"
    outside.mkdir()
    precious = [outside / str(number) for number in range(50)]
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                (place / "turn").symlink_to(outside)
            with contextlib.suppress(OSError):
                (place / "turn").unlink()
            with contextlib.suppress(OSError):
                (place / "turn").mkdir()
                (place / "turn" / "bait").touch()
                shutil.rmtree(place / "turn")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for path in precious:
                path.touch()
            _sweep(place)
            assert all(path.exists() for path in precious)
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/nginx", "/usr/share", "/proc/1", "/var", "/home"]
)
def test_some_folders_are_never_cleaned(path: str) -> None:
    assert why_never(Path(path))


@pytest.mark.parametrize("path", ["/var/cache/web", "/srv/uploads", "/home/ann/tmp", "/run/web"])
def test_others_may_be(path: str) -> None:
    assert not why_never(Path(path))


def test_the_verb_cleans_listed_folders_alone(helper: RealHelper, place: Path) -> None:
    helper.allow("tmp-clean", folders=[str(place), "/etc"])
    (place / "young").touch()
    said = helper.call("tmp-clean", path=str(place), older_than_days=1)
    assert said.ok, said.detail
    assert said.data["removed"] == 0
    for path in (str(place.parent), f"{place}/", f"{place}/../place", "/etc", f"/{place}"):
        refused = helper.call("tmp-clean", path=path, older_than_days=1)
        assert refused.code == "refused", path


def test_tmp_is_cleaned_by_the_hosts_own_rules(helper: RealHelper) -> None:
    note = helper.root / "argv"
    helper.program("systemd-tmpfiles", f'#!/bin/sh\necho "$@" > {note}\n')
    helper.allow("tmp-clean")
    assert helper.call("tmp-clean", path="/var/tmp", older_than_days=10).ok
    assert note.read_text() == "--clean --prefix=/var/tmp\n"


def test_looking_removes_nothing(helper: RealHelper, place: Path) -> None:
    helper.allow("tmp-clean", folders=[str(place)])
    (place / "young").touch()
    said = helper.call("tmp-look", path=str(place), older_than_days=1)
    assert (said.data["files"], said.data["whole"]) == (0, True)
    helper.allow("block", folders=[str(place)])
    assert helper.call("tmp-look", path=str(place), older_than_days=1).code == "not-allowed"


@contextlib.contextmanager
def _mounted(how: str, what: str, point: Path) -> Iterator[None]:
    words = [how, what] if how.startswith("--") else ["-t", how, what]
    done = subprocess.run(["mount", *words, str(point)], check=False, capture_output=True)  # noqa: S607
    if done.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(point)], check=True)  # noqa: S607
