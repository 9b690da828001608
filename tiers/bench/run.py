"""Rounds over several targets that take turns, so that a busy minute of the machine meets all."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

import httpx
import psutil

from tiers.bench.answer import prompt_of, timed_answer
from tiers.bench.facts import Batch, Target, Use, Workload
from tiers.hardware import nvidia
from tiers.llm.wire import mapping, text_of

_LIST_SECONDS = 10.0


class BenchError(Exception):
    """A target cannot be measured. The sentence says which and why."""


async def run_bench(
    targets: Sequence[Target],
    workload: Workload,
    *,
    gpus: bool = False,
    on_batch: Callable[[Batch], None] = lambda _: None,
) -> list[Batch]:
    """Every target at every concurrency, `rounds` times, in turns. Raises `BenchError` before the
    first question; a target that fails later has that in its answers."""
    seeds = itertools.count(1)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    timeout = httpx.Timeout(workload.seconds, connect=10.0)
    done: list[Batch] = []
    async with httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as client:
        models = {target.name: await _model(client, target) for target in targets}
        for target in targets:  # the first answer pays for what is loaded lazily
            await _batch(client, target, models[target.name], workload, 1, seeds, gpus=False)
        for _ in range(workload.rounds):
            for concurrency in workload.concurrency:
                for target in targets:
                    model = models[target.name]
                    batch = await _batch(
                        client, target, model, workload, concurrency, seeds, gpus=gpus
                    )
                    done.append(batch)
                    on_batch(batch)
    return done


async def _model(client: httpx.AsyncClient, target: Target) -> str:
    if target.model is not None:
        return target.model
    headers = {"Authorization": f"Bearer {target.api_key}"} if target.api_key else {}
    try:
        response = await client.get(
            f"{target.url}/v1/models", headers=headers, timeout=_LIST_SECONDS
        )
        response.raise_for_status()
        listed = mapping(response.json()).get("data")
    except (httpx.HTTPError, ValueError) as error:
        raise BenchError(
            f"{target.name}: {target.url} does not list its models ({error}); is it running?"
        ) from error
    names = [text_of(mapping(entry).get("id")) for entry in listed or []]
    if not names or not names[0]:
        raise BenchError(f"{target.name}: {target.url} lists no model; name one")
    return names[0]


async def _batch(
    client: httpx.AsyncClient,
    target: Target,
    model: str,
    workload: Workload,
    concurrency: int,
    seeds: itertools.count[int],
    *,
    gpus: bool,
) -> Batch:
    process = _process(target.pid)
    before = _processor_seconds(process)
    started = time.perf_counter()
    answers = await asyncio.gather(
        *(
            timed_answer(
                client,
                target,
                model=model,
                prompt=prompt_of(workload.prompt_tokens, seed=next(seeds)),
                answer_tokens=workload.answer_tokens,
            )
            for _ in range(concurrency)
        )
    )
    seconds = time.perf_counter() - started
    after = _processor_seconds(process)
    used = after - before if before is not None and after is not None else None
    return Batch(
        target=target.name,
        concurrency=concurrency,
        answers=tuple(answers),
        seconds=seconds,
        use=Use(
            processor=100 * used / seconds if used is not None and seconds else None,
            memory=_resident(process),
            gpu_memory=_gpu_used() if gpus else None,
        ),
    )


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid is not None else None
    except psutil.NoSuchProcess:
        return None


def _processor_seconds(process: psutil.Process | None) -> float | None:
    try:
        times = process.cpu_times() if process is not None else None
    except psutil.Error:
        return None
    return times.user + times.system if times is not None else None


def _resident(process: psutil.Process | None) -> int | None:
    try:
        return int(process.memory_info().rss) if process is not None else None
    except psutil.Error:
        return None


def _gpu_used() -> int | None:
    gpus, _ = nvidia.read_gpus()
    used = [gpu.total - gpu.free for gpu in gpus if gpu.total is not None and gpu.free is not None]
    return sum(used) if used else None
