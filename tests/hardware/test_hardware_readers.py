"""What is read of recorded machines: laptops, servers, boards, containers."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from recorded import laid_out, memory, processors

from tiers.hardware import amd, nvidia
from tiers.hardware.cgroups import read_limits
from tiers.hardware.disks import read_disks
from tiers.hardware.facts import Gpu, ListedDevice, Vendor
from tiers.hardware.listed import devices_in, list_devices
from tiers.hardware.memory import read_memory
from tiers.hardware.processor import read_processor
from tiers.hardware.survey import gpu_notes, limit_notes, read_container, survey
from tiers.runtime.binary import Binary

GIB = 2**30


def test_hyperthreads_are_not_cores(tmp_path: Path) -> None:
    root = laid_out(tmp_path, processors(16, siblings=2))
    found = read_processor(root, usable=16)
    assert (found.cores, found.threads, found.sockets) == (8, 16, 1)
    assert found.worth == 8
    assert found.name == "Some CPU @ 3.00GHz"
    assert found.features == ("SSE4.2", "AVX", "F16C", "FMA", "AVX2")


def test_two_sockets_with_a_numa_node_each(tmp_path: Path) -> None:
    files = processors(64, siblings=2, sockets=2) | {
        "sys/devices/system/node/node0/cpulist": "0-15",
        "sys/devices/system/node/node1/cpulist": "16-31",
    }
    found = read_processor(laid_out(tmp_path, files), usable=64)
    assert (found.sockets, found.cores, found.numa_nodes) == (2, 32, 2)


def test_a_hybrid_counts_its_fast_cores(tmp_path: Path) -> None:
    # Six fast cores with two threads each, eight slow ones with one.
    files = processors(20) | {
        "sys/devices/cpu_core/cpus": "0-11",
        "sys/devices/cpu_atom/cpus": "12-19",
    }
    for number in range(12):
        first = number - number % 2
        topology = f"sys/devices/system/cpu/cpu{number}/topology"
        files[f"{topology}/thread_siblings_list"] = f"{first}-{first + 1}"
        files[f"{topology}/core_id"] = str(first)
    found = read_processor(laid_out(tmp_path, files), usable=20)
    assert (found.cores, found.big_cores, found.worth) == (14, 6, 6)


def test_a_board_with_two_kinds_of_cores(tmp_path: Path) -> None:
    files = {
        "sys/devices/system/cpu/online": "0-7",
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp",
        "sys/firmware/devicetree/base/model": "Radxa ROCK 5B",
    }
    for number in range(8):
        cpu = f"sys/devices/system/cpu/cpu{number}"
        files[f"{cpu}/cpu_capacity"] = "530" if number < 4 else "1024"
        files[f"{cpu}/topology/core_id"] = str(number)
        files[f"{cpu}/topology/physical_package_id"] = "0"
    found = read_processor(laid_out(tmp_path, files), usable=8, architecture="aarch64")
    assert (found.name, found.cores, found.big_cores) == ("Radxa ROCK 5B", 8, 4)
    assert found.features == ("NEON", "FP16", "DOTPROD")


def test_affinity_and_quota_bound_what_pays(tmp_path: Path) -> None:
    root = laid_out(tmp_path, processors(16, siblings=2))
    assert read_processor(root, usable=4).worth == 2
    assert read_processor(root, usable=16, quota=1.5).worth == 1
    assert read_processor(root, usable=16, quota=0.5).worth == 1


def test_without_topology_threads_count_as_cores(tmp_path: Path) -> None:
    root = laid_out(tmp_path, {"proc/cpuinfo": "processor : 0\nprocessor : 1"})
    found = read_processor(root, usable=2)
    assert (found.cores, found.threads, found.sockets, found.name) == (2, 2, 1, "unknown")


def test_the_smallest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    root = laid_out(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/triaged.service",
            "sys/fs/cgroup/system.slice/cpu.max": "150000 100000",
            "sys/fs/cgroup/system.slice/triaged.service/cpu.max": "max 100000",
            "sys/fs/cgroup/system.slice/memory.max": "max",
            "sys/fs/cgroup/system.slice/triaged.service/memory.max": str(2 * GIB),
            "sys/fs/cgroup/system.slice/triaged.service/memory.current": str(GIB),
            "sys/fs/cgroup/system.slice/triaged.service/memory.stat": f"inactive_file {GIB // 2}",
        },
    )
    limits = read_limits(root)
    assert (limits.threads, limits.memory, limits.memory_used) == (1.5, 2 * GIB, GIB // 2)


def test_version_one_and_a_container_whose_path_is_not_there(tmp_path: Path) -> None:
    root = laid_out(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * GIB),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    limits = read_limits(root)
    assert (limits.threads, limits.memory, limits.memory_used) == (None, 2 * GIB, 1000)


def test_a_huge_limit_of_version_one_is_none(tmp_path: Path) -> None:
    root = laid_out(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert read_limits(root).memory is None


def test_memory_within_a_container(tmp_path: Path) -> None:
    root = laid_out(
        tmp_path,
        memory(64, 50, swap_gib=8)
        | {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": str(2 * GIB),
            "sys/fs/cgroup/memory.current": str(GIB),
        },
    )
    found = read_memory(root, limits=read_limits(root))
    assert (found.capacity, found.usable, found.swap_total) == (2 * GIB, GIB, 8 * GIB)


def test_without_meminfo_nothing_can_be_planned(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not say how much memory"):
        read_memory(tmp_path)


AMD_CARD = {
    "sys/class/drm/card1/device/vendor": "0x1002",
    "sys/class/drm/card1/device/device": "0x744c",
    "sys/class/drm/card1/device/mem_info_vram_total": str(24 * GIB),
    "sys/class/drm/card1/device/mem_info_vram_used": str(4 * GIB),
    "sys/class/drm/card1/device/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0",
    "sys/class/drm/card1-DP-1/status": "connected",
    "sys/class/kfd/kfd/topology/nodes/0/properties": "gfx_target_version 0\nlocation_id 0",
    "sys/class/kfd/kfd/topology/nodes/1/properties": "gfx_target_version 110000\nlocation_id 768",
}


def test_an_amd_card(tmp_path: Path) -> None:
    (gpu,) = amd.read_gpus(laid_out(tmp_path, AMD_CARD))
    assert gpu.vendor is Vendor.AMD
    assert (gpu.total, gpu.free, gpu.shared) == (24 * GIB, 20 * GIB, False)
    assert (gpu.architecture, gpu.bus, gpu.name) == ("gfx1100", "0000:03:00.0", "AMD GPU 744c")


def test_an_apu_counts_what_it_takes_from_main_memory(tmp_path: Path) -> None:
    device = "sys/class/drm/card0/device"
    files = {
        f"{device}/vendor": "0x1002",
        f"{device}/mem_info_vram_total": str(GIB // 2),
        f"{device}/mem_info_vram_used": str(GIB // 4),
        f"{device}/mem_info_gtt_total": str(16 * GIB),
        f"{device}/mem_info_gtt_used": "0",
    }
    (gpu,) = amd.read_gpus(laid_out(tmp_path, files))
    assert gpu.shared
    assert gpu.total == 16 * GIB + GIB // 2


def test_an_intel_gpu_of_a_processor_shares_memory(tmp_path: Path) -> None:
    files = {
        "sys/class/drm/card0/device/vendor": "0x8086",
        "sys/class/drm/card0/device/device": "0x46a6",
        "sys/class/drm/card2/device/vendor": "0x1a03",
    }
    (gpu,) = amd.read_gpus(laid_out(tmp_path, files))
    assert (gpu.vendor, gpu.shared, gpu.total) == (Vendor.INTEL, True, None)


class Nvml:
    """NVML as the driver would answer: `broken` functions raise."""

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(f"code {value}")
            self.value = value

    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_DRIVER_NOT_LOADED = 9

    def __init__(self, **broken: int) -> None:
        self.broken = broken
        self.shut = 0

    def __getattr__(self, name: str) -> object:
        def answer(*_: object) -> object:
            if name in self.broken:
                raise Nvml.NVMLError(self.broken[name])
            return {
                "nvmlInit": None,
                "nvmlSystemGetDriverVersion": "580.1",
                "nvmlDeviceGetCount": 1,
                "nvmlDeviceGetHandleByIndex": "handle",
                "nvmlDeviceGetName": b"NVIDIA GeForce RTX 4050 Laptop GPU",
                "nvmlDeviceGetMemoryInfo": types.SimpleNamespace(total=6 * GIB, free=5 * GIB),
                "nvmlDeviceGetCudaComputeCapability": (8, 9),
                "nvmlDeviceGetPciInfo": types.SimpleNamespace(busId="00000000:01:00.0"),
            }[name]

        return answer

    def nvmlShutdown(self) -> None:  # noqa: N802 (NVML's name)
        self.shut += 1


def test_an_nvidia_gpu() -> None:
    nvml = Nvml()
    (gpu,), note = nvidia.read_gpus(nvml)
    assert note == ""
    assert (gpu.name, gpu.architecture) == ("NVIDIA GeForce RTX 4050 Laptop GPU", "89")
    assert (gpu.total, gpu.free, gpu.driver) == (6 * GIB, 5 * GIB, "580.1")
    assert nvml.shut == 1


def test_a_board_whose_gpu_has_no_memory_of_its_own() -> None:
    (gpu,), _ = nvidia.read_gpus(Nvml(nvmlDeviceGetMemoryInfo=3))
    assert gpu.shared
    assert gpu.total is None


def test_no_driver_is_no_trouble_and_a_sick_one_is_named() -> None:
    assert nvidia.read_gpus(Nvml(nvmlInit=12)) == ((), "")
    assert nvidia.read_gpus(Nvml(nvmlInit=9)) == ((), "")
    gpus, note = nvidia.read_gpus(Nvml(nvmlInit=18))
    assert gpus == ()
    assert "nvidia-smi" in note
    sick = Nvml(nvmlDeviceGetCount=15)
    gpus, note = nvidia.read_gpus(sick)
    assert gpus == ()
    assert "does not tell" in note
    assert sick.shut == 1


LISTING = """Available devices:
  CUDA0: NVIDIA GeForce RTX 3090 (24115 MiB, 23800 MiB free)
  Vulkan1: AMD Radeon (RADV GFX1103_R1) (16000 MiB, 15000 MiB free)
  RPC0: a machine (with brackets)
"""


def test_what_llama_server_prints() -> None:
    first, second, third = devices_in(LISTING)
    assert first == ListedDevice(
        name="CUDA0",
        description="NVIDIA GeForce RTX 3090",
        total=24115 * 2**20,
        free=23800 * 2**20,
    )
    assert second.description == "AMD Radeon (RADV GFX1103_R1)"
    assert (third.name, third.total) == ("RPC0", None)
    assert devices_in("nonsense\n  (none)\n") == ()


def test_the_wheel_lists_no_accelerator_here_or_a_true_one() -> None:
    listed, note = list_devices(Binary(path=None, origin="wheel"))
    assert note == ""
    assert all(device.name != "CPU" for device in listed)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("#!/bin/sh\necho no such driver >&2\nexit 3\n", "exit code 3): no such driver"),
        ("not a program", "cannot be run"),
    ],
)
def test_a_binary_that_cannot_list_is_named(tmp_path: Path, program: str, words: str) -> None:
    path = tmp_path / "llama-server"
    path.write_text(program, encoding="utf-8")
    path.chmod(0o755)
    listed, note = list_devices(Binary(path=path, origin="$LLAMA_BIN"))
    assert listed == ()
    assert words in note
    assert "$LLAMA_BIN" in note


def test_disks_are_found_for_folders_that_do_not_exist_yet(tmp_path: Path) -> None:
    found = read_disks([tmp_path / "state/models"])
    assert found
    assert all(0 <= disk.free <= disk.total for disk in found)
    # A mount that is gone, and one without blocks, are not disks.
    empty = read_disks([], mounts=lambda: [("/dev/x", "/no/such", "ext4"), ("p", "/proc", "proc")])
    assert empty == ()


def test_containers(tmp_path: Path) -> None:
    assert read_container(tmp_path) is None
    assert read_container(laid_out(tmp_path / "a", {".dockerenv": ""})) == "docker"
    assert read_container(laid_out(tmp_path / "b", {"run/.containerenv": ""})) == "podman"
    assert read_container(laid_out(tmp_path / "c", {"run/systemd/container": "lxc"})) == "lxc"
    environ = {"proc/1/environ": "PATH=/bin\0container=systemd-nspawn\0"}
    assert read_container(laid_out(tmp_path / "d", environ)) == "systemd-nspawn"


def test_notes_say_what_is_less_than_it_seems(tmp_path: Path) -> None:
    root = laid_out(tmp_path, processors(8) | memory(64, 60))
    processor = read_processor(root, usable=8, quota=2.0)
    notes = limit_notes(processor, read_memory(root), "podman")
    assert "2 threads of 8" in notes[0]
    assert "podman" in notes[1]
    gpu = Gpu(index=0, name="x", vendor=Vendor.AMD, total=None, free=None)
    assert "ROCm" in gpu_notes([gpu], [])[0]
    assert gpu_notes([], []) == []


def test_the_whole_look_at_this_very_machine(tmp_path: Path) -> None:
    machine = survey(folders=[tmp_path])
    assert machine.processor.cores >= 1
    assert 0 < machine.memory.usable <= machine.memory.total
    assert machine.disks
