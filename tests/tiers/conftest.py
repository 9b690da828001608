"""A real llama-server with a tiny random model, and an endpoint that misbehaves to order."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from scripted_endpoint import ScriptedEndpoint
from server_helpers import RunServer, tiny_flags, wait_healthy
from tiny_model import write_tiny_model

from tiers.contracts import Sighting
from tiers.llm.client import LlmClient
from tiers.runtime.binary import Binary
from tiers.runtime.ownership import free_port
from tiers.runtime.spawn import command
from tiers.vocabulary import Provenance, SourceKind


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that an answer takes seconds."""
    path = tmp_path_factory.mktemp("models") / "slow.gguf"
    return write_tiny_model(path, width=256, layers=8)


@pytest.fixture(scope="session")
def tiny_decision_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "decides.gguf", decision=True)


@pytest.fixture(scope="session")
def run_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunServer]:
    """Starts real llama-servers that live as long as the session; returns their URL."""
    running: list[subprocess.Popen[bytes]] = []
    log = tmp_path_factory.mktemp("logs") / "llama.log"

    def run(model: Path, *, context: int = 1024, parallel: int = 2) -> str:
        port = free_port("127.0.0.1")
        flags = tiny_flags(model, port=port, context=context, parallel=parallel)
        with log.open("ab") as output:
            running.append(
                subprocess.Popen(
                    command(Binary(path=None, origin="wheel"), flags), stdout=output, stderr=output
                )
            )
        wait_healthy(flags.url)
        return flags.url

    yield run
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def tiny_url(run_server: RunServer, tiny_model: Path) -> str:
    """A server with the tiny chat model, 1,024 tokens a slot."""
    return run_server(tiny_model)


@pytest.fixture(scope="session")
def decision_url(run_server: RunServer, tiny_decision_model: Path) -> str:
    return run_server(tiny_decision_model)


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedEndpoint]:
    endpoint = ScriptedEndpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.stop()


@pytest.fixture
def sighting() -> Sighting:
    return Sighting(
        fingerprint="f1",
        source_kind=SourceKind.JOURNALD,
        unit="kernel",
        pattern="Out of memory: Killed process <n> (<word>)",
        text="Out of memory: Killed process 4242 (postgres) total-vm:8123456kB",
        provenance=Provenance.KERNEL,
        count=1,
        span_seconds=0.0,
    )


@pytest.fixture
async def client(scripted: ScriptedEndpoint) -> AsyncIterator[LlmClient]:
    made = LlmClient(name="meta", url=scripted.url)
    yield made
    await made.aclose()
