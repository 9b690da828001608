"""A stranger listens where one of our llama-servers should: not a byte may reach it, whoever asks
and whenever, and its endpoint is unavailable with a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import stat
import textwrap
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from chat_helpers import Box, ask
from scripted_endpoint import ScriptedEndpoint, stream_reply
from server_helpers import process_is_gone, tiny_flags

from daemon.views.targets import TargetsView
from tiers.build import Tiers, build_tiers
from tiers.config import FallbackSettings, TierSettings, ToolLoopSettings
from tiers.contracts import Sighting
from tiers.errors import TierError, TierUnavailableError
from tiers.llm.away import Away
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall
from tiers.nano.files import bundled_model
from tiers.runtime.binary import Binary
from tiers.runtime.fleet import Fleet
from tiers.runtime.listener import answers_at, listener_of
from tiers.runtime.ownership import free_port
from tiers.runtime.restarts import RestartPolicy
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName

PATIENT = RestartPolicy(
    first_seconds=30, most_seconds=30, cap=99, window_seconds=600, rest_seconds=600
)
PING = ChatCall(messages=[{"role": "user", "content": "ping"}], max_tokens=1)
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n"
    b'{"object":"list","data":[{"id":"stranger","x":1}'
)


class Stranger:
    """Takes a port and keeps whatever is said to it, from a thread of its own: it never waits for
    the loop of the test."""

    def __init__(self, port: int = 0, *, seconds: float = 5.0) -> None:
        self.heard: list[bytes] = []
        self._until = seconds
        self._socket = _bound(port, seconds=seconds)
        self.port: int = self._socket.getsockname()[1]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="stranger")
        self._thread.start()

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        self._socket.settimeout(0.02)
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                taken, _ = self._socket.accept()
                with taken:
                    taken.settimeout(0.2)
                    if said := taken.recv(65_536):
                        self.heard.append(said)
                        taken.sendall(ANSWER)


def _bound(port: int, *, seconds: float) -> socket.socket:
    """Like a program that waits for a port: tries until it has it."""
    clock = threading.Event()
    for _ in range(int(seconds / 0.001)):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
        clock.wait(0.001)
    raise AssertionError(f"port {port} did not become free")


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    yield made
    made.close()


def everything(tiers: Tiers, sighting: Sighting) -> list[Callable[[], Awaitable[Any]]]:
    """Everybody in the daemon who asks a model."""
    asking: list[Callable[[], Awaitable[Any]]] = [
        lambda: tiers.trigger.judge(sighting),
        lambda: ask(tiers.chat, "how full is the disk?"),
    ]
    for pool in tiers.pools.values():
        for endpoint in pool.endpoints:
            if endpoint.own:
                client = endpoint.client
                asking += [
                    client.info,
                    functools.partial(client.look, 1.0),
                    functools.partial(client.chat, PING),
                    functools.partial(collected, client),
                    functools.partial(client.decide, state="s", questions={}),
                    functools.partial(client.embed, ["host data"]),
                    functools.partial(client.tokenize, "host data"),
                    functools.partial(client.prompt_tokens, PING.messages),
                ]
    return asking


async def collected(client: LlmClient) -> None:
    async for _ in client.stream(PING):
        pass


async def all_refused(tiers: Tiers, sighting: Sighting) -> list[str]:
    """Asks everything, and probes; the sentences of the refusals."""
    said = []
    for each in everything(tiers, sighting):
        with pytest.raises(TierUnavailableError) as caught:
            await each()
        said.append(str(caught.value))
    for pool in tiers.pools.values():
        for endpoint in pool.endpoints:
            if endpoint.own:
                assert not await endpoint.probe()
                assert not await endpoint.client.ready()
                await endpoint.lives(1.0)
    return said


@contextlib.asynccontextmanager
async def running(
    settings: dict[TierName, TierSettings], state: Path, *, policy: RestartPolicy = PATIENT
) -> AsyncIterator[tuple[Fleet, Tiers, TargetsView]]:
    fleet = Fleet(settings, state, environ={}, policy=policy)
    tiers = build_tiers(
        settings, fleet.endpoint, away=fleet.away, toolbox=Box(), loop=ToolLoopSettings()
    )
    watching = asyncio.create_task(tiers.watch())
    try:
        yield fleet, tiers, TargetsView(pools=tiers.pools, servers=fleet.status)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await tiers.aclose()
        await fleet.stop()


def on(port: int, **more: Any) -> dict[TierName, TierSettings]:
    return {tier: TierSettings(port=port, **more) for tier in TierName}


async def test_a_stranger_that_was_there_first_is_never_asked(
    stranger: Stranger, sighting: Sighting, tmp_path: Path
) -> None:
    async with running(on(stranger.port), tmp_path) as (fleet, tiers, targets):
        said = await all_refused(tiers, sighting)  # nothing was started yet
        assert "its server was not started yet" in said[0]
        statuses = await fleet.start()
        assert {status.state for status in statuses} == {ServerState.COOLING}
        said = await all_refused(tiers, sighting)
        assert all(f"Port {stranger.port} on 127.0.0.1 is in use by" in each for each in said)
        assert f"(pid {os.getpid()})" in targets.target(TierName.META).detail
        await fleet.stop()
        await all_refused(tiers, sighting)
        assert targets.target(TierName.META).detail
    assert stranger.heard == []


async def test_a_server_that_was_killed_is_not_followed_to_its_port(
    sighting: Sighting, tmp_path: Path
) -> None:
    port = free_port("127.0.0.1")
    settings = {
        **on(port, endpoint="http://127.0.0.1:9"),
        TierName.META: TierSettings(port=port),
    }
    async with running(settings, tmp_path) as (fleet, tiers, targets):
        await fleet.start()
        client = tiers.pools[TierName.META].endpoints[0].client
        assert (await client.chat(PING)).usage.prompt_tokens
        meta = next(each for each in fleet.status() if each.tier is TierName.META)
        assert meta.pid is not None
        os.kill(meta.pid, signal.SIGKILL)
        stranger = Stranger(port)  # blocks our loop: the daemon has noticed nothing
        try:
            target = targets.target(TierName.META)
            assert "left its port" in target.detail
            with pytest.raises(TierUnavailableError, match="left its port"):
                await client.chat(PING)
            for _ in range(20):
                for each in everything(tiers, sighting)[1:]:
                    with pytest.raises(TierError):
                        await each()
                await asyncio.sleep(0.02)
            assert fleet.status()[-1].state is ServerState.COOLING
            await fleet.rest(TierName.META, why="memory is short")
            with pytest.raises(TierUnavailableError, match="memory is short"):
                await client.info()
            await fleet.wake(TierName.META)
            assert f"Port {port}" in fleet.status()[-1].detail
            with pytest.raises(TierUnavailableError, match=f"Port {port}"):
                await client.info()
        finally:
            stranger.close()
        assert stranger.heard == []


async def test_a_port_that_is_taken_while_we_connect_hears_nothing(stranger: Stranger) -> None:
    """Our server lived when the call began, and not when the connection stood."""
    looks = iter([None, Away(why="it has just ended")])
    client = LlmClient(
        name="meta", url=f"http://127.0.0.1:{stranger.port}", away=lambda: next(looks)
    )
    try:
        with pytest.raises(TierUnavailableError, match="it has just ended"):
            await client.look(2.0)
    finally:
        await client.aclose()
    await asyncio.sleep(0.3)
    assert stranger.heard == []


async def test_a_stranger_that_is_quicker_than_our_child_is_not_probed(
    stranger: Stranger, sighting: Sighting, tmp_path: Path
) -> None:
    """The child runs and never gets the port: that is what a stranger between claim and start
    does. The probes of the start carry a key, too."""
    script = tmp_path / "llama-server"
    script.write_text(
        "#!/usr/bin/env python3\n"
        + textwrap.dedent(
            """\
            import sys, time
            if "--version" in sys.argv:
                sys.exit(print("version: 99999 (abc)"))
            if "--help" in sys.argv:
                sys.exit(print(open(__file__ + ".help").read()))
            time.sleep(600)
            """
        )
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    spare = free_port("127.0.0.1")
    server = LlamaServer(
        tier=TierName.META,
        flags=tiny_flags(bundled_model(TierName.META).path, port=spare),
        binary=Binary(path=script, origin="$LLAMA_BIN"),
        state_dir=tmp_path / "state",
        api_key="secret",
        policy=PATIENT,
        load_seconds=1.0,
    )
    starting = asyncio.create_task(server.start())
    late: Stranger | None = None
    try:
        async with asyncio.timeout(10):
            while server.status().pid is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        late = Stranger(spare)
        status = await starting
        assert status.state is ServerState.COOLING
        assert "was not loaded within 1 s" in status.detail
        assert late.heard == []
    finally:
        await server.stop()
        if late is not None:
            late.close()


async def test_a_fallback_is_asked_meanwhile(
    stranger: Stranger, scripted: ScriptedEndpoint, tmp_path: Path
) -> None:
    behind = (FallbackSettings(endpoint=scripted.url, backend="openai"),)
    settings = on(stranger.port, fallback=behind)
    async with running(settings, tmp_path) as (fleet, tiers, targets):
        await fleet.start()
        scripted.script.append(stream_reply("The disk is half full."))
        await ask(tiers.chat, "how full is the disk?")
        assert len(scripted.calls) == 1
        assert targets.target(TierName.META).url == scripted.url
    assert stranger.heard == []


async def test_what_the_operator_configured_is_asked_as_ever(stranger: Stranger) -> None:
    for settings in (
        TierSettings(endpoint=f"http://127.0.0.1:{stranger.port}"),
        TierSettings(port=stranger.port, served_by="service"),
    ):
        fleet = Fleet({TierName.META: settings}, Path("/nonexistent"), environ={})
        assert fleet.away(TierName.META) is None
        tiers = build_tiers(
            dict.fromkeys(TierName, settings),
            lambda _, fleet=fleet: fleet.endpoint(TierName.META),  # type: ignore[misc]
            away=lambda _, fleet=fleet: fleet.away(TierName.META),  # type: ignore[misc]
            toolbox=Box(),
            loop=ToolLoopSettings(),
        )
        before = len(stranger.heard)
        with pytest.raises(TierError):
            await tiers.pools[TierName.META].endpoints[0].client.look(1.0)
        assert len(stranger.heard) == before + 1
        await tiers.aclose()


def test_a_listener_is_known_by_its_very_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        found = listener_of(os.getpid(), host="127.0.0.1", port=port)
        assert found is not None
        assert found.open()
        assert listener_of(os.getpid(), host="127.0.0.2", port=port) is None
    assert not found.open()
    with socket.create_server(("127.0.0.1", port)):  # the same descriptor, another socket
        assert not found.open()
    assert listener_of(2**22 + 1, host="127.0.0.1", port=port) is None


def test_a_port_of_another_process_is_not_ours(stranger: Stranger) -> None:
    child = psutil.Popen(["sleep", "60"])
    try:
        assert listener_of(child.pid, host="127.0.0.1", port=stranger.port) is None
    finally:
        child.kill()
        child.wait()
    assert process_is_gone(child.pid)


@pytest.mark.parametrize(
    ("bound", "host", "takes"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),  # noqa: S104
        ("::", "::1", True),
        ("::1", "127.0.0.1", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("127.0.0.1", "models.lan", True),
    ],
)
def test_where_a_socket_takes_connections(bound: str, host: str, takes: bool) -> None:
    assert answers_at(bound, host) is takes


def test_localhost_is_one_address_for_a_server_of_ours(tmp_path: Path) -> None:
    settings = {TierName.META: TierSettings(host="localhost", port=18083)}
    assert Fleet(settings, tmp_path).endpoint(TierName.META) == "http://127.0.0.1:18083"
