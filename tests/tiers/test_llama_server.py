"""Real llama-servers: started, killed, stopped in their tracks, orphaned, in each other's way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest
from server_helpers import process_is_gone, tiny_flags

from tiers.config import TierSettings
from tiers.errors import TierRefusedError, TierUnavailableError
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall
from tiers.runtime.binary import Binary
from tiers.runtime.fleet import Fleet
from tiers.runtime.liveness import LivenessLimits
from tiers.runtime.ownership import free_port
from tiers.runtime.restarts import RestartPolicy
from tiers.runtime.server import LlamaServer
from tiers.runtime.states import ServerState, ServerStatus
from tiers.vocabulary import TierName

WHEEL = Binary(path=None, origin="wheel")
QUICK = RestartPolicy(
    first_seconds=0.1, most_seconds=0.5, cap=4, window_seconds=60, rest_seconds=60
)
ALERT = LivenessLimits(check_seconds=0.2, answer_seconds=1.0, work_seconds=3.0)

Make = Callable[..., LlamaServer]


@pytest.fixture
async def make(tiny_model: Path, tmp_path: Path) -> AsyncIterator[Make]:
    made: list[LlamaServer] = []

    def build(
        *,
        port: int | None = None,
        model: Path = tiny_model,
        binary: Binary = WHEEL,
        on_change: Callable[[ServerStatus], None] | None = None,
        tier: TierName = TierName.REVIEW,
    ) -> LlamaServer:
        server = LlamaServer(
            tier=tier,
            flags=tiny_flags(model, port=port or free_port("127.0.0.1")),
            binary=binary,
            state_dir=tmp_path,
            policy=QUICK,
            limits=ALERT,
            on_change=on_change,
        )
        made.append(server)
        return server

    yield build
    for server in made:
        await server.stop()


async def until(condition: Callable[[], bool], *, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (the condition is another process's)
            await asyncio.sleep(0.02)


def pid_of(server: LlamaServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


async def test_it_starts_serves_and_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    seen: list[ServerState] = []
    server = make(on_change=lambda status: seen.append(status.state))
    status = await server.start()
    assert status.state is ServerState.READY
    assert status.rss_bytes is not None
    assert status.rss_bytes > 1_000_000
    pid = pid_of(server)
    assert psutil.Process(pid).cmdline()[1] == "-I"
    assert os.getpgid(pid) == pid  # Ctrl-C on our terminal is not for it
    client = LlmClient(name="review", url=status.url)
    assert await client.ready()
    await client.aclose()
    await server.stop()
    assert process_is_gone(pid)
    assert server.status().state is ServerState.STOPPED
    assert not (tmp_path / "run" / "llama-review.pid").exists()
    assert seen[0] is ServerState.STARTING
    assert ServerState.READY in seen
    assert seen[-1] is ServerState.STOPPED


async def test_starting_and_stopping_twice_is_harmless(make: Make) -> None:
    server = make()
    first, second = await asyncio.gather(server.start(), server.start())
    assert first.pid == second.pid
    await server.stop()
    await server.stop()
    assert (await server.start()).state is ServerState.READY


async def test_a_killed_server_comes_back_and_a_cut_answer_is_told(
    make: Make, slow_model: Path
) -> None:
    server = make(model=slow_model)
    status = await server.start()
    old = pid_of(server)
    client = LlmClient(name="review", url=status.url, max_tokens=900)
    call = ChatCall(messages=[{"role": "user", "content": "x"}], options={"ignore_eos": True})
    stream = client.stream(call)
    await anext(stream)
    os.kill(old, signal.SIGKILL)
    with pytest.raises(TierUnavailableError):
        async for _ in stream:
            pass
    await until(lambda: server.status().state.serves and server.status().pid != old)
    assert server.status().restarts == 1
    short = ChatCall(messages=call.messages, max_tokens=4)
    assert (await client.chat(short)).usage.completion_tokens <= 4
    await client.aclose()


async def test_a_stopped_process_is_found_by_progress_and_replaced(make: Make) -> None:
    states: list[ServerState] = []
    details: list[str] = []

    def note(status: ServerStatus) -> None:
        states.append(status.state)
        details.append(status.detail)

    server = make(on_change=note)
    await server.start()
    frozen = pid_of(server)
    os.kill(frozen, signal.SIGSTOP)
    await until(lambda: server.status().pid not in (None, frozen) and server.status().state.serves)
    assert ServerState.STALLED in states
    assert any("has not answered" in detail for detail in details)
    assert process_is_gone(frozen)


async def test_a_busy_server_is_not_a_dead_one(make: Make) -> None:
    server = make()
    status = await server.start()
    pid = pid_of(server)
    client = LlmClient(name="review", url=status.url, parallel=2, max_tokens=900)
    call = ChatCall(messages=[{"role": "user", "content": "x"}], options={"ignore_eos": True})

    async def keep_busy() -> None:
        for _ in range(6):
            await client.chat(call)

    await asyncio.gather(keep_busy(), keep_busy())
    await asyncio.sleep(0.5)
    assert pid_of(server) == pid
    await client.aclose()


async def test_a_port_in_use_is_named_with_its_holder(make: Make) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make(port=port)
        status = await server.start()
        assert status.state is ServerState.COOLING
        assert f"Port {port}" in status.detail
        assert f"pid {os.getpid()}" in status.detail
        assert "[tiers.review]" in status.detail
    await until(lambda: server.status().state.serves)  # free again: it goes on by itself


async def test_a_missing_model_is_a_sentence(make: Make, tmp_path: Path) -> None:
    status = await make(model=tmp_path / "none.gguf").start()
    assert status.state is ServerState.FAILED
    assert "none.gguf" in status.detail


async def test_a_broken_model_ends_in_a_rest_with_the_servers_own_words(
    make: Make, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 64)
    server = make(model=broken)
    status = await server.start()
    assert status.state is ServerState.COOLING
    assert "code 1" in status.detail
    assert "GGUF" in status.detail
    await until(lambda: server.status().state is ServerState.FAILED, seconds=30)
    assert "4 times" in server.status().detail
    started = time.monotonic()
    await server.stop()  # a resting server stops at once
    assert time.monotonic() - started < 1


async def test_a_program_of_ones_own_gets_flags_and_dies_with_its_children(
    make: Make, tmp_path: Path
) -> None:
    """A stand-in for llama-server that notes its arguments and starts a helper."""
    program = tmp_path / "llama-server"
    program.write_text(
        textwrap.dedent(f"""\
            #!{sys.executable}
            import http.server, pathlib, subprocess, sys
            pathlib.Path({str(tmp_path / "argv")!r}).write_text("\\n".join(sys.argv[1:]))
            helper = subprocess.Popen(["sleep", "600"])
            pathlib.Path({str(tmp_path / "helper")!r}).write_text(str(helper.pid))
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(404 if self.path == "/metrics" else 200)
                    self.end_headers()
                def log_message(self, *args): pass
            port = int(sys.argv[sys.argv.index("--port") + 1])
            http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
            """)
    )
    program.chmod(0o755)
    server = make(binary=Binary(path=program, origin="$LLAMA_BIN"))
    assert (await server.start()).state is ServerState.READY
    await asyncio.sleep(0.6)  # without metrics it is left in peace
    assert server.status().restarts == 0
    argv = (tmp_path / "argv").read_text().split("\n")
    assert argv[argv.index("--ctx-size") + 1] == "2048"
    assert "--metrics" in argv
    helper = int((tmp_path / "helper").read_text())
    await server.stop()
    assert process_is_gone(helper)


def _daemon(tmp_path: Path, model: Path, port: int) -> subprocess.Popen[str]:
    """A process that starts a server as the daemon does, says so, and waits."""
    code = textwrap.dedent(f"""\
        import asyncio
        from pathlib import Path
        from tiers.config import ReviewSettings
        from tiers.runtime.fleet import Fleet
        from tiers.vocabulary import TierName

        async def main():
            settings = ReviewSettings(model={str(model)!r}, port={port}, threads=1, context=512)
            fleet = Fleet({{TierName.REVIEW: settings}}, Path({str(tmp_path)!r}), environ={{}})
            for status in await fleet.start():
                print(status.state, status.pid, flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
        """)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _started(daemon: subprocess.Popen[str]) -> int:
    assert daemon.stdout is not None
    state, pid = daemon.stdout.readline().split()
    assert state == "ready"
    return int(pid)


def _finish(daemon: subprocess.Popen[str]) -> None:
    daemon.kill()
    daemon.wait()
    assert daemon.stdout is not None
    daemon.stdout.close()


def test_a_killed_daemon_takes_its_servers_with_it(tmp_path: Path, tiny_model: Path) -> None:
    daemon = _daemon(tmp_path, tiny_model, free_port("127.0.0.1"))
    try:
        pid = _started(daemon)
    finally:
        _finish(daemon)
    assert process_is_gone(pid)


async def test_an_orphan_of_an_earlier_run_is_replaced(
    make: Make, tmp_path: Path, tiny_model: Path
) -> None:
    """The kernel ends a dead daemon's servers, so the orphan is made: a process with the mark of
    a server whose daemon is gone."""
    port = free_port("127.0.0.1")
    daemon = _daemon(tmp_path, tiny_model, port)
    try:
        pid = _started(daemon)
        environment = psutil.Process(pid).environ()
    finally:
        _finish(daemon)
    assert process_is_gone(pid)
    code = f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); time.sleep(600)"
    orphan = _run(code, environment)
    try:
        await until(lambda: _listening(port))
        server = make(port=port)
        await server.start()
        # On a busy machine the port may come free a moment after the end: then it cools first.
        await until(lambda: server.status().state is ServerState.READY)
        assert orphan.wait(timeout=5) == -signal.SIGTERM
    finally:
        orphan.kill()
        orphan.wait()


async def test_a_server_of_a_living_daemon_is_a_stranger(
    make: Make, tmp_path: Path, tiny_model: Path
) -> None:
    port = free_port("127.0.0.1")
    daemon = _daemon(tmp_path, tiny_model, port)
    try:
        pid = _started(daemon)
        status = await make(port=port).start()
        assert status.state is ServerState.COOLING
        assert f"pid {pid}" in status.detail
        assert psutil.pid_exists(pid)
    finally:
        _finish(daemon)


def _run(code: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- the fleet


async def test_a_fleet_starts_in_order_and_stops_in_reverse(
    tmp_path: Path, tiny_model: Path, tiny_decision_model: Path
) -> None:
    heard: list[tuple[TierName, ServerState]] = []
    settings = {
        TierName.META: TierSettings(model=str(tiny_model), port=0, threads=1),
        TierName.TRIGGER: TierSettings(model=str(tiny_decision_model), port=0, threads=1),
        TierName.REVIEW: TierSettings(endpoint="http://127.0.0.1:9/v1"),
    }
    fleet = Fleet(settings, tmp_path, environ={})
    assert [status.state for status in fleet.status()] == ["absent", "ready", "absent"]
    statuses = await fleet.start(lambda status: heard.append((status.tier, status.state)))
    try:
        assert [status.tier for status in statuses] == list(TierName)
        assert [status.state for status in statuses] == [ServerState.READY] * 3
        assert fleet.endpoint(TierName.REVIEW) == "http://127.0.0.1:9/v1"
        for tier, decision in ((TierName.TRIGGER, True), (TierName.META, False)):
            client = LlmClient.for_tier(
                name=tier, url=fleet.endpoint(tier), settings=settings[tier]
            )
            assert (await client.info()).decision is decision
            await client.aclose()
    finally:
        await fleet.stop()
    ready = [tier for tier, state in heard if state is ServerState.READY]
    stopped = [tier for tier, state in heard if state is ServerState.STOPPED]
    assert ready == [TierName.TRIGGER, TierName.REVIEW, TierName.META]
    assert stopped == [TierName.META, TierName.TRIGGER]
    await fleet.stop()


async def test_one_tier_that_cannot_start_stops_no_other(tmp_path: Path, tiny_model: Path) -> None:
    text = tmp_path / "text.gguf"
    text.write_text("not a model")
    settings = {
        TierName.TRIGGER: TierSettings(model=str(text), port=0),
        TierName.REVIEW: TierSettings(model=str(tiny_model), port=0, threads=1),
    }
    fleet = Fleet(settings, tmp_path, environ={})
    trigger, review = await fleet.start()
    try:
        assert trigger.state is ServerState.FAILED
        assert "not a usable GGUF file" in trigger.detail
        assert review.state is ServerState.READY
    finally:
        await fleet.stop()


async def test_a_wrong_program_fails_every_own_server_with_a_sentence(tmp_path: Path) -> None:
    fleet = Fleet(
        {TierName.REVIEW: TierSettings(port=0)}, tmp_path, environ={"LLAMA_BIN": "/nowhere/x"}
    )
    (review,) = await fleet.start()
    assert review.state is ServerState.FAILED
    assert "$LLAMA_BIN" in review.detail
    await fleet.stop()


async def test_the_bundled_models_serve_all_tiers(tmp_path: Path) -> None:
    settings = {tier: TierSettings(port=0) for tier in TierName}
    fleet = Fleet(settings, tmp_path, environ={})
    begun = time.monotonic()
    statuses = await fleet.start()
    took = time.monotonic() - begun
    try:
        assert [status.state for status in statuses] == [ServerState.READY] * 3
        assert all(status.rss_bytes and status.rss_bytes < 250e6 for status in statuses)
        assert took < 20
    finally:
        await fleet.stop()


async def test_a_server_for_others_has_a_key_that_no_argument_shows(
    tmp_path: Path, tiny_model: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("very-secret\n")
    settings = TierSettings(
        model=str(tiny_model),
        host="0.0.0.0",  # noqa: S104
        port=0,
        threads=1,
        api_key_file=key_file,
    )
    fleet = Fleet({TierName.REVIEW: settings}, tmp_path, environ={}, limits=ALERT)
    (review,) = await fleet.start()
    try:
        assert review.state is ServerState.READY
        assert review.pid is not None
        assert "very-secret" not in " ".join(psutil.Process(review.pid).cmdline())
        call = ChatCall(messages=[{"role": "user", "content": "x"}], max_tokens=4)
        with_key = LlmClient.for_tier(
            name="review", url=fleet.endpoint(TierName.REVIEW), settings=settings
        )
        without = LlmClient(name="review", url=fleet.endpoint(TierName.REVIEW))
        assert (await with_key.chat(call)).usage.completion_tokens <= 4
        with pytest.raises(TierRefusedError, match="api_key_file"):
            await without.chat(call)
        await asyncio.sleep(1.5)  # the watcher has the key as well: it is not taken for hung
        assert fleet.status()[0].restarts == 0
        await with_key.aclose()
        await without.aclose()
    finally:
        await fleet.stop()


async def test_pages_of_elsewhere_are_kept_out(tiny_url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(tiny_url + "/health", headers={"Origin": "http://evil.example"})
    assert answer.headers.get("access-control-allow-origin") in (None, "")
