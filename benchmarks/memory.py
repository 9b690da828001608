"""What a plan says a llama-server will use of memory, beside what the process then uses.

    python -m benchmarks.memory [--keep FOLDER]

Servers of the wheel, as the daemon starts them, over models with random weights of the form of
real ones. RSS is read when the model is loaded and every slot has answered once. The models, 2.6 GB
together, are written to a temporary folder, or kept in FOLDER for the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import tempfile
from pathlib import Path

import httpx
import psutil

from benchmarks.load import bar_note
from benchmarks.random_model import Form, write_random_model
from benchmarks.table import Cell, report
from tiers.config import TierSettings
from tiers.planning.memory import CacheType, Load, memory_need
from tiers.runtime.binary import Binary
from tiers.runtime.gguf_header import read_model_file
from tiers.runtime.models import server_flags
from tiers.runtime.ownership import free_port
from tiers.runtime.server import LlamaServer
from tiers.vocabulary import TierName

BAR = 0.15

SMALL = Form(
    name="small",
    width=512,
    layers=12,
    heads=8,
    kv_heads=2,
    head=64,
    feed_forward=2048,
    vocabulary=32_000,
)
LIKE_06B = Form(
    name="like 0.6 B",
    width=1024,
    layers=28,
    heads=16,
    kv_heads=8,
    head=128,
    feed_forward=3072,
    vocabulary=151_936,
)
LIKE_17B = dataclasses.replace(LIKE_06B, name="like 1.7 B", width=2048, feed_forward=6144)

CASES = (
    (SMALL, Load(context=2048, parallel=1)),
    (SMALL, Load(context=8192, parallel=4)),
    (LIKE_06B, Load(context=2048, parallel=1)),
    (LIKE_06B, Load(context=8192, parallel=2)),
    (LIKE_06B, Load(context=8192, parallel=2, cache_type=CacheType.Q8_0)),
    (LIKE_06B, Load(context=4096, parallel=1, ubatch=2048)),
    (LIKE_17B, Load(context=8192, parallel=1)),
    (LIKE_17B, Load(context=16384, parallel=2, cache_type=CacheType.Q8_0)),
)


async def resident(path: Path, load: Load, state: Path) -> int:
    """Bytes that a server has resident after each of its slots has answered."""
    settings = TierSettings(
        model=str(path),
        context=load.context,
        parallel=load.parallel,
        kv_type=load.cache_type.value,
        ubatch=load.ubatch,
        cache_ram_mib=load.cache_ram // 2**20,
        port=free_port("127.0.0.1"),
    )
    flags, _ = server_flags(tier=TierName.META, settings=settings, port=settings.port)
    server = LlamaServer(
        tier=TierName.META,
        flags=flags,
        binary=Binary(path=None, origin="wheel"),
        state_dir=state,
    )
    await server.start()
    try:
        pid = server.status().pid
        if pid is None:
            raise RuntimeError(server.status().detail)
        prompt = [(7 * at) % 900 for at in range(256)]
        async with httpx.AsyncClient(base_url=flags.url, timeout=600) as client:
            for _ in range(load.parallel):
                body = {"prompt": prompt, "n_predict": 2, "cache_prompt": False}
                answer = await client.post("/completion", json=body)
                answer.raise_for_status()
        return int(psutil.Process(pid).memory_info().rss)
    finally:
        await server.stop()


def measured(folder: Path) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for form, load in CASES:
        path = folder / f"{form.name.replace(' ', '-')}.gguf"
        if not path.exists():
            write_random_model(path, form)
        file = read_model_file(path)
        need = memory_need(weights=file.size_bytes, shape=file.shape, load=load)
        used = asyncio.run(resident(path, load, folder / "state"))
        rows.append(
            {
                "model": form.name,
                "slots x tokens": f"{load.parallel} x {load.context}",
                "cache": load.cache_type.value,
                "batch": load.ubatch,
                "planned MB": round(need.total / 1e6),
                "used MB": round(used / 1e6),
                "off by %": round(100 * (need.total - used) / used, 1),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Planned memory beside used memory.")
    parser.add_argument("--keep", type=Path, help="folder for the models, used again")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-") as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measured(folder)
    worst = max(abs(float(str(row["off by %"]))) for row in rows)
    report(
        "Memory of a llama-server: planned and used",
        rows,
        facts={"bar off by %": 100 * BAR},
        notes=(bar_note("furthest off", worst, 100 * BAR, unit=" %"),),
    )


if __name__ == "__main__":
    main()
