"""Machines that people run this on, as a survey finds them."""

from __future__ import annotations

from tiers.hardware.facts import Gpu, ListedDevice, Machine, Memory, Processor, Vendor

GIB = 2**30
AVX2 = ("SSE4.2", "AVX", "F16C", "FMA", "AVX2")


def machine(
    *,
    cores: int,
    total: float,
    usable: float,
    features: tuple[str, ...] = AVX2,
    gpus: tuple[float, ...] = (),
    quota: float | None = None,
    limit: float | None = None,
    architecture: str = "x86_64",
) -> Machine:
    """Memory in GiB; `gpus` is what is free on each."""
    used = (limit or total) - usable
    return Machine(
        processor=Processor(
            name="a processor",
            architecture=architecture,
            sockets=1,
            cores=cores,
            threads=cores,
            usable_threads=cores,
            quota=quota,
            features=features,
            numa_nodes=1,
        ),
        memory=Memory(
            total=round(total * GIB),
            available=round((usable if limit is None else total - 1) * GIB),
            swap_total=0,
            swap_free=0,
            limit=round(limit * GIB) if limit is not None else None,
            limit_used=round(used * GIB) if limit is not None else None,
        ),
        gpus=tuple(
            Gpu(
                index=index,
                name="a GPU",
                vendor=Vendor.NVIDIA,
                total=round(free * GIB * 1.05),
                free=round(free * GIB),
            )
            for index, free in enumerate(gpus)
        ),
        listed=tuple(
            ListedDevice(
                name=f"CUDA{index}",
                description="a GPU",
                total=round(free * GIB * 1.05),
                free=round(free * GIB),
            )
            for index, free in enumerate(gpus)
        ),
        disks=(),
        container=None,
        notes=(),
    )


MACHINES = {
    "laptop, 8 cores, 16 GB, GPU with 6 GB": machine(
        cores=8, total=15.5, usable=11, features=(*AVX2, "AVX-VNNI"), gpus=(5.6,)
    ),
    "cloud machine, 2 cores, 16 GB": machine(cores=2, total=15.6, usable=14),
    "server, 32 cores, 128 GB, two GPUs with 24 GB": machine(
        cores=32,
        total=125,
        usable=115,
        features=(*AVX2, "AVX-512", "AVX-512-VNNI"),
        gpus=(23.5, 23.5),
    ),
    "Raspberry Pi 5, 4 cores, 8 GB": machine(
        cores=4, total=7.8, usable=6.8, features=("NEON", "FP16", "DOTPROD"), architecture="aarch64"
    ),
    "Raspberry Pi 4, 4 cores, 2 GB": machine(
        cores=4, total=1.8, usable=1.3, features=("NEON",), architecture="aarch64"
    ),
    "container, 2 of 16 cores, 2 of 64 GB": machine(
        cores=16, total=62, usable=1.7, quota=2.0, limit=2
    ),
    "old server, 8 cores without AVX, 32 GB": machine(
        cores=8, total=31, usable=26, features=("SSE4.2",)
    ),
}
