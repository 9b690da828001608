"""The state folder as root: nobody else may rule it, and no link in it is followed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from daemon.app import Progress, start_daemon
from daemon.config.settings import Settings
from daemon.memory.index import _locked
from daemon.state_folder import StateFolderError, held, prepare_state
from daemon.store.account import Account
from daemon.store.cluster import Cluster
from daemon.store.settings import EmbeddedSettings
from tiers.nofollow import no_follow
from tiers.runtime.logfile import LogFile
from tiers.runtime.ownership import free_port
from tiers.runtime.states import ServerStatus

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is led astray")
STRANGER = 4242


def test_it_is_made_for_passing_through(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    prepare_state(folder, environ={})
    assert folder.stat().st_mode & 0o777 == 0o711
    for mode in (0o700, 0o711, 0o755):
        folder.chmod(mode)
        prepare_state(folder, environ={})


def test_one_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderError, match="--state-dir"):
        prepare_state(tmp_path / "file" / "state", environ={})


@as_root
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o702])
def test_root_uses_none_that_others_can_change(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(StateFolderError, match="chmod go-w"):
        prepare_state(folder, environ={})


@as_root
def test_root_uses_none_of_a_stranger_but_the_sudoers_own(tmp_path: Path) -> None:
    folder, link = tmp_path / "state", tmp_path / "link"
    folder.mkdir(mode=0o700)
    os.chown(folder, STRANGER, STRANGER)
    for environ in ({}, {"SUDO_UID": "1"}, {"SUDO_UID": "²"}, {"SUDO_UID": ""}):
        with pytest.raises(StateFolderError, match=f"belongs to user {STRANGER}"):
            prepare_state(folder, environ=environ)
    prepare_state(folder, environ={"SUDO_UID": str(STRANGER)})
    link.symlink_to(tmp_path / "other")
    (tmp_path / "other").mkdir(mode=0o700)
    prepare_state(link, environ={})
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(StateFolderError, match="belongs to"):
        prepare_state(link, environ={})


def secret_and_link(tmp_path: Path, link: Path) -> Path:
    secret = tmp_path / "shadow"
    secret.write_text("secret")
    secret.chmod(0o600)
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    return secret


def test_no_link_in_conf_is_followed(tmp_path: Path) -> None:
    cluster = Cluster(directory=tmp_path / "postgres")
    cluster.make()
    account = Account(name="nobody", uid=os.geteuid(), gid=os.getegid(), drop=False)

    def write() -> None:
        cluster.write_conf(settings=EmbeddedSettings(), account=account, major=16, conf_path="/c")

    secret = secret_and_link(tmp_path, cluster.conf / "local.conf")
    os.mkfifo(cluster.conf / "pipe")
    write()
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (cluster.conf / "pg_hba.conf").stat().st_mode & 0o777 == 0o644
    secret_and_link(tmp_path, cluster.conf / "pg_hba.conf")
    with pytest.raises(OSError, match="symbolic links"):
        write()
    assert secret.read_text() == "secret"


async def test_no_other_link_is_followed(tmp_path: Path) -> None:
    secret = secret_and_link(tmp_path, tmp_path / "owner.lock")
    with pytest.raises(OSError, match="symbolic links"):
        _locked(tmp_path)
    with pytest.raises(OSError, match="symbolic links"):
        await asyncio.to_thread(no_follow, tmp_path / "owner.lock", os.O_WRONLY | os.O_CREAT)
    log = LogFile(tmp_path / "llama.log")
    log.path.write_text("x" * 100)
    (tmp_path / "llama.log.1").symlink_to(secret)
    assert log.rotate(limit=10)
    assert log.size() == 0
    assert secret.read_text() == "secret"


def test_one_daemon_holds_it(tmp_path: Path) -> None:
    with held(tmp_path / "state"):
        for _ in range(2):
            with (
                pytest.raises(StateFolderError, match=rf"in use by process {os.getpid()};"),
                held(tmp_path / "state"),
            ):
                pass
    with held(tmp_path / "state"):
        pass


async def test_a_second_daemon_starts_no_server_there(tmp_path: Path) -> None:
    settings = Settings.model_validate({"api": {"port": free_port("127.0.0.1")}})
    started: list[ServerStatus] = []
    progress = Progress(part=lambda name, words: None, server=started.append)
    with held(tmp_path), pytest.raises(StateFolderError, match="in use by process"):
        async with start_daemon(settings, state_dir=tmp_path, progress=progress):
            pass
    assert started == []
    assert os.listdir(tmp_path) == ["daemon.lock"]  # noqa: PTH208
