"""Tries a program that was built: it must say its version, list its devices, load the bundled
models, tell a harmless line from a bad one, and answer a chat."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from tiers.config import TierSettings
from tiers.errors import TierError
from tiers.hardware.listed import list_devices
from tiers.llama_build.errors import BuildError
from tiers.llama_build.values import Backend, Proof
from tiers.llm.client import LlmClient
from tiers.llm.requests import ChatCall
from tiers.nano import decisions
from tiers.runtime.binary import Binary, unfit
from tiers.runtime.capabilities import read_capabilities
from tiers.runtime.errors import MisconfiguredError
from tiers.runtime.fleet import Fleet
from tiers.runtime.states import ServerState
from tiers.vocabulary import TierName

_SECONDS = 300.0
_FIRST_RUN_SECONDS = 60.0
_ALL_LAYERS = 999
_CHAT_TOKENS = 24
_BAD = ("kernel", "Out of memory: Killed process 4242 (postgres) total-vm:8123456kB")
_GOOD = ("systemd", "Started Daily apt download activities.")


def prove(program: Path, *, backend: Backend) -> Proof:
    """Runs it as the daemon would. Blocks for seconds. Raises `BuildError` with what it did
    instead."""
    binary = Binary(path=program, origin="the new build")
    try:
        capabilities = read_capabilities(program, seconds=_FIRST_RUN_SECONDS)
    except MisconfiguredError as error:
        raise BuildError(f"The new build does not run: {error}") from error
    if why := unfit(capabilities, name="The new build"):
        raise BuildError(why)
    listed, why = list_devices(binary)
    if why:
        raise BuildError(why)
    if backend is not Backend.CPU and not listed:
        raise BuildError(
            f"The new build finds no {backend} device here (driver, permissions or container?)."
        )
    with tempfile.TemporaryDirectory(prefix="triaged-proof-") as folder:
        ready, decided = asyncio.run(_serve(program, backend, Path(folder)))
    return Proof(
        version=capabilities.version,
        build=capabilities.build,
        devices=tuple(f"{device.name}: {device.description}" for device in listed),
        ready_seconds=ready,
        decision_seconds=decided,
    )


async def _serve(program: Path, backend: Backend, folder: Path) -> tuple[float, float]:
    """Seconds until both bundled models were ready, and of one decision."""
    layers = 0 if backend is Backend.CPU else _ALL_LAYERS
    settings = {
        tier: TierSettings(port=0, gpu_layers=layers) for tier in (TierName.TRIGGER, TierName.META)
    }
    fleet = Fleet(settings, folder, environ={"LLAMA_BIN": str(program)})
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_SECONDS):
            for status in await fleet.start():
                if status.state not in (ServerState.READY, ServerState.BUSY) or status.detail:
                    raise BuildError(
                        f"The new build does not serve the bundled models: "
                        f"{status.detail or status.state}"
                    )
            ready = time.monotonic() - begun
            decided = await _decides(fleet.endpoint(TierName.TRIGGER))
            await _chats(fleet.endpoint(TierName.META))
    except TimeoutError as error:
        raise BuildError(f"The new build did not answer within {_SECONDS:.0f} s.") from error
    except TierError as error:
        raise BuildError(f"The new build answers wrongly: {error}") from error
    finally:
        await fleet.stop()
    return ready, decided


async def _decides(url: str) -> float:
    client = LlmClient(name="trigger", url=url)
    try:
        begun = time.monotonic()
        bad, good = [
            decisions.read(
                (
                    await client.decide(
                        state=decisions.state(unit=unit, text=text, count=1, span_seconds=0.0),
                        questions=decisions.questions(),
                    )
                ).body,
                None,
            ).probability
            for unit, text in (_BAD, _GOOD)
        ]
        took = (time.monotonic() - begun) / 2
    finally:
        await client.aclose()
    if not bad > good:
        raise BuildError(
            f"The new build computes wrongly: it finds a process killed for memory ({bad:.2f}) no "
            f"worse than a timer that started ({good:.2f}). Try another compiler, or --portable."
        )
    return took


async def _chats(url: str) -> None:
    client = LlmClient(name="meta", url=url)
    try:
        answer = await client.chat(
            ChatCall(messages=[{"role": "user", "content": "hello"}], max_tokens=_CHAT_TOKENS)
        )
    finally:
        await client.aclose()
    if not answer.text.strip():
        raise BuildError("The new build answers a chat with nothing.")
