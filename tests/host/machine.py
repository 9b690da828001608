"""A real Debian in systemd-nspawn: built once, booted over an overlay, ended with all in it."""

# ruff: noqa: S607 -- tools of the machine, found as its administrator finds them

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

CACHE = Path(os.environ.get("TRIAGED_HOST_CACHE", "/var/cache/triaged-tests"))
"""Where the base system is kept between runs: outside of the checkout, and not in a tmpfs."""
SUITE = os.environ.get("TRIAGED_HOST_SUITE", "bookworm")
"""Another one takes a wheelhouse that its Python can use."""
COMPONENTS = os.environ.get("TRIAGED_HOST_COMPONENTS", "main")
PACKAGES = (
    *("dbus", "python3", "python3-venv", "procps", "libgomp1"),
    # What acting needs: polkit, whose systemd needs sessions for it, and a packet filter.
    *("polkitd", "libpam-systemd", "nftables"),
)
MIRROR = os.environ.get("TRIAGED_HOST_MIRROR")
"""None: the one that debootstrap takes by itself."""
_TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "mount")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "COLUMNS": "200",
}


def why_not() -> str:
    """Why this machine cannot run a Debian, "" where it can."""
    if os.geteuid() != 0:
        return "a container with an init of its own needs root"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(missing)} (apt install debootstrap systemd-container)"
    return ""


def base_tree() -> Path:
    """A Debian as debootstrap makes it. Takes a minute the first time, and the network."""
    held = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    tree = CACHE / f"{SUITE}-{held}"  # another list of packages is another tree
    if not tree.exists():
        work = CACHE / f".{SUITE}.{os.getpid()}"
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(
                [
                    "debootstrap",
                    "--variant=minbase",
                    f"--components={COMPONENTS}",
                    f"--include=systemd,systemd-sysv,{','.join(PACKAGES)}",
                    SUITE,
                    str(work),
                    *([MIRROR] if MIRROR else []),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            if not tree.exists():  # nobody else was faster
                work.rename(tree)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return tree


class Machine:
    """One booted system. Commands run in it as root, in an environment of its own."""

    def __init__(self, *, root: Path, log: Path, binds: dict[Path, str]) -> None:
        self.root = root
        self._log = log
        self._binds = binds
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "systemd-nspawn",
                    "--quiet",
                    f"--directory={self.root}",
                    f"--machine=triaged-test-{os.getpid()}",
                    # The host need not run systemd, and nothing inside reaches a network.
                    *("--register=no", "--keep-unit", "--private-network", "--boot"),
                    "--console=pipe",
                    *(f"--bind={host}:{inside}" for host, inside in self._binds.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(self._booted, seconds=120, what="booted")

    def run(
        self, *command: str, check: bool = True, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """The finished command, output as text; stderr stands in stdout."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader()), "--all", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
            env=_ENVIRONMENT,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done

    def say(self, *command: str) -> str:
        """What a command prints."""
        return self.run(*command, check=False).stdout.strip()

    def journal(self, *, lines: int = 10_000) -> str:
        """What the daemon, and systemd about it, last wrote."""
        command = ("journalctl", "-u", "triaged", "--no-pager", "-o", "cat", "-n", str(lines))
        return self.say(*command)

    def write(self, path: str, text: str) -> None:
        goal = self.root / path.lstrip("/")
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_text(text)

    def until(self, true: Callable[[], bool], *, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                said = self.say(
                    "journalctl", "-u", "triaged", "-n", "40", "--no-pager", "-o", "cat"
                )
                raise AssertionError(f"not {what} within {seconds} s\n{said}")
            time.sleep(0.5)

    def reboot(self) -> None:
        """nspawn ends at a reboot and leaves starting it again to whoever started it."""
        assert self._process is not None
        self.run("systemctl", "reboot", check=False)
        self._process.wait(timeout=120)
        self.boot()

    def end(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=30)

    def _booted(self) -> bool:
        if not psutil.pid_exists(self._leader(default=0) or -1):
            return False
        return self.say("systemctl", "is-system-running") in ("running", "degraded")

    def _leader(self, *, default: int | None = None) -> int:
        """The process id of the init inside, as we see it."""
        assert self._process is not None
        assert self._process.poll() is None, f"the container ended: {self._log.read_text()[-2000:]}"
        for child in psutil.Process(self._process.pid).children():
            return child.pid
        if default is None:
            raise AssertionError("the container has no init")
        return default


@contextlib.contextmanager
def machine(*, binds: dict[Path, str]) -> Iterator[Machine]:
    """A booted system over a copy of the base tree, which stays as it is."""
    folder = Path(tempfile.mkdtemp(prefix="host-", dir=CACHE))
    merged = folder / "root"
    try:
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        options = f"lowerdir={base_tree()},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=True
        )
        try:
            (merged / "etc" / "machine-id").write_text("")
            booted = Machine(root=merged, log=folder / "console", binds=binds)
            try:
                booted.boot()
                yield booted
            finally:
                booted.end()
        finally:
            subprocess.run(["umount", "--lazy", str(merged)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def small_disk(*, megabytes: int, prepare: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A file system of its own, mounted on this machine. Raises `CalledProcessError` where the
    kernel has no loop devices. `prepare` is given the image before that."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir=CACHE))
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(megabytes * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
        if prepare is not None:
            prepare(image)
        subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
        try:
            yield mounted
        finally:
            subprocess.run(["umount", "--lazy", str(mounted)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
