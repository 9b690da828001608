"""What happens to machines: crashes in a row, sockets that say nothing, files that shrink under a
running server, full disks. Each ends in the state that the table says, and leaves no process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import subprocess
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from server_helpers import process_is_gone, tiny_flags

from tiers.nano.files import bundled_model
from tiers.runtime.binary import Binary
from tiers.runtime.liveness import LivenessLimits
from tiers.runtime.ownership import free_port
from tiers.runtime.restarts import RestartPolicy
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

WHEEL = Binary(path=None, origin="wheel")
QUICK = RestartPolicy(
    first_seconds=0.02, most_seconds=0.05, cap=20, window_seconds=600, rest_seconds=600
)
ALERT = LivenessLimits(check_seconds=0.2, answer_seconds=1.0, work_seconds=3.0)

Make = Callable[..., LlamaServer]


class Told(list[ServerStatus]):
    """Every change of a server's status, oldest first."""

    def states(self) -> list[ServerState]:
        return [status.state for status in self]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[LlamaServer] = []

    def build(
        *,
        model: Path,
        binary: Binary = WHEEL,
        told: Told | None = None,
        state_dir: Path = tmp_path,
        load_seconds: float = 60.0,
    ) -> LlamaServer:
        server = LlamaServer(
            tier=TierName.META,
            flags=tiny_flags(model, port=free_port("127.0.0.1")),
            binary=binary,
            state_dir=state_dir,
            policy=QUICK,
            limits=ALERT,
            load_seconds=load_seconds,
            on_change=told.append if told is not None else None,
        )
        made.append(server)
        return server

    yield build
    for server in made:
        await server.stop()


def program(path: Path, body: str) -> Binary:
    path.write_text(f"#!/usr/bin/env python3\n{textwrap.dedent(body)}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Binary(path=path, origin="$LLAMA_BIN")


async def until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (the condition is another process's)
            await asyncio.sleep(0.02)


async def test_twenty_crashes_in_a_row_end_in_a_rest(
    make: Make, tiny_model: Path, tmp_path: Path
) -> None:
    count = tmp_path / "starts"
    path = tmp_path / "llama-server"
    path.write_text(f"#!/bin/sh\nprintf x >> '{count}'\nexit 134\n", encoding="utf-8")
    path.chmod(0o755)
    crashing = Binary(path=path, origin="$LLAMA_BIN")
    told = Told()
    server = make(model=tiny_model, binary=crashing, told=told)
    await server.start()
    await until(lambda: server.status().state is ServerState.FAILED)
    assert len(count.read_text()) == 20
    assert told.states().count(ServerState.STARTING) == 20
    assert "20 times" in server.status().detail
    await asyncio.sleep(0.3)
    assert len(count.read_text()) == 20


async def test_a_socket_that_takes_everything_and_says_nothing(
    make: Make, tiny_model: Path, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    silent = program(
        tmp_path / "llama-server",
        f"""\
        import os, signal, socket, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open({str(pids)!r}, "a").write(f"{{os.getpid()}}\\n")
        port = int(sys.argv[sys.argv.index("--port") + 1])
        listener = socket.create_server(("127.0.0.1", port))
        held = []
        while True:
            held.append(listener.accept())
        """,
    )
    server = make(model=tiny_model, binary=silent, load_seconds=1.0)
    status = await server.start()
    assert status.state is ServerState.COOLING
    assert "was not loaded within 1 s" in status.detail
    await server.stop()
    for pid in pids.read_text().split():
        assert process_is_gone(int(pid))


async def test_an_exit_while_it_loads_is_told_with_its_code(
    make: Make, tiny_model: Path, tmp_path: Path
) -> None:
    loading = program(
        tmp_path / "llama-server",
        """\
        import http.server, os, sys, threading, time
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(503)
                self.end_headers()
            def log_message(self, *_): pass
        port = int(sys.argv[sys.argv.index("--port") + 1])
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        time.sleep(0.5)
        os._exit(3)
        """,
    )
    told = Told()
    server = make(model=tiny_model, binary=loading, told=told)
    status = await server.start()
    assert ServerState.LOADING in told.states()
    assert status.state is ServerState.COOLING
    assert "ended with code 3" in status.detail


async def test_a_model_file_that_is_cut_while_it_runs(make: Make, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    shutil.copyfile(bundled_model(TierName.META).path, model)
    told = Told()
    server = make(model=model, told=told)
    status = await server.start()
    assert status.state is ServerState.READY
    os.truncate(model, 40_000)
    asked = {"prompt": "disk full " * 50, "n_predict": 64}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        with contextlib.suppress(httpx.HTTPError):
            for _ in range(20):  # until a page that is gone is needed
                await client.post(f"{status.url}/completion", json=asked)
    await until(lambda: ServerState.COOLING in told.states())
    await until(lambda: any("damaged or was cut short" in status.detail for status in told))
    # The file comes back, and so does the server.
    shutil.copyfile(bundled_model(TierName.META).path, model)
    await until(lambda: server.status().state.serves)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    yield folder
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leaves no byte free."""
    handle = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(handle, b"x" * 4096)
    os.close(handle)
    assert os.statvfs(folder).f_bavail == 0


async def test_a_full_disk_for_the_log_stops_no_server(
    make: Make, tiny_model: Path, small_disk: Path
) -> None:
    server = make(model=tiny_model, state_dir=small_disk)
    status = await server.start()
    assert status.state is ServerState.READY
    pid = status.pid
    fill(small_disk)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        for _ in range(20):
            # What it refuses it writes to its log.
            await client.post(f"{status.url}/v1/chat/completions", content=b"{broken")
        answer = await client.post(f"{status.url}/completion", json={"prompt": "x", "n_predict": 2})
    assert answer.status_code == 200
    await asyncio.sleep(1.0)
    assert server.status().state.serves
    assert server.status().pid == pid
