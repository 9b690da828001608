"""Service checks: real sockets, real processes, transitions only."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from daemon.sources.services import ServicesSource
from daemon.sources.settings import EndpointCheck, ServicesSettings
from tests.sources.kept import Keeper


def source(**settings: object) -> ServicesSource:
    defaults: dict[str, object] = {"interval": 0.05, "fail_after": 2, "recover_after": 2}
    return ServicesSource(settings=ServicesSettings.model_validate(defaults | settings))


class Server:
    """Answers every request with a status, or never."""

    def __init__(self) -> None:
        self.status = b"200 OK"
        self.silent = False
        self.requests = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        if self.silent:
            await reader.read()
        elif await reader.readline():
            writer.write(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()


async def test_an_endpoint_goes_down_and_comes_back(keeper: Keeper) -> None:
    server = Server()
    await server.start()
    checks = (
        EndpointCheck(name="web", url=f"http://127.0.0.1:{server.port}/health", timeout=0.5),
        EndpointCheck(name="port", url=f"tcp://127.0.0.1:{server.port}", timeout=0.5),
    )
    async with keeper.running(source(endpoints=checks)):
        await keeper.until(lambda: server.requests > 4)
        assert keeper.texts == []
        server.status = b"503 Service Unavailable"
        await keeper.until(lambda: len(keeper.texts) == 1)
        server.status = b"204 No Content"
        await keeper.until(lambda: len(keeper.texts) == 2)
        await server.stop()
        await keeper.until(lambda: len(keeper.texts) == 4)
    assert keeper.texts[:2] == [
        "endpoint web is down: it answers with status 503",
        "endpoint web is up again",
    ]
    assert {text.split(" is down")[0] for text in keeper.texts[2:]} == {
        "endpoint web",
        "endpoint port",
    }
    assert keeper.cursor == {"down": ["endpoint port", "endpoint web"]}
    # A restart says it is down no second time, and that it came back.
    await server.start()
    async with keeper.running(source(endpoints=checks)):
        await keeper.until(lambda: len(keeper.texts) == 6)
    await server.stop()
    assert sorted(keeper.texts[4:]) == ["endpoint port is up again", "endpoint web is up again"]


async def test_an_endpoint_that_is_silent(keeper: Keeper) -> None:
    server = Server()
    server.silent = True
    await server.start()
    check = EndpointCheck(name="web", url=f"http://127.0.0.1:{server.port}/", timeout=0.1)
    async with keeper.running(source(endpoints=(check,))):
        await keeper.until(lambda: len(keeper.texts) == 1)
    await server.stop()
    assert keeper.texts[0].startswith("endpoint web is down: ")
    assert keeper.events[0].provenance == "measured"


async def test_processes(keeper: Keeper) -> None:
    process = await asyncio.create_subprocess_exec("/bin/sleep", "30")
    try:
        async with keeper.running(source(processes=("sleep", "no-such-thing"))):
            await keeper.until(lambda: len(keeper.texts) == 1)
            process.kill()
            await asyncio.sleep(0.05)
            await keeper.until(lambda: len(keeper.texts) == 2 or _others("sleep"))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert keeper.texts[0] == "process no-such-thing is down: no such process runs"


def _others(name: str) -> bool:
    """Somebody else's process of this name runs on the machine of the test."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "comm").read_text().strip() == name:
                    return True
            except OSError:
                continue
    return False


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("active\nfailed\n", ["unit b.service is down: it is failed"]),
        ("active\nactive\n", []),
        ("System has not been booted with systemd as init system\n", []),
    ],
)
async def test_units(
    output: str,
    expected: list[str],
    keeper: Keeper,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = tmp_path / "systemctl"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nprintf '{output}'\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with keeper.running(source(units=("a.service", "b"))):
        await keeper.until((tmp_path / "asked").exists)
        (tmp_path / "asked").unlink()
        await keeper.until((tmp_path / "asked").exists)
        await asyncio.sleep(0.2)
    assert keeper.texts == expected
