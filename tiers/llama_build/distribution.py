"""How packages are called and got on this distribution. Pure but for reading os-release."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from pathlib import Path


class Manager(enum.StrEnum):
    """Who installs packages here."""

    APT = "apt"
    DNF = "dnf"
    PACMAN = "pacman"
    ZYPPER = "zypper"
    APK = "apk"
    BREW = "brew"


class Need(enum.StrEnum):
    """What can be missing."""

    CMAKE = "cmake"
    COMPILER = "a C++ compiler"
    MAKER = "ninja or make"
    GIT = "git"
    CUDA = "the CUDA toolkit"
    HIP = "ROCm (HIP)"
    VULKAN = "Vulkan's headers and glslc"


_INSTALL = {
    Manager.APT: "apt install",
    Manager.DNF: "dnf install",
    Manager.PACMAN: "pacman -S",
    Manager.ZYPPER: "zypper install",
    Manager.APK: "apk add",
    Manager.BREW: "brew install",
}
_PACKAGES: Mapping[Need, Mapping[Manager, str]] = {
    Need.CMAKE: dict.fromkeys(Manager, "cmake"),
    Need.COMPILER: {
        Manager.APT: "g++",
        Manager.DNF: "gcc-c++",
        Manager.PACMAN: "gcc",
        Manager.ZYPPER: "gcc-c++",
        Manager.APK: "g++",
        Manager.BREW: "gcc",
    },
    Need.MAKER: {
        Manager.APT: "ninja-build",
        Manager.DNF: "ninja-build",
        Manager.PACMAN: "ninja",
        Manager.ZYPPER: "ninja",
        Manager.APK: "ninja-build",
        Manager.BREW: "ninja",
    },
    Need.GIT: dict.fromkeys(Manager, "git"),
    Need.CUDA: {Manager.APT: "nvidia-cuda-toolkit", Manager.PACMAN: "cuda"},
    Need.HIP: {
        Manager.APT: "hipcc libhipblas-dev librocblas-dev",
        Manager.DNF: "hipcc hipblas-devel rocblas-devel",
        Manager.PACMAN: "rocm-hip-sdk",
    },
    Need.VULKAN: {
        Manager.APT: "glslc libvulkan-dev spirv-headers",
        Manager.DNF: "glslc vulkan-headers vulkan-loader-devel spirv-headers-devel",
        Manager.PACMAN: "shaderc vulkan-headers vulkan-icd-loader spirv-headers",
        Manager.ZYPPER: "shaderc vulkan-devel spirv-headers",
        Manager.APK: "shaderc vulkan-headers vulkan-loader-dev spirv-headers",
    },
}
_ELSEWHERE = {
    Need.CUDA: "see https://developer.nvidia.com/cuda-downloads",
    Need.HIP: "see https://rocm.docs.amd.com",
    Need.VULKAN: "see https://vulkan.lunarg.com/sdk",
}
# ID and ID_LIKE of os-release.
_MANAGERS = {
    "debian": Manager.APT,
    "ubuntu": Manager.APT,
    "fedora": Manager.DNF,
    "rhel": Manager.DNF,
    "centos": Manager.DNF,
    "arch": Manager.PACMAN,
    "suse": Manager.ZYPPER,
    "opensuse": Manager.ZYPPER,
    "alpine": Manager.APK,
}


def read_manager(root: Path = Path("/")) -> Manager | None:
    """Who installs packages on this system, None where nothing tells."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            return manager_in((root / place).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return Manager.BREW if (root / "opt/homebrew/bin/brew").exists() else None


def manager_in(os_release: str) -> Manager | None:
    """By the distribution's name, else by what it says that it is like."""
    fields = {}
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        fields[name.strip()] = value.strip().strip("\"'")
    for word in [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]:
        if (found := _MANAGERS.get(word.partition("-")[0])) is not None:
            return found
    return None


def how_to_get(needs: Iterable[Need], manager: Manager | None) -> str:
    """What to type, or where to look, to get what is missing."""
    packages, ways = [], []
    for need in needs:
        if manager is not None and manager in _PACKAGES[need]:
            packages.append(_PACKAGES[need][manager])
        elif need in _ELSEWHERE:
            ways.append(f"{need}: {_ELSEWHERE[need]}")
        else:
            ways.append(f"{need}: with this system's package manager")
    if manager is not None and packages:
        ways.insert(0, f"{_INSTALL[manager]} {' '.join(packages)}")
    return "; ".join(ways)
