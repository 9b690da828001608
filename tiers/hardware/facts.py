"""What is known about a machine. Sizes are in bytes; None means that nobody says."""

from __future__ import annotations

import dataclasses
import enum


class Vendor(enum.StrEnum):
    """Who made a GPU."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"
    APPLE = "apple"
    OTHER = "other"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """The processors that this process may use.

    `cores` are physical ones, `threads` are hardware threads, both of the whole machine.
    `usable_threads` is what affinity leaves; `quota` is the share of processor time that a cgroup
    allows, in threads (1.5), None without a limit. `features` are those instruction sets that
    matter to inference, in a fixed order. `big_cores` counts the fast ones where cores differ.
    """

    name: str
    architecture: str
    sockets: int
    cores: int
    threads: int
    usable_threads: int
    quota: float | None
    features: tuple[str, ...]
    numa_nodes: int
    big_cores: int | None = None

    @property
    def worth(self) -> int:
        """How many threads of work pay: physical cores that this process may use, at least one.

        Two threads of one core share its vector units, so a model gains nothing from the second.
        """
        share = self.cores / self.threads if self.threads else 1.0
        cores = max(1, round(self.usable_threads * share))
        if self.big_cores:
            cores = min(cores, self.big_cores)
        if self.quota is not None:
            cores = min(cores, max(1, int(self.quota)))
        return cores


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`limit` is the smallest of the cgroups' limits above this process, `limit_used` what is used
    of it. `usable` is what can be taken now without swapping or being killed."""

    total: int
    available: int
    swap_total: int
    swap_free: int
    limit: int | None = None
    limit_used: int | None = None

    @property
    def capacity(self) -> int:
        """What this process could ever have."""
        return self.total if self.limit is None else min(self.total, self.limit)

    @property
    def usable(self) -> int:
        if self.limit is None or self.limit_used is None:
            return min(self.available, self.capacity)
        return max(0, min(self.available, self.limit - self.limit_used))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """`index` counts within its vendor. `shared` memory is the machine's own (an APU, Apple).
    `architecture` is what a compiler wants to know: "89" for CUDA, "gfx1100" for HIP."""

    index: int
    name: str
    vendor: Vendor
    total: int | None
    free: int | None
    shared: bool = False
    architecture: str | None = None
    driver: str | None = None
    bus: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListedDevice:
    """A device as llama-server names it ("CUDA0", "Vulkan1"): what it can really compute on."""

    name: str
    description: str
    total: int | None
    free: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A mounted file system that can hold models or state. `rotating` None: nobody says."""

    mount: str
    device: str
    kind: str
    total: int
    free: int
    rotating: bool | None

    @property
    def low(self) -> bool:
        """Less than a tenth is free."""
        return self.free * 10 < self.total


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Everything together. `container` names what this process runs inside of, None on a host.
    `notes` are sentences on what could not be found out, or is less than it seems."""

    processor: Processor
    memory: Memory
    gpus: tuple[Gpu, ...]
    listed: tuple[ListedDevice, ...]
    disks: tuple[Disk, ...]
    container: str | None
    notes: tuple[str, ...]

    @property
    def accelerated(self) -> bool:
        """Whether llama-server has anything but processors to compute on."""
        return bool(self.listed)
