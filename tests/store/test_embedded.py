"""The embedded PostgreSQL: started anywhere, owned once, back when it dies, gone at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import psycopg
import pytest

from daemon.store import account as accounts
from daemon.store import install as installs
from daemon.store.child import handed_over
from daemon.store.cluster import ADMINISTRATOR, Cluster
from daemon.store.embedded import EmbeddedServer, ServerState
from daemon.store.errors import StoreInUseError, StoreSetupError, StoreUnavailableError
from daemon.store.open import open_store
from daemon.store.pool import Database
from daemon.store.settings import EmbeddedSettings, StoreSettings

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root has somebody else to become")


@pytest.fixture(scope="session")
def fresh_postgres(session_dir: Path) -> Path:
    """A data directory that was just made. Copying it is faster than making it."""

    async def make() -> None:
        async with running(session_dir):
            pass

    asyncio.run(make())
    return session_dir / "postgres"


@pytest.fixture
def ready_dir(state_dir: Path, fresh_postgres: Path) -> Path:
    """A state directory with PostgreSQL's data in it already."""
    subprocess.run(["cp", "-a", str(fresh_postgres), str(state_dir)], check=True)  # noqa: S607
    return state_dir


@contextlib.asynccontextmanager
async def running(state_dir: Path, **changes):
    server = EmbeddedServer(directory=state_dir / "postgres", settings=EmbeddedSettings(**changes))
    await server.start(attach=False)
    try:
        yield server
    finally:
        await server.stop()


async def until(condition, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def groups_of(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(word) for line in lines if line.startswith("Groups:") for word in line.split()[1:]}


def servers_over(state_dir: Path) -> list[int]:
    """Processes that work in the data directory."""
    data = state_dir / "postgres" / "data"
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if Path(f"/proc/{process.pid}/cwd").samefile(data):
                found.append(process.pid)
    return found


async def test_it_starts_empty_stops_clean_and_starts_again(state_dir: Path) -> None:
    started = time.monotonic()
    async with running(state_dir) as server:
        first = time.monotonic() - started
        conninfo = server.conninfo(role=ADMINISTRATOR)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("create table kept (id int)")
            assert connection.execute("show fsync").fetchone() == ("on",)
            assert connection.execute("show listen_addresses").fetchone() == ("",)
            assert connection.execute("select upper('é')").fetchone() == ("É",)
        assert server.state is ServerState.RUNNING
    assert servers_over(state_dir) == []
    started = time.monotonic()
    async with running(state_dir) as server:
        with psycopg.connect(server.conninfo(role=ADMINISTRATOR)) as connection:
            connection.execute("select from kept")
    # Generous: the machine may be busy. Usual is below 1 s and 0.3 s.
    assert first < 15
    assert time.monotonic() - started < 10
    assert "was not properly shut down" not in server.cluster.log.read_text()


@as_root
async def test_as_root_it_is_nobody_special_and_parents_stay_closed(state_dir: Path) -> None:
    hidden = state_dir / "hidden" / "deeper"
    hidden.mkdir(mode=0o700, parents=True)
    before = {path: path.stat().st_mode for path in (state_dir, *hidden.parents)}
    async with running(hidden) as server:
        process = psutil.Process(server.pid)
        assert process.uids().real == process.uids().effective == process.uids().saved != 0
        assert process.gids().real != 0
        assert groups_of(server.pid) == {process.gids().real}
        owner = (hidden / "postgres" / "data").stat()
        assert owner.st_uid == process.uids().real
        assert owner.st_mode & 0o077 == 0
    assert {path: path.stat().st_mode for path in before} == before


async def test_a_path_that_is_too_long_for_a_socket_works(state_dir: Path) -> None:
    deep = state_dir / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with running(deep) as server:
        assert server.cluster.socket_too_long
        with psycopg.connect(server.conninfo()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


async def test_a_second_owner_is_refused_and_a_client_attaches(ready_dir: Path) -> None:
    async with running(ready_dir) as server:
        second = EmbeddedServer(directory=server.cluster.directory, settings=EmbeddedSettings())
        with pytest.raises(StoreInUseError, match=rf"in use by process {os.getpid()}"):
            await second.start(attach=False)
        await second.start(attach=True)
        assert second.state is ServerState.ATTACHED
        with psycopg.connect(second.conninfo()) as connection:
            connection.execute("select 1")
        await second.stop()
        with psycopg.connect(server.conninfo()) as connection:
            connection.execute("select 1")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT, signal.SIGINT, signal.SIGSEGV])
async def test_it_comes_back_when_it_dies(ready_dir: Path, how: signal.Signals) -> None:
    async with running(ready_dir) as server:
        conninfo = server.conninfo(role=ADMINISTRATOR)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("create table kept as select generate_series(1, 1000)")
        before = server.pid
        assert before is not None
        os.kill(before, how)
        await until(lambda: server.state is ServerState.RUNNING and server.pid != before)
        with psycopg.connect(server.conninfo(role=ADMINISTRATOR)) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (1000,)
        assert server.problem is None


async def test_others_can_neither_hold_its_lock_nor_read_its_log(ready_dir: Path) -> None:
    (ready_dir / "postgres" / "lock").touch(mode=0o666)
    (ready_dir / "postgres" / "postgres.log").touch(mode=0o644)
    async with running(ready_dir) as server:
        for path in (server.cluster.lock, server.cluster.log):
            assert path.stat().st_mode & 0o077 == 0


async def test_it_keeps_trying_while_it_cannot_start(ready_dir: Path) -> None:
    async with running(ready_dir) as server:
        conf = server.cluster.conf / "local.conf"
        conf.write_text("shared_buffers = 'nonsense'\n")
        os.kill(server.pid, signal.SIGQUIT)
        await until(lambda: server.problem is not None and "nonsense" in server.problem)
        conf.unlink()
        await until(lambda: server.state is ServerState.RUNNING)


async def test_a_stale_lock_of_another_process_does_not_hinder(ready_dir: Path) -> None:
    async with running(ready_dir) as server:
        pid_file = server.cluster.data / "postmaster.pid"
        content = pid_file.read_text()
    owner = pid_file.parent.stat()
    # As after a power cut, when the number has gone to somebody else meanwhile.
    pid_file.write_text(content.replace(content.split("\n")[0], str(os.getpid()), 1))
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    async with running(ready_dir) as server:
        with psycopg.connect(server.conninfo()) as connection:
            connection.execute("select 1")


OWNER = """
import asyncio, sys
from pathlib import Path
from daemon.store.embedded import EmbeddedServer
from daemon.store.settings import EmbeddedSettings

async def main():
    server = EmbeddedServer(directory=Path(sys.argv[1]), settings=EmbeddedSettings())
    await server.start(attach=False)
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def start_owner(state_dir: Path) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), str(state_dir / "postgres")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def kill_owner(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()


async def test_it_stops_when_the_daemon_is_killed(ready_dir: Path) -> None:
    owner, postmaster = start_owner(ready_dir)
    assert servers_over(ready_dir)
    kill_owner(owner)
    await until(lambda: not Path(f"/proc/{postmaster}").exists())
    assert servers_over(ready_dir) == []


async def test_a_new_daemon_takes_over_what_a_killed_one_left(ready_dir: Path) -> None:
    for _ in range(3):
        owner, postmaster = start_owner(ready_dir)
        kill_owner(owner)  # the server may be anywhere between running and gone now
        async with running(ready_dir) as server:
            assert server.pid != postmaster
            with psycopg.connect(server.conninfo()) as connection:
                connection.execute("select 1")


def as_account(
    program: list, account: accounts.Account, descriptors: Sequence[int] = ()
) -> subprocess.Popen[str]:
    who = {"user": account.uid, "group": account.gid, "extra_groups": []} if ROOT else {}
    return subprocess.Popen(
        program,
        pass_fds=descriptors,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **who,
    )


async def test_a_left_over_server_is_stopped(ready_dir: Path) -> None:
    async with running(ready_dir) as server:
        cluster = server.cluster
        program, major = server.install.postgres, server.install.major
        account = accounts.choose_account(run_as=None, data=cluster.data)
    with handed_over(account, cluster.data, cluster.conf) as (paths, descriptors):
        cluster.write_conf(
            settings=EmbeddedSettings(), account=account, major=major, conf_path=paths[1]
        )
        left = as_account(
            [program, "-D", paths[0], "-c", f"config_file={paths[1]}/postgresql.conf"],
            account,
            descriptors,
        )
    await until(lambda: cluster.postmaster_pid() == left.pid)
    async with running(ready_dir):
        assert left.wait(10) is not None
        assert left.stderr is not None
        left.stderr.close()


async def test_initdb_that_was_interrupted_starts_over(state_dir: Path) -> None:
    half = state_dir / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with running(state_dir):
        assert not half.exists()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda data: (data / "stranger").write_text("x"), "holds no PG_VERSION"),
        (lambda data: (data / "PG_VERSION").write_text("9\n"), "no PostgreSQL of version 9"),
        (lambda data: (data / "PG_VERSION").write_text("?"), "does not hold a version number"),
    ],
)
async def test_a_strange_data_directory_is_refused(state_dir: Path, make, sentence: str) -> None:
    data = state_dir / "postgres" / "data"
    data.mkdir(parents=True)
    make(data)
    if ROOT:
        os.chown(data, pwd.getpwnam("nobody").pw_uid, -1)
    server = EmbeddedServer(directory=state_dir / "postgres", settings=EmbeddedSettings())
    with pytest.raises(StoreSetupError, match=sentence):
        await server.start(attach=False)


async def test_a_state_directory_of_somebody_else_is_refused(state_dir: Path) -> None:
    (state_dir / "postgres" / "lock").mkdir(parents=True)  # nobody can open that for writing
    server = EmbeddedServer(directory=state_dir / "postgres", settings=EmbeddedSettings())
    with pytest.raises(StoreSetupError, match="run this as that user"):
        await server.start(attach=False)
    in_the_way = state_dir / "file"
    in_the_way.write_text("")
    server = EmbeddedServer(directory=in_the_way / "postgres", settings=EmbeddedSettings())
    with pytest.raises(StoreSetupError, match="choose a state directory"):
        await server.start(attach=False)


@as_root
async def test_users_that_will_not_do_are_refused(state_dir: Path) -> None:
    for run_as, sentence in (("root", "refuses to run as root"), ("no-such", "no such user")):
        with pytest.raises(StoreSetupError, match=sentence):
            accounts.choose_account(run_as=run_as, data=state_dir / "none")
    (state_dir / "data").mkdir()
    with pytest.raises(StoreSetupError, match="belongs to root"):
        accounts.choose_account(run_as=None, data=state_dir / "data")


@as_root
def test_programs_that_cannot_be_reached_are_copied(state_dir: Path) -> None:
    nobody = accounts.choose_account(run_as="nobody", data=state_dir / "none")
    found = installs.find_install()
    closed = state_dir / "closed"
    closed.mkdir(mode=0o700)
    link = closed / "site" / installs.PACKAGE
    link.parent.mkdir()
    subprocess.run(["cp", "-r", str(found.bin.parents[1]), str(link)], check=True)  # noqa: S607
    libraries = found.bin.parents[2] / f"{installs.PACKAGE}.libs"
    subprocess.run(["cp", "-r", str(libraries), str(link.parent)], check=True)  # noqa: S607
    hidden = installs.Install(major=found.major, bin=link / found.bin.parent.name / "bin")
    state_dir.chmod(0o755)
    copied = installs.for_account(hidden, nobody, cache=state_dir / "cache")
    assert copied.bin != hidden.bin
    assert installs.for_account(hidden, nobody, cache=state_dir / "cache") == copied
    for program in (copied.postgres, copied.initdb):
        done = as_account([program, "--version"], nobody)
        _, said = done.communicate()
        assert done.returncode == 0, said
    if accounts.reachable(found.postgres, nobody):
        assert installs.for_account(found, nobody, cache=state_dir / "cache2") == found


async def test_other_users_of_the_host_are_not_let_in(ready_dir: Path) -> None:
    async with running(ready_dir) as server:
        hba = (server.cluster.conf / "pg_hba.conf").read_text()
        idents = (server.cluster.conf / "pg_ident.conf").read_text().splitlines()[1:]
        assert "trust" not in hba
        names = {line.split('"')[1] for line in idents}
        data_owner = pwd.getpwuid(server.cluster.data.stat().st_uid).pw_name
        assert names == {pwd.getpwuid(os.geteuid()).pw_name, data_owner}
        assert server.cluster.run.stat().st_mode & 0o077 == 0


def test_the_log_is_bounded(state_dir: Path) -> None:
    cluster = Cluster(directory=state_dir)
    cluster.log.write_bytes(b"x\n" * 4_000_000)
    cluster.bound_log()
    assert cluster.log.stat().st_size <= 1024 * 1024
    assert cluster.log_tail(2) == "x\nx"


async def test_the_store_opens_migrated_with_days_and_closes(ready_dir: Path) -> None:
    async with open_store(StoreSettings(), ready_dir, attach=False) as store:
        assert store.postgres_version.split(".")[0] in ("16", "18")
        assert store.server is not None
        async with store.pool.connection() as connection:
            row = await (await connection.execute("select count(*) from pg_inherits")).fetchone()
        assert row is not None
        assert row[0] >= 2 * 9
        async with open_store(StoreSettings(), ready_dir) as client:
            assert client.server is not None
            assert client.server.state is ServerState.ATTACHED
    assert servers_over(ready_dir) == []


async def test_a_dsn_is_used_as_it_is(database: str, state_dir: Path) -> None:
    dsn_file = state_dir / "dsn"
    dsn_file.write_text(database + "\n")
    for settings in (StoreSettings(dsn=database), StoreSettings(dsn_file=dsn_file)):
        async with open_store(settings, state_dir) as store:
            assert store.server is None
            async with store.pool.connection() as connection:
                await connection.execute("select 1")
    assert not (state_dir / "postgres").exists()


@pytest.mark.parametrize(
    ("dsn", "error", "sentence"),
    [
        ("host=/nowhere dbname=x connect_timeout=1", StoreUnavailableError, "not available"),
        ("{server} dbname=none", StoreSetupError, "does not let triaged in.*none"),
        ("{server} user=stranger", StoreSetupError, "does not let triaged in"),
    ],
)
async def test_a_dsn_that_does_not_work_says_why(
    postgres_server, state_dir: Path, dsn: str, error: type[Exception], sentence: str
) -> None:
    settings = StoreSettings(dsn=dsn.format(server=postgres_server.conninfo()), connect_seconds=0.5)
    with pytest.raises(error, match=sentence):
        async with open_store(settings, state_dir):
            pass


async def test_a_dsn_file_that_is_not_one_line_says_so(state_dir: Path) -> None:
    for content in (b"", b"a\nb\n", b"\xff"):
        (state_dir / "dsn").write_bytes(content)
        with pytest.raises(StoreSetupError, match="one line"):
            async with open_store(StoreSettings(dsn_file=state_dir / "dsn"), state_dir):
                pass


def test_dsn_and_file_exclude_each_other_and_the_password_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not both"):
        StoreSettings(dsn="x", dsn_file="y")
    assert "secret" not in repr(StoreSettings(dsn="postgresql://u:secret@h/d"))


async def test_a_closed_pool_says_that_it_is_closed(pool: Database) -> None:
    await pool.close()
    with pytest.raises(Exception, match="the store is closed"):
        async with pool.connection():
            pass
