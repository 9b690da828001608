"""AMD and Intel GPUs, from the kernel's own files: no library and no privilege needed."""

from __future__ import annotations

from pathlib import Path

from tiers.hardware.facts import Gpu, Vendor
from tiers.hardware.files import number_at, number_in, text_at

_VENDORS = {"0x1002": Vendor.AMD, "0x8086": Vendor.INTEL}
_APU_CARVEOUT = 2 * 1024**3
"""An APU sets this much or less aside as its own; the rest it takes from main memory (GTT)."""


def read_gpus(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """The GPUs that the amdgpu, i915 and xe drivers have. NVIDIA's are in `nvidia.py`."""
    found: list[Gpu] = []
    counts: dict[Vendor, int] = {}
    cards = (root / "sys/class/drm").glob("card*")
    for card in sorted(
        (card for card in cards if card.name[4:].isdigit()), key=lambda card: int(card.name[4:])
    ):
        device = card / "device"
        vendor = _VENDORS.get(text_at(device / "vendor") or "")
        if vendor is None:
            continue
        index = counts.get(vendor, 0)
        counts[vendor] = index + 1
        found.append(_amd(root, device, index) if vendor is Vendor.AMD else _intel(device, index))
    return tuple(found)


def _amd(root: Path, device: Path, index: int) -> Gpu:
    total = number_at(device / "mem_info_vram_total")
    used = number_at(device / "mem_info_vram_used")
    shared = total is not None and total <= _APU_CARVEOUT
    if shared:
        gtt = number_at(device / "mem_info_gtt_total")
        gtt_used = number_at(device / "mem_info_gtt_used")
        total = total + gtt if total is not None and gtt is not None else total
        used = used + gtt_used if used is not None and gtt_used is not None else used
    return Gpu(
        index=index,
        name=text_at(device / "product_name") or f"AMD GPU {_pci_id(device)}",
        vendor=Vendor.AMD,
        total=total,
        free=total - used if total is not None and used is not None else None,
        shared=shared,
        architecture=_gfx(root, device),
        driver=_driver(device),
        bus=_bus(device),
    )


def _intel(device: Path, index: int) -> Gpu:
    total = number_at(device / "lmem_total_bytes")
    return Gpu(
        index=index,
        name=f"Intel GPU {_pci_id(device)}",
        vendor=Vendor.INTEL,
        total=total,
        free=number_at(device / "lmem_avail_bytes"),
        shared=total is None,
        driver=_driver(device),
        bus=_bus(device),
    )


def _gfx(root: Path, device: Path) -> str | None:
    """The target's name for the compiler, from the compute driver's topology: 110000 is gfx1100."""
    location = text_at(device / "uevent") or ""
    slot = next(
        (line[14:] for line in location.splitlines() if line.startswith("PCI_SLOT_NAME=")), ""
    )
    for node in sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*")):
        properties = dict(
            line.split(maxsplit=1)
            for line in (text_at(node / "properties") or "").splitlines()
            if " " in line
        )
        version = number_in(properties.get("gfx_target_version"))
        place = number_in(properties.get("location_id"))
        if version and place is not None and slot and place == _location(slot):
            return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"
    return None


def _location(slot: str) -> int | None:
    """ "0000:03:00.0" as the topology's location_id: bus, device and function in one number."""
    try:
        _, bus, rest = slot.split(":")
        device, function = rest.split(".")
        return int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)
    except ValueError:
        return None


def _pci_id(device: Path) -> str:
    return (text_at(device / "device") or "").removeprefix("0x") or "of unknown kind"


def _driver(device: Path) -> str | None:
    driver = device / "driver"
    return driver.resolve().name if driver.exists() else None


def _bus(device: Path) -> str | None:
    for line in (text_at(device / "uevent") or "").splitlines():
        if line.startswith("PCI_SLOT_NAME="):
            return line.removeprefix("PCI_SLOT_NAME=")
    return None
