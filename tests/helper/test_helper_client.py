"""The daemon's side: over a socket as systemd serves it, and over a child of its own."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helper_kit import RealHelper, start_of

from daemon.actions.errors import HostUnavailableError, PrivilegeError
from daemon.actions.host.helper_client import ChildDoor, HelperClient, SocketDoor, helper_client

Victim = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def served(helper: RealHelper) -> Iterator[Path]:
    """A socket with a helper for each connection, as Accept=yes has it."""
    path = helper.root / "socket"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def accept() -> None:
        argv = [sys.executable, "-I", "-m", "daemon.helper", "--config", str(helper.config)]
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                subprocess.run(argv, stdin=connection, stderr=subprocess.DEVNULL, check=False)

    thread = threading.Thread(target=accept)
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


async def test_a_verb_over_the_socket(helper: RealHelper, served: Path, victim: Victim) -> None:
    helper.allow("process-end")
    client = helper_client(path=served, config=helper.config)
    process = victim()
    arguments = {"pid": process.pid, "start": start_of(process.pid), "signal": "term"}
    answer = await client.call("process-end", arguments, timeout=20)
    assert answer.ok, answer.detail
    assert process.wait(timeout=5) != 0
    again = await client.call("process-end", arguments, timeout=20)
    assert not again.ok
    assert "no process" in again.detail


async def test_root_without_a_socket_has_a_helper_of_its_own(
    helper: RealHelper, victim: Victim
) -> None:
    helper.allow("process-end")
    client = helper_client(path=helper.root / "none", config=helper.config)
    process = victim()
    arguments = {"pid": process.pid, "start": start_of(process.pid), "signal": "kill"}
    assert (await client.call("process-end", arguments, timeout=20)).ok
    assert process.wait(timeout=5) != 0


async def test_root_without_a_file_may_do_nothing(helper: RealHelper) -> None:
    helper.config.unlink()
    client = helper_client(path=helper.root / "none", config=helper.config)
    why = await client.allows("process-end")
    assert why is not None
    assert str(helper.config) in why
    with pytest.raises(PrivilegeError, match="root makes it with"):
        await client.call("process-end", {"pid": 1, "start": 0, "signal": "kill"}, timeout=20)


async def test_allows_is_asked_once_for_a_while(helper: RealHelper) -> None:
    helper.allow("process-end")
    now = 0.0
    client = HelperClient(door=lambda: ChildDoor(config=helper.config), clock=lambda: now)
    assert await client.allows("process-end") is None
    assert await client.allows("block") is not None
    helper.allow()
    assert await client.allows("process-end") is None
    now = 11.0
    assert await client.allows("process-end") is not None


async def test_a_missing_socket_says_how_it_is_installed(tmp_path: Path) -> None:
    client = HelperClient(door=lambda: SocketDoor(path=tmp_path / "none"))
    why = await client.allows("process-end")
    assert why is not None
    assert "--allow-actions" in why
    with pytest.raises(PrivilegeError):
        await client.call("process-end", {}, timeout=5)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"null\n",
        b"no json\n",
        b'{"ok": "yes", "code": "done", "detail": "", "data": {}}\n',
        b'{"ok": true, "code": "done", "detail": null, "data": {}}\n',
        b'{"ok": true, "code": "done", "detail": "", "data": []}\n',
        b'{"ok": true, "code": [], "detail": "", "data": 5}\n',
        b'{"ok": true, "code": [], "detail": "", "data": {}}\n',
        b"x" * 600_000 + b"\n",
    ],
)
async def test_an_answer_that_is_none_is_not_believed(tmp_path: Path, answer: bytes) -> None:
    async with Double(tmp_path / "socket", answer):
        client = HelperClient(door=lambda: SocketDoor(path=tmp_path / "socket"))
        with pytest.raises(HostUnavailableError):
            await client.call("hello", {}, timeout=5)


@pytest.mark.parametrize(
    ("code", "begun"),
    [("refused", False), ("busy", False), ("bad-request", False), ("failed", True),
     ("timeout", True)],
)  # fmt: skip
async def test_it_says_whether_anything_was_begun(tmp_path: Path, code: str, begun: bool) -> None:
    answer = f'{{"ok": false, "code": "{code}", "detail": "no", "data": {{}}}}\n'.encode()
    async with Double(tmp_path / "socket", answer):
        client = HelperClient(door=lambda: SocketDoor(path=tmp_path / "socket"))
        assert (await client.call("block", {}, timeout=5)).begun is begun


async def test_a_helper_that_hangs_is_given_up(tmp_path: Path) -> None:
    async with Double(tmp_path / "socket", None):
        client = HelperClient(door=lambda: SocketDoor(path=tmp_path / "socket"))
        with pytest.raises(HostUnavailableError, match="did not answer to block within"):
            await client.call("block", {}, timeout=0.2)


async def test_giving_up_ends_a_child_and_its_children(helper: RealHelper) -> None:
    helper.program("journalctl", f"#!/bin/sh\necho $$ > {helper.root}/pid\nexec sleep 60\n")
    helper.allow("journal-vacuum")
    client = HelperClient(door=lambda: ChildDoor(config=helper.config))
    call = asyncio.create_task(client.call("journal-vacuum", {"keep_megabytes": 100}, timeout=30))
    async with asyncio.timeout(10):
        while not (  # noqa: ASYNC110 (a file is all there is to wait for)
            text := await asyncio.to_thread(_text, helper.root / "pid")
        ).endswith("\n"):
            await asyncio.sleep(0.05)
    pid = int(text)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


class Double:
    """A server that says `answer` to everybody, or nothing."""

    def __init__(self, path: Path, answer: bytes | None) -> None:
        self._path = path
        self._answer = answer
        self._over = asyncio.Event()

    async def __aenter__(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        assert json.loads(line)["verb"]
        if self._answer is None:
            await self._over.wait()
        else:
            writer.write(self._answer)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except OSError:
            pass
