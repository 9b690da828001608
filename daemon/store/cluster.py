"""The files of the embedded PostgreSQL: where they are, what it is told, whose process is running.

<directory>/            made by the daemon; nobody else needs to enter it
    lock                held (flock) by the daemon that owns the server; its process id
    conf/               written by the daemon at every start; local.conf is the operator's
    data/               PostgreSQL's, 0700, owned by the user that it runs as
    run/                the socket, 0700, owned by the same user
    postgres.log        what PostgreSQL says, bounded
"""

from __future__ import annotations

import dataclasses
import errno
import os
import pwd
import shutil
import stat
from pathlib import Path

from daemon.store.account import Account
from daemon.store.errors import StoreSetupError
from daemon.store.settings import EmbeddedSettings
from tiers.nofollow import no_follow

DATABASE = "triaged"
ADMINISTRATOR = "triaged"
"""The role that initdb made, a superuser. It owns the ledger; see `daemon.store.ownership`."""
DAEMON = "triaged_daemon"
"""The role that the daemon works as. It owns what it maintains, and only adds to the ledger."""
PORT = 5432
SOCKET_LIMIT = 107
"""Longest path of a Unix socket in bytes (unix(7): 108 with the end mark)."""
LOG_LIMIT = 4 * 1024 * 1024
"""The log is cut when it is larger than this many bytes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One data directory and what belongs to it. Knows files, starts nothing."""

    directory: Path

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def conf(self) -> Path:
        return self.directory / "conf"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def unfinished(self) -> Path:
        """Where initdb works; renamed to `data` when it is done, so `data` is whole or absent."""
        return self.directory / "data.new"

    @property
    def run(self) -> Path:
        return self.directory / "run"

    @property
    def log(self) -> Path:
        return self.directory / "postgres.log"

    @property
    def socket(self) -> Path:
        return self.run / f".s.PGSQL.{PORT}"

    @property
    def socket_too_long(self) -> bool:
        # The lock file beside the socket has the longer name, but only the socket is an address.
        return len(os.fsencode(self.socket)) > SOCKET_LIMIT

    def make(self) -> None:
        """Makes the folders that belong to the daemon."""
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.conf.mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            msg = (
                f"cannot make {self.directory} for the embedded PostgreSQL ({error.strerror});"
                " choose a state directory that this user may write (--state-dir)"
            )
            raise StoreSetupError(msg) from error

    def make_run(self, account: Account) -> None:
        """An empty folder for the socket, owned by who listens on it."""
        self.run.mkdir(mode=0o700, exist_ok=True)
        if account.drop:
            os.chown(self.run, account.uid, account.gid, follow_symlinks=False)

    def make_unfinished(self, account: Account) -> None:
        """An empty folder for initdb; what a crash left there goes first."""
        if self.unfinished.exists():
            shutil.rmtree(self.unfinished)
        self.unfinished.mkdir(mode=0o700)
        if account.drop:
            os.chown(self.unfinished, account.uid, account.gid, follow_symlinks=False)

    def major(self) -> int | None:
        """The major version that wrote the data, None when there is no data yet."""
        try:
            return int((self.data / "PG_VERSION").read_text(encoding="ascii").strip())
        except FileNotFoundError:
            if self.data.exists() and any(self.data.iterdir()):
                msg = (
                    f"{self.data} is not empty and holds no PG_VERSION, so it is no PostgreSQL data"
                    " directory; move it away to start empty, or restore it from a backup"
                )
                raise StoreSetupError(msg) from None
            return None
        except ValueError as error:
            msg = (
                f"{self.data}/PG_VERSION does not hold a version number; the data directory is"
                " damaged: restore it from a backup"
            )
            raise StoreSetupError(msg) from error

    def write_conf(
        self, *, settings: EmbeddedSettings, account: Account, major: int, conf_path: str
    ) -> None:
        """Writes what the server is told. `conf_path` is how the server itself reaches `conf`."""
        own = pwd.getpwuid(os.geteuid()).pw_name
        names = dict.fromkeys((own, account.name))
        files = {
            "postgresql.conf": render_conf(settings=settings, major=major, conf_path=conf_path),
            "pg_hba.conf": (
                "# Written by triaged at every start. Only the socket, only users in"
                " pg_ident.conf.\nlocal all all peer map=triaged\n"
            ),
            "pg_ident.conf": (
                "# Written by triaged at every start: who may connect, by the kernel's word.\n"
                + "".join(
                    f'triaged "{name}" {role}\n'
                    for name in names
                    for role in (ADMINISTRATOR, DAEMON)
                )
            ),
        }
        for name, text in files.items():
            with open(self.conf / name, "w", encoding="utf-8", opener=no_follow) as file:
                file.write(text)
        for path in self.conf.iterdir():
            _show_to_all(path)

    def bound_log(self) -> None:
        """Cuts the log when it has grown too large. Writers append, so cutting is safe."""
        try:
            size = self.log.stat().st_size
        except FileNotFoundError:
            return
        if size > LOG_LIMIT:
            with open(self.log, "r+b", opener=no_follow) as log:
                log.seek(-LOG_LIMIT // 4, os.SEEK_END)
                tail = log.read()
                log.seek(0)
                log.write(tail)
                log.truncate()

    def log_tail(self, lines: int = 6) -> str:
        """The last lines that PostgreSQL said, for an error's sentence."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 8192))
                said = log.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(line[:500] for line in said[-lines:])

    def postmaster_pid(self) -> int | None:
        """The process in postmaster.pid, whether it lives or not."""
        try:
            first = (self.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0]
            return int(first)
        except (FileNotFoundError, ValueError):
            return None

    def is_ours(self, pid: int) -> bool:
        """Whether `pid` is a process that works in this data directory, by the kernel's word: a
        postmaster's working directory is its data directory."""
        try:
            return Path(f"/proc/{pid}/cwd").stat().st_ino == self.data.stat().st_ino and (
                Path(f"/proc/{pid}/cwd").stat().st_dev == self.data.stat().st_dev
            )
        except OSError:
            return False


def _show_to_all(path: Path) -> None:
    """Lets PostgreSQL's user read a file. What a link names keeps its mode: it is not ours."""
    try:
        descriptor = no_follow(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return
        raise
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o644)
    finally:
        os.close(descriptor)


def render_conf(*, settings: EmbeddedSettings, major: int, conf_path: str) -> str:
    """What the server is told: small, durable, on a socket only, and quiet when nothing happens."""
    values: dict[str, str] = {
        "hba_file": f"'{conf_path}/pg_hba.conf'",
        "ident_file": f"'{conf_path}/pg_ident.conf'",
        "listen_addresses": "''",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
        "max_connections": str(settings.max_connections),
        "superuser_reserved_connections": "3",
        "shared_buffers": f"'{settings.shared_buffers_mb}MB'",
        "effective_cache_size": "'512MB'",
        "work_mem": "'8MB'",
        "maintenance_work_mem": "'64MB'",
        "huge_pages": "off",
        # Durable: an acknowledged event survives a power cut.
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        # One server, no replicas.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_logical_replication_workers": "0",
        "wal_compression": "on",
        "min_wal_size": "'64MB'",
        "max_wal_size": "'512MB'",
        "checkpoint_timeout": "'15min'",
        # Few processes, little work while idle.
        "max_worker_processes": "4",
        "max_parallel_workers": "2",
        "max_parallel_workers_per_gather": "1",
        "autovacuum_max_workers": "2",
        "jit": "off",
        # A daemon that is gone must not keep locks.
        "client_connection_check_interval": "'10s'",
        "TimeZone": "'UTC'",
        "log_timezone": "'UTC'",
        "lc_messages": "'C'",
        "default_text_search_config": "'pg_catalog.simple'",
        "logging_collector": "off",
        "log_destination": "'stderr'",
        "log_line_prefix": "'%m [%p] %q%a '",
        "log_min_messages": "warning",
        "log_min_error_statement": "panic",  # statements carry text from the host
        "log_checkpoints": "off",
        "log_autovacuum_min_duration": "-1",
    }
    if major >= 18:
        values["io_method"] = "sync"  # no worker processes for reading ahead
    values["include_if_exists"] = f"'{conf_path}/local.conf'"
    return "# Written by triaged at every start; put what you want to change into local.conf.\n" + (
        "".join(f"{name} = {value}\n" for name, value in values.items())
    )
