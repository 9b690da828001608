"""Everything about this machine, in one look of about a second."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiers.hardware import amd, nvidia
from tiers.hardware.cgroups import read_limits
from tiers.hardware.disks import read_disks
from tiers.hardware.facts import Gpu, ListedDevice, Machine, Memory, Processor, Vendor
from tiers.hardware.files import text_at
from tiers.hardware.listed import list_devices
from tiers.hardware.memory import read_memory
from tiers.hardware.processor import read_processor
from tiers.runtime.binary import find_binary
from tiers.runtime.errors import MisconfiguredError


def survey(
    *,
    folders: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
    builds: Path | None = None,
    root: Path = Path("/"),
) -> Machine:
    """`folders` are where models and state are or will be, `builds` where own llama-servers are.
    Blocks for about a second, most of it to ask llama-server. Raises ValueError where `/proc` does
    not tell of memory."""
    environ = os.environ if environ is None else environ
    limits = read_limits(root)
    processor = read_processor(root, quota=limits.threads)
    memory = read_memory(root, limits=limits)
    theirs, driver_note = nvidia.read_gpus()
    gpus = (*theirs, *amd.read_gpus(root))
    listed, list_note = _listed(environ, builds)
    container = read_container(root)
    notes = [
        note
        for note in (
            driver_note,
            list_note,
            *limit_notes(processor, memory, container),
            *gpu_notes(gpus, listed),
        )
        if note
    ]
    return Machine(
        processor=processor,
        memory=memory,
        gpus=gpus,
        listed=listed,
        disks=read_disks(folders, root=root),
        container=container,
        notes=tuple(notes),
    )


def _listed(
    environ: Mapping[str, str], builds: Path | None
) -> tuple[tuple[ListedDevice, ...], str]:
    try:
        return list_devices(find_binary(environ, builds=builds))
    except MisconfiguredError as error:
        return (), str(error)


def read_container(root: Path = Path("/")) -> str | None:
    """What kind of container this is, None on a host or a virtual machine."""
    if said := text_at(root / "run/systemd/container"):
        return said
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    for entry in (text_at(root / "proc/1/environ") or "").split("\0"):
        name, _, value = entry.partition("=")
        if name == "container" and value:
            return value
    return None


def limit_notes(processor: Processor, memory: Memory, container: str | None) -> list[str]:
    """Where less is ours than the machine has."""
    notes = []
    if processor.quota is not None and processor.quota < processor.usable_threads:
        notes.append(
            f"a cgroup allows the time of {processor.quota:g} threads of {processor.threads}"
        )
    elif processor.usable_threads < processor.threads:
        notes.append(
            f"only {processor.usable_threads} of {processor.threads} threads may be used "
            "(affinity or a cpuset)"
        )
    if memory.limit is not None and memory.limit < memory.total:
        notes.append(
            f"a cgroup allows {memory.limit / 2**30:.1f} GiB of the machine's "
            f"{memory.total / 2**30:.1f} GiB of memory"
        )
    if container is not None:
        notes.append(f"inside a container ({container}): GPUs and disks that it was not given hide")
    return notes


def gpu_notes(gpus: Sequence[Gpu], listed: Sequence[ListedDevice]) -> list[str]:
    """A GPU that llama-server cannot use is worth a sentence, and so is what would help."""
    if not gpus or listed:
        return []
    wants = {
        Vendor.NVIDIA: "CUDA or Vulkan",
        Vendor.AMD: "ROCm (HIP) or Vulkan",
        Vendor.INTEL: "Vulkan or SYCL",
    }
    vendors = dict.fromkeys(gpu.vendor for gpu in gpus)
    how = "; ".join(
        f"{vendor.value}: a build with {wants[vendor]}" for vendor in vendors if vendor in wants
    )
    return [
        f"llama-server lists no GPU although there is one ({how}; 'triaged llama build' makes one)"
    ]
