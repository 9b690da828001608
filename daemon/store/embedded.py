"""The PostgreSQL that the daemon brings: one child process, started, watched and stopped.

Life of the server: absent -> starting -> running -> (lost -> starting ...) -> stopped.

- One owner per data directory (flock). A second process attaches to the running server as a client,
  or is refused, as its caller wishes.
- It listens on a socket in its own folder only, and lets in only the two users that it must, by
  the kernel's word (peer).
- As root it becomes an unprivileged user. Folders that this user cannot reach by path are handed
  over as descriptors (`/proc/self/fd/N`), so nothing above them has to be opened to anybody.
- When the daemon dies, the kernel tells it to stop (SIGINT: fast shutdown). What is left over
  anyway is found by its data directory and stopped before the next start.
- When it dies by itself it is started again, with growing pauses; clients meanwhile wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import fcntl
import os
import time
from pathlib import Path

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from daemon.store.account import Account, choose_account
from daemon.store.child import end, end_by_pid, handed_over, spawn
from daemon.store.cluster import ADMINISTRATOR, DAEMON, DATABASE, Cluster
from daemon.store.errors import (
    StoreError,
    StoreInUseError,
    StoreSetupError,
    StoreUnavailableError,
)
from daemon.store.install import Install, find_install, for_account
from daemon.store.ownership import administrator, make_roles
from daemon.store.settings import EmbeddedSettings

_log = structlog.get_logger(__name__)
_POLL_SECONDS = 0.02
_JOIN_SECONDS = 0.2


class ServerState(enum.StrEnum):
    """What health shows."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    LOST = "lost"  # ended by itself; it is being started again
    ATTACHED = "attached"  # another process owns it
    STOPPED = "stopped"


class EmbeddedServer:
    """One server over one data directory. `start` once, `stop` once."""

    def __init__(self, *, directory: Path, settings: EmbeddedSettings) -> None:
        self.cluster = Cluster(directory=directory.absolute())
        self.state = ServerState.ABSENT
        self.problem: str | None = None
        """Why it is not running, in a sentence."""
        self._settings = settings
        self._lock: int | None = None
        self._run_fd: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._account: Account | None = None
        self._install: Install | None = None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while this process owns one."""
        return self._process.pid if self._process is not None else None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a child must inherit so that `conninfo` works there too."""
        return () if self._run_fd is None else (self._run_fd,)

    @property
    def install(self) -> Install:
        """The programs of the data's major version, as the daemon reaches them."""
        return find_install(major=self.cluster.major())

    def conninfo(self, *, database: str = DATABASE, role: str = DAEMON) -> str:
        """How this process connects. Only valid in this process: see `_run_fd`."""
        host = str(self.cluster.run)
        if self.cluster.socket_too_long:
            # A socket's address holds 107 bytes; the folder's descriptor makes any path short.
            if self._run_fd is None:
                self._run_fd = os.open(self.cluster.run, os.O_RDONLY | os.O_DIRECTORY)
            host = f"/proc/self/fd/{self._run_fd}"
        return make_conninfo("", host=host, user=role, dbname=database)

    async def start(self, *, attach: bool) -> None:
        """Returns when connections are accepted and the database exists.

        With `attach`, a server that another process owns is used as it is; without, that raises
        `StoreInUseError`. Raises `StoreSetupError` when it cannot run here.
        """
        self.cluster.make()
        deadline = time.monotonic() + self._settings.start_seconds
        while not self._take_lock():
            owner = _read_owner(self.cluster.lock)
            if not attach:
                msg = (
                    f"the state in {self.cluster.directory.parent} is in use by process {owner};"
                    " stop that triaged first, or set another --state-dir"
                )
                raise StoreInUseError(msg)
            if await self._answers(role=DAEMON):  # an older release knows no such role
                self.state = ServerState.ATTACHED
                return
            if time.monotonic() > deadline:
                msg = (
                    f"process {owner} owns the PostgreSQL in {self.cluster.directory}, which does"
                    " not accept connections; look at its log, or stop that process"
                )
                raise StoreSetupError(msg)
            await asyncio.sleep(_POLL_SECONDS)
        try:
            await self._prepare()
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(), name="embedded-postgres")

    async def join(self) -> None:
        """Waits for the server of another process and uses it; starts none, and is in nobody's way
        who does. Raises `StoreSetupError` when none comes."""
        deadline = time.monotonic() + self._settings.start_seconds
        while not await self._answers(role=DAEMON, database=DATABASE):
            if time.monotonic() > deadline:
                msg = (
                    f"no PostgreSQL answers in {self.cluster.directory}: the daemon that runs it"
                    " does not run (systemctl start triaged), or has another --state-dir"
                )
                raise StoreSetupError(msg)
            await asyncio.sleep(_JOIN_SECONDS)
        self.state = ServerState.ATTACHED

    async def stop(self) -> None:
        """A clean stop within the deadline, else a cut one (recovered at the next start)."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        if self._process is not None:
            await end(self._process, stop_seconds=self._settings.stop_seconds)
            self._process = None
        if self._run_fd is not None:
            os.close(self._run_fd)
            self._run_fd = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self.state = ServerState.STOPPED

    # --- starting ------------------------------------------------------------------------------

    def _take_lock(self) -> bool:
        try:
            descriptor = os.open(self.cluster.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            msg = (
                f"cannot open {self.cluster.lock} ({error.strerror}); it belongs to the user that"
                " runs the daemon: run this as that user, or set another --state-dir"
            )
            raise StoreSetupError(msg) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        with contextlib.suppress(PermissionError):  # an earlier release left it open to all
            os.fchmod(descriptor, 0o600)  # whoever may open it may hold it, and keep us out
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor
        return True

    async def _prepare(self) -> None:
        cluster = self.cluster
        account = choose_account(run_as=self._settings.run_as, data=cluster.data)
        if account.name == "nobody":
            _log.warning(
                "PostgreSQL runs as nobody, a user that other programs share; for a user of its own"
                " run useradd --system triaged before the first start"
            )
        found = find_install(major=cluster.major())
        self._account = account
        self._install = await asyncio.to_thread(for_account, found, account)
        if cluster.major() is None:
            await self._initdb(self._install, account)
        cluster.make_run(account)

    async def _initdb(self, install: Install, account: Account) -> None:
        cluster = self.cluster
        await asyncio.to_thread(cluster.make_unfinished, account)
        options = ["--locale=C", "--encoding=UTF8"]
        if install.major >= 17:
            # lower() and ILIKE know all of Unicode, the same on every host
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            # One call instead of one for each of a thousand files: seconds, on a slow disk.
            options += ["--sync-method=syncfs"]
        with handed_over(account, cluster.unfinished) as (paths, descriptors):
            process = await spawn(
                (str(install.initdb), "-D", paths[0], "-U", ADMINISTRATOR, "--auth=peer", *options),
                account=account,
                descriptors=descriptors,
                log=cluster.log,
            )
            code = await process.wait()
        if code != 0:
            msg = (
                f"PostgreSQL's initdb failed in {cluster.unfinished} (exit {code}):"
                f" {cluster.log_tail()}"
            )
            raise StoreSetupError(msg)
        if cluster.data.exists():  # empty, or major() would have refused
            cluster.data.rmdir()
        cluster.unfinished.rename(cluster.data)

    async def _launch(self) -> None:
        """Starts the postmaster and returns when it accepts connections."""
        assert self._account is not None  # noqa: S101 (set by _prepare)
        assert self._install is not None  # noqa: S101
        cluster, account = self.cluster, self._account
        self.state = ServerState.STARTING
        await self._end_leftover()
        cluster.bound_log()
        folders = (cluster.data, cluster.conf, cluster.run)
        short = not cluster.socket_too_long
        with handed_over(account, *folders, by_path=short) as (paths, descriptors):
            data, conf, run = paths
            cluster.write_conf(
                settings=self._settings,
                account=account,
                major=self._install.major,
                conf_path=conf,
            )
            self._process = await spawn(
                (
                    *(str(self._install.postgres), "-D", data),
                    *("-c", f"config_file={conf}/postgresql.conf"),
                    *("-c", f"unix_socket_directories={run}"),
                ),
                account=account,
                descriptors=descriptors,
                log=cluster.log,
            )
        await self._ready(self._process)
        await self._make_roles()
        self.state = ServerState.RUNNING
        self.problem = None

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        deadline = time.monotonic() + self._settings.start_seconds
        while not await self._answers(role=ADMINISTRATOR):
            if process.returncode is not None:
                self._process = None
                msg = (
                    f"PostgreSQL ended while starting (exit {process.returncode});"
                    f" {self.cluster.log} says: {self.cluster.log_tail()}"
                )
                raise StoreSetupError(msg)
            if time.monotonic() > deadline:
                msg = (
                    "PostgreSQL did not accept connections within"
                    f" {self._settings.start_seconds:g} s; {self.cluster.log} says:"
                    f" {self.cluster.log_tail()}; raise store.embedded.start_seconds if it is"
                    " still recovering"
                )
                raise StoreSetupError(msg)
            await asyncio.sleep(_POLL_SECONDS)

    async def _answers(self, *, role: str, database: str = "postgres") -> bool:
        if not self.cluster.socket.exists():
            return False
        try:
            connection = await psycopg.AsyncConnection.connect(
                self.conninfo(database=database, role=role), connect_timeout=5
            )
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error) or "no pg_hba.conf entry" in str(error):
                msg = (
                    f"the PostgreSQL in {self.cluster.directory} does not let this user in; run as"
                    " the user that the daemon runs as, and restart the daemon if triaged was"
                    " upgraded since it was started"
                )
                raise StoreSetupError(msg) from error
            return False
        await connection.close()
        return True

    async def _make_roles(self) -> None:
        conninfo = self.conninfo(database="postgres", role=ADMINISTRATOR)
        async with administrator(conninfo) as connection:
            await make_roles(connection, database=DATABASE)

    # --- watching ------------------------------------------------------------------------------

    async def _watch(self) -> None:
        pause = 0.05
        while True:
            process = self._process
            if process is not None:
                started = time.monotonic()
                code = await process.wait()
                self._process = None
                self.state = ServerState.LOST
                self.problem = f"PostgreSQL ended by itself (exit {code}); it is started again"
                _log.error(self.problem, log=str(self.cluster.log))
                pause = 0.05 if time.monotonic() - started > 60 else min(pause * 2, 30.0)
            await asyncio.sleep(pause)
            try:
                await self._launch()
            except (StoreError, psycopg.Error, OSError) as error:
                if self._process is not None:
                    await end(self._process, stop_seconds=self._settings.stop_seconds)
                    self._process = None
                pause = min(pause * 2, 30.0)
                if self.problem != str(error):
                    self.problem = str(error)
                    _log.error("PostgreSQL does not start; trying again", problem=self.problem)
            else:
                _log.info("PostgreSQL runs again")

    # --- stopping ------------------------------------------------------------------------------

    async def _end_leftover(self) -> None:
        """Stops a server that a dead daemon left over this data, and clears a lock that lies."""
        pid = self.cluster.postmaster_pid()
        if pid is None:
            return
        if not self.cluster.is_ours(pid):
            # Dead, or the number belongs to another process now, which PostgreSQL might take for
            # one of its own and refuse to start. We hold the lock, so nobody else is starting.
            (self.cluster.data / "postmaster.pid").unlink(missing_ok=True)
            return
        _log.warning("stopping a PostgreSQL that an earlier triaged left", pid=pid)
        if not await asyncio.to_thread(end_by_pid, pid, self.cluster):
            msg = f"process {pid} over {self.cluster.data} does not end; stop it (kill -QUIT {pid})"
            raise StoreUnavailableError(msg)


def _read_owner(lock: Path) -> str:
    try:
        return lock.read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
