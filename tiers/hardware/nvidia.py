"""NVIDIA's GPUs, asked of the driver through NVML."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pynvml

from tiers.hardware.facts import Gpu, Vendor


def read_gpus(nvml: Any = pynvml) -> tuple[tuple[Gpu, ...], str]:
    """The GPUs, and a sentence when there is a driver that does not answer ("" otherwise).

    A machine without NVIDIA's driver has no such library: that is no trouble. `nvml` has the
    functions of `pynvml`.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        if _is(error, nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED):
            return (), ""
        return (), f"NVIDIA's driver does not answer: {error}; does `nvidia-smi` work?"
    with _shutting_down(nvml):
        try:
            driver = _text(nvml.nvmlSystemGetDriverVersion())
            return tuple(
                _gpu(nvml, index, driver) for index in range(nvml.nvmlDeviceGetCount())
            ), ""
        except nvml.NVMLError as error:
            return (), f"NVIDIA's driver does not tell of its GPUs: {error}"


def _gpu(nvml: Any, index: int, driver: str) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _or_none(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    capability = _or_none(nvml, nvml.nvmlDeviceGetCudaComputeCapability, handle)
    bus = _or_none(nvml, nvml.nvmlDeviceGetPciInfo, handle)
    return Gpu(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        vendor=Vendor.NVIDIA,
        total=int(memory.total) if memory is not None else None,
        free=int(memory.free) if memory is not None else None,
        # Boards that share the machine's memory (Jetson, GB10) have none of their own to report.
        shared=memory is None,
        architecture="".join(str(part) for part in capability) if capability else None,
        driver=driver,
        bus=_text(bus.busId) if bus is not None else None,
    )


def _or_none(nvml: Any, ask: Any, handle: Any) -> Any:
    """What a GPU says; None where it does not know such a thing."""
    try:
        return ask(handle)
    except nvml.NVMLError:
        return None


@contextlib.contextmanager
def _shutting_down(nvml: Any) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _is(error: Any, *codes: int) -> bool:
    return getattr(error, "value", None) in codes


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
